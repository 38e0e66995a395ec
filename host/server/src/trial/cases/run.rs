//! Runs cases, one after the other, and says what differs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::{Value, json};

use super::compare::{same, says};
use super::diff::diff;
use super::spec::{Case, CaseSpec};
use crate::sync::lock;
use crate::trial::{DeadRow, Outcome, TrialError, Workbench};

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The case.
    pub name: String,
    /// What is wrong, in words and with a diff; none when the case passed.
    pub failure: Option<String>,
}

impl CaseReport {
    /// Whether all was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// Runs all cases of a folder on a component, in the order of their names.
///
/// # Errors
/// When the component is no plugin, or the folder has no cases. What is wrong with a case is in its report.
pub fn run(component: &Path, cases: &Path) -> Result<Vec<CaseReport>, TrialError> {
    let workbench = Workbench::load(component)?;
    Ok(find(cases)?.iter().map(|case| run_case(&workbench, case)).collect())
}

/// The cases of a folder, by name: each has a `NAME.in.ndjson`.
///
/// # Errors
/// When the folder cannot be read or has none.
pub fn find(cases: &Path) -> Result<Vec<Case>, TrialError> {
    let at = |error: io::Error| TrialError(format!("{}: {error}", cases.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(cases).map_err(at)? {
        let name = entry.map_err(at)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".in.ndjson").map(str::to_owned));
    }
    names.sort();
    if names.is_empty() {
        return Err(TrialError(format!(
            "{}: no cases: a case is NAME.in.ndjson with NAME.yaml",
            cases.display()
        )));
    }
    Ok(names.iter().map(|name| Case::new(cases, name)).collect())
}

/// Runs one case.
#[must_use]
pub fn run_case(workbench: &Workbench, case: &Case) -> CaseReport {
    let failure = case.spec().and_then(|spec| check(case, &spec, tried(workbench, case, &spec)?));
    let failure = failure.unwrap_or_else(|error| Some(error.to_string()));
    CaseReport { name: case.name.clone(), failure }
}

/// Writes what a case gives now as what it must give from now on; answers with the files that have changed.
///
/// # Errors
/// When the case cannot be run, or fails where it says nothing of an error.
pub fn bless(workbench: &Workbench, case: &Case) -> Result<Vec<PathBuf>, TrialError> {
    let spec = case.spec()?;
    let tried = tried(workbench, case, &spec)?;
    if let Some(words) = &spec.error {
        return check_error(words, &tried).map_or(Ok(Vec::new()), |wrong| Err(TrialError(wrong)));
    }
    let Tried { outcome, rows } = tried;
    let outcome = outcome?;
    if let Some(failure) = outcome.failure {
        return Err(TrialError(failure));
    }
    let mut changed = Vec::new();
    let dead: String = outcome.dead.iter().map(|row| format!("{}\n", dead_line(row))).collect();
    for (file, text) in [(case.output_file(), rows), (case.dead_file(), dead)] {
        let at = |error: io::Error| TrialError(format!("{}: {error}", file.display()));
        let is_optional = file == case.dead_file();
        if text.is_empty() && is_optional {
            match fs::remove_file(&file) {
                Ok(()) => changed.push(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(error)),
            }
        } else if fs::read_to_string(&file).ok().as_deref() != Some(&text) {
            fs::write(&file, &text).map_err(at)?;
            changed.push(file);
        }
    }
    Ok(changed)
}

/// What a case gave.
struct Tried {
    /// An error is what `open` answered, or what is wrong with the case.
    outcome: Result<Outcome, TrialError>,
    rows: String,
}

fn tried(workbench: &Workbench, case: &Case, spec: &CaseSpec) -> Result<Tried, TrialError> {
    let input = case.input_file();
    let file = File::open(&input).map_err(|error| TrialError(format!("{}: {error}", input.display())))?;
    let out = Arc::new(Mutex::new(Vec::new()));
    let outcome = workbench.run(&spec.trial, file, Arc::clone(&out) as _);
    let rows = String::from_utf8_lossy(&lock(&out)).into_owned();
    Ok(Tried { outcome, rows })
}

/// What is wrong, if anything is.
fn check(case: &Case, spec: &CaseSpec, tried: Tried) -> Result<Option<String>, TrialError> {
    if let Some(words) = &spec.error {
        return Ok(check_error(words, &tried));
    }
    let outcome =
        tried.outcome.map_err(|error| TrialError(format!("{}: {error}", case.spec_file().display())))?;
    if let Some(failure) = outcome.failure {
        return Ok(Some(format!("it fails, and no error was expected: {failure}")));
    }
    let out = compare(&case.output_file(), &lines(&tried.rows), same)?;
    let dead: Vec<String> = outcome.dead.iter().map(dead_line).collect();
    let dead_file = case.dead_file();
    let dead = if dead_file.exists() || !dead.is_empty() { compare(&dead_file, &dead, says)? } else { None };
    let wrong: Vec<String> = [out, dead].into_iter().flatten().collect();
    Ok((!wrong.is_empty()).then(|| wrong.concat()))
}

/// An error of `open`, of the pipeline, or of a call, whose rows it refuses.
fn check_error(words: &str, tried: &Tried) -> Option<String> {
    let said: Vec<&str> = match &tried.outcome {
        Err(error) => vec![&error.0],
        Ok(outcome) => outcome
            .failure
            .iter()
            .chain(outcome.dead.iter().map(|row| &row.reason))
            .map(String::as_str)
            .collect(),
    };
    if said.iter().any(|said| said.contains(words)) {
        return None;
    }
    Some(match said.first() {
        None => format!("an error with `{words}` was expected, and there was none\n"),
        Some(first) => format!("an error with `{words}` was expected; there was: {first}\n"),
    })
}

/// The lines of a file against those that were found; no file is an empty one.
fn compare(
    file: &Path,
    found: &[String],
    same: impl Fn(&Value, &Value) -> bool,
) -> Result<Option<String>, TrialError> {
    let at = |error: &dyn std::fmt::Display| TrialError(format!("{}: {error}", file.display()));
    let expected = match fs::read_to_string(file) {
        Ok(text) => lines(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(at(&error)),
    };
    let values = |lines: &[String]| {
        let read = |(line, number): (&String, usize)| {
            serde_json::from_str::<Value>(line).map_err(|error| at(&format!("line {number}: {error}")))
        };
        lines.iter().zip(1..).map(read).collect::<Result<Vec<_>, _>>()
    };
    let (old, new) = (values(&expected)?, values(found)?);
    let diff = diff(&expected, found, |i, j| same(&old[i], &new[j]));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok((!diff.is_empty()).then(|| format!("{name} (- expected, + found):\n{diff}")))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

fn dead_line(row: &DeadRow) -> String {
    serde_json::to_string(row).unwrap_or_else(|_| json!({ "reason": row.reason }).to_string())
}
