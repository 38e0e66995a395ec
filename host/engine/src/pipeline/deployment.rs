//! A sound spec with everything found and typed: what is needed to run it, and what it promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::Schema;
use millstream_wasm::Plugin;
use serde::{Deserialize, Serialize};

use super::connect::Connectors;
use super::draft::Draft;
use super::entry::{Entry, Outlet, What, check_alone, plan_entry};
use super::error::SpecError;
use super::graph::{Feed, Graph, Node, Sketch, Unread};
use super::guarantee::{self, SourceShare};
use super::kinds::StepSpec;
use super::plugin_ref::PluginRef;
use super::spec::PipelineSpec;
use super::status::Guarantee;
use super::units::ByteSize;
use crate::batch::type_name;
use crate::clock::SharedClock;

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

/// An entry of the graph, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryInfo {
    /// Its name.
    pub name: String,
    /// `source`, `table`, `step` or `sink`.
    pub role: String,
    /// The kind of step, or the type of connector.
    pub kind: String,
    /// The entries whose rows it takes.
    pub inputs: Vec<String>,
    /// Its rows.
    pub columns: Vec<ColumnInfo>,
    /// The column that says when a row happened.
    pub event_time: Option<String>,
    /// Its named ways out; none for an entry whose rows all go one way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways_out: Vec<String>,
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
        errors.extend(check_memory(spec).err());
        let mut entries: Vec<Option<Entry>> = Vec::with_capacity(graph.nodes.len());
        for (node, broken) in graph.nodes.iter().zip(broken) {
            let outlet = |feed: &Feed| entries[feed.entry].as_ref().map(|entry| &entry.outlets[feed.port]);
            let inputs: Option<Vec<&Outlet>> = node.inputs.iter().map(outlet).collect();
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

    /// What a person should know before it runs.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        if self.spec.memory.is_none() {
            return Vec::new();
        }
        let pairs = self.graph.nodes.iter().zip(&self.entries);
        let stays = pairs.filter(|(_, entry)| {
            entry.what.keyed().is_some_and(|plan| plan.keeps_state() && !plan.can_spill())
        });
        stays
            .map(|(node, _)| {
                format!(
                    "step `{}` keeps all of its state in memory, whatever `memory` says: `{}` cannot let some of it go to \
                     disk, or not with these functions",
                    node.name,
                    self.kind(&node.name)
                )
            })
            .collect()
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
                inputs: node.inputs.iter().map(|feed| self.name_of(*feed)).collect(),
                columns: entry.outlets.first().map(|first| columns(&first.schema)).unwrap_or_default(),
                event_time: entry.outlets.first().and_then(Outlet::event_time_name),
                ways_out: ways_out(node, entry),
            })
            .collect()
    }

    /// The name by which specs take these rows.
    fn name_of(&self, feed: Feed) -> String {
        let node = &self.graph.nodes[feed.entry];
        match node.ports[feed.port].name.as_str() {
            "" => node.name.to_string(),
            port => format!("{}.{port}", node.name),
        }
    }

    /// SHA-256 of the plugins that are called: by step, and by `step.column` where a step computes columns
    /// with plugins.
    #[must_use]
    pub fn plugin_digests(&self) -> BTreeMap<String, String> {
        let mut digests = BTreeMap::new();
        for (node, entry) in self.graph.nodes.iter().zip(&self.entries) {
            match &entry.what {
                What::Wasm(wasm) => {
                    digests.insert(node.name.to_string(), wasm.plugin.digest().to_string());
                }
                What::State(state) => {
                    digests.insert(node.name.to_string(), state.plugin.digest().to_string());
                }
                What::Keyed { plan, .. } => {
                    digests.extend(plan.plugins().into_iter().map(|(place, plugin)| {
                        let dot = if place.is_empty() { "" } else { "." };
                        (format!("{}{dot}{place}", node.name), plugin.digest().to_string())
                    }))
                }
                _ => {}
            }
        }
        digests
    }

    /// Whether an entry keeps state.
    pub(crate) fn is_keyed(&self, name: &str) -> bool {
        let entry = self.graph.find(name).map(|i| &self.entries[i]);
        entry.is_some_and(|entry| entry.what.keeps_state())
    }

    /// The kind of an entry: of step or of connector.
    pub(crate) fn kind(&self, name: &str) -> &str {
        let source = self.spec.sources.get(name).map(|source| source.kind.as_str());
        let table = || self.spec.tables.get(name).map(|table| table.kind.as_str());
        let step = || self.spec.steps.get(name).map(StepSpec::kind);
        let sink = || self.spec.sinks.get(name).map(|sink| sink.kind.as_str());
        source.or_else(table).or_else(step).or_else(sink).unwrap_or_default()
    }
}

fn ways_out(node: &Node, entry: &Entry) -> Vec<String> {
    let ports = node.ports.iter().filter(|port| !port.name.is_empty());
    if entry.outlets.len() < 2 { Vec::new() } else { ports.map(|port| port.name.clone()).collect() }
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

/// The least that makes sense: SQLite alone takes more.
const MEMORY_MIN: u64 = 1 << 20;

fn check_memory(spec: &PipelineSpec) -> Result<(), SpecError> {
    match spec.memory {
        Some(ByteSize(bytes)) if bytes < MEMORY_MIN => {
            Err(SpecError::new("memory", "at least 1MiB: state needs some room to work in"))
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
