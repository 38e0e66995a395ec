//! Hostile operators in a pipeline: only the rows that break them are kept back, and nobody else
//! notices.

use std::path::Path;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{lines_file, server_with, sunk, table_sink, text};

/// Operator, kind and reason of the dead letters that it makes.
const FAULTS: &[(&str, &str, &str)] = &[
    ("trap", "trapped", "broke on purpose in a batch of 1 rows"),
    ("overflow", "trapped", "the plugin's call stack is exhausted: a recursion goes too deep or never ends"),
    ("overflow-in-memory", "trapped", "the plugin"),
    ("exit", "trapped", "the plugin trapped"),
    ("loop", "timed-out", "the plugin did not answer within 500 ms"),
    ("allocate", "out-of-memory", "the plugin needs more than its 32 MiB of memory"),
    ("answer-error", "rejected", "refused on purpose: 1 rows"),
    ("answer-huge-error", "rejected", "xxx"),
    ("falling-offsets", "invalid-output", "column `value`"),
    ("offsets-past-end", "invalid-output", "column `value`"),
    ("short-offsets", "invalid-output", "column `value`"),
    ("invalid-utf8", "invalid-output", "column `value`"),
    ("cut-character", "invalid-output", "column `value`"),
    ("short-values", "invalid-output", "column `value`"),
    ("short-validity", "invalid-output", "column `value`"),
    ("null-in-required", "invalid-output", "column `value`"),
    ("wrong-row-count", "invalid-output", "column `value`"),
    ("wrong-schema", "invalid-output", "column"),
    ("reject-row-out-of-range", "invalid-output", "row"),
    ("reject-twice", "invalid-output", "row"),
];

/// A pipeline of one hostile step over `source`.
fn spec(name: &str, dir: &Path, source: &Value, step: Value) -> Value {
    let mut step = step;
    step["from"] = json!("lines");
    json!({
        "name": name,
        "trigger": "available-now",
        "sources": { "lines": source },
        "steps": { "step": step },
        "sinks": { "out": table_sink(dir, name, "step") },
    })
}

fn step(operator: &str, when: Option<&str>) -> Value {
    let config = when.map_or(json!({}), |when| json!({ "when": when }));
    // Little memory and a short deadline, so that the search for the rows does not take long; but only
    // where time is the fault: on a busy machine anything may take half a second.
    let deadline = if operator == "loop" { "500ms" } else { "20s" };
    json!({ "wasm": format!("hostile/{operator}@0.1"), "config": config, "deadline": deadline, "memory": "32MiB" })
}

#[test]
fn each_fault_keeps_back_the_rows_that_cause_it_and_no_other() {
    let (dir, server) = server_with(&["hostile"]);
    let source = lines_file(dir.path(), "in.txt", "one\npoison\ntwo\n\npoison\nthree\nfour\nfünf\n");
    for (operator, _, _) in FAULTS {
        server.deploy(&spec(operator, dir.path(), &source, step(operator, Some("poison"))));
    }
    for (operator, kind, reason) in FAULTS {
        let _ = server.wait_for(operator, &["finished"]);
        assert_eq!(
            sunk(dir.path(), operator),
            ["\"\"", "\"four\"", "\"fünf\"", "\"one\"", "\"three\"", "\"two\""],
            "{operator}"
        );
        let letters = server.dead_letters(operator);
        assert_eq!(letters.len(), 2, "{operator}: {letters:#?}");
        for letter in &letters {
            assert_eq!(
                (text(letter, "entry"), text(letter, "kind")),
                ("step", *kind),
                "{operator}: {letter:#}"
            );
            assert_eq!(text(letter, "text"), r#"{"value":"poison"}"#, "{operator}");
            assert!(text(letter, "reason").contains(reason), "{operator}: {letter:#}");
            assert!(text(letter, "reason").len() < 16 << 10, "{operator}: a reason has an end");
            assert!(text(letter, "origin").contains("came to step"), "{operator}: {letter:#}");
        }
        let progress = server.get(&format!("/v1/pipelines/{operator}/progress")).body;
        assert_eq!(progress[0]["deadLetters"][*kind], json!(2), "{operator}: {progress:#}");
    }
}

#[test]
fn an_operator_that_always_breaks_fails_its_pipeline_and_loses_nothing() {
    let (dir, server) = server_with(&["hostile"]);
    let lines: String = (0..200).map(|line| format!("line {line}\n")).collect();
    let source = lines_file(dir.path(), "in.txt", &lines);
    server.deploy(&spec("neighbour", dir.path(), &source, step("identity", None)));
    for (operator, reason) in [
        ("trap", "64 rows one after the other break the plugin"),
        ("loop", "8 rows one after the other break the plugin"),
        ("short-offsets", "64 rows one after the other break the plugin"),
    ] {
        let name = format!("always-{operator}");
        server.deploy(&spec(&name, dir.path(), &source, step(operator, None)));
        let document = server.wait_for(&name, &["failed"]);
        let said = text(&document, "reason");
        assert!(said.contains(reason) && said.contains(operator), "{said}");
        assert!(said.contains("upload a repaired version and start the pipeline again"), "{said}");
        assert_eq!(sunk(dir.path(), &name), [""; 0], "nothing of the batch is in the sink");
        assert_eq!(server.dead_letters(&name), [Value::Null; 0], "nor is it lost as dead letters");

        let repaired = server
            .put(&format!("/v1/pipelines/{name}"), &spec(&name, dir.path(), &source, step("identity", None)));
        assert!(repaired.status < 300, "{repaired:?}");
        eventually("the repaired pipeline's end", || {
            let document = server.get(&format!("/v1/pipelines/{name}")).body;
            (text(&document, "state") == "finished").then_some(())
        });
        assert_eq!(sunk(dir.path(), &name).len(), 200, "{name}: all rows arrive once it is repaired");
    }
    let _ = server.wait_for("neighbour", &["finished"]);
    assert_eq!(sunk(dir.path(), "neighbour").len(), 200);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_step_may_drop_what_breaks_it_or_fail() {
    let (dir, server) = server_with(&["hostile"]);
    let source = lines_file(dir.path(), "in.txt", "one\npoison\ntwo\n");
    let policy = |operator: &str, policy: &str| {
        let mut step = step(operator, Some("poison"));
        step["on_fault"] = json!(policy);
        step
    };
    server.deploy(&spec("drop", dir.path(), &source, policy("trap", "drop")));
    let _ = server.wait_for("drop", &["finished"]);
    assert_eq!(sunk(dir.path(), "drop"), ["\"one\"", "\"two\""]);
    assert_eq!(server.dead_letters("drop"), [Value::Null; 0]);

    server.deploy(&spec("fail", dir.path(), &source, policy("trap", "fail")));
    let document = server.wait_for("fail", &["failed"]);
    assert!(
        text(&document, "reason").contains("step") && text(&document, "reason").contains("broke on purpose"),
        "{document:#}"
    );
    assert_eq!(sunk(dir.path(), "fail"), [""; 0]);

    // The way out: another policy, and the batch goes through.
    let replaced =
        server.put("/v1/pipelines/fail", &spec("fail", dir.path(), &source, policy("trap", "dead-letter")));
    assert!(replaced.status < 300, "{replaced:?}");
    eventually("the batch to go through", || (sunk(dir.path(), "fail").len() == 2).then_some(()));
    eventually("the dead letter", || (server.dead_letters("fail").len() == 1).then_some(()));
}

#[test]
fn floods_of_words_are_bounded() {
    let (dir, server) = server_with(&["hostile"]);
    let source = lines_file(dir.path(), "in.txt", "one\ntwo\n");
    for operator in ["flood-log", "flood-stdout", "flood-counters", "huge-output"] {
        let mut step = step(operator, None);
        step["deadline"] = json!("20s");
        step["memory"] = json!("256MiB");
        server.deploy(&spec(operator, dir.path(), &source, step));
    }
    for operator in ["flood-log", "flood-stdout", "flood-counters"] {
        let document = server.wait_for(operator, &["finished"]);
        assert_eq!(sunk(dir.path(), operator), ["\"one\"", "\"two\""], "{operator}");
        assert!(document["numbers"].to_string().len() < 1 << 20, "{operator}: numbers are bounded");
    }
    let logs = server.get("/v1/pipelines/flood-log/logs?limit=1000").body;
    assert!(logs.to_string().len() < 4 << 20, "{} bytes of log", logs.to_string().len());
    let dropped =
        logs.as_array().into_iter().flatten().any(|line| text(line, "message").contains("were dropped"));
    assert!(dropped, "it is told that lines were dropped");
    let _ = server.wait_for("huge-output", &["finished"]);
    let letters = server.dead_letters("huge-output");
    assert!(
        !letters.is_empty() && letters.iter().all(|letter| text(letter, "kind") == "invalid-output"),
        "{letters:#?}"
    );
    assert!(
        server.log().iter().map(String::len).sum::<usize>() < 8 << 20,
        "the server's own log is bounded too"
    );
}

#[test]
fn a_guest_sees_the_clock_of_its_batch_and_chance_from_its_seed() {
    let (dir, server) = server_with(&["hostile"]);
    let source = lines_file(dir.path(), "in.txt", "a\nb\nc\n");
    let mut spec = spec("clock", dir.path(), &source, step("clock-and-random", None));
    spec["steps"]["shown"] = json!({ "from": "step", "select": { "same": "system_time = now", "first": "batch_id", "untimed": "watermark IS NULL" } });
    spec["sinks"]["out"]["from"] = json!("shown");
    server.deploy(&spec);
    let _ = server.wait_for("clock", &["finished"]);
    assert_eq!(sunk(dir.path(), "clock"), ["1 | 1 | 1"; 3]);
}

#[test]
fn a_guest_that_sleeps_holds_nobody_up() {
    let (dir, server) = server_with(&["hostile"]);
    let source = lines_file(dir.path(), "in.txt", "one\ntwo\n");
    server.deploy(&spec("sleeper", dir.path(), &source, step("sleep", None)));
    let _ = server.wait_for("sleeper", &["finished"]);
    assert_eq!(sunk(dir.path(), "sleeper"), ["\"one\"", "\"two\""], "an hour takes no time of the host");
}

#[test]
fn one_server_runs_good_pipelines_beside_broken_ones() {
    let (dir, server): (_, Server) = server_with(&["hostile", "text"]);
    let source = lines_file(dir.path(), "in.txt", "poison\nto mill\n");
    for number in 0..4 {
        server.deploy(&spec(&format!("loop-{number}"), dir.path(), &source, step("loop", Some("poison"))));
        let mut good = spec(
            &format!("good-{number}"),
            dir.path(),
            &source,
            json!({ "wasm": "text/split-words@0.1", "config": { "column": "value" } }),
        );
        good["trigger"] = json!({ "every": "10ms" });
        server.deploy(&good);
    }
    for number in 0..4 {
        let rows = eventually("the good rows", || {
            Some(sunk(dir.path(), &format!("good-{number}"))).filter(|rows| rows.len() == 3)
        });
        assert_eq!(rows, ["\"mill\"", "\"poison\"", "\"to\""]);
        let _ = server.wait_for(&format!("loop-{number}"), &["finished"]);
    }
}

#[test]
fn a_batch_that_runs_again_after_a_crash_gives_the_same_bytes() {
    let (dir, server) = server_with(&["hostile"]);
    server.deploy(&json!({
        "name": "dice",
        "trigger": { "every": "5ms" },
        // There is no checkpoint before the crash, so that all batches run again after it.
        "checkpoint": { "every": "1h" },
        "sources": { "lines": { "type": "http", "stream": "lines", "format": "text" } },
        "steps": {
            "seen": { "from": "lines", "wasm": "hostile/clock-and-random@0.1" },
            "thrown": { "from": "seen", "select": { "all": 1, "die": "random % 1000", "at": "system_time % 1000000" } },
            "sums": { "from": "thrown", "aggregate": { "by": ["all"], "compute": { "n": "count()", "dice": "sum(die)", "times": "sum(at)" } } },
        },
        "sinks": {
            "out": table_sink(dir.path(), "rows", "thrown"),
            "sums_out": { "from": "sums", "type": "sqlite", "path": dir.path().join("sums.db"), "table": "out", "key": ["all"] },
        },
    }));
    let throw = |server: &Server, rows: usize| {
        let _ = server.wait_for("dice", &["running"]);
        for line in 0..3 {
            assert_eq!(server.send("/v1/streams/lines", &[], format!("{line}\n").as_bytes()).status, 202);
        }
        eventually("the dice", || Some(sunk(dir.path(), "rows")).filter(|found| found.len() == rows))
    };
    let _ = throw(&server, 3);
    server.kill();
    let server = Server::start(&dir.path().join("data"));
    let rows = throw(&server, 6);
    // The sink has the rows of the first run, the state was made by the second one.
    let numbers = rows
        .iter()
        .map(|row| -> Vec<i64> { row.split(" | ").map(|cell| cell.parse().expect("a number")).collect() });
    let sum = numbers.fold([0, 0], |sum, row| [sum[0] + row[1], sum[1] + row[2]]);
    let expected = format!("1 | 6 | {} | {}", sum[0], sum[1]);
    let found = eventually("the sum of six dice", || {
        sunk(dir.path(), "sums").into_iter().find(|row| row.starts_with("1 | 6 | "))
    });
    assert_eq!(found, expected, "{rows:?}");
}
