//! What a body must look like, and what is stored of it.

use bytes::Bytes;
use memchr::memchr_iter;
use serde_json::value::RawValue;

use super::streams::Taker;
use super::{HttpFormat, PushError};
use crate::formats::Format;

/// Without a content type the stream's own format is meant.
pub(super) fn check_content_type(format: HttpFormat, content_type: Option<&str>) -> Result<(), PushError> {
    let Some(given) = content_type else { return Ok(()) };
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let expected = format.content_types();
    if expected.contains(&essence.as_str()) || essence == "application/octet-stream" {
        return Ok(());
    }
    Err(PushError::ContentType { given: given.to_owned(), expected })
}

/// The body as it is stored, and how many records it holds.
pub(super) fn records(taker: &Taker, body: Bytes) -> Result<(Bytes, u64), PushError> {
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
