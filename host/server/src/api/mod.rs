//! REST: turns requests into calls of the rooms below and answers into JSON. Axum lives here only;
//! nothing is decided here but what a request means and which status an answer has.

mod error;
mod extract;
mod guard;
mod observe;
mod openapi;
mod pipelines;
mod plugins;
mod records;
mod routes;
mod spec_schema;
mod state;
mod streams;
mod system;
mod tap;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::watch;

pub(crate) use error::Problem;
pub use openapi::openapi_document;

use crate::station::Station;

/// What every request can reach.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) station: Station,
    pub(crate) service: Arc<Service>,
}

/// What a server is told about its socket and its limits.
pub(crate) struct Service {
    /// Only bearers of a token are answered.
    pub(crate) token_needed: bool,
    /// The address that the server listens on.
    pub(crate) own_ip: IpAddr,
    /// Largest plugin in bytes.
    pub(crate) plugin_bytes_max: usize,
    /// Largest ingest request in bytes.
    pub(crate) ingest_bytes_max: usize,
    /// Pipelines have been restored.
    pub(crate) ready: AtomicBool,
    /// Turns true when the server ends: endless answers end too.
    pub(crate) closing: watch::Receiver<bool>,
    /// Begins the request ids of this process.
    pub(crate) request_prefix: String,
    /// Counts requests.
    pub(crate) requests: AtomicU64,
}

/// The whole API.
pub(crate) fn router(api: Api) -> Router {
    routes::routes()
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(from_fn_with_state(api.clone(), guard::admit))
        .layer(from_fn_with_state(api.clone(), observe::observe))
        .with_state(api)
}

/// Does what may block (SQLite, a stop that waits) off the async threads.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Send + 'static,
    Problem: From<E>,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Problem::from),
        Err(error) => Err(Problem::internal(&error)),
    }
}

#[cfg(test)]
mod tests;
