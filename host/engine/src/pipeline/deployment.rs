//! A sound spec with everything found and typed: what is needed to run it, and what it promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use millstream_wasm::{CallError, Limits, Observer, OpenTransform, Plugin};
use serde::{Deserialize, Serialize};

use super::connect::{Connectors, SinkPlan, SourcePlan};
use super::draft::Draft;
use super::entry::{check_alone, plan_entry};
use super::error::SpecError;
use super::graph::{Graph, Sketch, Unread};
use super::guarantee::{self, SourceShare};
use super::plugin_ref::PluginRef;
use super::spec::{EventTimeSpec, FaultPolicy, PipelineSpec, StepSpec};
use super::status::Guarantee;
use crate::batch::type_name;
use crate::clock::SharedClock;
use crate::expr::{Predicate, Projection};
use crate::steps::GroupedPlan;

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
    /// Everything that is wrong, each with its place in the spec; nothing that only follows from it.
    pub fn plan(spec: &PipelineSpec, env: &Environment) -> Result<Self, Vec<SpecError>> {
        Self::plan_readable(spec, &Unread::new(), env)
    }

    /// Everything that is wrong with a spec that cannot be read as a whole.
    #[must_use]
    pub fn faults(draft: &Draft, env: &Environment) -> Vec<SpecError> {
        let planned = draft.spec().map(|spec| Self::plan_readable(spec, draft.unread(), env));
        let more = planned.and_then(Result::err).unwrap_or_default();
        draft.errors().iter().cloned().chain(more).collect()
    }

    fn plan_readable(
        spec: &PipelineSpec,
        unread: &Unread,
        env: &Environment,
    ) -> Result<Self, Vec<SpecError>> {
        let Sketch { graph, broken, mut errors } = Graph::sketch(spec, unread);
        errors.extend(check_parallelism(spec).err());
        let mut entries: Vec<Option<Entry>> = Vec::with_capacity(graph.nodes.len());
        for (node, broken) in graph.nodes.iter().zip(broken) {
            let inputs: Option<Vec<&Entry>> = node.inputs.iter().map(|i| entries[*i].as_ref()).collect();
            let planned = match inputs.filter(|_| !broken) {
                Some(inputs) => plan_entry(spec, env, node.role, &node.name, &inputs).map(Some),
                // Its rows are not known; what is wrong whatever they are is told all the same.
                None => check_alone(spec, env, node.role, &node.name).map(|()| None),
            };
            entries.push(planned.unwrap_or_else(|error| {
                errors.push(error.under(&node.path()));
                None
            }));
        }
        let guarantees = guarantees(spec, &graph, &entries);
        for guarantee in &guarantees {
            if let Some(refusal) = guarantee::refusal(guarantee, spec.delivery) {
                errors.push(SpecError::new(format!("sinks.{}", guarantee.sink), refusal));
            }
        }
        match entries.into_iter().collect() {
            Some(entries) if errors.is_empty() => Ok(Self { spec: spec.clone(), graph, entries, guarantees }),
            _ => Err(errors),
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

fn check_parallelism(spec: &PipelineSpec) -> Result<(), SpecError> {
    match spec.parallelism {
        Some(0) => Err(SpecError::new("parallelism", "at least 1")),
        Some(n) if n > crate::state::KEY_GROUPS => {
            let message = format!("at most {}, the number of key groups", crate::state::KEY_GROUPS);
            Err(SpecError::new("parallelism", message))
        }
        _ => Ok(()),
    }
}

/// What the sinks get that could be planned; all that comes before such a sink could be, too.
fn guarantees(spec: &PipelineSpec, graph: &Graph, entries: &[Option<Entry>]) -> Vec<Guarantee> {
    let ancestors = graph.ancestors();
    let replays: Vec<_> = entries
        .iter()
        .map(|entry| match entry.as_ref().map(|entry| &entry.what) {
            Some(What::Source { plan, .. }) => Some(plan.replay()),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let Some(Entry { what: What::Sink(plan), .. }) = entry else { continue };
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
