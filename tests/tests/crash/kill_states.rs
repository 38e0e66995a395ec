//! `kill -9` while every kind of step that remembers something is at work, with another number of workers
//! after most kills: the results must be those of a run that nobody disturbed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use millstream_tests::{Server, plugin, table_rows};
use serde_json::{Map, Value, json};

use crate::kills::kill_again_and_again;
use crate::random::Random;
use crate::support::{drain, write_whole};

const SHOPS: [&str; 6] = ["mill", "wheel", "stone", "Mühle", "dam", ""];

/// Rows come at most so much after later ones; sources are told so, and nothing is late.
const DISORDER_S: u64 = 20;

/// Orders and payments, as time goes on.
struct Streams<'a> {
    dir: &'a Path,
    random: Random,
    at_s: u64,
    id: u64,
    files: u32,
}

impl<'a> Streams<'a> {
    fn new(dir: &'a Path, name: &str) -> Self {
        for stream in ["orders", "payments"] {
            fs::create_dir(dir.join(stream)).unwrap();
        }
        Self { dir, random: Random::of(name), at_s: 1_700_000_000, id: 0, files: 0 }
    }

    /// A file more of each.
    fn write(&mut self, rows: u64) {
        let (mut orders, mut payments) = (String::new(), String::new());
        for _ in 0..rows {
            self.at_s += self.random.below(3);
            self.id += 1;
            let (at, id) = (self.at_s - self.random.below(DISORDER_S), self.id);
            let shop = SHOPS[self.random.below(6) as usize];
            let quarters = self.random.below(400);
            let line = format!(
                "{{\"at\":{at},\"id\":{id},\"shop\":\"{shop}\",\"amount\":{}}}\n",
                quarters as f64 * 0.25
            );
            // Some orders come twice.
            orders += &line.repeat(1 + usize::from(self.random.below(8) == 0));
            for _ in 0..self.random.below(3) {
                let paid = id.saturating_sub(self.random.below(9));
                let at = self.at_s - self.random.below(DISORDER_S);
                writeln!(payments, "{{\"at\":{at},\"id\":{paid},\"paid\":{quarters}}}").unwrap();
            }
        }
        self.put(&orders, &payments);
    }

    /// Rows long after all others: they close what is open.
    fn end(&mut self) {
        let at = self.at_s + 100_000;
        self.put(
            &format!("{{\"at\":{at},\"id\":0,\"shop\":\"end\",\"amount\":0}}\n"),
            &format!("{{\"at\":{at},\"id\":-1,\"paid\":0}}\n"),
        );
    }

    fn put(&mut self, orders: &str, payments: &str) {
        self.files += 1;
        for (stream, text) in [("orders", orders), ("payments", payments)] {
            write_whole(&self.dir.join(stream).join(format!("{:05}.ndjson", self.files)), text);
        }
    }
}

/// A pipeline with these steps, each with a table of `db` for its results; all tables are appended to, so
/// that a row that came twice is seen.
fn spec(dir: &Path, db: &str, trigger: &Value, steps: &Value, outputs: &[&str]) -> Value {
    let source = |stream: &str, schema: Value| {
        json!({ "type": "file", "path": dir.join(stream).join("*.ndjson"), "format": "ndjson", "schema": schema,
            "event_time": { "column": "at", "delay": format!("{DISORDER_S}s") } })
    };
    let sinks: Map<String, Value> = outputs
        .iter()
        .map(|name| {
            let sink = json!({ "from": name, "type": "sqlite", "path": dir.join(db), "table": name });
            (format!("{name}_out"), sink)
        })
        .collect();
    let mut sources = Map::from_iter([
        (
            "orders".to_owned(),
            source(
                "orders",
                json!({ "at": "timestamp_s", "id": "int64", "shop": "utf8", "amount": "float64" }),
            ),
        ),
        (
            "payments".to_owned(),
            source("payments", json!({ "at": "timestamp_s", "id": "int64", "paid": "int64" })),
        ),
    ]);
    let used = steps.to_string();
    sources.retain(|name, _| used.contains(&format!("{name:?}")));
    json!({
        "name": "states",
        "trigger": trigger,
        "checkpoint": { "every": "60ms" },
        "sources": sources,
        "steps": steps,
        "sinks": sinks,
    })
}

/// Kills a server with such a pipeline `kills` times; what its tables hold at last must be what they hold
/// after an undisturbed run with one worker.
fn survives(name: &str, kills: u64, steps: &Value, outputs: &[&str]) {
    let mut random = Random::of(name);
    let dir = tempfile::tempdir().unwrap();
    let mut streams = Streams::new(dir.path(), &format!("{name}_rows"));
    streams.write(100);
    let server = Server::start(&dir.path().join("data"));
    for name in ["text", "stats"] {
        assert!(server.upload(&plugin(name)).status < 300, "{name}");
    }
    let small = json!({ "every": "5ms", "max_bytes": "2KiB" });
    let spec_ = |parallelism: u64| {
        let mut spec = spec(dir.path(), "killed.db", &small, steps, outputs);
        spec["parallelism"] = json!(parallelism);
        spec
    };
    server.deploy(&spec_(2));
    let mut workers = Random::of(&format!("{name}_workers"));
    let server = kill_again_and_again(&mut random, server, "states", kills, |server, _| {
        streams.write(60);
        if workers.below(3) > 0 {
            let spec = spec_([1, 2, 4][workers.below(3) as usize]);
            let answer = server.put("/v1/pipelines/states", &spec);
            assert!(answer.status < 300, "{answer:?}");
        }
    });
    streams.end();
    drain(&server, "states");
    assert_eq!(server.get("/v1/pipelines/states/dead-letters").body, json!([]), "nothing is refused");

    let mut undisturbed = spec(dir.path(), "undisturbed.db", &json!("available-now"), steps, outputs);
    undisturbed["name"] = json!("undisturbed");
    undisturbed["parallelism"] = json!(1);
    server.deploy(&undisturbed);
    let _ = server.wait_for("undisturbed", &["finished"]);
    server.stop();
    for table in outputs {
        let found = table_rows(&dir.path().join("killed.db"), table);
        let expected = table_rows(&dir.path().join("undisturbed.db"), table);
        assert!(expected.len() > 20, "{table} has results: {}", expected.len());
        assert_eq!(without(&found, &expected), [""; 0], "{table}: rows that are too many");
        assert_eq!(without(&expected, &found), [""; 0], "{table}: rows that are missing");
    }
}

/// Rows of one table that another does not have, or has less often.
fn without<'a>(rows: &'a [String], others: &[String]) -> Vec<&'a str> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for other in others {
        *left.entry(other).or_default() += 1;
    }
    let mut found = rows.iter().map(String::as_str).collect::<Vec<_>>();
    found.retain(|row| match left.get_mut(row) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    found
}

fn aggregate(window: Value) -> Value {
    let compute = json!({ "n": "count()", "total": "sum(amount)", "kinds": "count(distinct id)", "newest": "last(id, at)" });
    json!({ "from": "orders", "aggregate": { "by": ["shop"], "window": window, "compute": compute }, "emit": "final" })
}

#[test]
fn windows_survive_kills() {
    let steps = json!({
        "tumbling": aggregate(json!({ "tumbling": "10s" })),
        "sliding": aggregate(json!({ "sliding": "30s", "slide": "10s" })),
        "sessions": aggregate(json!({ "session": "4s" })),
        "counted": aggregate(json!({ "count": 5 })),
        "local": aggregate(json!({ "tumbling": "15min", "zone": "Asia/Kathmandu" })),
        "means": { "from": "orders", "aggregate": { "by": ["shop"], "window": { "sliding": "20s", "slide": "10s" }, "compute": { "mean": { "wasm": "stats/mean@0.1", "of": ["amount"], "config": { "column": "amount" } } } }, "emit": "final" },
        "windows": { "from": "tumbling", "aggregate": { "window": { "tumbling": "1min" }, "compute": { "n": "sum(n)", "most": "max(total)" } }, "emit": "final" },
    });
    survives(
        "windows",
        70,
        &steps,
        &["tumbling", "sliding", "sessions", "counted", "local", "means", "windows"],
    );
}

#[test]
fn joins_survive_kills() {
    let join = |kind: &str| json!({ "join": { "left": "orders", "right": "payments", "on": ["id"], "kind": kind, "within": { "before": "10s", "after": "30s" } } });
    let kinds = ["inner", "left", "right", "full", "semi", "anti"];
    let mut steps: Map<String, Value> =
        kinds.iter().map(|kind| (format!("{kind}_join"), join(kind))).collect();
    steps.insert("same_window".to_owned(), json!({ "join": { "left": "orders", "right": "payments", "on": ["id"], "kind": "full", "window": { "tumbling": "20s" } } }));
    steps.insert("paid".to_owned(), json!({ "from": "inner_join", "aggregate": { "by": ["shop"], "window": { "tumbling": "1min", "on": "at" }, "compute": { "paid": "sum(paid)" } }, "emit": "final" }));
    let outputs = [
        "inner_join",
        "left_join",
        "right_join",
        "full_join",
        "semi_join",
        "anti_join",
        "same_window",
        "paid",
    ];
    survives("joins", 65, &Value::Object(steps), &outputs);
}

#[test]
fn rows_and_keys_survive_kills() {
    let steps = json!({
        "once": { "from": "orders", "dedup": { "by": ["id"], "within": "1min" } },
        "counts": { "from": "once", "aggregate": { "by": ["shop"], "window": { "tumbling": "20s" }, "compute": { "n": "count()", "total": "sum(amount)" } }, "emit": "final" },
        "visits": { "from": "orders", "state": "stats/sessions@0.1", "by": ["shop"], "config": { "time": "at", "gap_ms": 4000 }, "event_time": { "column": "end", "delay": "4s" } },
        "largest": { "from": "counts", "top": { "by": ["window_end"], "order": "total desc, shop", "n": 3 }, "emit": "final" },
    });
    survives("rows", 65, &steps, &["once", "counts", "visits", "largest"]);
}
