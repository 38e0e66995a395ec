//! Push ingest: a body is answered when it is durable.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::error::{BAD_REQUEST, NOT_READY, Problem, STARTING};
use super::extract::{Json, Segments, read_body, text};
use crate::connectors::{PushBody, PushRefused};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Keys are kept in the journal, so they are short.
const KEY_BYTES_MAX: usize = 255;

/// What was taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Position in the stream's journal.
    offset: u64,
    /// The key was known: nothing was taken again.
    duplicate: bool,
}

/// Gives whole records to the pipeline that reads the stream. With an `Idempotency-Key`, the same
/// body again is answered with the first receipt.
#[utoipa::path(post, path = "/v1/streams/{stream}", tag = "streams",
    params(("stream" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "At most 255 bytes")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "Records in the stream's format"),
    responses((status = 202, description = "Durable; its rows come with a next batch", body = Taken), (status = 200, description = "Was there", body = Taken),
        (status = 429, description = "The journal is at its limit: come back after Retry-After seconds", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The pipeline is not ready, or its journal cannot be written: come back after Retry-After seconds", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The journal's disk is full: nothing was taken, and nothing will be until there is room", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn push(
    State(api): State<Api>,
    Segments(stream): Segments<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    let idempotency_key = idempotency_key(&headers)?;
    let content_type = text(&headers, &header::CONTENT_TYPE).map(str::to_owned);
    let bytes = read_body(&headers, body, api.service.ingest_bytes_max).await?;
    let body = PushBody { content_type, bytes, idempotency_key };
    let pushed = api.station.connectors.push(&stream, body).await;
    let receipt = pushed
        .map_err(|refused| absent_for_now(&api, &stream, &refused).unwrap_or_else(|| refused.into()))?;
    let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Taken { offset: receipt.offset, duplicate: receipt.duplicate })))
}

/// A client gives up on a 404; a stream whose pipeline is on its way is worth another try.
fn absent_for_now(api: &Api, stream: &str, refused: &PushRefused) -> Option<Problem> {
    if !matches!(refused, PushRefused::Unknown(_)) {
        return None;
    }
    if let Some(why) = api.station.supervisor.will_take(stream) {
        return Some(Problem::new(NOT_READY, why));
    }
    let ready = api.service.ready.load(Ordering::Acquire);
    (!ready).then(|| Problem::new(STARTING, "pipelines are being restored"))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(BAD_REQUEST, "an Idempotency-Key has 1 to 255 visible ASCII characters")),
    }
}
