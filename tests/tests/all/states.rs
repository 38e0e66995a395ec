//! The `state` step over REST: timers on an idle stream, upgrades, what is refused at deployment.

use std::path::Path;

use millstream_tests::{Server, eventually, plugin};
use serde_json::{Value, json};

use crate::support::{lines_file, server_with, spec_errors, sunk, table_sink, text};

/// A running pipeline that tallies the texts that come on the stream of its own name.
fn tally(dir: &Path, name: &str, operator: &str, config: &Value) -> Value {
    json!({
        "name": name,
        "trigger": { "every": "5ms" },
        "checkpoint": { "every": "10ms" },
        "sources": { "in": { "type": "http", "stream": name, "format": "text" } },
        "steps": {
            "tally": { "from": "in", "state": operator, "by": ["value"], "config": config },
            "shown": { "from": "tally", "select": { "value": "value", "n": "n", "why": "why" } },
        },
        "sinks": { "out": table_sink(dir, name, "shown") },
    })
}

fn push(server: &Server, name: &str, lines: &str) {
    let answer = server.send(&format!("/v1/streams/{name}"), &[], lines.as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
}

fn rows(dir: &Path, name: &str, count: usize) -> Vec<String> {
    let mut rows = eventually(&format!("{count} rows of {name}"), || {
        Some(sunk(dir, name)).filter(|rows| rows.len() >= count)
    });
    rows.sort();
    rows
}

#[test]
fn timers_of_processing_time_come_on_an_idle_stream_and_after_a_restart() {
    let (dir, server) = server_with(&["tally"]);
    server.deploy(&tally(dir.path(), "soon", "tally/tally@0.1", &json!({ "timer_ms": 50 })));
    let _ = server.wait_for("soon", &["running"]);
    push(&server, "soon", "a\na\nb\n");
    let expected = [
        "\"a\" | 1 | \"row\"",
        "\"a\" | 2 | \"row\"",
        "\"a\" | 2 | \"timer\"",
        "\"b\" | 1 | \"row\"",
        "\"b\" | 1 | \"timer\"",
    ];
    assert_eq!(rows(dir.path(), "soon", 5), expected);
    let progress = server.get("/v1/pipelines/soon/progress").body;
    let state = &progress[0]["stateOperators"][0];
    assert_eq!((text(state, "operatorName"), &state["numRowsTotal"]), ("tally", &json!(2)), "{progress:#}");
    let seen = eventually("a checkpoint without timers", || {
        let seen = server.get("/v1/pipelines/soon/state/tally").body["tables"][0].clone();
        let rows = seen["rows"].as_array().filter(|rows| rows.len() == 2)?;
        rows.iter().all(|row| row["timer"].is_null()).then_some(seen.clone())
    });
    assert_eq!(text(&seen, "table"), "keys", "{seen:#}");

    // A timer that is set when the pipeline stops is due when it runs again, and nothing else comes.
    server.deploy(&tally(dir.path(), "later", "tally/tally@0.1", &json!({ "timer_ms": 1_000 })));
    let _ = server.wait_for("later", &["running"]);
    push(&server, "later", "c\n");
    assert_eq!(rows(dir.path(), "later", 1), ["\"c\" | 1 | \"row\""]);
    assert_eq!(server.post("/v1/pipelines/later/stop", &json!({})).status, 200);
    let _ = server.wait_for("later", &["stopped"]);
    assert_eq!(server.post("/v1/pipelines/later/start", &json!({})).status, 200);
    assert_eq!(rows(dir.path(), "later", 2), ["\"c\" | 1 | \"row\"", "\"c\" | 1 | \"timer\""]);
}

#[test]
fn states_go_through_migrate_when_the_plugin_is_upgraded() {
    let (dir, server) = server_with(&["tally"]);
    server.deploy(&tally(dir.path(), "upgraded", "tally/tally@0", &json!({})));
    let _ = server.wait_for("upgraded", &["running"]);
    push(&server, "upgraded", "a\na\na\n");
    rows(dir.path(), "upgraded", 3);
    assert!(server.upload(&plugin("tally_next")).status < 300);
    let newer = tally(dir.path(), "upgraded", "tally/tally@0.2", &json!({}));
    let answer = server.put("/v1/pipelines/upgraded", &newer);
    assert!(answer.status < 300, "{answer:?}");
    let _ = server.wait_for("upgraded", &["running"]);
    push(&server, "upgraded", "a\nb\n");
    let found = rows(dir.path(), "upgraded", 5);
    assert_eq!(found[3..], ["\"a\" | 3001 | \"row\"", "\"b\" | 1 | \"row\""], "{found:?}");
}

#[test]
fn states_that_cannot_be_migrated_stop_the_pipeline_and_are_untouched() {
    let (dir, server) = server_with(&["tally", "tally_next"]);
    let old = tally(dir.path(), "stuck", "tally/tally@0.1", &json!({}));
    server.deploy(&old);
    let _ = server.wait_for("stuck", &["running"]);
    push(&server, "stuck", &"a\n".repeat(13));
    rows(dir.path(), "stuck", 13);
    let newer = tally(dir.path(), "stuck", "tally/tally@0.2", &json!({}));
    assert!(server.put("/v1/pipelines/stuck", &newer).status < 300);
    let failed = server.wait_for("stuck", &["failed"]);
    let reason = text(&failed, "reason");
    assert!(
        reason.contains("a count of 13 cannot be read") && reason.contains("go back to version 0.1.0"),
        "{reason}"
    );
    assert!(server.put("/v1/pipelines/stuck", &old).status < 300);
    let _ = server.wait_for("stuck", &["running"]);
    push(&server, "stuck", "a\n");
    assert!(rows(dir.path(), "stuck", 14).contains(&"\"a\" | 14 | \"row\"".to_owned()));
}

#[test]
fn a_plugin_that_a_state_step_uses_is_in_the_plan_and_stays() {
    let (dir, server) = server_with(&["tally"]);
    server.deploy(&tally(dir.path(), "user", "tally/tally@0.1", &json!({})));
    let shown = server.wait_for("user", &["running"]);
    let digest = &server.get("/v1/plugins/tally").body["digest"];
    assert_eq!(shown["plugin_digests"], json!([digest]));
    let answer = server.delete("/v1/plugins/tally@0.1.0");
    assert_eq!((answer.status, text(&answer.body, "type")), (409, "/problems/in-use"), "{answer:?}");
}

#[test]
fn a_row_that_exceeds_its_time_stands_alone() {
    let (dir, server) = server_with(&["tally"]);
    let mut spec = tally(dir.path(), "slow", "tally/tally@0.1", &json!({ "word": "value" }));
    spec["steps"]["tally"]["by"] = json!({ "first": "substr(value, 1, 1)" });
    spec["steps"]["tally"]["deadline"] = json!("200ms");
    spec["steps"]["shown"]["select"] = json!({ "first": "first", "n": "n" });
    server.deploy(&spec);
    let _ = server.wait_for("slow", &["running"]);
    push(&server, "slow", "la\nloop\nx\nlb\n");
    assert_eq!(rows(dir.path(), "slow", 3), ["\"l\" | 1", "\"l\" | 2", "\"x\" | 1"]);
    let letters =
        eventually("a dead letter", || Some(server.dead_letters("slow")).filter(|all| !all.is_empty()));
    assert_eq!((text(&letters[0], "kind"), text(&letters[0], "text")), ("timed-out", "{\"value\":\"loop\"}"));
}

#[test]
fn mistakes_are_named_at_deployment() {
    let (dir, server) = server_with(&["tally", "text"]);
    let errors = |step: Value| {
        spec_errors(&server.post(
            "/v1/pipelines/validate",
            &json!({
                "name": "p",
                "sources": { "lines": lines_file(dir.path(), "in.txt", "") },
                "steps": { "tally": step },
                "sinks": { "out": table_sink(dir.path(), "out", "tally") },
            }),
        ))
    };
    let with = |key: &str, value: Value| {
        let mut step = json!({ "from": "lines", "state": "tally/tally@0.1", "by": ["value"] });
        step[key] = value;
        step
    };
    for (step, path, words) in [
        (
            with("state", json!("text/split-words@0.1")),
            "steps.tally.state",
            "`split-words` is of kind transform",
        ),
        (with("state", json!("tally/count@0.1")), "steps.tally.state", "tally"),
        (with("by", json!(["word"])), "steps.tally.by.word", "`word`"),
        (with("by", json!("value")), "steps.tally: by:", "a list of columns"),
        (with("config", json!({ "timer_ms": "soon" })), "steps.tally.config", "timer_ms"),
        (with("config", json!({ "time": "value" })), "steps.tally.config", "must be timestamp"),
        (with("timers", json!("event-time")), "steps.tally.timers", "`timers: processing-time`"),
        (with("timers", json!("wall-clock")), "steps.tally: timers:", "unknown value `wall-clock`"),
        (with("ttl", json!("0s")), "steps.tally.ttl", "leave `ttl` out"),
        (with("event_time", json!({ "column": "n" })), "steps.tally.event_time.column", "needs a timestamp"),
        (with("event_time", json!({ "column": "on" })), "steps.tally.event_time.column", "`on`"),
        (with("initial", json!("lines")), "steps.tally.initial", "this takes a table"),
        (with("tll", json!("1d")), "steps.tally", "did you mean `ttl`"),
    ] {
        let found = errors(step.clone());
        let right = |error: &String| error.starts_with(path) && error.contains(words);
        assert!(found.iter().any(right), "{step} with {path} and {words}: {found:?}");
    }
}

#[test]
fn the_rows_of_a_table_come_first_and_once() {
    let (dir, server) = server_with(&["tally"]);
    std::fs::write(dir.path().join("known.csv"), "value,note\na,x\nb,y\na,z\n").expect("a table");
    let mut spec = tally(dir.path(), "known", "tally/tally@0.1", &json!({}));
    spec["tables"] = json!({ "known": { "type": "file", "path": dir.path().join("known.csv"), "format": "csv",
        "schema": { "value": { "type": "utf8", "nullable": false }, "note": "utf8" } } });
    spec["steps"]["tally"]["initial"] = json!("known");
    server.deploy(&spec);
    let _ = server.wait_for("known", &["running"]);
    push(&server, "known", "a\nc\n");
    let first = ["\"a\" | 1 | \"row\"", "\"a\" | 2 | \"row\"", "\"a\" | 3 | \"row\""];
    let found = rows(dir.path(), "known", 5);
    assert_eq!((&found[..3], found.len()), (&first.map(str::to_owned)[..], 5), "{found:?}");
    assert_eq!(server.post("/v1/pipelines/known/stop", &json!({})).status, 200);
    let _ = server.wait_for("known", &["stopped"]);
    assert_eq!(server.post("/v1/pipelines/known/start", &json!({})).status, 200);
    let _ = server.wait_for("known", &["running"]);
    push(&server, "known", "a\n");
    let found = rows(dir.path(), "known", 6);
    assert_eq!((found[3].as_str(), found.len()), ("\"a\" | 4 | \"row\"", 6), "{found:?}");
}
