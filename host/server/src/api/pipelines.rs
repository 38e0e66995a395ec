//! Pipelines: deploy, show, start, stop, delete.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::error::{BAD_REQUEST, Problem};
use super::extract::{Answer, Json, Params, Segments, read_document};
use super::{Api, blocking};
use crate::catalog::Wanted;
use crate::supervisor::{Mode, PipelineDocument, PipelineSummary, Soundness, Supervisor, SupervisorError};

/// How a pipeline is deployed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeployParams {
    /// False leaves the pipeline stopped.
    #[serde(default = "yes")]
    start: bool,
}

const fn yes() -> bool {
    true
}

/// How a pipeline is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteParams {
    /// Delete state, offsets and dead letters too; without it a pipeline that has them stays.
    #[serde(default)]
    purge: bool,
}

/// Deploys a new pipeline: checks its spec, stores it and starts it.
#[utoipa::path(post, path = "/v1/pipelines", tag = "pipelines", params(DeployParams),
    request_body(content = Object, description = "A spec, as /v1/spec-schema has it; application/json or application/yaml"),
    responses((status = 201, description = "Deployed", body = PipelineDocument)))]
pub(super) async fn create(
    State(api): State<Api>,
    Params(params): Params<DeployParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<PipelineDocument>), Problem> {
    let document = read_document(&headers, body).await?;
    deploy(api, document, Mode::Create, &params).await
}

/// Replaces a pipeline with a new version of its spec, or makes it; state is kept by entry name.
#[utoipa::path(put, path = "/v1/pipelines/{pipeline}", tag = "pipelines", params(DeployParams, ("pipeline" = String, Path)),
    request_body(content = Object, description = "A spec of that name; application/json or application/yaml"),
    responses((status = 200, description = "Replaced", body = PipelineDocument), (status = 201, description = "Made", body = PipelineDocument)))]
pub(super) async fn replace(
    State(api): State<Api>,
    Segments(pipeline): Segments<String>,
    Params(params): Params<DeployParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<PipelineDocument>), Problem> {
    let document = read_document(&headers, body).await?;
    if let Some(name) = document.get("name").and_then(Value::as_str)
        && name != pipeline
    {
        let detail =
            format!("the spec's name is `{name}`, the path's is `{pipeline}`: they must be the same");
        return Err(Problem::new(BAD_REQUEST, detail));
    }
    deploy(api, document, Mode::Replace, &params).await
}

/// Checks a spec without deploying it, and says what it would guarantee.
#[utoipa::path(post, path = "/v1/pipelines/validate", tag = "pipelines",
    request_body(content = Object, description = "A spec; application/json or application/yaml"),
    responses((status = 200, description = "The spec is sound", body = Soundness)))]
pub(super) async fn validate(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer<Soundness> {
    let document = read_document(&headers, body).await?;
    blocking(move || api.station.supervisor.validate(document)).await.map(Json)
}

/// All pipelines, by name.
#[utoipa::path(get, path = "/v1/pipelines", tag = "pipelines",
    responses((status = 200, description = "All pipelines", body = Vec<PipelineSummary>)))]
pub(super) async fn list(State(api): State<Api>) -> Answer<Vec<PipelineSummary>> {
    blocking(move || Ok::<_, SupervisorError>(api.station.supervisor.list())).await.map(Json)
}

/// Everything about a pipeline.
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}", tag = "pipelines", params(("pipeline" = String, Path)),
    responses((status = 200, description = "The pipeline", body = PipelineDocument)))]
pub(super) async fn show(
    State(api): State<Api>,
    Segments(name): Segments<String>,
) -> Answer<PipelineDocument> {
    shown(api, name, |_, _| Ok(())).await
}

/// Deletes a pipeline; one that has data only with `purge`.
#[utoipa::path(delete, path = "/v1/pipelines/{pipeline}", tag = "pipelines", params(DeleteParams, ("pipeline" = String, Path)),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Params(params): Params<DeleteParams>,
) -> Result<StatusCode, Problem> {
    blocking(move || api.station.supervisor.delete(&name, params.purge))
        .await
        .map(|()| StatusCode::NO_CONTENT)
}

/// Starts a pipeline where it stopped.
#[utoipa::path(post, path = "/v1/pipelines/{pipeline}/start", tag = "pipelines", params(("pipeline" = String, Path)),
    responses((status = 200, description = "Started", body = PipelineDocument)))]
pub(super) async fn start(
    State(api): State<Api>,
    Segments(name): Segments<String>,
) -> Answer<PipelineDocument> {
    shown(api, name, Supervisor::start).await
}

/// Stops a pipeline with a checkpoint; answers when it is over.
#[utoipa::path(post, path = "/v1/pipelines/{pipeline}/stop", tag = "pipelines", params(("pipeline" = String, Path)),
    responses((status = 200, description = "Stopped", body = PipelineDocument)))]
pub(super) async fn stop(
    State(api): State<Api>,
    Segments(name): Segments<String>,
) -> Answer<PipelineDocument> {
    shown(api, name, Supervisor::stop).await
}

/// Lets a pipeline finish what is there and stop; answers at once.
#[utoipa::path(post, path = "/v1/pipelines/{pipeline}/drain", tag = "pipelines", params(("pipeline" = String, Path)),
    responses((status = 200, description = "Draining", body = PipelineDocument)))]
pub(super) async fn drain(
    State(api): State<Api>,
    Segments(name): Segments<String>,
) -> Answer<PipelineDocument> {
    shown(api, name, Supervisor::drain).await
}

/// Stops and starts a pipeline.
#[utoipa::path(post, path = "/v1/pipelines/{pipeline}/restart", tag = "pipelines", params(("pipeline" = String, Path)),
    responses((status = 200, description = "Started again", body = PipelineDocument)))]
pub(super) async fn restart(
    State(api): State<Api>,
    Segments(name): Segments<String>,
) -> Answer<PipelineDocument> {
    shown(api, name, Supervisor::restart).await
}

/// Does something to a pipeline, then shows it.
async fn shown(
    api: Api,
    name: String,
    first: fn(&Supervisor, &str) -> Result<(), SupervisorError>,
) -> Answer<PipelineDocument> {
    let supervisor = api.station.supervisor;
    let done = blocking(move || {
        first(&supervisor, &name)?;
        supervisor.show(&name)
    });
    done.await.map(Json)
}

async fn deploy(
    api: Api,
    document: Value,
    mode: Mode,
    params: &DeployParams,
) -> Result<(StatusCode, Json<PipelineDocument>), Problem> {
    let wanted = if params.start { Wanted::Running } else { Wanted::Stopped };
    let supervisor = api.station.supervisor;
    let deployed = blocking(move || {
        let (name, created) = supervisor.deploy(document, mode, wanted)?;
        supervisor.show(&name).map(|shown| (created, shown))
    });
    let (created, shown) = deployed.await?;
    Ok((if created { StatusCode::CREATED } else { StatusCode::OK }, Json(shown)))
}
