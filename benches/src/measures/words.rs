//! Word count of a file: the whole way from bytes through a plugin and keyed state to a table,
//! against a native program, and exactly-once against at-most-once.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::clock::median;
use crate::process::{self, Cost};
use crate::report::{Goal, Report};
use crate::server::{Server, has_no_backlog, is_finished, plugin};
use crate::{Bench, Outcome, corpus, native_wordcount};

/// The text: runs take seconds.
const CORPUS_BYTES: u64 = 480_000_000;
/// Runs of each kind.
const ROUNDS: usize = 3;

/// A word count from `input` into the database `table`.
pub(super) fn pipeline(name: &str, input: &Path, table: &Path, parallelism: u32) -> Value {
    json!({
        "name": name,
        "delivery": "exactly-once",
        "trigger": "available-now",
        "parallelism": parallelism,
        "sources": { "lines": { "type": "file", "path": input, "format": "text" } },
        "steps": {
            "words": { "from": "lines", "wasm": "text/split-words", "config": { "column": "value" } },
            "counts": { "from": "words", "aggregate": { "by": ["word"], "compute": { "n": "count()" } }, "emit": "update" },
        },
        "sinks": { "out": { "from": "counts", "type": "sqlite", "path": table, "table": "counts", "key": ["word"] } },
    })
}

/// The text and how many lines it has; made by the first measure that wants it.
pub(super) fn text(bench: &Bench) -> Outcome<(std::path::PathBuf, f64)> {
    let (path, lines_path) = (bench.at("corpus.txt"), bench.at("corpus.lines"));
    if !lines_path.exists() {
        fs::write(&lines_path, corpus::write(&path, CORPUS_BYTES)?.to_string())?;
    }
    Ok((path, fs::read_to_string(lines_path)?.parse()?))
}

/// A server that has the plugin, compiled.
pub(super) fn server(bench: &Bench, dir: &str) -> Outcome<Server> {
    let server = Server::start(&bench.binary, &bench.at(dir))?;
    let component = plugin(&bench.target, "text");
    let bytes = fs::read(&component)
        .map_err(|error| format!("{}: {error}: run `make plugins` first", component.display()))?;
    server.upload(&bytes)?;
    Ok(server)
}

/// Lines of the program and of the engine in turns, with the same number of threads.
pub(super) fn against_native(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let (input, lines) = text(bench)?;
    let server = server(bench, "words")?;
    // A first run that counts for nothing: code is compiled, the file is in the page cache.
    let native_mib = native(bench, &input, 1, &[])?.peak_mib;
    for threads in [1, 2] {
        let (mut natives, mut ours, mut cpu) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
        let mut inline = Vec::new();
        for round in 0..ROUNDS {
            inline.push(lines / native(bench, &input, threads, &[native_wordcount::INLINE])?.wall_s);
            let cost = native(bench, &input, threads, &[])?;
            natives.push(lines / cost.wall_s);
            cpu.0.push(lines / cost.cpu_s);
            let name = format!("words-{threads}-{round}");
            let table = bench.at(&format!("{name}.db"));
            let cost = server.measure(&pipeline(&name, &input, &table, threads), is_finished)?;
            ours.push(lines / cost.wall_s);
            cpu.1.push(lines / cost.cpu_s);
            same(&bench.at("native.tsv"), &table)?;
        }
        let ratio: Vec<f64> = ours.iter().zip(&natives).map(|(ours, native)| ours / native).collect();
        let with = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        let thousands = |values: &[f64]| median(values) / 1000.0;
        report.figure(&format!("native, {with}"), thousands(&natives), "k lines/s", Goal::None);
        report.figure(&format!("millstream, {with}"), thousands(&ours), "k lines/s", Goal::None);
        report.figure(&format!("share of native, {with}"), median(&ratio), "", Goal::AtLeast(0.65));
        let beside: Vec<f64> = ours.iter().zip(&inline).map(|(ours, native)| ours / native).collect();
        let inline_of = |what: &str| format!("{what} with words in its table, {with}");
        report.figure(&inline_of("native"), thousands(&inline), "k lines/s", Goal::None);
        report.figure(&inline_of("share of native"), median(&beside), "", Goal::None);
        report.figure(&format!("native, {with}, a CPU second"), thousands(&cpu.0), "k lines", Goal::None);
        report.figure(&format!("millstream, {with}, a CPU second"), thousands(&cpu.1), "k lines", Goal::None);
    }
    report.figure("memory of the native program", native_mib, "MiB", Goal::None);
    report.figure("memory of the server, greatest", server.memory_mib("VmHWM:"), "MiB", Goal::AtMost(500.0));
    let binary = fs::metadata(&bench.binary)?.len() as f64 / 1_048_576.0;
    report.figure("size of the binary", binary, "MiB", Goal::None);
    Ok(())
}

fn native(bench: &Bench, input: &Path, threads: u32, more: &[&str]) -> Outcome<Cost> {
    let mut program = Command::new(std::env::current_exe()?);
    let program = program.arg(native_wordcount::NAME).arg(input).arg(bench.at("native.tsv"));
    process::run(program.arg(threads.to_string()).args(more))
}

/// Fails unless both counted the same.
fn same(native: &Path, table: &Path) -> Outcome<()> {
    let mut expected: Vec<String> = fs::read_to_string(native)?.lines().map(str::to_owned).collect();
    let db = Connection::open_with_flags(table, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows = db.prepare("SELECT word || char(9) || n FROM counts")?;
    let mut counted = rows.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    expected.sort_unstable();
    counted.sort_unstable();
    if expected != counted {
        let message = format!("{} words natively and {} in the table differ", expected.len(), counted.len());
        return Err(message.into());
    }
    Ok(())
}

/// What exactly-once costs at a 200 ms trigger: a durable plan and commit for each batch.
pub(super) fn delivery(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let (input, lines) = text(bench)?;
    let server = server(bench, "delivery")?;
    let (mut overheads, mut rates, mut cpu) =
        (Vec::new(), [Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..ROUNDS {
        let mut walls = [0.0; 2];
        for (which, delivery) in ["at-most-once", "exactly-once"].into_iter().enumerate() {
            let name = format!("{delivery}-{round}");
            let mut spec = pipeline(&name, &input, &bench.at(&format!("{name}.db")), 2);
            spec["delivery"] = delivery.into();
            spec["trigger"] = json!({ "every": "200ms" });
            let cost = server.measure(&spec, has_no_backlog)?;
            walls[which] = cost.wall_s;
            rates[which].push(lines / cost.wall_s / 1000.0);
            cpu[which].push(lines / cost.cpu_s / 1000.0);
        }
        overheads.push((walls[1] / walls[0] - 1.0) * 100.0);
    }
    for (which, delivery) in ["at-most-once", "exactly-once"].into_iter().enumerate() {
        report.figure(delivery, median(&rates[which]), "k lines/s", Goal::None);
        report.figure(&format!("{delivery}, a CPU second"), median(&cpu[which]), "k lines", Goal::None);
    }
    report.figure("exactly-once takes longer by", median(&overheads), "%", Goal::AtMost(10.0));
    Ok(())
}
