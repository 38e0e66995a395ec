//! A sound spec with everything found and typed: what is needed to run it, and what it promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Schema, SchemaRef};
use millstream_wasm::{CallError, Level, Limits, Observer, OpenTransform, Plugin};
use serde::{Deserialize, Serialize};

use super::connect::{Connectors, SinkPlan, SourcePlan};
use super::error::SpecError;
use super::graph::{Graph, Role};
use super::guarantee::{self, SourceShare};
use super::plugin_ref::PluginRef;
use super::spec::{AggregateSpec, Emit, EventTimeSpec, FaultPolicy, PipelineSpec, StepSpec, WasmSpec};
use super::status::Guarantee;
use crate::batch::type_name;
use crate::clock::SharedClock;
use crate::expr::{Predicate, Projection};
use crate::steps::aggregate::Emit as AggregateEmit;
use crate::steps::{GroupedParts, GroupedPlan};
use crate::windows::Tumbling;

/// What pipelines share: where sources, sinks, plugins and time come from.
#[derive(Clone)]
pub struct Environment {
    /// Makes sources and sinks.
    pub connectors: Arc<dyn Connectors>,
    /// Finds plugins.
    pub plugins: Arc<dyn Plugins>,
    /// Time.
    pub clock: SharedClock,
    /// Randomness: for ids and seeds, which are then kept; nothing that runs in a batch asks here.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Finds plugins; implemented by the registry.
pub trait Plugins: Send + Sync {
    /// The plugin that a reference means.
    ///
    /// # Errors
    /// Words that say what there is instead.
    fn find(&self, reference: &PluginRef) -> Result<Plugin, String>;
}

/// A pipeline that can be run.
pub struct Deployment {
    pub(crate) spec: PipelineSpec,
    pub(crate) graph: Graph,
    pub(crate) entries: Vec<Entry>,
    guarantees: Vec<Guarantee>,
}

/// An entry that is typed; sources and sinks are planned, steps know what they do.
pub(crate) struct Entry {
    pub(crate) schema: SchemaRef,
    /// Which column is the event time, where there is one.
    pub(crate) event_time: Option<usize>,
    pub(crate) what: What,
}

pub(crate) enum What {
    Source { plan: Box<dyn SourcePlan>, event_time: Option<EventTimeSpec> },
    Wasm(WasmPlan),
    Filter(Predicate),
    Select(Projection),
    Union,
    Aggregate(Box<GroupedPlan>),
    Sink(Box<dyn SinkPlan>),
}

/// A `wasm` step whose plugin is found and has accepted its config and input.
#[derive(Clone)]
pub(crate) struct WasmPlan {
    pub(crate) plugin: Plugin,
    pub(crate) operator: String,
    pub(crate) config: String,
    pub(crate) input: SchemaRef,
    pub(crate) limits: Option<Limits>,
    pub(crate) on_fault: FaultPolicy,
}

impl WasmPlan {
    /// Opens the operator on an instance of its own.
    pub(crate) fn open(&self, observer: Arc<dyn Observer>) -> Result<millstream_wasm::Transform, CallError> {
        self.plugin.transform(&OpenTransform {
            operator: &self.operator,
            config: &self.config,
            input: &self.input,
            observer,
            limits: self.limits.clone(),
        })
    }
}

/// An entry of the graph, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryInfo {
    /// Its name.
    pub name: String,
    /// `source`, `step` or `sink`.
    pub role: String,
    /// The kind of step, or the type of connector.
    pub kind: String,
    /// The entries whose rows it takes.
    pub inputs: Vec<String>,
    /// Its rows.
    pub columns: Vec<ColumnInfo>,
    /// The column that says when a row happened.
    pub event_time: Option<String>,
}

/// A column, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type, as specs call it.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether values may be missing.
    pub nullable: bool,
}

impl Deployment {
    /// Checks everything that can be checked without touching data.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place in the spec.
    pub fn plan(spec: &PipelineSpec, env: &Environment) -> Result<Self, Vec<SpecError>> {
        let graph = Graph::build(spec)?;
        check_parallelism(spec)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(graph.nodes.len());
        let mut errors = Vec::new();
        for node in &graph.nodes {
            let inputs: Vec<&Entry> = node.inputs.iter().map(|input| &entries[*input]).collect();
            match plan_entry(spec, env, node.role, &node.name, &inputs) {
                Ok(entry) => entries.push(entry),
                // What comes after it cannot be typed; what is wrong elsewhere is told next time.
                Err(error) => {
                    errors.push(error.under(&node.path()));
                    return Err(errors);
                }
            }
        }
        let guarantees = guarantees(spec, &graph, &entries);
        for guarantee in &guarantees {
            if let Some(refusal) = guarantee::refusal(guarantee, spec.delivery) {
                errors.push(SpecError::new(format!("sinks.{}", guarantee.sink), refusal));
            }
        }
        if errors.is_empty() {
            Ok(Self { spec: spec.clone(), graph, entries, guarantees })
        } else {
            Err(errors)
        }
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &PipelineSpec {
        &self.spec
    }

    /// What each sink gets, and why.
    #[must_use]
    pub fn guarantees(&self) -> &[Guarantee] {
        &self.guarantees
    }

    /// The entries, each after its inputs.
    #[must_use]
    pub fn entries(&self) -> Vec<EntryInfo> {
        let pairs = self.graph.nodes.iter().zip(&self.entries);
        pairs
            .map(|(node, entry)| EntryInfo {
                name: node.name.to_string(),
                role: node.role.section().trim_end_matches('s').to_owned(),
                kind: self.kind(&node.name).to_owned(),
                inputs: node.inputs.iter().map(|input| self.graph.nodes[*input].name.to_string()).collect(),
                columns: columns(&entry.schema),
                event_time: entry.event_time.map(|column| entry.schema.field(column).name().clone()),
            })
            .collect()
    }

    /// SHA-256 of the plugin of each `wasm` step, by step.
    #[must_use]
    pub fn plugin_digests(&self) -> BTreeMap<String, String> {
        let pairs = self.graph.nodes.iter().zip(&self.entries);
        pairs
            .filter_map(|(node, entry)| match &entry.what {
                What::Wasm(wasm) => Some((node.name.to_string(), wasm.plugin.digest().to_string())),
                _ => None,
            })
            .collect()
    }

    /// The kind of an entry: of step or of connector.
    pub(crate) fn kind(&self, name: &str) -> &str {
        let source = self.spec.sources.get(name).map(|source| source.kind.as_str());
        let step = || self.spec.steps.get(name).map(StepSpec::kind);
        let sink = || self.spec.sinks.get(name).map(|sink| sink.kind.as_str());
        source.or_else(step).or_else(sink).unwrap_or_default()
    }
}

fn columns(schema: &Schema) -> Vec<ColumnInfo> {
    let fields = schema.fields().iter();
    fields
        .map(|field| ColumnInfo {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            nullable: field.is_nullable(),
        })
        .collect()
}

fn check_parallelism(spec: &PipelineSpec) -> Result<(), Vec<SpecError>> {
    match spec.parallelism {
        Some(0) => Err(vec![SpecError::new("parallelism", "at least 1")]),
        Some(n) if n > crate::state::KEY_GROUPS => {
            let message = format!("at most {}, the number of key groups", crate::state::KEY_GROUPS);
            Err(vec![SpecError::new("parallelism", message)])
        }
        _ => Ok(()),
    }
}

fn plan_entry(
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

fn guarantees(spec: &PipelineSpec, graph: &Graph, entries: &[Entry]) -> Vec<Guarantee> {
    let ancestors = graph.ancestors();
    let replays: Vec<_> = entries
        .iter()
        .map(|entry| match &entry.what {
            What::Source { plan, .. } => Some(plan.replay()),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let What::Sink(plan) = &entry.what else { continue };
        let sources: Vec<SourceShare<'_>> = ancestors[i]
            .iter()
            .filter_map(|source| {
                let replay = replays[*source].as_ref()?;
                Some(SourceShare { name: &graph.nodes[*source].name, replay })
            })
            .collect();
        let name = &graph.nodes[i].name;
        found.push(guarantee::of_sink(name, plan.promise(), &plan.promise_reason(), &sources, spec.delivery));
    }
    found
}
