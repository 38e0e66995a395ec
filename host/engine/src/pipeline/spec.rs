//! What a user writes: the pipeline's spec, as parsed and not yet believed. Names and units are
//! those of the documentation; `graph` and `entry` give them meaning. Steps are in `kinds`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{SpecError, read};
use super::kinds::StepSpec;
use super::trigger::TriggerSpec;
use super::units::{ByteSize, Span};

/// A pipeline: a graph of named sources, steps and sinks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    /// Lower-case letters, digits and hyphens; unique on a server.
    pub name: String,
    /// What happens to each record when something crashes.
    #[serde(default)]
    pub delivery: Delivery,
    /// When batches are cut, and how large they may be.
    #[serde(default)]
    pub trigger: TriggerSpec,
    /// Worker threads; one for each processor when not given. Results do not depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// How often state goes to disk.
    #[serde(default)]
    pub checkpoint: CheckpointSpec,
    /// Memory that the state of all steps may take together; beyond it, state that no batch has touched for
    /// longest goes to a file and comes back when it is needed. Without it all state is in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Which source the watermark follows, where rows of several come together.
    #[serde(default)]
    pub watermark: WatermarkPolicy,
    /// Where rows come from.
    pub sources: BTreeMap<String, SourceSpec>,
    /// Rows that stay while streams pass.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, TableSpec>,
    /// What happens to the rows of the sources.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<String, StepSpec>,
    /// Where they go.
    pub sinks: BTreeMap<String, SinkSpec>,
}

impl PipelineSpec {
    /// Reads a spec from a JSON document.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn from_json(document: Value) -> Result<Self, SpecError> {
        read(document)
    }
}

/// What a pipeline promises for each record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// A crash may lose records; none is used twice.
    AtMostOnce,
    /// A crash loses nothing; records may be written twice.
    AtLeastOnce,
    /// A crash changes nothing in the sinks.
    #[default]
    ExactlyOnce,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtMostOnce => "at-most-once",
            Self::AtLeastOnce => "at-least-once",
            Self::ExactlyOnce => "exactly-once",
        })
    }
}

/// How often state goes to disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSpec {
    /// The shortest time between two checkpoints; recovery runs at most about so much again.
    pub every: Span,
}

impl Default for CheckpointSpec {
    fn default() -> Self {
        Self { every: Span::from_ms(10_000) }
    }
}

/// A source: its `type`, its event time, and the keys of that type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceSpec {
    /// Which connector.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which column says when a row happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTimeSpec>,
    /// The connector's own keys.
    #[serde(flatten)]
    pub config: Map<String, Value>,
}

/// A table: its `type`, when it is looked at again, how large it may be, and the keys of that type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableSpec {
    /// Which connector.
    #[serde(rename = "type")]
    pub kind: String,
    /// How often it is looked at; when it has changed, batches from then on see the new version. Without
    /// it, it is read when the pipeline starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Span>,
    /// It is held in memory, so there is an end to it: 10,000,000 rows unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
    /// The same in bytes: 1 GiB unless given, at most 2 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
    /// The connector's own keys.
    #[serde(flatten)]
    pub config: Map<String, Value>,
}

/// Event time of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventTimeSpec {
    /// A timestamp column.
    pub column: String,
    /// How much later than its successors a row may come: the watermark stays so far behind.
    #[serde(default)]
    pub delay: Span,
    /// A source without rows for so long no longer holds the watermark back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    /// Rows further than this ahead of the batch's clock are dead letters, and do not move the watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_future: Option<Span>,
}

/// Which source the watermark of a step follows, where it has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatermarkPolicy {
    /// The slowest: nothing is late that came in time over its own source.
    #[default]
    Min,
    /// The fastest: nobody waits for a slow source, whose rows may be late.
    Max,
}

/// A sink: where its rows come from, its `type`, and the keys of that type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SinkSpec {
    /// The entry whose rows it writes.
    pub from: String,
    /// Which connector.
    #[serde(rename = "type")]
    pub kind: String,
    /// The connector's own keys.
    #[serde(flatten)]
    pub config: Map<String, Value>,
}
