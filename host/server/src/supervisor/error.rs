//! Why the supervisor says no.

use std::fmt;

use millstream_engine::pipeline::{LookError, SpecError};

use crate::catalog::CatalogError;

/// Why the supervisor says no.
#[derive(Debug)]
pub(crate) enum SupervisorError {
    /// The spec is wrong: everything that is.
    Invalid(Vec<SpecError>),
    /// There is no such pipeline or entry; says what there is.
    Unknown(String),
    /// The name is taken.
    Exists(String),
    /// The pipeline has to run for this.
    NotRunning(String),
    /// The pipeline has data that would be lost.
    HasData(String),
    /// The catalog cannot answer.
    Catalog(CatalogError),
    /// The data folder cannot be written.
    Data(std::io::Error),
    /// What was asked for makes no sense here, in words.
    BadRequest(String),
    /// The engine says no, in words.
    Engine(String),
}

impl From<CatalogError> for SupervisorError {
    fn from(cause: CatalogError) -> Self {
        Self::Catalog(cause)
    }
}

impl From<LookError> for SupervisorError {
    fn from(cause: LookError) -> Self {
        match cause {
            LookError::NoState { .. } => Self::Unknown(cause.to_string()),
            LookError::Key(why) => Self::BadRequest(why),
            LookError::State(_) | LookError::Store(_) => Self::Engine(cause.to_string()),
        }
    }
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(errors) => match errors.as_slice() {
                [one] => one.fmt(f),
                many => write!(f, "the spec has {} errors", many.len()),
            },
            Self::Unknown(why) | Self::BadRequest(why) | Self::Engine(why) => f.write_str(why),
            Self::Exists(name) => write!(
                f,
                "a pipeline `{name}` exists: replace it with PUT /v1/pipelines/{name}, or choose another name"
            ),
            Self::NotRunning(name) => write!(f, "pipeline `{name}` does not run: start it first"),
            Self::HasData(name) => write!(
                f,
                "pipeline `{name}` has data (state, offsets, dead letters): delete it with ?purge=true (`--purge`) to delete them too"
            ),
            Self::Catalog(cause) => cause.fmt(f),
            Self::Data(cause) => write!(f, "the pipeline's folder cannot be written: {cause}"),
        }
    }
}

impl std::error::Error for SupervisorError {}
