//! `kill -9` while a pipeline reads files: each sink must hold what an undisturbed run would have
//! left there, under each delivery what that one promises.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use millstream_tests::{Server, plugin};
use serde_json::{Value, json};

use crate::kills::kill_again_and_again;
use crate::random::Random;
use crate::support::{counted, counts, drain, write_whole};

const WORDS: [&str; 12] =
    ["mill", "stream", "wheel", "stone", "flour", "grain", "water", "sluice", "Mühle", "pond", "dam", "race"];

/// A file of lines that are told apart by their numbers.
fn write_lines(random: &mut Random, dir: &Path, file: u64, lines: u64) -> Vec<String> {
    let lines: Vec<String> = (0..lines)
        .map(|line| {
            let words: Vec<&str> =
                (0..1 + random.below(8)).map(|_| WORDS[random.below(12) as usize]).collect();
            format!("{file}-{line} {}", words.join(" "))
        })
        .collect();
    write_whole(&dir.join(format!("{file:05}.txt")), &(lines.join("\n") + "\n"));
    lines
}

fn lines_spec(dir: &Path, delivery: &str) -> Value {
    let db = dir.join("out.db");
    json!({
        "name": "lines",
        "delivery": delivery,
        "trigger": { "every": "10ms", "max_bytes": "1KiB" },
        "checkpoint": { "every": "50ms" },
        "sources": { "lines": { "type": "file", "path": dir.join("in/*.txt"), "format": "text" } },
        "steps": { "kept": { "from": "lines", "select": { "line": "value" } } },
        "sinks": { "lines_out": { "from": "kept", "type": "sqlite", "path": db, "table": "lines" } }
    })
}

#[test]
fn counts_rows_and_files_are_those_of_an_undisturbed_run() {
    let mut random = Random::of("kill_files");
    let dir = tempfile::tempdir().unwrap();
    let (input, files, db) = (dir.path().join("in"), dir.path().join("files"), dir.path().join("out.db"));
    fs::create_dir(&input).unwrap();
    let mut spec = lines_spec(dir.path(), "exactly-once");
    spec["steps"]["words"] = json!({ "from": "lines", "wasm": "text/split-words", "config": { "column": "value", "lowercase": true } });
    spec["steps"]["tally"] =
        json!({ "from": "words", "aggregate": { "by": ["word"], "compute": { "n": "count()" } } });
    spec["sinks"]["counts"] =
        json!({ "from": "tally", "type": "sqlite", "path": db, "table": "counts", "key": ["word"] });
    spec["sinks"]["files"] = json!({ "from": "kept", "type": "file", "path": files, "format": "ndjson" });

    let server = Server::start(&dir.path().join("data"));
    assert!(server.upload(&plugin("text")).status < 300);
    let mut lines = write_lines(&mut random, &input, 0, 300);
    server.deploy(&spec);
    let mut numbers = Random::of("kill_files_lines");
    let server = kill_again_and_again(&mut random, server, "lines", 35, |_, number| {
        lines.extend(write_lines(&mut numbers, &input, number + 1, 250));
    });
    drain(&server, "lines");
    server.stop();

    let expected: BTreeMap<String, i64> = lines.iter().map(|line| (line.clone(), 1)).collect();
    assert_eq!(
        counts(&db, "SELECT line, count(*) FROM lines GROUP BY line"),
        expected,
        "rows of the append sink"
    );
    let mut tally = BTreeMap::new();
    for word in lines.iter().flat_map(|line| line.split(' ')) {
        *tally.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    assert_eq!(counts(&db, "SELECT word, n FROM counts"), tally, "counts of the upsert sink");
    let mut in_files = lines_in_files(&files);
    in_files.sort();
    lines.sort();
    assert_eq!(in_files, lines, "rows of the file sink");
}

/// The lines of the files that the manifest names, which must be all files, sound and hashed right.
fn lines_in_files(dir: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(dir.join("_manifest.ndjson")).unwrap();
    let (mut lines, mut named) = (Vec::new(), BTreeSet::from(["_manifest.ndjson".to_owned()]));
    let mut newest = 0;
    for entry in manifest.lines().skip(1) {
        let entry: Value = serde_json::from_str(entry).unwrap();
        let batch = entry["batch"].as_u64().unwrap();
        assert!(batch > newest, "batch {batch} after {newest}");
        newest = batch;
        let Some(name) = entry["file"].as_str() else { continue };
        assert!(named.insert(name.to_owned()), "{name} is in the manifest twice");
        let path = dir.join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(entry["bytes"], text.len(), "{name}");
        assert_eq!(entry["rows"], text.lines().count(), "{name}");
        let hashed = Command::new("sha256sum").arg(&path).output().unwrap();
        assert_eq!(
            entry["sha256"].as_str(),
            String::from_utf8(hashed.stdout).unwrap().split(' ').next(),
            "{name}"
        );
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.extend(rows.map(|row| row["line"].as_str().unwrap().to_owned()));
    }
    let there: BTreeSet<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, named, "only what the manifest names is there");
    lines
}

#[test]
fn each_final_window_comes_exactly_once() {
    let mut random = Random::of("kill_windows");
    let dir = tempfile::tempdir().unwrap();
    let (input, db) = (dir.path().join("in"), dir.path().join("out.db"));
    fs::create_dir(&input).unwrap();
    let spec = json!({
        "name": "windows",
        "trigger": { "every": "10ms", "max_bytes": "1KiB" },
        "checkpoint": { "every": "60ms" },
        "sources": { "in": { "type": "file", "path": input.join("*.ndjson"), "format": "ndjson",
            "schema": { "at": "timestamp_s", "k": "utf8" }, "event_time": { "column": "at" } } },
        "steps": { "tally": { "from": "in", "emit": "final", "aggregate": {
            "by": ["k"], "window": { "tumbling": "10s" }, "compute": { "n": "count()" } } } },
        "sinks": { "out": { "from": "tally", "type": "sqlite", "path": db, "table": "windows" } }
    });
    let (mut at, mut expected) = (1_700_000_000, BTreeMap::new());
    let mut write = |random: &mut Random, file: u64, rows: u64| {
        let mut text = String::new();
        for _ in 0..rows {
            at += i64::try_from(random.below(3)).unwrap();
            let key = WORDS[random.below(5) as usize];
            text += &format!("{{\"at\":{at},\"k\":\"{key}\"}}\n");
            *expected.entry(format!("{} {key}", at / 10 * 10)).or_insert(0) += 1;
        }
        write_whole(&input.join(format!("{file:05}.ndjson")), &text);
        (at, expected.clone())
    };
    write(&mut random, 0, 200);
    let server = Server::start(&dir.path().join("data"));
    server.deploy(&spec);
    let mut numbers = Random::of("kill_windows_rows");
    let server = kill_again_and_again(&mut random, server, "windows", 20, |_, number| {
        write(&mut numbers, number + 1, 400);
    });
    // Something long after all windows closes them; its own stays open.
    let (last, expected) = write(&mut numbers, 90_000, 1);
    write_whole(&input.join("99999.ndjson"), &format!("{{\"at\":{},\"k\":\"end\"}}\n", last + 1000));
    let rows = "SELECT strftime('%s', window_start) || ' ' || k, n FROM windows";
    millstream_tests::eventually("the last window", || {
        let _ = server.wait_for("windows", &["running", "starting"]);
        (counted(&db, rows).len() >= expected.len()).then_some(())
    });
    drain(&server, "windows");
    assert_eq!(server.get("/v1/pipelines/windows/dead-letters").body, json!([]), "no row is late");
    server.stop();
    assert_eq!(counts(&db, rows), expected);
}

#[test]
fn at_least_once_loses_nothing_and_at_most_once_repeats_nothing() {
    for (delivery, kills) in [("at-least-once", 8), ("at-most-once", 8)] {
        let mut random = Random::of(delivery);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let server = Server::start(&dir.path().join("data"));
        let mut lines = write_lines(&mut random, &dir.path().join("in"), 0, 300);
        server.deploy(&lines_spec(dir.path(), delivery));
        let mut numbers = Random::of("delivery_lines");
        let server = kill_again_and_again(&mut random, server, "lines", kills, |_, number| {
            lines.extend(write_lines(&mut numbers, &dir.path().join("in"), number + 1, 250));
        });
        drain(&server, "lines");
        server.stop();
        let found = counts(&dir.path().join("out.db"), "SELECT line, count(*) FROM lines GROUP BY line");
        let known: BTreeSet<&String> = lines.iter().collect();
        assert!(found.keys().all(|line| known.contains(line)), "{delivery}: rows that nobody wrote");
        if delivery == "at-least-once" {
            assert_eq!(found.len(), lines.len(), "{delivery}: lines are lost");
        } else {
            assert!(found.values().all(|&times| times == 1), "{delivery}: {found:?}");
            assert!(
                found.len() > lines.len() / 2,
                "{delivery}: a crash loses a batch or two, not most of them"
            );
        }
    }
}
