//! Plugins: upload, list, show, delete.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::{BAD_REQUEST, CONTENT_TYPE, Problem};
use super::extract::{Answer, Json, Params, Segments, read_body, text};
use super::{Api, blocking};
use crate::registry::{PluginDocument, Uploaded};

/// How a component is uploaded.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadParams {
    /// Keep it under this version: a pre-release of its own, such as 0.1.0-dev.1, for work in progress.
    version: Option<String>,
}

/// Uploads a component. The same bytes again change nothing; other bytes need a new version.
#[utoipa::path(post, path = "/v1/plugins", tag = "plugins", params(UploadParams),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component"),
    responses((status = 201, description = "Stored", body = Uploaded), (status = 200, description = "Was there", body = Uploaded)))]
pub(super) async fn upload(
    State(api): State<Api>,
    Params(UploadParams { version }): Params<UploadParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let content_type = text(&headers, &header::CONTENT_TYPE).unwrap_or_default();
    if content_type != "application/wasm" && content_type != "application/octet-stream" {
        return Err(Problem::new(CONTENT_TYPE, "send the component's bytes as application/wasm"));
    }
    let bytes = read_body(&headers, body, api.service.plugin_bytes_max).await?;
    let uploaded = blocking(move || api.station.registry.upload_as(&bytes, version.as_deref())).await?;
    tracing::info!(
        plugin = uploaded.plugin.name,
        version = uploaded.plugin.version,
        created = uploaded.created,
        "upload"
    );
    Ok((if uploaded.created { StatusCode::CREATED } else { StatusCode::OK }, Json(uploaded)))
}

/// All plugins, by name and version.
#[utoipa::path(get, path = "/v1/plugins", tag = "plugins",
    responses((status = 200, description = "All plugins", body = Vec<PluginDocument>)))]
pub(super) async fn list(State(api): State<Api>) -> Answer<Vec<PluginDocument>> {
    blocking(move || api.station.registry.list()).await.map(Json)
}

/// One plugin: `text` (the newest), `text@1`, `text@1.2.3`.
#[utoipa::path(get, path = "/v1/plugins/{plugin}", tag = "plugins",
    params(("plugin" = String, Path, description = "`name` or `name@version`")),
    responses((status = 200, description = "The plugin", body = PluginDocument)))]
pub(super) async fn show(
    State(api): State<Api>,
    Segments(plugin): Segments<String>,
) -> Answer<PluginDocument> {
    let shown = blocking(move || {
        let (name, version) = split(&plugin);
        api.station.registry.show(name, version)
    });
    shown.await.map(Json)
}

/// Deletes one version of a plugin, unless pipelines use it.
#[utoipa::path(delete, path = "/v1/plugins/{plugin}", tag = "plugins",
    params(("plugin" = String, Path, description = "`name@version`, the version in full")),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    State(api): State<Api>,
    Segments(plugin): Segments<String>,
) -> Result<StatusCode, Problem> {
    if !plugin.contains('@') {
        let detail = format!("name the version to delete, as in `{plugin}@1.2.3`");
        return Err(Problem::new(BAD_REQUEST, detail));
    }
    let deleted = blocking(move || {
        let (name, version) = split(&plugin);
        api.station.registry.delete(name, version.unwrap_or_default())
    });
    deleted.await.map(|()| StatusCode::NO_CONTENT)
}

fn split(plugin: &str) -> (&str, Option<&str>) {
    plugin.split_once('@').map_or((plugin, None), |(name, version)| (name, Some(version)))
}
