//! The list of all routes. Router, OpenAPI document and the test that compares them are made of
//! this one list, so that no route can be left out of any.

use axum::Router;
use axum::routing::MethodRouter;

use super::openapi::Common;
use super::{Api, pipelines, plugins, records, spec_schema, state, streams, system, tap};

macro_rules! surface {
    ($($path:literal => $($method:ident $room:ident::$handler:ident),+;)+) => {
        /// All routes.
        pub(super) fn routes() -> Router<Api> {
            Router::new()$(.route($path, MethodRouter::new()$(.$method($room::$handler))+))+
        }

        /// Path and method of all routes.
        #[cfg(test)]
        pub(super) const ROUTES: &[(&str, &str)] = &[$($(($path, stringify!($method)),)+)+];

        /// The document of all routes.
        #[derive(utoipa::OpenApi)]
        #[openapi(
            info(title = "Millstream", description = "Streams in micro-batches; operators are WebAssembly components."),
            paths($($($room::$handler,)+)+),
            modifiers(&Common)
        )]
        pub(super) struct Document;
    };
}

surface! {
    "/v1/plugins" => post plugins::upload, get plugins::list;
    "/v1/plugins/{plugin}" => get plugins::show, delete plugins::delete;
    "/v1/pipelines" => post pipelines::create, get pipelines::list;
    "/v1/pipelines/validate" => post pipelines::validate;
    "/v1/pipelines/{pipeline}" => get pipelines::show, put pipelines::replace, delete pipelines::delete;
    "/v1/pipelines/{pipeline}/start" => post pipelines::start;
    "/v1/pipelines/{pipeline}/stop" => post pipelines::stop;
    "/v1/pipelines/{pipeline}/drain" => post pipelines::drain;
    "/v1/pipelines/{pipeline}/restart" => post pipelines::restart;
    "/v1/pipelines/{pipeline}/progress" => get records::progress;
    "/v1/pipelines/{pipeline}/batches" => get records::batches;
    "/v1/pipelines/{pipeline}/checkpoints" => get records::checkpoints;
    "/v1/pipelines/{pipeline}/dead-letters" => get records::dead_letters;
    "/v1/pipelines/{pipeline}/dead-letters/replay" => post records::replay;
    "/v1/pipelines/{pipeline}/dead-letters/{id}" => get records::dead_letter;
    "/v1/pipelines/{pipeline}/state" => get state::list;
    "/v1/pipelines/{pipeline}/state/{step}" => get state::show;
    "/v1/pipelines/{pipeline}/query" => post state::query;
    "/v1/pipelines/{pipeline}/logs" => get records::logs;
    "/v1/pipelines/{pipeline}/tap/{entry}" => get tap::tap;
    "/v1/streams/{stream}" => post streams::push;
    "/v1/spec-schema" => get spec_schema::show;
    "/metrics" => get system::metrics;
    "/healthz" => get system::health;
    "/readyz" => get system::ready;
    "/openapi.json" => get system::openapi;
}
