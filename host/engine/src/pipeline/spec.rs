//! What a user writes: the pipeline's spec, as parsed and not yet believed. Names and units are
//! those of the documentation; `graph.rs` and `plan` give them meaning.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::error::{SpecError, read, unknown_name};
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
    /// Where rows come from.
    pub sources: BTreeMap<String, SourceSpec>,
    /// What happens to them.
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

/// A step: exactly one of the kinds, and where its rows come from.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(with = "StepForm")]
pub enum StepSpec {
    /// A plugin's transform operator.
    Wasm(WasmSpec),
    /// Rows for which an SQL expression is true.
    Filter {
        /// Input entry.
        from: String,
        /// The expression.
        predicate: String,
    },
    /// New columns out of SQL expressions.
    Select {
        /// Input entry.
        from: String,
        /// Output column to expression, in order; `"*": "*"` keeps the input's columns.
        columns: Vec<(String, String)>,
    },
    /// The rows of several entries of one schema.
    Union {
        /// Input entries.
        inputs: Vec<String>,
    },
    /// Functions over groups and windows.
    Aggregate(AggregateSpec),
}

/// A `wasm` step.
#[derive(Clone, Debug, PartialEq)]
pub struct WasmSpec {
    /// Input entry.
    pub from: String,
    /// `plugin/operator@version`.
    pub operator: String,
    /// The operator's config.
    pub config: Value,
    /// What happens to a row that breaks the plugin.
    pub on_fault: FaultPolicy,
    /// How long one call may take.
    pub deadline: Option<Span>,
    /// How much memory one instance may take.
    pub memory: Option<ByteSize>,
}

/// What happens to rows that an operator rejects or that break it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultPolicy {
    /// They are kept as dead letters, the rest goes on.
    #[default]
    DeadLetter,
    /// They are counted and dropped.
    Drop,
    /// The pipeline fails.
    Fail,
}

/// An `aggregate` step.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateSpec {
    /// Input entry.
    pub from: String,
    /// Key: output column to expression, in order.
    pub by: Vec<(String, String)>,
    /// Window; none keeps a group for ever.
    pub window: Option<WindowSpec>,
    /// Output column to function call, in order: `n: count()`.
    pub compute: Vec<(String, String)>,
    /// When results go on.
    pub emit: Emit,
}

/// A window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// Windows of this length, one after the other.
    pub tumbling: Span,
    /// Windows begin at multiples of their length after this.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub offset: Span,
    /// The timestamp column; the source's event time when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
}

/// When an aggregate's results go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Emit {
    /// The new value of every group that a batch touched.
    #[default]
    Update,
    /// Each window once, when the watermark has passed its end.
    Final,
}

/// A step as it is written: the kind is a key.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StepForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wasm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_fault: Option<FaultPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<ByteSize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    select: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    union: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aggregate: Option<AggregateForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emit: Option<Emit>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AggregateForm {
    /// A list of columns, or a map of output column to expression.
    #[serde(default)]
    by: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<WindowSpec>,
    compute: Map<String, Value>,
}

const KINDS: [&str; 5] = ["wasm", "filter", "select", "union", "aggregate"];

impl<'de> Deserialize<'de> for StepSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(value).map_err(serde::de::Error::custom)
    }
}

impl StepSpec {
    fn from_value(value: Value) -> Result<Self, SpecError> {
        let Some(map) = value.as_object() else {
            return Err(SpecError::new("", "a step is a map such as `{ from: lines, filter: \"n > 0\" }`"));
        };
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| map.contains_key(*kind)).collect();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            [] => return Err(SpecError::new("", no_kind(map))),
            _ => {
                let message = format!("a step has one kind, this one has {}", kinds.join(" and "));
                return Err(SpecError::new("", message));
            }
        };
        let allowed: &[&str] = match kind {
            "wasm" => &["from", "wasm", "config", "on_fault", "deadline", "memory"],
            "aggregate" => &["from", "aggregate", "emit"],
            "union" => &["union"],
            _ => &["from", kind],
        };
        if let Some(key) = map.keys().find(|key| !allowed.contains(&key.as_str())) {
            return Err(SpecError::new("", unknown_name(&format!("key of a `{kind}` step"), key, allowed)));
        }
        Self::from_form(kind, read(value)?)
    }

    fn from_form(kind: &str, form: StepForm) -> Result<Self, SpecError> {
        let from = || {
            form.from
                .clone()
                .ok_or_else(|| SpecError::new("from", "missing: name the entry whose rows this step takes"))
        };
        Ok(match kind {
            "wasm" => Self::Wasm(WasmSpec {
                from: from()?,
                operator: form.wasm.unwrap_or_default(),
                config: form.config.unwrap_or_else(|| Value::Object(Map::new())),
                on_fault: form.on_fault.unwrap_or_default(),
                deadline: form.deadline,
                memory: form.memory,
            }),
            "filter" => Self::Filter { from: from()?, predicate: form.filter.unwrap_or_default() },
            "select" => Self::Select {
                from: from()?,
                columns: expressions("select", form.select.unwrap_or_default())?,
            },
            "union" => Self::Union { inputs: form.union.unwrap_or_default() },
            _ => {
                let aggregate = form.aggregate.unwrap_or_default();
                Self::Aggregate(AggregateSpec {
                    from: form.from.ok_or_else(|| {
                        SpecError::new("from", "missing: name the entry whose rows this step takes")
                    })?,
                    by: keys(aggregate.by)?,
                    window: aggregate.window,
                    compute: expressions("aggregate.compute", aggregate.compute)?,
                    emit: form.emit.unwrap_or_default(),
                })
            }
        })
    }

    fn form(&self) -> StepForm {
        match self.clone() {
            Self::Wasm(wasm) => StepForm {
                from: Some(wasm.from),
                wasm: Some(wasm.operator),
                config: Some(wasm.config),
                on_fault: Some(wasm.on_fault),
                deadline: wasm.deadline,
                memory: wasm.memory,
                ..StepForm::default()
            },
            Self::Filter { from, predicate } => {
                StepForm { from: Some(from), filter: Some(predicate), ..StepForm::default() }
            }
            Self::Select { from, columns } => {
                StepForm { from: Some(from), select: Some(as_map(columns)), ..StepForm::default() }
            }
            Self::Union { inputs } => StepForm { union: Some(inputs), ..StepForm::default() },
            Self::Aggregate(aggregate) => StepForm {
                from: Some(aggregate.from),
                aggregate: Some(AggregateForm {
                    by: Value::Object(as_map(aggregate.by)),
                    window: aggregate.window,
                    compute: as_map(aggregate.compute),
                }),
                emit: Some(aggregate.emit),
                ..StepForm::default()
            },
        }
    }

    /// The entries whose rows it takes.
    #[must_use]
    pub fn inputs(&self) -> Vec<&str> {
        match self {
            Self::Wasm(wasm) => vec![&wasm.from],
            Self::Filter { from, .. } | Self::Select { from, .. } => vec![from],
            Self::Union { inputs } => inputs.iter().map(String::as_str).collect(),
            Self::Aggregate(aggregate) => vec![&aggregate.from],
        }
    }

    /// The kind, as it is written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Wasm(_) => "wasm",
            Self::Filter { .. } => "filter",
            Self::Select { .. } => "select",
            Self::Union { .. } => "union",
            Self::Aggregate(_) => "aggregate",
        }
    }
}

impl Serialize for StepSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.form().serialize(serializer)
    }
}

fn no_kind(map: &Map<String, Value>) -> String {
    let common = ["from", "config", "on_fault", "deadline", "memory", "emit"];
    match map.keys().find(|key| !common.contains(&key.as_str())) {
        Some(key) => unknown_name("kind of step", key, &KINDS),
        None => format!("a step needs one of these keys: {}", KINDS.join(", ")),
    }
}

fn expressions(path: &str, map: Map<String, Value>) -> Result<Vec<(String, String)>, SpecError> {
    map.into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(number) => Ok((name, number.to_string())),
            Value::Bool(truth) => Ok((name, truth.to_string())),
            _ => Err(SpecError::new(format!("{path}.{name}"), "an expression is a text such as `price * 2`")),
        })
        .collect()
}

fn keys(by: Value) -> Result<Vec<(String, String)>, SpecError> {
    let wrong = || {
        SpecError::new(
            "aggregate.by",
            "a list of columns `[word]` or a map of names to expressions `{ day: \"…\" }`",
        )
    };
    match by {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) => expressions("aggregate.by", map),
        Value::Array(columns) => columns
            .into_iter()
            .map(|column| column.as_str().map(|name| (name.to_owned(), quoted(name))).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

/// A column name as an expression: names that are no plain words need quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn as_map(pairs: Vec<(String, String)>) -> Map<String, Value> {
    pairs.into_iter().map(|(name, text)| (name, Value::String(text))).collect()
}
