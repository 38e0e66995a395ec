//! What the steps of a pipeline remember.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use millstream_engine::pipeline::read;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::error::{BAD_REQUEST, Problem};
use super::extract::{Answer, Json, Params, Segments, read_document};
use super::{Api, blocking};
use crate::supervisor::{QueryDocument, StateDocument, StatePart, StateSummary, SupervisorError};

/// More in one answer would be a download, not an answer.
const LIMIT_MAX: u64 = 10_000;

/// Which part of a step's state is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StateParams {
    /// Only rows with these values, as a JSON object of columns: `{"word":"the"}`.
    key: Option<String>,
    /// So many rows are passed over.
    #[serde(default)]
    offset: u64,
    /// At most so many; 100 if not given, 10,000 at most.
    #[serde(default = "limit_default")]
    limit: u64,
}

const fn limit_default() -> u64 {
    100
}

/// The steps that remember something, with the number of their keys and their size.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/state", tag = "state", params(("pipeline" = String, Path)),
    responses((status = 200, description = "By step", body = Vec<StateSummary>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Segments(name): Segments<String>,
) -> Answer<Vec<StateSummary>> {
    blocking(move || api.station.supervisor.states(&name)).await.map(Json)
}

/// Keys and values of a step, as of the newest checkpoint.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/state/{step}", tag = "state", params(StateParams, ("pipeline" = String, Path), ("step" = String, Path)),
    responses((status = 200, description = "A part of the state", body = StateDocument)))]
pub(super) async fn show(
    State(api): State<Api>,
    Segments((name, step)): Segments<(String, String)>,
    Params(params): Params<StateParams>,
) -> Answer<StateDocument> {
    let key = params.key.as_deref().map(read_key).transpose()?.unwrap_or_default();
    let part = StatePart { key, offset: params.offset, limit: params.limit.min(LIMIT_MAX) };
    blocking(move || api.station.supervisor.state(&name, &step, &part)).await.map(Json)
}

/// A question in SQL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// One SELECT over steps and tables, by their names.
    sql: String,
    /// At most so many rows; 1,000 if not given, 10,000 at most.
    #[serde(default = "rows_default")]
    limit: u64,
}

const fn rows_default() -> u64 {
    1000
}

/// Answers a SELECT over the state of steps and over tables, as of the newest checkpoint; changes nothing.
#[utoipa::path(post, path = "/v1/pipelines/{pipeline}/query", tag = "state", params(("pipeline" = String, Path)),
    request_body(content = Question, description = "The statement; application/json or application/yaml"),
    responses((status = 200, description = "The answer", body = QueryDocument)))]
pub(super) async fn query(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<QueryDocument> {
    let question: Question =
        read(read_document(&headers, body).await?).map_err(|error| SupervisorError::Invalid(vec![error]))?;
    let limit = question.limit.min(LIMIT_MAX) as usize;
    blocking(move || api.station.supervisor.query(&name, &question.sql, limit)).await.map(Json)
}

fn read_key(text: &str) -> Result<Map<String, Value>, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let detail = format!("`key` is no JSON object of columns such as {{\"word\":\"the\"}}: {error}");
        Problem::new(BAD_REQUEST, detail)
    })
}
