//! What checkpoints of a large state cost, and how long recovery takes after a crash.

use serde_json::{Value, json};

use crate::clock::median;
use crate::report::{Goal, Report};
use crate::server::{Server, is_finished};
use crate::{Bench, Outcome};

/// Rows of a run; with a million keys each key comes 20 times.
const ROWS: u64 = 20_000_000;
const ROUNDS: usize = 3;
const CRASHES: usize = 3;

/// A million counts in state; the window never ends, so that the sink does not matter.
fn pipeline(bench: &Bench, name: &str, every: &str, rows: Option<u64>) -> Value {
    let mut source = json!({
        "type": "generate",
        "schema": {
            "key": { "type": "key", "cardinality": 1_000_000 },
            "ts": { "type": "timestamp", "every_us": 1, "start_us": 1_800_000_000_000_000_i64 },
        },
        "event_time": { "column": "ts" },
    });
    if let Some(rows) = rows {
        source["rows"] = rows.into();
    }
    json!({
        "name": name,
        "trigger": rows.map_or_else(|| json!({ "every": "200ms" }), |_| json!("available-now")),
        "parallelism": 2,
        "checkpoint": { "every": every },
        "sources": { "rows": source },
        "steps": { "counts": {
            "from": "rows",
            "aggregate": { "by": ["key"], "window": { "tumbling": "7d" }, "compute": { "n": "count()" } },
            "emit": "final",
        } },
        "sinks": { "out": { "from": "counts", "type": "file", "path": bench.at(&format!("{name}-out")), "format": "ndjson" } },
    })
}

/// A checkpoint a second against one at the end.
pub(super) fn overhead(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let server = Server::start(&bench.binary, &bench.at("checkpoint"))?;
    let (mut without, mut with, mut overheads) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sizes, mut durations) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("none-{round}");
        let none = server.measure(&pipeline(bench, &name, "1h", Some(ROWS)), is_finished)?;
        let name = format!("second-{round}");
        let second = server.measure(&pipeline(bench, &name, "1s", Some(ROWS)), is_finished)?;
        without.push(ROWS as f64 / none.wall_s / 1000.0);
        with.push(ROWS as f64 / second.wall_s / 1000.0);
        overheads.push((second.cpu_s / none.cpu_s - 1.0) * 100.0);
        let checkpoints = server.get(&format!("/v1/pipelines/{name}/checkpoints?limit=1000"))?;
        for checkpoint in checkpoints.as_array().into_iter().flatten() {
            sizes.push(checkpoint["bytes"].as_f64().unwrap_or_default() / 1_048_576.0);
            durations.push(checkpoint["duration_ms"].as_f64().unwrap_or_default());
        }
    }
    report.figure("without checkpoints", median(&without), "k rows/s", Goal::None);
    report.figure("a checkpoint a second", median(&with), "k rows/s", Goal::None);
    let slower = (median(&without) / median(&with) - 1.0) * 100.0;
    report.figure("takes longer by", slower, "%", Goal::None);
    report.figure("takes more CPU time by", median(&overheads), "%", Goal::None);
    report.figure("checkpoints", sizes.len() as f64 / ROUNDS as f64, "a run", Goal::None);
    report.figure("size of a checkpoint", median(&sizes), "MiB", Goal::None);
    report.figure("time of a checkpoint", median(&durations), "ms", Goal::None);
    report.figure("time of the longest", durations.iter().copied().fold(0.0, f64::max), "ms", Goal::None);
    report.figure("memory of the server, greatest", server.memory_mib("VmHWM:"), "MiB", Goal::None);
    Ok(())
}

/// From the start of the process after a kill -9 until the pipeline runs and has new batches.
pub(super) fn recovery(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let dir = bench.at("recovery");
    let mut server = Server::start(&bench.binary, &dir)?;
    server.post("/v1/pipelines", &pipeline(bench, "crash", "1s", None))?;
    let (mut running, mut batch) = (Vec::new(), Vec::new());
    for _ in 0..CRASHES {
        // A million keys are there after some seconds.
        server.wait_for("crash", |found| {
            found["progress"]["stateOperators"][0]["numRowsTotal"].as_u64() > Some(900_000)
        })?;
        drop(server);
        server = Server::start(&bench.binary, &dir)?;
        server.wait_for("crash", |found| found["state"] == "running")?;
        running.push(server.age_ms());
        server.wait_for("crash", |found| found["progress"].is_object())?;
        batch.push(server.age_ms());
    }
    report.figure("from start to running", median(&running), "ms", Goal::None);
    report.figure("from start to the first new batch", median(&batch), "ms", Goal::None);
    Ok(())
}
