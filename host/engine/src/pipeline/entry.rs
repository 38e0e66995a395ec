//! Gives one entry of a spec its meaning: finds its connector or plugin, and types its rows.

use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use millstream_wasm::{CallError, Level, Limits, Observer};

use super::deployment::{Entry, Environment, WasmPlan, What};
use super::error::SpecError;
use super::graph::Role;
use super::plugin_ref::PluginRef;
use super::spec::{AggregateSpec, Emit, PipelineSpec, StepSpec, WasmSpec};
use crate::batch::type_name;
use crate::expr::{Predicate, Projection};
use crate::steps::aggregate::Emit as AggregateEmit;
use crate::steps::{GroupedParts, GroupedPlan};
use crate::windows::Tumbling;

/// Plans an entry whose inputs are planned.
pub(crate) fn plan_entry(
    spec: &PipelineSpec,
    env: &Environment,
    role: Role,
    name: &str,
    inputs: &[&Entry],
) -> Result<Entry, SpecError> {
    match role {
        Role::Source => plan_source(spec, env, name),
        Role::Sink => plan_sink(spec, env, name, inputs[0]),
        Role::Step => match &spec.steps[name] {
            StepSpec::Wasm(wasm) => plan_wasm(wasm, env, inputs[0]),
            StepSpec::Filter { predicate, .. } => {
                let compiled = Predicate::new(predicate, &inputs[0].schema);
                let predicate = compiled.map_err(|error| SpecError::new("filter", error.to_string()))?;
                Ok(Entry { what: What::Filter(predicate), ..same_rows(inputs[0]) })
            }
            StepSpec::Select { columns, .. } => plan_select(columns, inputs[0]),
            StepSpec::Union { .. } => plan_union(inputs),
            StepSpec::Aggregate(aggregate) => plan_aggregate(aggregate, inputs[0]),
        },
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
        Role::Step => match &spec.steps[name] {
            StepSpec::Wasm(wasm) => {
                let found =
                    wasm.operator.parse().and_then(|reference: PluginRef| env.plugins.find(&reference));
                found.map(drop).map_err(|message| SpecError::new("wasm", message))
            }
            _ => Ok(()),
        },
    }
}

/// An entry whose rows are of the shape of another's.
fn same_rows(input: &Entry) -> Entry {
    Entry { schema: Arc::clone(&input.schema), event_time: input.event_time, what: What::Union }
}

fn plan_source(spec: &PipelineSpec, env: &Environment, name: &str) -> Result<Entry, SpecError> {
    let source = &spec.sources[name];
    let plan = env.connectors.source(&source.kind, source.config.clone())?;
    let schema = plan.schema();
    let event_time = match &source.event_time {
        Some(event_time) => {
            Some(timestamp_column(&schema, &event_time.column).map_err(|e| e.under("event_time.column"))?)
        }
        None => None,
    };
    Ok(Entry { schema, event_time, what: What::Source { plan, event_time: source.event_time.clone() } })
}

fn timestamp_column(schema: &Schema, name: &str) -> Result<usize, SpecError> {
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let index = schema
        .index_of(name)
        .map_err(|_| SpecError::new("", super::error::unknown_name("column", name, &known)))?;
    match schema.field(index).data_type() {
        DataType::Timestamp(..) => Ok(index),
        other => {
            let message = format!(
                "`{name}` is {}, event time needs a timestamp: declare it as `timestamp`, or as `timestamp_ms` where \
                 the data has milliseconds since 1970",
                type_name(other)
            );
            Err(SpecError::new("", message))
        }
    }
}

fn plan_sink(spec: &PipelineSpec, env: &Environment, name: &str, input: &Entry) -> Result<Entry, SpecError> {
    let sink = &spec.sinks[name];
    let plan = env.connectors.sink(&sink.kind, sink.config.clone())?;
    plan.check(&input.schema)?;
    Ok(Entry { what: What::Sink(plan), ..same_rows(input) })
}

fn plan_select(columns: &[(String, String)], input: &Entry) -> Result<Entry, SpecError> {
    let compiled = Projection::new(columns.to_vec(), &input.schema);
    let projection = compiled.map_err(|error| SpecError::new("select", error.to_string()))?;
    let event_time = input
        .event_time
        .and_then(|column| projection.pass_through().find(|(_, from)| *from == column))
        .map(|(column, _)| column);
    Ok(Entry { schema: Arc::clone(projection.schema()), event_time, what: What::Select(projection) })
}

fn plan_union(inputs: &[&Entry]) -> Result<Entry, SpecError> {
    let Some((first, rest)) = inputs.split_first() else {
        return Err(SpecError::new("union", "name at least one entry"));
    };
    for (i, input) in rest.iter().enumerate() {
        if let Some(difference) = difference(&first.schema, &input.schema) {
            let message = format!(
                "its rows are not like those of the first input: {difference}; a `select` before can make them alike"
            );
            return Err(SpecError::new(format!("union[{}]", i + 1), message));
        }
    }
    let nullable = |column: usize| inputs.iter().any(|input| input.schema.field(column).is_nullable());
    let fields = first.schema.fields().iter().enumerate();
    let fields: Vec<_> = fields.map(|(i, field)| field.as_ref().clone().with_nullable(nullable(i))).collect();
    let same_time = inputs.iter().all(|input| input.event_time == first.event_time);
    Ok(Entry {
        schema: Arc::new(Schema::new(fields)),
        event_time: first.event_time.filter(|_| same_time),
        what: What::Union,
    })
}

fn difference(left: &Schema, right: &Schema) -> Option<String> {
    if left.fields().len() != right.fields().len() {
        return Some(format!("{} columns here, {} there", right.fields().len(), left.fields().len()));
    }
    let pairs = left.fields().iter().zip(right.fields());
    let mut different = pairs.filter(|(l, r)| l.name() != r.name() || l.data_type() != r.data_type());
    different.next().map(|(l, r)| {
        let show =
            |field: &arrow_schema::Field| format!("`{}` {}", field.name(), type_name(field.data_type()));
        format!("{} here, {} there", show(r), show(l))
    })
}

fn plan_aggregate(spec: &AggregateSpec, input: &Entry) -> Result<Entry, SpecError> {
    let window = match &spec.window {
        None => None,
        Some(window) => {
            let column = match (&window.on, input.event_time) {
                (Some(name), _) => {
                    timestamp_column(&input.schema, name).map_err(|e| e.under("aggregate.window.on"))?
                }
                (None, Some(column)) => column,
                (None, None) => {
                    let message = "no event time reaches this step: give the source an `event_time`, keep that \
                                   column on the way, or name a timestamp column with `on`";
                    return Err(SpecError::new("aggregate.window", message));
                }
            };
            let tumbling = Tumbling::new(window.tumbling.us(), window.offset.us())
                .map_err(|error| SpecError::new("aggregate.window.tumbling", error.to_string()))?;
            Some((tumbling, column))
        }
    };
    let emit = match spec.emit {
        Emit::Update => AggregateEmit::Update,
        Emit::Final => AggregateEmit::Final,
    };
    let parts = GroupedParts { by: &spec.by, window, compute: &spec.compute, emit };
    let plan = GroupedPlan::new(&parts, &input.schema).map_err(|error| {
        let path = if error.path.is_empty() { String::new() } else { format!(".{}", error.path) };
        SpecError::new(format!("aggregate{path}"), error.message)
    })?;
    // A window's rows belong to the time of its start, so that windows of windows line up.
    let event_time = spec.window.as_ref().map(|_| 0);
    Ok(Entry { schema: Arc::clone(plan.schema()), event_time, what: What::Aggregate(Box::new(plan)) })
}

fn plan_wasm(spec: &WasmSpec, env: &Environment, input: &Entry) -> Result<Entry, SpecError> {
    let wrong = |message: String| SpecError::new("wasm", message);
    let reference: PluginRef = spec.operator.parse().map_err(wrong)?;
    let plugin = env.plugins.find(&reference).map_err(wrong)?;
    let mut limits = None;
    if spec.deadline.is_some() || spec.memory.is_some() {
        let mut own = Limits::default();
        if let Some(deadline) = spec.deadline {
            own.deadline_ms = u64::try_from(deadline.duration().as_millis()).unwrap_or(u64::MAX).max(1);
        }
        if let Some(memory) = spec.memory {
            own.memory_bytes_max = usize::try_from(memory.0).unwrap_or(usize::MAX);
        }
        limits = Some(own);
    }
    let plan = WasmPlan {
        plugin,
        operator: reference.operator,
        config: spec.config.to_string(),
        input: Arc::clone(&input.schema),
        limits,
        on_fault: spec.on_fault,
    };
    let transform = plan.open(Arc::new(Deaf)).map_err(|error| match error {
        CallError::Answered(message) => SpecError::new("config", message),
        other => wrong(other.to_string()),
    })?;
    let schema = transform.output_schema();
    let event_time = input.event_time.and_then(|column| {
        let name = input.schema.field(column).name();
        schema.index_of(name).ok().filter(|i| matches!(schema.field(*i).data_type(), DataType::Timestamp(..)))
    });
    Ok(Entry { schema, event_time, what: What::Wasm(plan) })
}

/// At deployment nobody listens to what an operator says in `open`.
struct Deaf;

impl Observer for Deaf {
    fn log(&self, _: Level, _: &str) {}
    fn count(&self, _: &str, _: u64) {}
    fn observe(&self, _: &str, _: f64) {}
    fn dropped(&self, _: u64, _: u64) {}
}
