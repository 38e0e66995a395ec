//! What a pipeline has written down: progress, batches, checkpoints, dead letters, log lines.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use millstream_engine::batch::DeadLetterKind;
use millstream_engine::checkpoint::{
    BatchRecord, CheckpointRecord, DeadLetterFilter, DeadLetterRecord, Records,
};
use millstream_engine::pipeline::read;
use millstream_engine::sqlite::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::error::{NOT_FOUND, Problem};
use super::extract::{Answer, Json, Params, Segments, read_document};
use super::{Api, blocking};
use crate::supervisor::{NumberedLine, SupervisorError};

/// More in one answer would be a download, not an answer.
const LIMIT_MAX: u32 = 1000;

/// How much is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Newest {
    /// At most so many; 20 if not given, 1000 at most.
    #[serde(default = "newest_default")]
    limit: u32,
}

const fn newest_default() -> u32 {
    20
}

/// Which dead letters are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadLetterParams {
    /// Of this entry.
    entry: Option<String>,
    /// Of this kind: malformed, rejected, late, trapped, timed-out, out-of-memory, invalid-output.
    #[param(value_type = Option<String>)]
    kind: Option<DeadLetterKind>,
    /// With greater ids.
    #[serde(default)]
    after: u64,
    /// At most so many; 100 if not given, 1000 at most.
    #[serde(default = "letters_default")]
    limit: u32,
}

const fn letters_default() -> u32 {
    100
}

/// Which log lines are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogParams {
    /// With greater numbers; without it, the newest.
    after: Option<u64>,
    /// At most so many; 100 if not given, 1000 at most.
    #[serde(default = "letters_default")]
    limit: u32,
}

/// What became of a replay.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// So many dead letters go through their entry again in the next batch.
    replayed: u64,
}

/// The newest batches, as Spark's progress documents have them; the newest first.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/progress", tag = "records", params(Newest, ("pipeline" = String, Path)),
    responses((status = 200, description = "Newest first", body = Vec<Object>)))]
pub(super) async fn progress(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Params(params): Params<Newest>,
) -> Answer<Vec<Value>> {
    recorded(api, name, move |records| records.progress(params.limit.min(LIMIT_MAX))).await
}

/// The newest batches with their plans; the newest first.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/batches", tag = "records", params(Newest, ("pipeline" = String, Path)),
    responses((status = 200, description = "Newest first", body = Vec<Object>)))]
pub(super) async fn batches(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Params(params): Params<Newest>,
) -> Answer<Vec<BatchRecord>> {
    recorded(api, name, move |records| records.batches(params.limit.min(LIMIT_MAX))).await
}

/// The checkpoints that are kept.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/checkpoints", tag = "records", params(("pipeline" = String, Path)),
    responses((status = 200, description = "All that are kept", body = Vec<Object>)))]
pub(super) async fn checkpoints(
    State(api): State<Api>,
    Segments(name): Segments<String>,
) -> Answer<Vec<CheckpointRecord>> {
    recorded(api, name, |records| records.checkpoints()).await
}

/// Dead letters, the oldest first.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/dead-letters", tag = "records", params(DeadLetterParams, ("pipeline" = String, Path)),
    responses((status = 200, description = "Oldest first", body = Vec<Object>)))]
pub(super) async fn dead_letters(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Params(params): Params<DeadLetterParams>,
) -> Answer<Vec<DeadLetterRecord>> {
    let filter = DeadLetterFilter { id: None, entry: params.entry, kind: params.kind };
    let (after, limit) = (params.after, params.limit.min(LIMIT_MAX));
    recorded(api, name, move |records| records.dead_letters(&filter, after, limit)).await
}

/// One dead letter.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/dead-letters/{id}", tag = "records", params(("pipeline" = String, Path), ("id" = u64, Path)),
    responses((status = 200, description = "The dead letter", body = Object)))]
pub(super) async fn dead_letter(
    State(api): State<Api>,
    Segments((name, id)): Segments<(String, u64)>,
) -> Answer<DeadLetterRecord> {
    let Json(found) = recorded(api, name.clone(), move |records| {
        records.dead_letter(id).map(|found| found.into_iter().collect::<Vec<_>>())
    })
    .await?;
    let found = found.into_iter().next();
    found
        .map(Json)
        .ok_or_else(|| Problem::new(NOT_FOUND, format!("pipeline `{name}` has no dead letter {id}")))
}

/// Sends dead letters through their entry again; `{}` means all that were not replayed before.
#[utoipa::path(post, path = "/v1/pipelines/{pipeline}/dead-letters/replay", tag = "records", params(("pipeline" = String, Path)),
    request_body(content = Object, description = "id, entry and kind, each optional"),
    responses((status = 200, description = "They go again in the next batch", body = Replayed)))]
pub(super) async fn replay(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Replayed> {
    let which: WhichLetters =
        read(read_document(&headers, body).await?).map_err(|error| SupervisorError::Invalid(vec![error]))?;
    let which = DeadLetterFilter { id: which.id, entry: which.entry, kind: which.kind };
    let replayed = blocking(move || api.station.supervisor.replay(&name, &which)).await?;
    Ok(Json(Replayed { replayed }))
}

/// A replay of everything because of a key that was misspelt would be a surprise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichLetters {
    id: Option<u64>,
    entry: Option<String>,
    kind: Option<DeadLetterKind>,
}

/// Log lines of the pipeline and its plugins since the server started; the oldest go first.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/logs", tag = "records", params(LogParams, ("pipeline" = String, Path)),
    responses((status = 200, description = "In order", body = Vec<NumberedLine>)))]
pub(super) async fn logs(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Params(params): Params<LogParams>,
) -> Answer<Vec<NumberedLine>> {
    let feed = api.station.supervisor.feed(&name)?;
    let limit = params.limit.min(LIMIT_MAX) as usize;
    Ok(Json(match params.after {
        Some(after) => feed.lines(after, limit),
        None => feed.last_lines(limit),
    }))
}

/// Asks a pipeline's records; one that has not started yet has none.
async fn recorded<T: Send + 'static>(
    api: Api,
    name: String,
    ask: impl FnOnce(&Records) -> Result<Vec<T>, StoreError> + Send + 'static,
) -> Answer<Vec<T>> {
    let asked = blocking(move || match api.station.supervisor.records(&name)? {
        Some(records) => ask(&records).map_err(|error| SupervisorError::Engine(error.to_string())),
        None => Ok(Vec::new()),
    });
    asked.await.map(Json)
}
