//! `type: file`: reads files that match a path, in a stated order, and looks for new ones.
//! Files stay where they are; a position is the set of files done and how far the open ones are.

mod followed;
mod kept;
mod listing;
mod open;
mod place;
mod plan;
mod reader;
mod source;

use std::sync::Arc;

use arrow_schema::SchemaRef;
use millstream_engine::pipeline::{OpenSource, Replay, SourceCtx, SourcePlan, SpecError, read};
use millstream_engine::source::SourceError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::formats::{CsvSpec, Format, FormatKind, FormatSpec};
pub(crate) use listing::Pattern;
pub(crate) use open::{decoder, open_file};

/// The keys of a file source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSpec {
    /// A file, a directory (its files, not those in directories below) or a pattern with `*`, `?`,
    /// `[…]`, `{a,b}` and `**`.
    path: String,
    /// The format of the files.
    format: FormatKind,
    /// Columns and their types, in order; not for text.
    #[schemars(with = "crate::formats::ColumnsSchema")]
    schema: Option<Map<String, Value>>,
    /// A longer record is a dead letter.
    max_record_bytes: Option<u64>,
    /// How CSV is written.
    csv: Option<CsvSpec>,
    /// In which order files are read.
    #[serde(default)]
    order: Order,
    /// Whether files that appear later are read too.
    #[serde(default = "yes")]
    watch: bool,
    /// Whether files grow: an unfinished last record waits for its end. A file that is renamed or
    /// deleted and replaced is read to its end before the new one at its path is begun; the names
    /// that logs are rotated to must not match `path`.
    #[serde(default)]
    tail: bool,
    /// How files are compressed.
    #[serde(default)]
    compression: Compression,
}

/// In which order files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// By path.
    #[default]
    Name,
    /// By time of modification, then by path.
    Modified,
}

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Compression {
    /// As the name ends: `.gz`, `.zst`, or not at all.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

fn yes() -> bool {
    true
}

/// Checks the spec of a file source.
pub(crate) fn plan(config: Map<String, Value>) -> Result<Box<dyn SourcePlan>, SpecError> {
    Ok(Box::new(FilePlan(checked(config)?)))
}

fn checked(config: Map<String, Value>) -> Result<Arc<FileConfig>, SpecError> {
    let spec: FileSpec = read(Value::Object(config))?;
    let format = FormatSpec {
        kind: spec.format,
        schema: spec.schema,
        max_record_bytes: spec.max_record_bytes,
        csv: spec.csv,
    };
    let format = format.check()?;
    if spec.tail && format.kind() == FormatKind::Parquet {
        return Err(SpecError::new("tail", "a Parquet file does not grow: leave `tail` out"));
    }
    if spec.tail && matches!(spec.compression, Compression::Gzip | Compression::Zstd) {
        return Err(SpecError::new(
            "tail",
            "a compressed file cannot be followed: leave `tail` or `compression` out",
        ));
    }
    let pattern = Pattern::new(&spec.path).map_err(|message| SpecError::new("path", message))?;
    let config = FileConfig {
        pattern,
        format,
        order: spec.order,
        watch: spec.watch,
        tail: spec.tail,
        compression: spec.compression,
    };
    Ok(Arc::new(config))
}

/// A file source's spec, checked.
#[derive(Debug)]
pub(crate) struct FileConfig {
    pattern: Pattern,
    format: Arc<Format>,
    order: Order,
    watch: bool,
    tail: bool,
    compression: Compression,
}

struct FilePlan(Arc<FileConfig>);

impl SourcePlan for FilePlan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.0.format.schema())
    }

    fn replay(&self) -> Replay {
        Replay::Replayable
    }

    fn open(self: Box<Self>, ctx: SourceCtx) -> Result<OpenSource, SourceError> {
        Ok(OpenSource::Pull(Box::new(source::FileSource::new(self.0, &ctx))))
    }
}

#[cfg(test)]
mod tests;
