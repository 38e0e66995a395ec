//! `type: http`: what the server receives on `/v1/streams/{stream}`. The server owns the listener;
//! here is who takes which stream, and what a body must look like.

mod body;
mod error;
mod streams;

use std::sync::Arc;

use arrow_schema::SchemaRef;
use millstream_engine::journal::Inbox;
use millstream_engine::pipeline::{ByteSize, OpenSource, Replay, SourceCtx, SourcePlan, SpecError, read};
use millstream_engine::source::SourceError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::journal_bytes_max;
use crate::formats::{CsvSpec, EntryStart, Format, FormatKind, FormatSpec, RecordDecoder};
pub use error::PushError;
pub use streams::HttpStreams;
use streams::Taker;

/// The keys of an HTTP source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSpec {
    /// The stream's name in the path of requests.
    stream: String,
    /// The format of bodies.
    format: HttpFormat,
    /// Columns and their types, in order; not for text.
    #[schemars(with = "crate::formats::ColumnsSchema")]
    schema: Option<Map<String, Value>>,
    /// A longer record is a dead letter.
    max_record_bytes: Option<u64>,
    /// How CSV is written; with a header, each body has one.
    csv: Option<CsvSpec>,
    /// Bytes that wait in the journal for a checkpoint; then the answer is 429. 1GiB when left out.
    journal_max: Option<ByteSize>,
}

/// The formats of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HttpFormat {
    /// A JSON object a line.
    Ndjson,
    /// A JSON array of objects, or one object.
    Json,
    /// Comma-separated values.
    Csv,
    /// A line is a row.
    Text,
}

impl HttpFormat {
    /// JSON arrays are taken apart when they come, so that they are stored and read as lines.
    fn stored(self) -> FormatKind {
        match self {
            Self::Ndjson | Self::Json => FormatKind::Ndjson,
            Self::Csv => FormatKind::Csv,
            Self::Text => FormatKind::Text,
        }
    }

    fn content_types(self) -> &'static [&'static str] {
        match self {
            Self::Ndjson => &["application/x-ndjson", "application/ndjson", "application/jsonl"],
            Self::Json => &["application/json"],
            Self::Csv => &["text/csv"],
            Self::Text => &["text/plain"],
        }
    }
}

/// Checks the spec of an HTTP source.
pub(crate) fn plan(
    config: Map<String, Value>,
    streams: &HttpStreams,
) -> Result<Box<dyn SourcePlan>, SpecError> {
    let spec: HttpSpec = read(Value::Object(config))?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if spec.stream.is_empty() || spec.stream.len() > 128 || !spec.stream.bytes().all(is_name) {
        let message =
            format!("`{}` is no name: use up to 128 letters, digits, `-`, `_` and `.`", spec.stream);
        return Err(SpecError::new("stream", message));
    }
    let format = FormatSpec {
        kind: spec.format.stored(),
        schema: spec.schema,
        max_record_bytes: spec.max_record_bytes,
        csv: spec.csv,
    };
    let format = format.check()?;
    Ok(Box::new(HttpPlan {
        stream: spec.stream,
        http_format: spec.format,
        format,
        streams: streams.clone(),
        journal_bytes_max: journal_bytes_max(spec.journal_max)?,
    }))
}

struct HttpPlan {
    stream: String,
    http_format: HttpFormat,
    format: Arc<Format>,
    streams: HttpStreams,
    journal_bytes_max: u64,
}

impl SourcePlan for HttpPlan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.format.schema())
    }

    fn replay(&self) -> Replay {
        Replay::Journaled { caveat: None }
    }

    fn open(self: Box<Self>, ctx: SourceCtx) -> Result<OpenSource, SourceError> {
        let Self { stream, http_format, format, streams, journal_bytes_max } = *self;
        streams.check_free(&stream)?;
        let decoder = Arc::new(RecordDecoder::new(Arc::clone(&format), EntryStart::Document));
        let receive = move |inbox: Arc<dyn Inbox>| {
            let taker = Taker { pipeline: ctx.pipeline, http_format, format, inbox };
            let registered = streams.register(stream, taker)?;
            Ok(Box::new(registered) as Box<dyn Send>)
        };
        Ok(OpenSource::Push { journal_bytes_max, decoder, receive: Box::new(receive) })
    }
}

#[cfg(test)]
mod tests;
