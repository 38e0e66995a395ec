//! Rows in files of a directory, one file a batch. A file has a temporary name until it is whole;
//! its name comes from the batch, so a batch written again replaces itself; a manifest says which
//! batches are committed. A directory belongs to one sink of one pipeline.

mod manifest;
mod part;
mod sink;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use arrow_schema::{DataType, Schema, TimeUnit};
use millstream_engine::batch::type_name;
use millstream_engine::pipeline::{SinkCtx, SinkPlan, SpecError};
use millstream_engine::sink::{Sink, SinkError, SinkPromise};
use schemars::JsonSchema;
use serde::Deserialize;

use self::sink::FileSink;

/// Writes each batch as a file of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSpec {
    /// The directory; it is made when it does not exist.
    path: String,
    /// What the files hold; NDJSON when left out.
    #[serde(default)]
    format: Format,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Format {
    /// A JSON object a line; binary values in hexadecimal, NaN and infinities as null.
    #[default]
    Ndjson,
    /// Comma-separated values with a header; null and empty text are the same.
    Csv,
    /// Apache Parquet, compressed with zstd.
    Parquet,
}

impl Format {
    const fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// A sound spec.
#[derive(Clone, Debug)]
pub(super) struct FilePlan {
    dir: PathBuf,
    format: Format,
}

impl FilePlan {
    /// Checks what the spec says by itself.
    pub(super) fn new(spec: FileSpec) -> Result<Self, SpecError> {
        if spec.path.is_empty() || spec.path.contains('\0') {
            return Err(SpecError::new("path", "say which directory the files go to"));
        }
        Ok(Self { dir: spec.path.into(), format: spec.format })
    }
}

impl SinkPlan for FilePlan {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Transactional
    }

    fn promise_reason(&self) -> String {
        "file: a batch is one file that appears whole, and a manifest says which batches are there".into()
    }

    fn check(&self, input: &Schema) -> Result<(), SpecError> {
        for field in input.fields() {
            let known = matches!(
                field.data_type(),
                DataType::Boolean
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::Float32
                    | DataType::Float64
                    | DataType::Utf8
                    | DataType::Binary
                    | DataType::Date32
                    | DataType::Timestamp(TimeUnit::Microsecond, _)
            );
            if !known {
                let found = type_name(field.data_type());
                let message = format!(
                    "column `{}` is {found}, which the file sink cannot write: cast it in a `select` step",
                    field.name()
                );
                return Err(SpecError::new("", message));
            }
        }
        Ok(())
    }

    fn open(self: Box<Self>, ctx: SinkCtx) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(FileSink::open(*self, ctx)?))
    }
}
