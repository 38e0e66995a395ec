//! Pipelines as text cases: `tests/cases/README.md` says how they are written.

use std::fs;
use std::path::{Path, PathBuf};

use millstream_tests::{Server, file_rows, table_rows};

use crate::support::{server_with, text};

const DELIVERIES: [&str; 3] = ["exactly-once", "at-least-once", "at-most-once"];
const PARALLELISMS: [u32; 2] = [1, 4];
/// The bounds of a batch; empty stands for all rows in one.
const CUTS: [&str; 3] = ["", "max_rows: 2", "max_bytes: 40B"];

#[test]
fn pipelines_give_the_same_whatever_the_delivery_the_workers_and_the_batches() {
    let (dir, server) = server_with(&["text", "json", "geo", "hostile", "stats", "tally"]);
    let cases = cases();
    assert!(cases.len() >= 15, "{cases:?}");
    let wrong: Vec<String> = cases.iter().flat_map(|case| check(&server, case, dir.path())).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Runs one case in every way; says what differs from what is expected.
fn check(server: &Server, case: &Path, scratch: &Path) -> Vec<String> {
    let name = case.file_name().and_then(|name| name.to_str()).expect("a case has a name");
    let spec = fs::read_to_string(case.join("pipeline.yaml")).expect("a case has a pipeline");
    let runs = runs(name, &spec);
    let out = |run: &Run| scratch.join(&run.pipeline);
    for run in &runs {
        fs::create_dir(out(run)).expect("a folder for sinks");
        let spec = run.header.clone() + &spec;
        let spec = spec
            .replace("$CASE", &case.display().to_string())
            .replace("$OUT", &out(run).display().to_string());
        let answer = server.post_yaml("/v1/pipelines", &spec);
        if answer.status != 201 {
            return vec![format!("{name}: {:#}", answer.body)];
        }
    }
    let mut wrong = Vec::new();
    for run in &runs {
        let document = server.wait_for(&run.pipeline, &["finished", "failed"]);
        if text(&document, "state") == "failed" {
            wrong.push(format!("{name} ({}): {}", run.header, text(&document, "reason")));
            continue;
        }
        let found = results(server, &run.pipeline, &out(run), &document["spec"]["sinks"]);
        if std::env::var_os("MILLSTREAM_BLESS").is_some() && run.pipeline == runs[0].pipeline {
            bless(case, &found);
        }
        wrong.extend(
            differences(case, &found)
                .into_iter()
                .map(|difference| format!("{name}\n{}{difference}", run.header)),
        );
        let deleted = server.delete(&format!("/v1/pipelines/{}?purge=true", run.pipeline));
        assert_eq!(deleted.status, 204, "{deleted:?}");
    }
    // The others differ in the same way as a rule.
    wrong.truncate(2);
    wrong
}

/// One way to run a case.
struct Run {
    pipeline: String,
    /// The lines of the spec that the case leaves out.
    header: String,
}

fn runs(case: &str, spec: &str) -> Vec<Run> {
    let given = spec.lines().next().and_then(|line| line.strip_prefix("# cuts:"));
    let cuts: Vec<&str> = given.map_or(CUTS.to_vec(), |cuts| cuts.split(';').map(str::trim).collect());
    let short: String = case.chars().take(50).collect();
    let mut runs = Vec::new();
    for delivery in DELIVERIES {
        for parallelism in PARALLELISMS {
            for cut in &cuts {
                let pipeline = format!("{short}-{}", runs.len());
                let comma = if cut.is_empty() { "" } else { ", " };
                let header = format!(
                    "name: {pipeline}\ndelivery: {delivery}\nparallelism: {parallelism}\ntrigger: {{ available-now: true{comma}{cut} }}\n"
                );
                runs.push(Run { pipeline, header });
            }
        }
    }
    runs
}

/// The name of an expected file and the lines that were found for it.
type Found = (String, Vec<String>);

fn results(server: &Server, pipeline: &str, out: &Path, sinks: &serde_json::Value) -> Vec<Found> {
    let sinks = sinks.as_object().expect("the spec has sinks").keys();
    let mut found: Vec<Found> = sinks
        .map(|sink| {
            let database = out.join(format!("{sink}.db"));
            let rows =
                if database.exists() { table_rows(&database, sink) } else { file_rows(&out.join(sink)) };
            (sink.clone(), rows)
        })
        .collect();
    let letters = server.dead_letters(pipeline);
    let mut letters: Vec<String> = letters
        .iter()
        .map(|letter| {
            let record = letter["text"].as_str().or_else(|| letter["hex"].as_str()).unwrap_or_default();
            // What a plugin said before it broke has several lines; the first one says what it was.
            let reason = text(letter, "reason").lines().next().unwrap_or_default();
            format!(
                "{} | {} | {reason} | {}",
                text(letter, "entry"),
                text(letter, "kind"),
                record.escape_debug()
            )
        })
        .collect();
    letters.sort();
    found.push(("dead-letters".to_owned(), letters));
    found
}

fn differences(case: &Path, found: &[Found]) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, lines) in found {
        let path = case.join("expected").join(format!("{name}.txt"));
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let expected: Vec<&str> = expected.lines().collect();
        if !alike(&expected, lines) {
            let (expected, lines) = (expected.join("\n  "), lines.join("\n  "));
            differences.push(format!("{name} should be\n  {expected}\nbut is\n  {lines}"));
        }
    }
    differences
}

/// Whether each expected line is there, and no other.
fn alike(expected: &[&str], found: &[String]) -> bool {
    let mut left: Vec<&String> = found.iter().collect();
    let all = expected.iter().all(|line| {
        let place = left.iter().position(|found| match line.split_once('…') {
            Some((start, end)) => found.starts_with(start) && found.ends_with(end),
            None => *found == line,
        });
        place.map(|place| left.swap_remove(place)).is_some()
    });
    all && left.is_empty()
}

fn bless(case: &Path, found: &[Found]) {
    for (name, lines) in found {
        let path = case.join("expected").join(format!("{name}.txt"));
        if !lines.is_empty() {
            fs::write(path, lines.join("\n") + "\n").expect("an expected file");
        } else if path.exists() {
            fs::remove_file(path).expect("an expected file");
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let root = millstream_tests::folder().join("cases");
    let entries = fs::read_dir(root).expect("the folder of cases");
    let mut cases: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a case").path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}
