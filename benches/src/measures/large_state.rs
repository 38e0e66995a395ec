//! State that is large, in checkpoints and recovery.

use serde_json::{Value, json};

use crate::clock::{median, quantile};
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::{Bench, Outcome};

const ROUNDS: usize = 3;

/// Keys of the checkpoints, and those that change between two of them.
const MANY: u64 = 10_000_000;
const CHANGING: u64 = MANY / 100;

/// Ten million keys, of which one in a hundred changes from checkpoint to checkpoint.
pub(super) fn checkpoints(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let dir = bench.at("large");
    let mut server = Server::start(&bench.binary, &dir)?;
    let columns = |k: Value| json!({ "k": k, "v": { "type": "int", "min": 0, "max": 1000 } });
    server.post(
        "/v1/pipelines",
        &json!({
            "name": "large",
            "trigger": { "every": "100ms" },
            "parallelism": 2,
            "checkpoint": { "every": "2s" },
            "sources": {
                "all": { "type": "generate", "rows": MANY, "schema": columns(json!({ "type": "sequence", "start": 0 })) },
                "some": { "type": "generate", "rate": 200_000, "schema": columns(json!({ "type": "int", "min": 0, "max": CHANGING - 1 })) },
            },
            "steps": {
                "both": { "union": ["all", "some"] },
                "sums": { "from": "both", "aggregate": { "by": ["k"], "compute": { "n": "count()", "total": "sum(v)" } } },
                "none": { "from": "sums", "filter": "n < 0" },
            },
            "sinks": { "out": { "from": "none", "type": "file", "path": bench.at("large-out"), "format": "ndjson" } },
        }),
    )?;
    server.wait_for("large", |found| {
        found["progress"]["stateOperators"][0]["numRowsTotal"].as_u64() == Some(MANY)
    })?;
    let checkpoints = |server: &Server| -> Outcome<Vec<Value>> {
        let found = server.get("/v1/pipelines/large/checkpoints?limit=1000")?;
        Ok(found.as_array().cloned().unwrap_or_default())
    };
    // What was copied while keys still came goes first, then a copy of all that they outgrew.
    let before = checkpoints(&server)?.len();
    let small = |all: &[Value]| -> Vec<Value> {
        let is_small = |one: &&Value| one["kind"] == "delta" && one["bytes"].as_u64() < Some(8 << 20);
        all.iter().filter(is_small).cloned().collect()
    };
    let mut found = Vec::new();
    while small(&found).len() < 8 {
        std::thread::sleep(std::time::Duration::from_millis(500));
        found = checkpoints(&server)?;
        if found.len() > before + 60 {
            return Err("checkpoints do not get small".into());
        }
    }
    let deltas = small(&found);
    let of = |key: &str, scale: f64| -> Vec<f64> {
        deltas.iter().map(|one| one[key].as_f64().unwrap_or_default() / scale).collect()
    };
    let document = server.get("/v1/pipelines/large")?;
    let state = document["progress"]["stateOperators"][0]["memoryUsedBytes"].as_f64().unwrap_or_default();
    let batches = server.get("/v1/pipelines/large/batches?limit=150")?;
    let planned =
        batches.as_array().into_iter().flatten().filter_map(|batch| batch["planned_at_us"].as_f64());
    let mut starts: Vec<f64> = planned.map(|us| us / 1000.0).collect();
    starts.sort_by(f64::total_cmp);
    // The trigger is 100 ms: what a checkpoint stops shows as a longer time.
    let mut gaps: Vec<f64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    report.figure("state in memory", state / 1_048_576.0, "MiB", Goal::None);
    report.figure("size of a delta of 1%", median(&of("bytes", 1_048_576.0)), "MiB", Goal::None);
    report.figure("time of a delta of 1%", median(&of("duration_ms", 1.0)), "ms", Goal::AtMost(300.0));
    report.figure("from batch to batch beside them, p50", quantile(&gaps, 0.5), "ms", Goal::None);
    report.figure("from batch to batch, longest", quantile(&gaps, 1.0), "ms", Goal::None);
    let full = found.iter().filter(|one| one["kind"] == "full").filter_map(|one| one["duration_ms"].as_f64());
    report.figure("time of the longest full copy", full.fold(0.0, f64::max), "ms", Goal::None);
    let mut running = Vec::new();
    for _ in 0..ROUNDS {
        drop(server);
        server = Server::start(&bench.binary, &dir)?;
        server.wait_for("large", |found| found["state"] == "running")?;
        running.push(server.age_ms() / 1000.0);
    }
    report.figure("from start to running", median(&running), "s", Goal::None);
    let a_gib = median(&running) / (state / f64::from(1 << 30));
    report.figure("the same, a GiB of state in memory", a_gib, "s", Goal::AtMost(5.0));
    Ok(())
}
