//! State that is larger than the memory it may take.

use std::collections::BTreeMap;
use std::path::Path;

use millstream_tests::{Server, eventually, file_rows};
use serde_json::{Value, json};

use crate::support::{server_with, spec_errors};

/// Sums by key, of rows that come back to each key, per window and for ever.
fn sums(dir: &Path, name: &str, workers: u32, memory: Option<&str>) -> Value {
    let mut spec = json!({
        "name": name,
        "trigger": { "available-now": true, "max_rows": 20_000 },
        "parallelism": workers,
        "checkpoint": { "every": "50ms" },
        "sources": { "rows": {
            "type": "generate", "rows": 300_000, "seed": 5,
            "schema": {
                "key": { "type": "key", "cardinality": 60_000, "prefix": "customer-", "skew": 2 },
                "price": { "type": "int", "min": 0, "max": 99 },
                "at": { "type": "timestamp", "every_us": 1000, "jitter_us": 2_000_000, "start_us": 0 },
            },
            "event_time": { "column": "at", "delay": "2s" },
        } },
        "steps": {
            "once": { "from": "rows", "dedup": { "by": ["key", "price"], "within": "1min" } },
            "windows": { "from": "once", "aggregate": { "by": ["key"], "window": { "tumbling": "100s" },
                "compute": { "n": "count()", "paid": "sum(price)", "prices": "count(distinct price)" } }, "emit": "final" },
            "always": { "from": "rows", "aggregate": { "by": ["key"], "compute": { "n": "count()", "best": "max(price)" } } },
        },
        "sinks": {
            "windows_": { "from": "windows", "type": "file", "path": dir.join(format!("{name}-windows")), "format": "ndjson" },
            "always_": { "from": "always", "type": "file", "path": dir.join(format!("{name}-always")), "format": "ndjson" },
        },
    });
    if let Some(memory) = memory {
        spec["memory"] = memory.into();
    }
    spec
}

#[test]
fn a_budget_changes_no_result_and_state_beyond_it_is_on_disk() {
    let (dir, server) = server_with(&[]);
    for (name, workers, memory) in
        [("all", 2, None), ("tight", 2, Some("2MiB")), ("tight-alone", 1, Some("1MiB"))]
    {
        server.deploy(&sums(dir.path(), name, workers, memory));
        let _ = server.wait_for(name, &["finished"]);
    }
    for sink in ["windows", "always"] {
        let expected = file_rows(&dir.path().join(format!("all-{sink}")));
        assert!(expected.len() > 50_000, "{}", expected.len());
        for name in ["tight", "tight-alone"] {
            assert!(file_rows(&dir.path().join(format!("{name}-{sink}"))) == expected, "{name}, {sink}");
        }
    }
    let number = |name: &str, step: &str, key: &str| {
        let document = server.get(&format!("/v1/pipelines/{name}")).body;
        let states = document["progress"]["stateOperators"].as_array().unwrap().clone();
        let found = states.into_iter().find(|state| state["operatorName"] == step).unwrap();
        found[key].as_u64().unwrap()
    };
    for step in ["windows", "always"] {
        assert_eq!(number("all", step, "numRowsCold"), 0);
        for name in ["tight", "tight-alone"] {
            let keys = number("all", step, "numRowsTotal");
            assert_eq!(number(name, step, "numRowsTotal"), keys, "{name}, {step}");
        }
    }
    assert!(number("tight", "once", "numRowsCold") > 1_000);
    let always = |name: &str, key: &str| number(name, "always", key);
    assert!(always("tight", "numRowsCold") > always("tight", "numRowsTotal") / 2);
    assert!(always("tight", "coldBytes") > 500_000);
    assert!(always("tight", "memoryUsedBytes") < always("all", "memoryUsedBytes") / 2);
    let metrics = server.get("/metrics").body;
    let metrics = metrics.as_str().unwrap();
    for name in ["millstream_state_cold_rows", "millstream_state_cold_bytes"] {
        let line = format!("{name}{{pipeline=\"tight\",step=\"always\"}} ");
        let value = metrics.lines().find_map(|found| found.strip_prefix(&line));
        assert!(value.is_some_and(|value| value != "0"), "{line}{value:?}");
    }
}

#[test]
fn state_comes_back_within_the_budget_after_kills() {
    let (dir, mut server) = server_with(&[]);
    server.deploy(&sums(dir.path(), "whole", 2, None));
    let _ = server.wait_for("whole", &["finished"]);
    let mut spec = sums(dir.path(), "killed", 2, Some("1MiB"));
    spec["trigger"]["max_rows"] = 5_000.into();
    server.deploy(&spec);
    for kill in 1..=3 {
        eventually("cold state and a new checkpoint", || {
            let document = server.get("/v1/pipelines/killed").body;
            let all = document["progress"]["stateOperators"].as_array()?.clone();
            let is_cold = all.iter().any(|state| state["numRowsCold"].as_u64() > Some(1_000));
            let checkpoints = server.get("/v1/pipelines/killed/checkpoints?limit=1000").body;
            (document["state"] == "finished" || (is_cold && checkpoints.as_array()?.len() > 2 * kill))
                .then_some(())
        });
        let data = server.dir.clone();
        server.kill();
        server = Server::start(&data);
    }
    let _ = server.wait_for("killed", &["finished"]);
    for sink in ["windows", "always"] {
        let rows = |name: &str| file_rows(&dir.path().join(format!("{name}-{sink}")));
        let last = |rows: Vec<String>| -> BTreeMap<String, u64> {
            // Batches are cut in other places here: what counts is the newest of each key.
            let parsed = rows.iter().map(|row| serde_json::from_str::<Value>(row).unwrap());
            let mut newest = BTreeMap::new();
            parsed.for_each(|row| {
                let key = format!("{} {}", row["window_start"], row["key"]);
                let n = row["n"].as_u64().unwrap();
                newest.entry(key).and_modify(|old: &mut u64| *old = n.max(*old)).or_insert(n);
            });
            newest
        };
        assert!(last(rows("killed")) == last(rows("whole")), "{sink}");
    }
    let cold = server.dir.join("pipelines/killed/cold");
    let left = std::fs::read_dir(&cold).map_or(0, Iterator::count);
    assert_eq!(left, 0, "scratch files go with the attempt");
}

/// Every other kind of step that remembers: by key with timers, joined, ranked, by session, by count, by window.
fn kinds(dir: &Path, name: &str, workers: u32, memory: Option<&str>) -> Value {
    let rows = |seed: u64| {
        json!({
            "type": "generate", "rows": 120_000, "seed": seed,
            "schema": {
                "key": { "type": "key", "cardinality": 40_000, "prefix": "customer-" },
                "price": { "type": "int", "min": 0, "max": 99 },
                "at": { "type": "timestamp", "every_us": 1000, "jitter_us": 2_000_000, "start_us": 0 },
            },
            "event_time": { "column": "at", "delay": "2s" },
        })
    };
    let steps = json!({
        "tally": { "from": "rows", "state": "tally/tally@0.1", "by": ["key"], "ttl": "40s",
            "config": { "time": "at", "timer_ms": 30_000 } },
        "pairs": { "join": { "left": "rows", "right": "others", "on": ["key"], "kind": "full", "within": "20s" } },
        "first": { "from": "rows", "top": { "by": ["key"], "order": "price desc, at", "n": 2 } },
        "visits": { "from": "rows", "aggregate": { "by": ["key"], "window": { "session": "10s" },
            "compute": { "n": "count()", "prices": "count(distinct price)" } }, "emit": "final" },
        "threes": { "from": "rows", "aggregate": { "by": ["key"], "window": { "count": 3 },
            "compute": { "paid": "sum(price)" } }, "emit": "final" },
        "early": { "from": "rows", "aggregate": { "by": ["key"], "window": { "tumbling": "20s" },
            "compute": { "n": "count()" } }, "emit": { "early": "1h" } },
        "same": { "join": { "left": "rows", "right": "others", "on": ["key"], "kind": "left",
            "window": { "tumbling": "30s" } } },
    });
    let sink = |step: &String| {
        let path = dir.join(format!("{name}-{step}"));
        (format!("{step}_"), json!({ "from": step, "type": "file", "path": path, "format": "ndjson" }))
    };
    let sinks: serde_json::Map<String, Value> = steps.as_object().unwrap().keys().map(sink).collect();
    let mut spec = json!({
        "name": name,
        "trigger": { "available-now": true, "max_rows": 20_000 },
        "parallelism": workers,
        "checkpoint": { "every": "50ms" },
        "sources": { "rows": rows(5), "others": rows(6) },
        "steps": steps,
        "sinks": sinks,
    });
    if let Some(memory) = memory {
        spec["memory"] = memory.into();
    }
    spec
}

const KINDS: [&str; 7] = ["tally", "pairs", "first", "visits", "threes", "same", "early"];

/// What a step had of its state in the batch with the most of it on disk.
fn most_cold(server: &Server, name: &str, step: &str) -> Value {
    let progress = server.get(&format!("/v1/pipelines/{name}/progress?limit=1000")).body;
    let states =
        progress.as_array().unwrap().iter().flat_map(|batch| batch["stateOperators"].as_array().unwrap());
    let of_step = states.filter(|state| state["operatorName"] == step);
    of_step.max_by_key(|state| state["numRowsCold"].as_u64()).unwrap().clone()
}

#[test]
fn every_kind_of_state_leaves_memory_and_changes_no_result() {
    let (dir, server) = server_with(&["tally"]);
    for (name, workers, memory) in
        [("all", 2, None), ("tight", 2, Some("2MiB")), ("tight-alone", 1, Some("1MiB"))]
    {
        let spec = kinds(dir.path(), name, workers, memory);
        let answer = server.post("/v1/pipelines/validate", &spec);
        assert!(answer.body["warnings"].is_null(), "{}", answer.body["warnings"]);
        server.deploy(&spec);
        let _ = server.wait_for(name, &["finished"]);
    }
    for step in KINDS {
        let expected = file_rows(&dir.path().join(format!("all-{step}")));
        assert!(expected.len() > 10_000, "{step}: {}", expected.len());
        for name in ["tight", "tight-alone"] {
            assert!(file_rows(&dir.path().join(format!("{name}-{step}"))) == expected, "{name}, {step}");
            let cold = most_cold(&server, name, step);
            assert!(cold["numRowsCold"].as_u64() > Some(1_000), "{name}: {cold}");
            assert!(cold["coldBytes"].as_u64() > Some(10_000), "{name}: {cold}");
        }
        assert_eq!(most_cold(&server, "all", step)["numRowsCold"], 0, "{step}");
    }
}

#[test]
fn every_kind_of_state_comes_back_within_the_budget_after_kills() {
    let (dir, mut server) = server_with(&["tally"]);
    server.deploy(&kinds(dir.path(), "whole", 2, None));
    let _ = server.wait_for("whole", &["finished"]);
    let mut spec = kinds(dir.path(), "killed", 2, Some("1MiB"));
    spec["trigger"]["max_rows"] = 5_000.into();
    server.deploy(&spec);
    for kill in 1..=3 {
        eventually("cold state and a new checkpoint", || {
            let document = server.get("/v1/pipelines/killed").body;
            let all = document["progress"]["stateOperators"].as_array()?.clone();
            let is_cold = |step: &str| {
                let found = all.iter().find(|state| state["operatorName"] == step);
                found.is_some_and(|state| state["numRowsCold"].as_u64() > Some(500))
            };
            let checkpoints = server.get("/v1/pipelines/killed/checkpoints?limit=1000").body;
            let is_time = is_cold("tally") && is_cold("pairs") && checkpoints.as_array()?.len() > 2 * kill;
            (document["state"] == "finished" || is_time).then_some(())
        });
        let data = server.dir.clone();
        server.kill();
        server = Server::start(&data);
    }
    let _ = server.wait_for("killed", &["finished"]);
    // What comes when does not depend on batches here; the counts of rows and timers do not either.
    for step in ["pairs", "visits", "threes", "same", "early"] {
        let rows = |name: &str| file_rows(&dir.path().join(format!("{name}-{step}")));
        assert!(rows("killed") == rows("whole"), "{step}");
    }
    let rows_alone = |name: &str| -> Vec<String> {
        let rows = file_rows(&dir.path().join(format!("{name}-tally")));
        rows.into_iter().filter(|row| row.contains("\"row\"")).collect()
    };
    assert_eq!(rows_alone("killed").len(), rows_alone("whole").len());
}

#[test]
fn a_budget_has_a_least() {
    let (dir, server) = server_with(&[]);
    let spec = sums(dir.path(), "told", 1, Some("1000B"));
    let answer = server.post("/v1/pipelines/validate", &spec);
    assert_eq!(spec_errors(&answer), ["memory: at least 1MiB: state needs some room to work in"]);
}
