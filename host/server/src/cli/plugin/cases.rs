//! `millstream plugin test`: golden cases.

use serde_json::json;

use super::args::TestArgs;
use super::project;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::trial::Workbench;
use crate::trial::cases::{self, Case, CaseReport};

pub(super) fn test(args: &TestArgs, output: &mut Output) -> Result<(), CliError> {
    let component = args.component.clone().map_or_else(|| project::built(&args.dir), Ok)?;
    let mut cases = cases::find(&args.dir.join("cases"))?;
    cases.retain(|case| args.cases.is_empty() || args.cases.iter().any(|part| case.name.contains(part)));
    if cases.is_empty() {
        return Err(CliError::Failed(format!("no case is called {}", args.cases.join(", "))));
    }
    let workbench = Workbench::load(&component)?;
    if args.bless { bless(&workbench, &cases, output) } else { check(&workbench, &cases, output) }
}

fn check(workbench: &Workbench, cases: &[Case], output: &mut Output) -> Result<(), CliError> {
    let mut reports = Vec::with_capacity(cases.len());
    for case in cases {
        let report = cases::run_case(workbench, case);
        if !output.is_for_programs() {
            output.text(&told(&report))?;
        }
        reports.push(report);
    }
    let failed = reports.iter().filter(|report| !report.passed()).count();
    let sentence = format!("{} passed, {failed} failed", reports.len() - failed);
    output.done(&sentence, &json!(reports))?;
    if failed == 0 { Ok(()) } else { Err(CliError::Said(1)) }
}

fn told(report: &CaseReport) -> String {
    match &report.failure {
        None => format!("ok      {}\n", report.name),
        Some(failure) => format!("FAILED  {}\n{}\n", report.name, failure.trim_end()),
    }
}

fn bless(workbench: &Workbench, cases: &[Case], output: &mut Output) -> Result<(), CliError> {
    let mut changed = Vec::new();
    for case in cases {
        let files = cases::bless(workbench, case)
            .map_err(|error| CliError::Failed(format!("case {}: {error}", case.name)))?;
        changed.extend(files.iter().map(|file| file.display().to_string()));
    }
    let sentence = match changed.len() {
        0 => "nothing has changed".to_owned(),
        _ => format!("written: {}", changed.join(", ")),
    };
    output.done(&sentence, &json!({ "written": changed }))
}
