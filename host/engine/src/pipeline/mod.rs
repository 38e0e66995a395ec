//! From a spec to a running pipeline.

mod connect;
mod error;

pub use connect::{Connectors, OpenSource, Replay, SinkCtx, SinkPlan, SourceCtx, SourcePlan, Wake};
pub use error::{SpecError, read, unknown_name};
