//! Sources, tables, sinks and formats: everything that touches the world outside, a file or folder a kind.
//! Knows the engine's traits and nothing of pipelines.

pub mod formats;
pub mod sinks;
pub mod sources;
mod tables;

mod registry;

pub use registry::Registry;
