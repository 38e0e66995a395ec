//! Results that go on before they are final, on a stream that has gone silent.

use std::path::Path;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{server_with, sunk, table_sink};

fn spec(dir: &Path) -> Value {
    let mut sink = table_sink(dir, "out", "hours");
    sink["key"] = json!(["window_start", "k"]);
    json!({
        "name": "early",
        "trigger": { "every": "20ms" },
        "sources": { "rows": {
            "type": "http", "stream": "rows", "format": "ndjson", "schema": { "at": "timestamp", "k": "utf8" },
            "event_time": { "column": "at" },
        } },
        "steps": { "hours": {
            "from": "rows",
            "aggregate": { "by": ["k"], "window": { "tumbling": "1h" }, "compute": { "n": "count()" } },
            "emit": { "early": "300ms" },
        } },
        "sinks": { "out": sink },
    })
}

fn push(server: &Server, body: &str) {
    let answer = server.send("/v1/streams/rows", &[], body.as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
}

fn shown(dir: &Path, rows: &[&str]) {
    eventually(&format!("{rows:?}"), || (sunk(dir, "out") == rows).then_some(()));
}

#[test]
fn early_results_come_though_no_row_follows_and_final_ones_come_after_them() {
    let (dir, server) = server_with(&[]);
    server.deploy(&spec(dir.path()));
    let _ = server.wait_for("early", &["running"]);
    push(
        &server,
        "{\"at\":\"2026-05-01T10:00:01Z\",\"k\":\"a\"}\n{\"at\":\"2026-05-01T10:00:02Z\",\"k\":\"a\"}\n",
    );
    let hour = r#""2026-05-01T10:00:00.000000Z" | "2026-05-01T11:00:00.000000Z""#;
    shown(dir.path(), &[&format!(r#"{hour} | "a" | 2"#)]);
    push(&server, "{\"at\":\"2026-05-01T10:30:00Z\",\"k\":\"b\"}\n");
    shown(dir.path(), &[&format!(r#"{hour} | "a" | 2"#), &format!(r#"{hour} | "b" | 1"#)]);
    // The batch before the watermark: its rows are in the final results, early or not.
    push(
        &server,
        "{\"at\":\"2026-05-01T10:59:00Z\",\"k\":\"a\"}\n{\"at\":\"2026-05-01T12:00:00Z\",\"k\":\"z\"}\n",
    );
    let next = r#""2026-05-01T12:00:00.000000Z" | "2026-05-01T13:00:00.000000Z""#;
    let last =
        [format!(r#"{hour} | "a" | 3"#), format!(r#"{hour} | "b" | 1"#), format!(r#"{next} | "z" | 1"#)];
    shown(dir.path(), &[&last[0], &last[1], &last[2]]);
}
