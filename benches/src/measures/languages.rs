//! The same operators in each language, beside the Rust ones in the same run: components of `make examples`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::clock::median;
use crate::native_operators::Native;
use crate::report::{Goal, Report};
use crate::server::{Server, is_finished};
use crate::{Bench, Outcome};

const ROWS: usize = 10_000;
const ROUNDS: usize = 3;
/// Languages, and how many times the Rust guest's time splitting words may take.
const LANGUAGES: [(&str, f64); 7] = [
    ("rust", 1.0),
    ("c", 1.5),
    ("cpp", 1.5),
    ("zig", 1.5),
    ("go", 4.0),
    ("typescript", 50.0),
    ("python", 30.0),
];

/// What one language costs; times by the row are medians, each of which is the least of many calls.
struct Costs {
    split_ns: Vec<f64>,
    map_ns: Vec<f64>,
    /// What was said in each round: sizes and start-up.
    said: Vec<Value>,
}

impl Costs {
    /// The median of a figure.
    fn of(&self, key: &str) -> f64 {
        median(&self.said.iter().map(|said| number(said, key)).collect::<Vec<_>>())
    }
}

/// A table by language, and the goals.
pub(super) fn measure(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let lines = bench.at("lines.ndjson");
    let prices = bench.at("prices.ndjson");
    crate::native_operators::write_rows(&lines, &prices, ROWS)?;
    let native = Native::open(&lines)?;
    let mut natives = Vec::new();
    let mut all: Vec<Costs> = LANGUAGES
        .iter()
        .map(|_| Costs { split_ns: Vec::new(), map_ns: Vec::new(), said: Vec::new() })
        .collect();
    for _ in 0..ROUNDS {
        natives.push(native.split_ns()?);
        for ((language, _), costs) in LANGUAGES.iter().zip(&mut all) {
            let component = component(language)?;
            let map = cost(bench, &component, "currency", "{ column: price, rate: 0.9 }", &prices)?;
            let split = cost(bench, &component, "split-words", "column: line", &lines)?;
            costs.split_ns.push(number(&split, "row_ns"));
            costs.map_ns.push(number(&map, "row_ns"));
            costs.said.push(split);
        }
    }
    let of = |costs: &Costs| (median(&costs.split_ns), median(&costs.map_ns));
    let (rust_split, rust_map) = of(&all[0]);
    let native_split = median(&natives);
    report.figure(
        "the Rust guest beside the same code compiled natively, split",
        rust_split / native_split,
        "times",
        Goal::AtMost(1.5),
    );
    for ((language, most), costs) in LANGUAGES.iter().zip(&all).skip(1) {
        // Within a round, so that a busy minute is in both.
        let ratios: Vec<f64> =
            costs.split_ns.iter().zip(&all[0].split_ns).map(|(own, rust)| own / rust).collect();
        report.figure(
            &format!("{language} beside Rust, split"),
            median(&ratios),
            "times",
            Goal::AtMost(*most),
        );
    }
    let python = &all[LANGUAGES.len() - 1];
    report.figure("python, numeric map", of(python).1, "ns a row", Goal::AtMost(250.0));
    report.figure("python, cached load", python.of("cached_load_ms"), "ms", Goal::AtMost(10.0));
    report.figure("python, instance", python.of("instance_ms"), "ms", Goal::AtMost(3.0));
    report.figure("20 instances of python", twenty(bench)?, "MiB", Goal::AtMost(1024.0));
    let mut table = String::from(
        "| language | component KiB | compile ms | cached load ms | instance ms | split ns a line | beside Rust | map ns a row | \
         beside Rust | memory MiB |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    writeln!(
        table,
        "| native Rust | - | - | - | - | {native_split:.0} | {:.2} | - | - | - |",
        native_split / rust_split
    )?;
    for ((language, _), costs) in LANGUAGES.iter().zip(&all) {
        let (split, map) = of(costs);
        writeln!(
            table,
            "| {language} | {:.0} | {:.0} | {:.2} | {:.2} | {split:.0} | {:.2} | {map:.1} | {:.1} | {:.1} |",
            costs.of("component_bytes") / 1024.0,
            costs.of("compile_ms"),
            costs.of("cached_load_ms"),
            costs.of("instance_ms"),
            split / rust_split,
            map / rust_map,
            costs.of("memory_bytes") / 1_048_576.0,
        )?;
    }
    println!("\n{table}");
    if bench.writes_docs { put_into_docs(&table) } else { Ok(()) }
}

/// The table takes the place of the one in the page.
fn put_into_docs(table: &str) -> Outcome<()> {
    const PAGE: &str = "docs/languages.md";
    let (begin, end) =
        ("<!-- table: millstream-benches languages --write-docs -->\n", "<!-- end of the table -->\n");
    let page = fs::read_to_string(PAGE)?;
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no place for the table"))?;
    fs::write(PAGE, [before, begin, table, end, after].concat())?;
    Ok(())
}

/// What `millstream plugin build` made of a language's examples.
fn component(language: &str) -> Outcome<PathBuf> {
    let path = Path::new("plugins/examples").join(language).join(format!("build/examples-{language}.wasm"));
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is missing: run `make examples`", path.display()).into())
    }
}

fn cost(bench: &Bench, component: &Path, operator: &str, config: &str, rows: &Path) -> Outcome<Value> {
    let mut command = Command::new(&bench.binary);
    command.args(["plugin", "bench", &format!("{}#{operator}", component.display()), "--config", config]);
    command.args(["--rows", &ROWS.to_string(), "--deadline", "60s", "--output", "json", "--input"]).arg(rows);
    let said = command.output()?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&said.stdout)?)
}

fn number(cost: &Value, key: &str) -> f64 {
    cost[key].as_f64().unwrap_or_default()
}

/// The greatest memory of a server that runs a step of Python on 20 workers.
fn twenty(bench: &Bench) -> Outcome<f64> {
    let server = Server::start(&bench.binary, &bench.at("twenty"))?;
    server.upload(&std::fs::read(component("python")?)?)?;
    let spec = json!({
        "name": "twenty",
        "trigger": { "available-now": true },
        "parallelism": 20,
        "sources": { "rows": { "type": "generate", "rows": 4_000_000, "schema": { "price": { "type": "float", "min": 0, "max": 9 } } } },
        "steps": {
            "map": { "from": "rows", "wasm": "examples-python/currency@0.1", "config": { "column": "price", "rate": 2 } },
            "none": { "from": "map", "filter": "converted < 0" },
        },
        "sinks": { "out": { "from": "none", "type": "file", "path": bench.at("twenty-out"), "format": "ndjson" } },
    });
    server.measure(&spec, is_finished)?;
    Ok(server.memory_mib("VmHWM:"))
}
