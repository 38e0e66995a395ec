//! Plugins' aggregates in a pipeline: what keeps it from running, and with which words.

use std::path::Path;

use millstream_tests::eventually;
use serde_json::{Value, json};

use crate::support::{lines_file, server_with, spec_errors, sunk, table_sink, text};

/// One function over lines, by their length.
fn spec(name: &str, dir: &Path, source: &Value, function: Value) -> Value {
    let mut sink = table_sink(dir, name, "groups");
    sink["key"] = json!(["length"]);
    json!({
        "name": name,
        "trigger": "available-now",
        "sources": { "lines": source },
        "steps": { "groups": {
            "from": "lines",
            "aggregate": { "by": { "length": "length(value)" }, "compute": { "m": function } },
        } },
        "sinks": { "out": sink },
    })
}

fn hostile(operator: &str, when: Option<&str>) -> Value {
    let config = when.map_or(json!({}), |when| json!({ "when": when }));
    json!({ "wasm": format!("hostile/{operator}@0.1"), "of": ["value"], "config": config, "deadline": "500ms" })
}

#[test]
fn a_plugin_that_an_aggregate_uses_is_not_deleted_and_its_config_is_checked() {
    let (dir, server) = server_with(&["stats"]);
    let source = lines_file(dir.path(), "in.txt", "a\nbb\ncc\n");
    let function = |of: Value, config: Value| json!({ "wasm": "stats/mean@0.1", "of": of, "config": config });
    let of = json!({ "n": "length(value)" });
    server.deploy(&spec("means", dir.path(), &source, function(of.clone(), json!({ "column": "n" }))));
    let _ = server.wait_for("means", &["finished"]);
    assert_eq!(sunk(dir.path(), "means"), ["1 | 1.0", "2 | 2.0"]);
    let answer = server.delete("/v1/plugins/stats@0.1.0");
    assert_eq!(answer.status, 409, "{answer:?}");

    let refused = |function: Value, path: &str, words: &str| {
        let errors =
            spec_errors(&server.post("/v1/pipelines", &spec("wrong", dir.path(), &source, function)));
        let found = errors.iter().any(|error| error.starts_with(path) && error.contains(words));
        assert!(found, "{path} {words}: {errors:?}");
    };
    let place = "steps.groups.aggregate.compute.m";
    refused(function(of.clone(), json!({})), &format!("{place}.config"), "column");
    refused(function(of.clone(), json!({ "column": "value" })), &format!("{place}.config"), "value");
    refused(function(json!(["valu"]), json!({ "column": "valu" })), &format!("{place}.of.valu"), "value");
    refused(json!({ "wasm": "stats/median@0.1", "of": of }), &format!("{place}.wasm"), "median");
    refused(json!({ "wasm": "stats/sessions@0.1", "of": of }), &format!("{place}.wasm"), "keyed");
    refused(json!({ "wasm": "stats/mean@0.1" }), "steps.groups", "of");
    refused(json!({ "wasm": "stats/mean@0.1", "off": ["n"] }), "steps.groups", "did you mean `of`");
}

#[test]
fn a_result_that_breaks_the_operator_fails_the_pipeline_and_names_the_group() {
    let (dir, server) = server_with(&["hostile"]);
    let source = lines_file(dir.path(), "in.txt", "a\nbb\ncc\n");
    server.deploy(&spec("many", dir.path(), &source, hostile("count-with-a-row-too-many", None)));
    let document = server.wait_for("many", &["failed"]);
    let reason = text(&document, "reason");
    for part in
        ["groups", "`m`", "length = 1", "hostile/count-with-a-row-too-many@0.1", "2 rows for 1 groups"]
    {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert_eq!(sunk(dir.path(), "many"), [""; 0]);
}

#[test]
fn a_row_that_takes_too_long_is_a_dead_letter_and_may_be_dropped_or_fail_the_pipeline() {
    let (dir, server) = server_with(&["hostile"]);
    let source = lines_file(dir.path(), "in.txt", "one\npoison\ntwo\nsix\n");
    server.deploy(&spec("slow", dir.path(), &source, hostile("count-and-loop", Some("poison"))));
    let _ = server.wait_for("slow", &["finished"]);
    assert_eq!(sunk(dir.path(), "slow"), ["3 | 3"]);
    let letters = server.dead_letters("slow");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((text(&letters[0], "kind"), text(&letters[0], "entry")), ("timed-out", "groups"));
    assert!(text(&letters[0], "reason").contains("`m` of (length = 6)"), "{letters:?}");

    let with = |name: &str, policy: &str| {
        let mut spec = spec(name, dir.path(), &source, hostile("count-and-trap", Some("poison")));
        spec["steps"]["groups"]["on_fault"] = json!(policy);
        spec
    };
    server.deploy(&with("drop", "drop"));
    let _ = server.wait_for("drop", &["finished"]);
    assert_eq!(sunk(dir.path(), "drop"), ["3 | 3"]);
    assert_eq!(server.dead_letters("drop"), [Value::Null; 0]);
    server.deploy(&with("fail", "fail"));
    let document = server.wait_for("fail", &["failed"]);
    assert!(text(&document, "reason").contains("broke on purpose"), "{document:#}");
}

#[test]
fn states_of_another_config_are_not_taken_over() {
    let (dir, server) = server_with(&["stats"]);
    let source = lines_file(dir.path(), "in.txt", "a\nbb\ncc\n");
    let function = |k: u64| json!({ "wasm": "stats/top-words@0.1", "of": ["value"], "config": { "column": "value", "k": k } });
    server.deploy(&spec("words", dir.path(), &source, function(1)));
    let _ = server.wait_for("words", &["finished"]);
    let replaced = server.put("/v1/pipelines/words", &spec("words", dir.path(), &source, function(2)));
    assert!(replaced.status < 300, "{replaced:?}");
    let reason = eventually("the refusal", || {
        let document = server.get("/v1/pipelines/words").body;
        (text(&document, "state") == "failed").then(|| text(&document, "reason").to_owned())
    });
    for part in ["stats/top-words@0.1", "\"k\":1", "\"k\":2", "start without the checkpoint"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[test]
fn windows_that_slide_take_out_what_leaves_them_if_the_operator_can() {
    let (dir, server) = server_with(&["hostile"]);
    let seconds = ["00", "01", "01", "03", "04", "04", "05", "09"];
    let rows = seconds.map(|second| format!("2026-01-01T00:00:{second}Z,x\n")).concat();
    std::fs::write(dir.path().join("in.csv"), format!("at,word\n{rows}")).unwrap();
    let spec = |name: &str, operator: &str| {
        json!({
            "name": name,
            "trigger": "available-now",
            "sources": { "words": {
                "type": "file", "path": dir.path().join("in.csv"), "format": "csv",
                "schema": { "at": "timestamp", "word": "utf8" }, "event_time": { "column": "at" },
            } },
            "steps": {
                "windows": {
                    "from": "words",
                    "aggregate": {
                        "by": ["word"],
                        "window": { "sliding": "3s", "slide": "1s" },
                        "compute": { "n": { "wasm": format!("hostile/{operator}@0.1"), "of": ["word"] }, "rows": "count()" },
                    },
                    "emit": "final",
                },
                "wrong": { "from": "windows", "filter": "n <> rows or rows < 1" },
            },
            "sinks": { "out": table_sink(dir.path(), name, "windows"), "bad": table_sink(dir.path(), &format!("{name}-bad"), "wrong") },
        })
    };
    server.deploy(&spec("retracts", "count-retracts"));
    let _ = server.wait_for("retracts", &["finished"]);
    // Windows end at the seconds 1 to 8; those after are open still.
    assert_eq!(sunk(dir.path(), "retracts").len(), 8);
    assert_eq!(sunk(dir.path(), "retracts-bad"), [""; 0]);

    server.deploy(&spec("promises", "count-retracts-not"));
    let document = server.wait_for("promises", &["failed"]);
    assert!(text(&document, "reason").contains("it does not retract"), "{document:#}");
}
