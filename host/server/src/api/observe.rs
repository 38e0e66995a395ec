//! Each request gets an id, a log line and its place in the numbers.

use std::sync::atomic::Ordering;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::Api;
use super::extract::text;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's own id is taken if it is so short and plain.
const ID_BYTES_MAX: usize = 64;

/// Runs a request under its id; the answer carries it.
pub(super) async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id(&api, &request);
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let start = api.station.clock.monotonic();
    let span = tracing::info_span!("request", id, %method, path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = api.station.clock.monotonic().saturating_sub(start);
    let status = response.status().as_u16();
    api.station.telemetry.request(&route, status, took.as_secs_f64());
    span.in_scope(|| tracing::debug!(status, ms = took.as_secs_f64() * 1000.0, "answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn request_id(api: &Api, request: &Request) -> String {
    let plain = |id: &&str| {
        (1..=ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
    };
    text(request.headers(), &REQUEST_ID).filter(plain).map_or_else(
        || {
            let number = api.service.requests.fetch_add(1, Ordering::Relaxed);
            format!("{}-{number}", api.service.request_prefix)
        },
        str::to_owned,
    )
}
