//! `type: http`: what the server receives on `/v1/streams/{stream}`. The server owns the listener;
//! here is who takes which stream, and what a body must look like.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::SchemaRef;
use bytes::Bytes;
use memchr::memchr_iter;
use millstream_engine::journal::{Inbox, Receipt, Received, Refused};
use millstream_engine::pipeline::{OpenSource, Replay, SourceCtx, SourcePlan, SpecError, read};
use millstream_engine::source::SourceError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::formats::{CsvSpec, EntryStart, Format, FormatKind, FormatSpec, RecordDecoder};

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
    Ok(Box::new(HttpPlan { stream: spec.stream, http_format: spec.format, format, streams: streams.clone() }))
}

struct HttpPlan {
    stream: String,
    http_format: HttpFormat,
    format: Arc<Format>,
    streams: HttpStreams,
}

impl SourcePlan for HttpPlan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.format.schema())
    }

    fn replay(&self) -> Replay {
        Replay::Journaled { caveat: None }
    }

    fn open(self: Box<Self>, ctx: SourceCtx) -> Result<OpenSource, SourceError> {
        let Self { stream, http_format, format, streams } = *self;
        streams.check_free(&stream)?;
        let decoder = Arc::new(RecordDecoder::new(Arc::clone(&format), EntryStart::Document));
        let receive = move |inbox: Arc<dyn Inbox>| {
            let taker = Taker { pipeline: ctx.pipeline, http_format, format, inbox };
            let registered = streams.register(stream, taker)?;
            Ok(Box::new(registered) as Box<dyn Send>)
        };
        Ok(OpenSource::Push { decoder, receive: Box::new(receive) })
    }
}

/// Who takes which stream; shared by the server and all pipelines.
#[derive(Clone, Default)]
pub struct HttpStreams(Arc<Mutex<BTreeMap<String, Arc<Taker>>>>);

struct Taker {
    pipeline: String,
    http_format: HttpFormat,
    format: Arc<Format>,
    inbox: Arc<dyn Inbox>,
}

impl fmt::Debug for HttpStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl HttpStreams {
    /// The names of the streams that are taken now.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Hands a body to the pipeline that takes the stream; resolves once it is safe.
    ///
    /// # Errors
    /// When nobody takes the stream, the body is not what the stream takes, or the journal refuses.
    pub async fn push(
        &self,
        stream: &str,
        content_type: Option<&str>,
        body: Bytes,
        idempotency_key: Option<String>,
    ) -> Result<Receipt, PushError> {
        let taker = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream).cloned();
        let taker = taker
            .ok_or_else(|| PushError::UnknownStream { stream: stream.to_owned(), known: self.names() })?;
        check_content_type(taker.http_format, content_type)?;
        let (bytes, records) = records(&taker, body)?;
        let (done, decision) = oneshot::channel();
        let received = Received { bytes, records, idempotency_key };
        // A client that is gone does not wait for the answer.
        taker.inbox.offer(received, Box::new(move |decided| drop(done.send(decided))));
        decision.await.unwrap_or(Err(Refused::Closed)).map_err(PushError::Refused)
    }

    fn check_free(&self, stream: &str) -> Result<(), SourceError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream) {
            Some(taker) => Err(taken(stream, &taker.pipeline)),
            None => Ok(()),
        }
    }

    fn register(&self, stream: String, taker: Taker) -> Result<Registered, SourceError> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = streams.get(&stream) {
            return Err(taken(&stream, &other.pipeline));
        }
        streams.insert(stream.clone(), Arc::new(taker));
        Ok(Registered { streams: self.clone(), stream })
    }
}

fn taken(stream: &str, pipeline: &str) -> SourceError {
    SourceError::Permanent(format!(
        "stream `{stream}` is taken by pipeline `{pipeline}`: choose another name or stop that pipeline"
    ))
}

struct Registered {
    streams: HttpStreams,
    stream: String,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.streams.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.stream);
    }
}

/// Without a content type the stream's own format is meant.
fn check_content_type(format: HttpFormat, content_type: Option<&str>) -> Result<(), PushError> {
    let Some(given) = content_type else { return Ok(()) };
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let expected = format.content_types();
    if expected.contains(&essence.as_str()) || essence == "application/octet-stream" {
        return Ok(());
    }
    Err(PushError::ContentType { given: given.to_owned(), expected })
}

/// The body as it is stored, and how many records it holds.
fn records(taker: &Taker, body: Bytes) -> Result<(Bytes, u64), PushError> {
    let (bytes, records) = match taker.http_format {
        HttpFormat::Json => json_lines(&body)?,
        HttpFormat::Ndjson | HttpFormat::Text => {
            let records = lines(&body);
            (body, records)
        }
        HttpFormat::Csv => {
            let records = csv_records(&taker.format, &body)?;
            (body, records)
        }
    };
    if records == 0 { Err(PushError::Empty) } else { Ok((bytes, records)) }
}

fn lines(body: &[u8]) -> u64 {
    let unfinished = body.last().is_some_and(|byte| *byte != b'\n');
    memchr_iter(b'\n', body).count() as u64 + u64::from(unfinished)
}

/// A wrong header would make every record bad, so it is refused at once.
fn csv_records(format: &Format, body: &[u8]) -> Result<u64, PushError> {
    if !format.has_header() {
        return Ok(lines(body));
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let header = body
        .split(|byte| *byte == b'\n')
        .find(|line| !line.trim_ascii().is_empty())
        .ok_or(PushError::Empty)?;
    format.layout(header).map_err(|why| PushError::Malformed { why })?;
    Ok(lines(body).saturating_sub(1))
}

/// Newlines in JSON stand between values only, so they can be made spaces.
fn json_lines(body: &[u8]) -> Result<(Bytes, u64), PushError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let failed =
        |error: serde_json::Error| PushError::Malformed { why: format!("the body is no JSON: {error}") };
    let text = simdutf8::compat::from_utf8(body).map_err(|error| PushError::Malformed {
        why: format!("the body is no JSON: it is not UTF-8: {error}"),
    })?;
    let values: Vec<&RawValue> = match text.trim_ascii_start().as_bytes().first() {
        Some(b'[') => serde_json::from_str(text).map_err(failed)?,
        Some(b'{') => vec![serde_json::from_str(text).map_err(failed)?],
        None => return Err(PushError::Empty),
        Some(_) => {
            return Err(PushError::Malformed {
                why: "the body is neither a JSON array nor an object".to_owned(),
            });
        }
    };
    let mut stored = Vec::with_capacity(text.len());
    for value in &values {
        stored
            .extend(value.get().bytes().map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }));
        stored.push(b'\n');
    }
    Ok((Bytes::from(stored), values.len() as u64))
}

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushError {
    /// No running pipeline takes the stream.
    UnknownStream {
        /// The name that was asked for.
        stream: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The stream takes another format.
    ContentType {
        /// What came.
        given: String,
        /// What the stream takes.
        expected: &'static [&'static str],
    },
    /// The body as a whole cannot be read.
    Malformed {
        /// Where and why.
        why: String,
    },
    /// There is no record in the body.
    Empty,
    /// The journal did not take it.
    Refused(Refused),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStream { stream, known } => {
                f.write_str(&millstream_engine::pipeline::unknown_name(
                    "stream",
                    stream,
                    &known.iter().map(String::as_str).collect::<Vec<_>>(),
                ))?;
                f.write_str("; a stream exists while a pipeline with its source is running")
            }
            Self::ContentType { given, expected } => {
                write!(f, "the content type is {given} and this stream takes {}", expected.join(", "))
            }
            Self::Malformed { why } => f.write_str(why),
            Self::Empty => f.write_str("the body holds no records"),
            Self::Refused(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for PushError {}

#[cfg(test)]
mod tests;
