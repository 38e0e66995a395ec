//! The command line: the commands that speak to a server, and what `run` refuses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use millstream_tests::{binary, command, eventually, plugin};
use serde_json::{Value, json};

use crate::support::{server_with, sunk};

/// A pipeline that counts words, in YAML.
pub(crate) fn words(dir: &Path, source: &str, trigger: &str) -> String {
    let out = dir.join("out.db");
    let spec = format!(
        "name: words\ntrigger: {trigger}\nsources:\n  lines: {source}\nsteps:\n  \
         words: {{ from: lines, wasm: text/split-words@0.1, config: {{ column: value }} }}\n  \
         counts: {{ from: words, aggregate: {{ by: [word], compute: {{ n: count() }} }} }}\nsinks:\n  \
         out: {{ from: counts, type: sqlite, path: {}, table: out, key: [word] }}\n",
        out.display()
    );
    let file = dir.join("words.yaml");
    fs::write(&file, spec).expect("a spec");
    file.display().to_string()
}

pub(crate) fn file_source(dir: &Path, text: &str) -> String {
    let input = dir.join("lines.txt");
    fs::write(&input, text).expect("an input");
    format!("{{ type: file, path: {}, format: text }}", input.display())
}

#[test]
fn run_says_what_is_wrong_and_fails() {
    let dir = tempfile::tempdir().expect("a folder");
    let said = |file: &str| {
        let ran = command(&["run", file]);
        assert!(!ran.ok, "{ran:?}");
        ran.err
    };
    let missing = dir.path().join("missing.yaml").display().to_string();
    assert!(said(&missing).contains(&format!("{missing}: No such file")), "{}", said(&missing));
    let file = words(dir.path(), &file_source(dir.path(), ""), "available-now");
    let err = said(&file);
    assert!(err.contains(&format!("{file} is wrong:")) && err.contains("steps.words.wasm: "), "{err}");
    fs::write(&file, "name: words\n  sources: {}\n").expect("a bad spec");
    assert!(said(&file).contains(&format!("{file}: line 2, column")), "{}", said(&file));
    let gone = words(dir.path(), "{ type: file, path: /nowhere/at/all.txt, format: txt }", "available-now");
    assert!(said(&gone).contains("sources.lines.format: unknown value `txt`"), "{}", said(&gone));
}

#[test]
fn pipelines_are_deployed_and_steered_from_the_command_line() {
    let (dir, server) = server_with(&[]);
    let say = |arguments: &[&str]| {
        let said = server.command(arguments);
        assert!(said.ok, "{arguments:?}: {said:?}");
        said.out
    };
    let document = |arguments: &[&str]| -> Value {
        let out = say(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    };
    let text = plugin("text").display().to_string();
    let _ = say(&["plugin", "push", &text]);
    assert!(say(&["plugin", "list"]).contains("text"));
    assert_eq!(document(&["plugin", "show", "text"])["version"], json!("0.1.0"));

    let file = words(dir.path(), "{ type: http, stream: lines, format: text }", "{ every: 5ms }");
    assert!(say(&["pipeline", "validate", &file]).contains("exactly-once"));
    let _ = say(&["pipeline", "deploy", &file, "--no-start"]);
    assert_eq!(document(&["pipeline", "show", "words"])["state"], json!("stopped"));
    let deployed = say(&["pipeline", "deploy", &file]);
    assert!(deployed.starts_with("words is "), "{deployed}");
    let _ = server.wait_for("words", &["running"]);
    let listed = say(&["pipeline", "list"]);
    assert!(
        listed.lines().nth(1).is_some_and(|line| line.starts_with("words") && line.contains("running")),
        "{listed}"
    );

    let input = dir.path().join("body.txt");
    fs::write(&input, "to mill\n").expect("a body");
    let input = input.display().to_string();
    let ingest = ["ingest", "lines", &input, "--idempotency-key", "once"];
    assert!(say(&ingest).starts_with("taken at offset"));
    assert!(say(&ingest).starts_with("was there at offset"));
    let rows = eventually("the words", || Some(sunk(dir.path(), "out")).filter(|rows| rows.len() == 2));
    assert_eq!(rows, [r#""mill" | 1"#, r#""to" | 1"#]);
    let progress = eventually("progress", || {
        Some(document(&["pipeline", "progress", "words"])).filter(|all| all[0].is_object())
    });
    assert_eq!(progress[0]["numInputRows"], json!(1));
    assert_eq!(document(&["pipeline", "logs", "words"]).as_array().map(Vec::is_empty), Some(false));
    assert_eq!(document(&["pipeline", "dead-letters", "list", "words"]), json!([]));
    assert_eq!(document(&["pipeline", "dead-letters", "replay", "words"]), json!({ "replayed": 0 }));
    let unknown = server.command(&["pipeline", "dead-letters", "show", "words", "7"]);
    assert!(!unknown.ok && unknown.err.contains("pipeline `words` has no dead letter 7"), "{unknown:?}");

    for (verb, state) in
        [("stop", "stopped"), ("start", "running"), ("restart", "running"), ("drain", "stopped")]
    {
        let _ = say(&["pipeline", verb, "words"]);
        let _ = server.wait_for("words", &[state]);
    }
    let kept = server.command(&["pipeline", "delete", "words"]);
    assert!(!kept.ok && kept.err.contains("has data"), "{kept:?}");
    assert_eq!(say(&["pipeline", "delete", "words", "--purge"]), "deleted words\n");
    let _ = say(&["plugin", "delete", "text@0.1.0"]);
    assert_eq!(document(&["plugin", "list"]), json!([]));
}

#[test]
fn a_tap_prints_rows_as_lines_of_json() {
    let (dir, server) = server_with(&["text"]);
    let file = words(dir.path(), "{ type: http, stream: lines, format: text }", "{ every: 5ms }");
    assert!(server.command(&["pipeline", "deploy", &file]).ok);
    let _ = server.wait_for("words", &["running"]);
    let mut child = Command::new(binary())
        .args(["pipeline", "tap", "words", "words", "--server", &server.url])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let shown = Arc::new(Mutex::new(Vec::new()));
    let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let reading = std::thread::spawn({
        let shown = Arc::clone(&shown);
        move || {
            output.lines().map_while(Result::ok).for_each(|line| shown.lock().expect("a reader").push(line))
        }
    });
    // A tap shows what comes after it: so rows are sent until one is seen.
    let line = eventually("a row", || {
        let _ = server.send("/v1/streams/lines", &[], b"korn\n");
        shown.lock().expect("a reader").first().cloned()
    });
    assert_eq!(line, r#"{"word":"korn"}"#);
    assert_eq!(server.post("/v1/pipelines/words/stop", &json!({})).status, 200);
    let status = eventually("the end of the tap", || child.try_wait().expect("it is ours"));
    assert!(status.success(), "{status}");
    reading.join().expect("the reader ends");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let said = command(&["pipeline", "list", "--server", "http://127.0.0.1:9"]);
    assert!(!said.ok && said.err.contains("127.0.0.1:9"), "{said:?}");
}

#[test]
fn an_address_that_is_taken_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let data = dir.path().join("data").display().to_string();
    let said = command(&["serve", "--listen", &address, "--data-dir", &data]);
    assert!(!said.ok, "{said:?}");
    assert!(said.err.contains(&format!("cannot listen on {address} (")), "{said:?}");
    assert!(said.err.contains("choose another address with --listen"), "{said:?}");
}

#[test]
fn a_pipeline_that_was_told_to_drain_is_draining_until_it_is_stopped() {
    let (dir, server) = server_with(&[]);
    server.deploy(&json!({
        "name": "slow",
        // Asked again after a minute: it cannot be through while this looks.
        "trigger": { "every": "1min" },
        "sources": { "in": { "type": "http", "stream": "slow", "format": "text" } },
        "sinks": { "out": { "from": "in", "type": "sqlite", "path": dir.path().join("out.db"), "table": "out" } },
    }));
    let _ = server.wait_for("slow", &["running"]);
    assert_eq!(server.send("/v1/streams/slow", &[], b"one\n").status, 202);
    eventually("its first batch", || Some(sunk(dir.path(), "out")).filter(|rows| rows.len() == 1));
    let said = server.command(&["pipeline", "drain", "slow"]);
    assert!(said.ok && said.out == "slow is draining\n", "{said:?}");
    assert_eq!(server.get("/v1/pipelines/slow").body["state"], json!("draining"));
    let said = server.command(&["pipeline", "stop", "slow"]);
    assert!(said.ok && said.out == "slow is stopped\n", "{said:?}");
}
