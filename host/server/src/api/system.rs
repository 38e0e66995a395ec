//! What machines ask: health, readiness, numbers, the API's own description.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::error::{Problem, STARTING};
use super::extract::{Answer, Json};
use super::openapi::openapi_document;

/// The server is there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// `ok`.
    status: &'static str,
    /// The program's version.
    version: &'static str,
}

const OK: Status = Status { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// Answers as long as the process lives.
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, description = "It lives", body = Status)))]
pub(super) async fn health() -> Json<Status> {
    Json(OK)
}

/// Answers when pipelines have been restored.
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, description = "It is ready", body = Status)))]
pub(super) async fn ready(State(api): State<Api>) -> Answer<Status> {
    if api.service.ready.load(Ordering::Acquire) {
        return Ok(Json(OK));
    }
    Err(Problem::new(STARTING, "pipelines are being restored"))
}

/// Numbers in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "system", responses((status = 200, description = "Prometheus text", content_type = "text/plain", body = String)))]
pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let text = api.station.telemetry.render(&api.station.supervisor.by_state());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "system", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn openapi() -> Json<Value> {
    Json(openapi_document())
}
