//! Why a command failed, as a person reads it.

use std::fmt;
use std::io;

use serde_json::Value;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum CliError {
    /// The server answered with a problem document.
    Problem(Value),
    /// It did not work; says what, where and what to do.
    Failed(String),
    /// Whoever read our output has gone: nobody is left to be told.
    Reader,
    /// All was said already; the program ends with this status.
    Said(u8),
}

impl CliError {
    /// Nothing more can be written.
    pub(super) fn writing(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Reader
        } else {
            Self::Failed(format!("the output cannot be written: {error}"))
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Reader => f.write_str("nobody reads the output"),
            Self::Said(status) => write!(f, "status {status}"),
            Self::Problem(problem) => problem_text(problem, f),
        }
    }
}

/// Title and detail, then each error with its path; a single error is the detail already.
fn problem_text(problem: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
    write!(f, "{}: {}", text("title"), text("detail"))?;
    let errors = problem.get("errors").and_then(Value::as_array).filter(|errors| errors.len() > 1);
    for error in errors.into_iter().flatten() {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        match part("path") {
            "" => write!(f, "\n  {}", part("message"))?,
            path => write!(f, "\n  {path}: {}", part("message"))?,
        }
    }
    Ok(())
}

impl std::error::Error for CliError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_shows_each_error_with_its_path() {
        let problem = CliError::Problem(json!({
            "title": "The spec is wrong", "detail": "the spec has 2 errors", "status": 422,
            "errors": [{ "path": "steps.a.from", "message": "unknown entry" }, { "path": "", "message": "no sinks" }],
        }));
        assert_eq!(
            problem.to_string(),
            "The spec is wrong: the spec has 2 errors\n  steps.a.from: unknown entry\n  no sinks"
        );
    }

    #[test]
    fn a_single_error_is_told_once() {
        let problem = CliError::Problem(json!({
            "title": "The spec is wrong", "detail": "steps.a.from: unknown entry", "status": 422,
            "errors": [{ "path": "steps.a.from", "message": "unknown entry" }],
        }));
        assert_eq!(problem.to_string(), "The spec is wrong: steps.a.from: unknown entry");
    }
}
