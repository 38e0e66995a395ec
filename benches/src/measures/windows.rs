//! Aggregates over windows from generated rows: by a string key of 50,000 values on two threads, built in and
//! by a plugin, tumbling and sliding. What the generator takes alone is measured beside them and taken out.

use serde_json::{Value, json};

use crate::clock::median;
use crate::report::{Goal, Report};
use crate::server::{Server, is_finished, plugin};
use crate::{Bench, Outcome};

const KEYS: u64 = 50_000;
const ROWS: u64 = 40_000_000;
const ROUNDS: usize = 3;

/// Generated rows, a step over them, and a sink that nothing reaches.
fn spec(bench: &Bench, name: &str, step: Value) -> Value {
    let mut step = step;
    step["from"] = "rows".into();
    let none = if step.get("filter").is_some() { "v < 0" } else { "m < 0" };
    json!({
        "name": name,
        "trigger": { "available-now": true },
        "parallelism": 2,
        "sources": { "rows": {
            "type": "generate",
            "rows": ROWS,
            "schema": {
                "word": { "type": "key", "cardinality": KEYS },
                "v": { "type": "int", "min": 0, "max": 1000 },
                "ts": { "type": "timestamp", "every_us": 1, "start_us": 1_800_000_000_000_000_i64 },
            },
            "event_time": { "column": "ts" },
        } },
        "steps": { "step": step, "none": { "from": "step", "filter": none } },
        "sinks": { "out": { "from": "none", "type": "file", "path": bench.at(&format!("{name}-out")), "format": "ndjson" } },
    })
}

fn aggregate(window: Value, function: Value) -> Value {
    json!({ "aggregate": { "by": ["word"], "window": window, "compute": { "m": function } }, "emit": "final" })
}

/// The generator alone, then each aggregate in turns.
pub(super) fn measure(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let server = Server::start(&bench.binary, &bench.at("windows"))?;
    server.upload(&std::fs::read(plugin(&bench.target, "stats"))?)?;
    let tumbling = || json!({ "tumbling": "10s" });
    let mean = json!({ "wasm": "stats/mean@0.1", "of": ["v"], "config": { "column": "v" } });
    let steps = [
        ("generator alone", json!({ "filter": "v < 0" })),
        ("count, tumbling 10 s", aggregate(tumbling(), "count()".into())),
        ("mean, tumbling 10 s", aggregate(tumbling(), "avg(v)".into())),
        ("mean by a plugin, tumbling 10 s", aggregate(tumbling(), mean)),
        (
            "count, sliding 10 s by 1 s",
            aggregate(json!({ "sliding": "10s", "slide": "1s" }), "count()".into()),
        ),
    ];
    let mut walls = vec![Vec::new(); steps.len()];
    for round in 0..ROUNDS {
        for (place, (_, step)) in steps.iter().enumerate() {
            let cost =
                server.measure(&spec(bench, &format!("run-{round}-{place}"), step.clone()), is_finished)?;
            walls[place].push(cost.wall_s);
        }
    }
    for ((what, _), walls) in steps.iter().zip(&walls) {
        let goal = if *what == "count, tumbling 10 s" { Goal::AtLeast(12.0) } else { Goal::None };
        report.figure(what, ROWS as f64 / median(walls) / 1e6, "M rows/s", goal);
    }
    // Within a round, so that a busy minute is in both.
    let own = |place: usize, round: usize| (walls[place][round] - walls[0][round]).max(1e-3);
    let over = |top: &dyn Fn(usize) -> f64| median(&(0..ROUNDS).map(top).collect::<Vec<_>>());
    let rate = over(&|round| ROWS as f64 / own(1, round) / 1e6);
    report.figure("count, tumbling 10 s, without the generator", rate, "M rows/s", Goal::None);
    let share = over(&|round| own(2, round) / own(3, round));
    report.figure(
        "the plugin beside the built-in mean, without the generator",
        share,
        "",
        Goal::AtLeast(1.0 / 3.0),
    );
    let times = over(&|round| own(4, round) / own(1, round));
    report.figure(
        "sliding takes so many times as long as tumbling, without the generator",
        times,
        "",
        Goal::AtMost(2.0),
    );
    Ok(())
}
