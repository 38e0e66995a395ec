//! From a spec to a running pipeline. In reading order: what a user writes (`spec`, `units`), its
//! shape (`graph`) and its meaning (`deployment`, `entry`, `guarantee`), then a pipeline at work (`running`,
//! `attempt`, `lanes`, `lane`, `sink_thread`, `checkpointer`) and what it tells (`progress`, `status`).

mod error;
mod plugin_ref;
mod spec;
mod trigger;
mod units;

mod connect;
mod deployment;
mod draft;
mod entry;
mod graph;
mod guarantee;
mod kinds;

mod ahead;
mod ask;
mod attempt;
mod checkpointer;
mod control;
mod failure;
mod lane;
mod lanes;
mod letter;
mod look;
mod opened;
mod patience;
mod rate;
mod report;
mod running;
mod sink_thread;
mod tables;
mod tap;
mod timers;
mod verdict;
mod watermark;

mod progress;
mod status;

pub use ask::{Answered, AskError};
pub use connect::{
    Connectors, JOURNAL_BYTES_MAX, OpenSource, Receive, Replay, SinkCtx, SinkPlan, SourceCtx, SourcePlan,
    Wake, Warn,
};
pub use deployment::{ColumnInfo, Deployment, EntryInfo, Environment, Plugins};
pub use draft::Draft;
pub use error::{SpecError, read, unknown_name};
pub use kinds::{
    AggregateBody, AggregateSpec, Around, Compute, ComputeSpec, DedupBody, DedupSpec, EarlySpec, Emit,
    EmitWhen, FaultPolicy, FilterSpec, JoinBody, JoinKind, JoinOn, JoinSpec, JoinWindow, Keyed, LatePolicy,
    Named, OperatorSpec, SelectSpec, SplitSpec, SqlSpec, SqlTables, StateSpec, StepSpec, TimerSpec, TopBody,
    TopSpec, UnionSpec, WasmSpec, WindowSpec, Within,
};
pub use letter::rows_as_json;
pub use look::{LookError, StateRows};
pub use plugin_ref::PluginRef;
pub use progress::{Progress, SinkProgress, SourceProgress, StateProgress, StepProgress};
pub use running::Running;
pub use spec::{CheckpointSpec, Delivery, EventTimeSpec, PipelineSpec, SinkSpec, SourceSpec, TableSpec};
pub use status::{
    Events, Guarantee, LogLine, MetricValue, PipelineState, PluginMetric, SharedEvents, TapRows,
};
pub use tap::TapFn;
pub use trigger::TriggerSpec;
pub use units::{ByteSize, Span};
