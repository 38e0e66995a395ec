//! An entry of a spec with its meaning: its connector or plugin found, its rows typed.

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use serde_json::json;

use super::connect::{SinkPlan, SourcePlan};
use super::deployment::Environment;
use super::error::SpecError;
use super::graph::Role;
use super::kinds::{FaultPolicy, StateEntry, WasmPlan, timestamp_column};
use super::lane::LateRows;
use super::spec::{EventTimeSpec, PipelineSpec};
use super::units::Span;
use crate::batch::EventTime;
use crate::expr::{Predicate, Projection};
use crate::steps::{KeyedPlan, TableJoinPlan};
use crate::table::{TableBounds, TableReader, TableView};

/// An entry that is typed; sources and sinks are planned, steps know what they do.
pub(crate) struct Entry {
    /// The ways out of it, in the order of its ports; for a sink, its own rows.
    pub(crate) outlets: Vec<Outlet>,
    pub(crate) what: What,
}

/// Rows as they leave an entry.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) schema: SchemaRef,
    /// Which column is the event time, where there is one.
    pub(crate) event_time: Option<EventTime>,
    /// They do not come, but stay: the way to them.
    pub(crate) table: Option<TableView>,
}

impl Outlet {
    /// Rows of a stream.
    pub(crate) fn stream(schema: SchemaRef, event_time: Option<EventTime>) -> Self {
        Self { schema, event_time, table: None }
    }

    pub(crate) fn event_time_name(&self) -> Option<String> {
        self.event_time.map(|time| self.schema.field(time.column).name().clone())
    }
}

pub(crate) enum What {
    Source { plan: Box<dyn SourcePlan>, event_time: Option<EventTimeSpec> },
    Table(TablePlan),
    Wasm(WasmPlan),
    Filter(Predicate),
    Select(Projection),
    Split(Vec<Predicate>),
    Union,
    TableJoin(TableJoinPlan),
    Keyed { plan: Box<dyn KeyedPlan>, late: LateRows, on_fault: FaultPolicy },
    State(StateEntry),
    Sink(Box<dyn SinkPlan>),
}

impl What {
    /// What a keyed step does.
    pub(crate) fn keyed(&self) -> Option<&dyn KeyedPlan> {
        match self {
            Self::Keyed { plan, .. } => Some(&**plan),
            Self::State(state) => Some(state),
            _ => None,
        }
    }

    /// Whether there is something to look at from one batch to the next.
    pub(crate) fn keeps_state(&self) -> bool {
        self.keyed().is_some_and(|plan| plan.keeps_state())
    }
}

/// A table whose spec is sound; nothing is read yet.
pub(crate) struct TablePlan {
    pub(crate) reader: Arc<dyn TableReader>,
    pub(crate) view: TableView,
    pub(crate) refresh: Option<Duration>,
    pub(crate) bounds: TableBounds,
    /// What is read, from where: versions of another origin are another table's.
    pub(crate) origin: String,
}

/// A table may have so many rows unless its spec says otherwise.
const TABLE_ROWS_MAX: u64 = 10_000_000;
/// The same in bytes of memory.
const TABLE_BYTES_MAX: u64 = 1 << 30;
/// Columns of text end here.
const TABLE_BYTES_LIMIT: u64 = (1 << 31) - 1;

impl Entry {
    /// An entry with one way out.
    pub(crate) fn one(outlet: Outlet, what: What) -> Self {
        Self { outlets: vec![outlet], what }
    }

    /// The same; rows that a keyed step cannot take, but for late ones, go by this policy.
    pub(crate) fn with_fault_policy(mut self, policy: FaultPolicy) -> Self {
        if let What::Keyed { on_fault, .. } = &mut self.what {
            *on_fault = policy;
        }
        self
    }
}

/// Plans an entry whose inputs are planned.
pub(crate) fn plan_entry(
    spec: &PipelineSpec,
    env: &Environment,
    role: Role,
    name: &str,
    inputs: &[&Outlet],
) -> Result<Entry, SpecError> {
    match role {
        Role::Source => plan_source(spec, env, name),
        Role::Table => plan_table(spec, env, name),
        Role::Sink => plan_sink(spec, env, name, inputs[0]),
        Role::Step => spec.steps[name].as_kind().plan(env, inputs),
    }
}

/// What can be said of an entry whose inputs are not known.
pub(crate) fn check_alone(
    spec: &PipelineSpec,
    env: &Environment,
    role: Role,
    name: &str,
) -> Result<(), SpecError> {
    match role {
        Role::Source => plan_source(spec, env, name).map(drop),
        Role::Table => plan_table(spec, env, name).map(drop),
        Role::Sink => {
            let sink = &spec.sinks[name];
            env.connectors.sink(&sink.kind, sink.config.clone()).map(drop)
        }
        Role::Step => spec.steps[name].as_kind().check_alone(env),
    }
}

fn plan_source(spec: &PipelineSpec, env: &Environment, name: &str) -> Result<Entry, SpecError> {
    let source = &spec.sources[name];
    let plan = env.connectors.source(&source.kind, source.config.clone())?;
    let schema = plan.schema();
    let event_time = match &source.event_time {
        Some(event_time) => {
            let column = timestamp_column(&schema, &event_time.column);
            Some(EventTime::of_column(column.map_err(|error| error.under("event_time.column"))?))
        }
        None => None,
    };
    let what = What::Source { plan, event_time: source.event_time.clone() };
    Ok(Entry::one(Outlet::stream(schema, event_time), what))
}

fn plan_table(spec: &PipelineSpec, env: &Environment, name: &str) -> Result<Entry, SpecError> {
    let table = &spec.tables[name];
    let reader = env.connectors.table(&table.kind, table.config.clone())?;
    if table.refresh.is_some_and(|every| every.is_zero()) {
        let message =
            "0 would look at the table all the time: say how often, as `refresh: 1h`, or leave it out";
        return Err(SpecError::new("refresh", message));
    }
    let bytes = table.max_bytes.map_or(TABLE_BYTES_MAX, |bytes| bytes.0);
    if bytes > TABLE_BYTES_LIMIT {
        let message = "a table is held in memory as a whole, and cannot be larger than 2147483647 bytes";
        return Err(SpecError::new("max_bytes", message));
    }
    let view = TableView::new(name, reader.schema());
    let outlet = Outlet { schema: reader.schema(), event_time: None, table: Some(view.clone()) };
    let plan = TablePlan {
        reader,
        view,
        refresh: table.refresh.map(Span::duration),
        bounds: TableBounds { rows: table.max_rows.unwrap_or(TABLE_ROWS_MAX), bytes },
        origin: json!({ "type": table.kind, "keys": table.config }).to_string(),
    };
    Ok(Entry::one(outlet, What::Table(plan)))
}

fn plan_sink(spec: &PipelineSpec, env: &Environment, name: &str, input: &Outlet) -> Result<Entry, SpecError> {
    let sink = &spec.sinks[name];
    let plan = env.connectors.sink(&sink.kind, sink.config.clone())?;
    plan.check(&input.schema)?;
    Ok(Entry::one(Outlet::stream(Arc::clone(&input.schema), input.event_time), What::Sink(plan)))
}
