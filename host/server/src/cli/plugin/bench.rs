//! `millstream plugin bench`: what an operator costs.

use serde_json::json;

use super::args::BenchArgs;
use super::run::{component, spec};
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::trial::Workbench;

pub(super) fn bench(args: &BenchArgs, output: &mut Output) -> Result<(), CliError> {
    let (component, operator) = component(&args.component);
    let mut trial = spec(&args.operator, operator)?;
    trial.batch_rows = args.rows;
    let cost = Workbench::measure(&component, &trial, args.input.as_deref())?;
    output.done(&cost.to_string(), &json!(cost))
}
