//! `millstream plugin run`: rows through one operator.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::{OperatorArgs, RunArgs};
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::document::{self, Syntax};
use crate::totals::Totals;
use crate::trial::{TrialError, TrialSpec, Workbench};

/// The exit status when rows could not be used.
const DEAD_LETTERS: u8 = 3;

pub(super) fn run(args: &RunArgs, output: &mut Output) -> Result<(), CliError> {
    let (component, operator) = component(&args.component);
    let mut trial = spec(&args.operator, operator)?;
    trial.batch_rows = args.batch_rows;
    let workbench = Workbench::load(&component)?;
    let outcome = workbench.run(&trial, io::stdin().lock(), Arc::new(Mutex::new(io::stdout())))?;
    for line in outcome.logged.iter().filter(|_| args.logs) {
        output.note(&json!({ "log": line.message, "level": line.level }).to_string());
    }
    for (name, totals) in outcome.numbers.iter().filter(|_| args.logs) {
        output.note(&json!(ToldNumber { number: name, totals }).to_string());
    }
    for row in &outcome.dead {
        output.note(&serde_json::to_string(row).map_err(|error| CliError::Failed(error.to_string()))?);
    }
    match outcome.failure {
        Some(reason) => Err(CliError::Failed(reason)),
        None if outcome.dead.is_empty() => Ok(()),
        None => Err(CliError::Said(DEAD_LETTERS)),
    }
}

#[derive(Serialize)]
struct ToldNumber<'a> {
    number: &'a str,
    #[serde(flatten)]
    totals: &'a Totals,
}

/// A path may have a `#` of its own.
pub(super) fn component(argument: &str) -> (PathBuf, Option<String>) {
    match argument.rsplit_once('#') {
        Some((path, operator)) if !Path::new(argument).exists() => (path.into(), Some(operator.to_owned())),
        _ => (argument.into(), None),
    }
}

/// The arguments as the document that a golden case would have.
pub(super) fn spec(args: &OperatorArgs, operator: Option<String>) -> Result<TrialSpec, CliError> {
    let mut document = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            document.insert(key.to_owned(), value);
        }
    };
    put("operator", operator.map(Value::from));
    put("config", written("--config", args.config.as_deref())?);
    put("schema", written("--schema", args.schema.as_deref())?);
    put("window", written("--window", args.window.as_deref())?);
    put("key", Some(json!(args.key)));
    put("time", args.time.clone().map(Value::from));
    put("delay", args.delay.clone().map(Value::from));
    put("deadline", args.deadline.clone().map(Value::from));
    put("memory", args.memory.clone().map(Value::from));
    TrialSpec::from_json(Value::Object(document)).map_err(|error| CliError::Failed(format!("--{error}")))
}

/// A document, or the file that it is in.
fn written(option: &str, text: Option<&str>) -> Result<Option<Value>, CliError> {
    let Some(text) = text else { return Ok(None) };
    let at = |error: &dyn std::fmt::Display| CliError::Failed(format!("{option}: {error}"));
    let (bytes, syntax) = match text.strip_prefix('@') {
        Some(file) => (
            fs::read(file).map_err(|error| at(&format!("{file}: {error}")))?,
            Syntax::of_file(Path::new(file)),
        ),
        None => (text.as_bytes().to_vec(), Syntax::Yaml),
    };
    document::read(&bytes, syntax).map(Some).map_err(|error| at(&error))
}

impl From<TrialError> for CliError {
    fn from(error: TrialError) -> Self {
        Self::Failed(error.0)
    }
}
