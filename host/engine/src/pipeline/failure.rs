//! How an attempt to run a pipeline ends: as asked, or with a failure that says whether to try again.

use std::fmt;

use super::lane::LaneFailure;
use crate::sink::SinkError;
use crate::source::SourceError;
use crate::sqlite::StoreError;

/// How an attempt ends when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Finished,
}

/// Why an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) transient: bool,
}

impl Failure {
    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false }
    }

    pub(crate) fn of_source(entry: &str, error: &SourceError) -> Self {
        let transient = matches!(error, SourceError::Transient(_));
        Self { message: format!("source {entry}: {error}"), transient }
    }

    pub(crate) fn of_sink(entry: &str, error: &SinkError) -> Self {
        let transient = matches!(error, SinkError::Transient(_));
        Self { message: format!("sink {entry}: {error}"), transient }
    }

    pub(crate) fn of_thread(error: &std::io::Error) -> Self {
        Self { message: format!("the system gives no more threads ({error})"), transient: true }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<LaneFailure> for Failure {
    fn from(failure: LaneFailure) -> Self {
        let message = match failure.entry.as_str() {
            "" => failure.message,
            entry => format!("{entry}: {}", failure.message),
        };
        Self { message, transient: failure.transient }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { message: error.to_string(), transient: error.is_transient() }
    }
}
