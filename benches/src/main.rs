//! Measures the built `millstream` and prints what docs/benchmarks.md quotes.
//!
//! `cargo run --release -p millstream-benches -- [names]` runs all measures or the named ones;
//! `make build plugins` first: the binary and the plugins are looked for beside the runner. That
//! builds the runner too, with the features of the whole workspace: `target/release/millstream-benches`
//! compiles nothing, where `cargo run -p` compiles SQLite and some small crates a second time. All
//! together take under 10 minutes. Figures that are compared are taken in turns within one run, and
//! medians are quoted, because a shared machine is faster at one minute than at the next.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are rounded"
)]

mod clock;
mod corpus;
mod measures;
mod native_operators;
mod native_wordcount;
mod process;
mod report;
mod server;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::Report;

/// What a measure answers; a benchmark that cannot run says why and stops.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// What measures need.
struct Bench {
    /// Cargo's target folder.
    target: PathBuf,
    /// The binary under test.
    binary: PathBuf,
    /// For everything that is written; deleted at the end.
    dir: PathBuf,
    /// Whether tables go into the pages that have them, too.
    writes_docs: bool,
}

impl Bench {
    /// A file or folder of this run.
    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let asked = names.len();
    names.retain(|name| name != "--write-docs");
    let writes_docs = names.len() < asked;
    let done = match names.split_first() {
        Some((first, rest)) if first == native_wordcount::NAME => native_wordcount::run(rest),
        _ => run(&names, writes_docs),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(names: &[String], writes_docs: bool) -> Outcome<()> {
    if let Some(unknown) = names.iter().find(|name| measures::ALL.iter().all(|(known, _)| known != name)) {
        let known: Vec<&str> = measures::ALL.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no measure `{unknown}`, there are {}", known.join(", ")).into());
    }
    let runner = std::env::current_exe()?;
    let release = runner.parent().ok_or("the runner stands nowhere")?;
    let binary = release.join("millstream");
    if !binary.exists() {
        return Err(format!("{} is missing: run `make build plugins` first", binary.display()).into());
    }
    let target = release.parent().map_or_else(|| release.to_owned(), Path::to_owned);
    let temporary = tempfile::tempdir()?;
    let bench = Bench { target, binary, dir: temporary.path().to_owned(), writes_docs };
    let mut report = Report::default();
    report.machine()?;
    for (name, measure) in measures::ALL {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            report.begin(name)?;
            measure(&bench, &mut report)?;
        }
    }
    report.end()
}
