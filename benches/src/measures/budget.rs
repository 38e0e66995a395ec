//! State larger than memory: the same rows with all of the state in memory, and with a budget of a tenth of
//! what that took.

use std::fs;

use serde_json::{Value, json};

use crate::clock::median;
use crate::report::{Goal, Report};
use crate::server::{Server, is_finished, plugin};
use crate::{Bench, Outcome};

/// Keys, of which each has four rows on average.
const KEYS: u64 = 2_000_000;
/// So that what a batch touches is small beside the state.
const BATCH_ROWS: u64 = 200_000;
const ROUNDS: usize = 3;

/// A step with much state.
struct Case {
    name: String,
    /// Rows of each of its sources.
    rows: u64,
    sources: &'static [&'static str],
    /// What comes below `from`.
    step: Value,
    /// Nothing reaches the sink, which is not what is measured.
    none: &'static str,
}

fn even() -> String {
    format!("CAST(floor(u * {KEYS}) AS BIGINT)")
}

/// One in a thousand of the keys has a sixth of the rows.
fn skewed() -> String {
    format!("CAST(floor(u * u * u * u * {KEYS}) AS BIGINT)")
}

/// Counts and sums by a number.
fn counts(emit: &str, keys: &str, key: &str) -> Case {
    let mut aggregate = json!({ "by": { "k": key }, "compute": { "n": "count()", "total": "sum(v)" } });
    if emit == "final" {
        aggregate["window"] = json!({ "tumbling": "7d" });
    }
    Case {
        name: format!("{emit}-{keys}"),
        rows: 4 * KEYS,
        sources: &["rows"],
        step: json!({ "from": "rows", "aggregate": aggregate, "emit": emit }),
        none: "n < 0",
    }
}

/// A plugin's state of each number, with a timer. What is called costs more than in a built-in step.
fn state(keys: &str, key: &str) -> Case {
    Case {
        name: format!("state-{keys}"),
        rows: 2 * KEYS,
        sources: &["rows"],
        step: json!({ "from": "rows", "state": "stats/sessions@0.1", "by": { "k": key },
            "config": { "time": "ts", "gap_ms": 604_800_000 } }),
        none: "count < 0",
    }
}

/// Pairs of rows with equal numbers, all of which wait until the end.
fn join(keys: &str, key: &str) -> Case {
    Case {
        name: format!("join-{keys}"),
        rows: KEYS,
        sources: &["rows", "others"],
        step: json!({ "join": { "left": "rows", "right": "others", "on": { key: key }, "within": "1h" } }),
        none: "v < 0",
    }
}

fn spec(bench: &Bench, name: &str, case: &Case, memory: Option<u64>) -> Value {
    let source = |name: &&str| {
        let source = json!({
            "type": "generate",
            "rows": case.rows,
            "seed": name.len(),
            "schema": {
                "u": { "type": "float", "min": 0, "max": 1 },
                "v": { "type": "int", "min": 0, "max": 1000 },
                "ts": { "type": "timestamp", "every_us": 1, "start_us": 1_800_000_000_000_000_i64 },
            },
            "event_time": { "column": "ts" },
        });
        ((*name).to_owned(), source)
    };
    let sources: serde_json::Map<String, Value> = case.sources.iter().map(source).collect();
    let mut spec = json!({
        "name": name,
        "trigger": { "available-now": true, "max_rows": BATCH_ROWS },
        "parallelism": 2,
        "checkpoint": { "every": "10s" },
        "sources": sources,
        "steps": { "step": case.step, "none": { "from": "step", "filter": case.none } },
        "sinks": { "out": { "from": "none", "type": "file", "path": bench.at(&format!("{name}-out")), "format": "ndjson" } },
    });
    if let Some(memory) = memory {
        spec["memory"] = memory.into();
    }
    spec
}

/// What a run took, and what its state was when most was in memory, and when most was not.
struct Run {
    rows_s: f64,
    /// Rows a second of processor time, which other work on the machine hardly changes.
    rows_cpu_s: f64,
    most: Value,
    coldest: Value,
    peak_mib: f64,
}

fn run(bench: &Bench, name: &str, case: &Case, memory: Option<u64>) -> Outcome<Run> {
    // A server a run, so that its greatest memory is the run's.
    let server = Server::start(&bench.binary, &bench.at(name))?;
    server.upload(&fs::read(plugin(&bench.target, "stats"))?)?;
    let cost = server.measure(&spec(bench, name, case, memory), is_finished)?;
    let progress = server.get(&format!("/v1/pipelines/{name}/progress?limit=1000"))?;
    let batches = progress.as_array().into_iter().flatten();
    let states: Vec<Value> = batches.map(|batch| batch["stateOperators"][0].clone()).collect();
    let with_most =
        |key: &str| states.iter().max_by_key(|state| state[key].as_u64()).cloned().unwrap_or_default();
    let rows = (case.rows * case.sources.len() as u64) as f64;
    Ok(Run {
        rows_s: rows / cost.wall_s,
        rows_cpu_s: rows / cost.cpu_s,
        most: with_most("memoryUsedBytes"),
        coldest: with_most("coldBytes"),
        peak_mib: server.memory_mib("VmHWM:"),
    })
}

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let keys = [("even", even()), ("skewed", skewed())];
    let mut cases = Vec::new();
    for emit in ["final", "update"] {
        cases.extend(keys.iter().map(|(keys, key)| counts(emit, keys, key)));
    }
    cases.extend(keys.iter().map(|(keys, key)| state(keys, key)));
    // With skewed keys nearly all that it would do is to make pairs.
    cases.push(join("even", &even()));
    cases.iter().try_for_each(|case| compare(bench, report, case))
}

fn compare(bench: &Bench, report: &mut Report, case: &Case) -> Outcome<()> {
    let (mut free, mut tight) = (Vec::new(), Vec::new());
    let (mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new());
    let mut last = None;
    for round in 0..ROUNDS {
        let all = run(bench, &format!("free-{}-{round}", case.name), case, None)?;
        let bytes = all.most["memoryUsedBytes"].as_u64().unwrap_or_default();
        let tenth = run(bench, &format!("tight-{}-{round}", case.name), case, Some(bytes / 10))?;
        if all.most["numRowsTotal"].as_u64() == Some(0) || tenth.coldest["numRowsCold"].as_u64() == Some(0) {
            return Err(format!("no state in {} or {}", all.most, tenth.coldest).into());
        }
        ratios.push(tenth.rows_s / all.rows_s);
        cpu_ratios.push(tenth.rows_cpu_s / all.rows_cpu_s);
        free.push(all.rows_s / 1000.0);
        tight.push(tenth.rows_s / 1000.0);
        last = Some((all, tenth));
    }
    let of = |what: &str| format!("{what}, {}", case.name);
    report.figure(&of("all in memory"), median(&free), "k rows/s", Goal::None);
    report.figure(&of("a tenth"), median(&tight), "k rows/s", Goal::None);
    report.figure(&of("share"), median(&ratios), "", Goal::AtLeast(0.2));
    report.figure(&of("share by processor time"), median(&cpu_ratios), "", Goal::None);
    if let Some((all, tenth)) = last {
        let number = |state: &Value, key: &str| state[key].as_f64().unwrap_or_default();
        let mib = |state: &Value, key: &str| number(state, key) / 1_048_576.0;
        report.figure(&of("rows of state"), number(&all.most, "numRowsTotal"), "", Goal::None);
        report.figure(&of("state in memory"), mib(&all.most, "memoryUsedBytes"), "MiB", Goal::None);
        report.figure(&of("the same of the tenth"), mib(&tenth.most, "memoryUsedBytes"), "MiB", Goal::None);
        report.figure(&of("the file of the tenth"), mib(&tenth.coldest, "coldBytes"), "MiB", Goal::None);
        report.figure(&of("greatest memory, all"), all.peak_mib, "MiB", Goal::None);
        report.figure(&of("greatest memory, a tenth"), tenth.peak_mib, "MiB", Goal::None);
    }
    Ok(())
}
