//! From a spec to a running pipeline.

mod connect;
mod error;
mod progress;
mod spec;
mod status;
mod units;

pub use connect::{Connectors, OpenSource, Replay, SinkCtx, SinkPlan, SourceCtx, SourcePlan, Wake};
pub use error::{SpecError, read, unknown_name};
pub use progress::{Progress, SinkProgress, SourceProgress, StateProgress, StepProgress};
pub use spec::{
    AggregateSpec, CheckpointSpec, Delivery, Emit, EventTimeSpec, FaultPolicy, PipelineSpec, SinkSpec,
    SourceSpec, StepSpec, TriggerSpec, WasmSpec, WindowSpec,
};
pub use status::{
    Events, Guarantee, LogLine, MetricValue, PipelineState, PluginMetric, SharedEvents, TapRows,
};
pub use units::{ByteSize, Span};
