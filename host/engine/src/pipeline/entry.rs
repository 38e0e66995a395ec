//! An entry of a spec with its meaning: its connector or plugin found, its rows typed.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::connect::{SinkPlan, SourcePlan};
use super::deployment::Environment;
use super::error::SpecError;
use super::graph::Role;
use super::kinds::{WasmPlan, timestamp_column};
use super::lane::LateRows;
use super::spec::{EventTimeSpec, PipelineSpec};
use crate::batch::EventTime;
use crate::expr::{Predicate, Projection};
use crate::steps::KeyedPlan;

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
}

impl Outlet {
    pub(crate) fn event_time_name(&self) -> Option<String> {
        self.event_time.map(|time| self.schema.field(time.column).name().clone())
    }
}

pub(crate) enum What {
    Source { plan: Box<dyn SourcePlan>, event_time: Option<EventTimeSpec> },
    Wasm(WasmPlan),
    Filter(Predicate),
    Select(Projection),
    Split(Vec<Predicate>),
    Union,
    Keyed { plan: Box<dyn KeyedPlan>, late: LateRows },
    Sink(Box<dyn SinkPlan>),
}

impl Entry {
    /// An entry with one way out.
    pub(crate) fn one(outlet: Outlet, what: What) -> Self {
        Self { outlets: vec![outlet], what }
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
    Ok(Entry::one(Outlet { schema, event_time }, what))
}

fn plan_sink(spec: &PipelineSpec, env: &Environment, name: &str, input: &Outlet) -> Result<Entry, SpecError> {
    let sink = &spec.sinks[name];
    let plan = env.connectors.sink(&sink.kind, sink.config.clone())?;
    plan.check(&input.schema)?;
    Ok(Entry::one(
        Outlet { schema: Arc::clone(&input.schema), event_time: input.event_time },
        What::Sink(plan),
    ))
}
