//! A stop that is asked for leaves a checkpoint: the next start runs nothing again.

use std::fmt::Write as _;
use std::fs;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{committed, counts, drain, write_whole};

fn batches(server: &Server) -> Vec<Value> {
    server.get("/v1/pipelines/lines/batches?limit=1000").body.as_array().unwrap().clone()
}

#[test]
fn a_stop_leaves_a_checkpoint_and_the_next_start_runs_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let (input, db) = (dir.path().join("in"), dir.path().join("out.db"));
    fs::create_dir(&input).unwrap();
    let mut text = String::new();
    (0..20_000).for_each(|line| writeln!(text, "line {line}").unwrap());
    write_whole(&input.join("1.txt"), &text);
    let server = Server::start(&dir.path().join("data"));
    server.deploy(&json!({
        "name": "lines",
        "trigger": { "every": "10ms", "max_bytes": "2KiB" },
        // Only a stop makes one.
        "checkpoint": { "every": "1h" },
        "sources": { "lines": { "type": "file", "path": input.join("*.txt"), "format": "text" } },
        "steps": { "tally": { "from": "lines", "aggregate": { "by": ["value"], "compute": { "n": "count()" } } } },
        "sinks": { "out": { "from": "tally", "type": "sqlite", "path": db, "table": "counts", "key": ["value"] },
            "rows": { "from": "lines", "type": "sqlite", "path": db, "table": "rows" } }
    }));
    eventually("some batches", || (committed(&server, "lines") > 5).then_some(()));
    assert_eq!(server.get("/v1/pipelines/lines/checkpoints").body, json!([]));
    server.stop();

    let server = Server::start(&dir.path().join("data"));
    let _ = server.wait_for("lines", &["running"]);
    let checkpoints = server.get("/v1/pipelines/lines/checkpoints").body;
    let [checkpoint] = checkpoints.as_array().unwrap().as_slice() else { panic!("{checkpoints:#}") };
    let at = checkpoint["batch_id"].as_u64().unwrap();
    let time_us = checkpoint["time_us"].as_i64().unwrap();
    eventually("new batches", || (committed(&server, "lines") > at + 3).then_some(()));
    for batch in batches(&server) {
        let before = batch["batch_id"].as_u64().unwrap() <= at;
        assert_eq!(before, batch["planned_at_us"].as_i64().unwrap() < time_us, "{at} covers all: {batch:#}");
        if before {
            assert_eq!(batch["state"], "committed", "{batch:#}");
            assert!(batch["committed_at_us"].as_i64().unwrap() <= time_us, "{batch:#}");
        }
    }
    drain(&server, "lines");
    server.stop();
    assert_eq!(counts(&db, "SELECT value, n FROM counts").len(), 20_000);
    assert!(counts(&db, "SELECT value, n FROM counts").values().all(|&n| n == 1));
    assert!(counts(&db, "SELECT value, count(*) FROM rows GROUP BY value").values().all(|&n| n == 1));
}
