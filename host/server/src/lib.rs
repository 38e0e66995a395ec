//! The server around the engine. Rooms in reading order: `config` (options), `data_dir` (one server
//! a folder), `catalog` (SQLite: plugins, pipelines, tokens), `registry` (plugins by reference),
//! `supervisor` (pipelines that run), `api` (REST), `server` (all of it behind one socket), `trial` (one operator
//! tried on rows) and `cli` (the commands). The engine's work happens elsewhere; nothing here touches a row except to
//! show it.

mod catalog;
mod config;
mod connectors;
mod contract;
mod data_dir;
mod document;
mod kits;
mod log_lines;
mod random;
mod registry;
mod scratch;
mod server;
mod station;
mod supervisor;
mod sync;
mod telemetry;
mod totals;

mod api;
pub mod cli;
pub mod trial;

pub use api::openapi_document;
pub use config::{Access, Config, LogFormat};
pub use log_lines::LogGuard;
pub use server::{Server, StartError, run};
pub use telemetry::log_to_stderr;
