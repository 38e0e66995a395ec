//! The kinds of steps: what a user writes of each, and what it means. A file a kind; a new kind is a
//! new file, a variant of [`StepSpec`] and a line in [`KINDS`].

mod aggregate;
mod compute;
mod dedup;
mod filter;
mod join;
mod late;
mod named;
mod select;
mod split;
mod sql;
mod state;
mod time;
mod top;
mod union;
mod wasm;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::deployment::Environment;
use super::entry::{Entry, Outlet};
use super::error::{SpecError, read, unknown_name};

pub use aggregate::{AggregateBody, AggregateSpec, EarlySpec, Emit, EmitWhen, WindowSpec};
pub use compute::{Compute, ComputeSpec, OperatorSpec};
pub use dedup::{DedupBody, DedupSpec};
pub use filter::FilterSpec;
pub use join::{Around, JoinBody, JoinKind, JoinOn, JoinSpec, JoinWindow, Within};
pub use late::LatePolicy;
pub use named::{Keyed, Named};
pub use select::SelectSpec;
pub use split::SplitSpec;
pub use sql::{SqlSpec, SqlTables};
pub(crate) use state::StateEntry;
pub use state::{StateSpec, TimerSpec};
pub(crate) use time::timestamp_column;
pub use top::{TopBody, TopSpec};
pub use union::UnionSpec;
pub(crate) use wasm::WasmPlan;
pub use wasm::{FaultPolicy, WasmSpec};

/// A step: where its rows come from, and exactly one key that is its kind.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum StepSpec {
    /// A plugin's transform operator.
    Wasm(WasmSpec),
    /// Rows for which an SQL expression is true.
    Filter(FilterSpec),
    /// New columns out of SQL expressions.
    Select(SelectSpec),
    /// The rows of several entries of one schema.
    Union(UnionSpec),
    /// Rows go different ways.
    Split(SplitSpec),
    /// Functions over groups and windows.
    Aggregate(AggregateSpec),
    /// Rows without their duplicates.
    Dedup(DedupSpec),
    /// Rows of two streams that belong together.
    Join(JoinSpec),
    /// The first rows of each group in an order.
    Top(TopSpec),
    /// A plugin's keyed operator.
    State(StateSpec),
    /// A statement of SQLite over batches and tables.
    Sql(SqlSpec),
}

/// Reads a step of one kind.
type Read = fn(Value) -> Result<StepSpec, SpecError>;

const KINDS: &[(&str, Read)] = &[
    ("wasm", |step| read(step).map(StepSpec::Wasm)),
    ("filter", |step| read(step).map(StepSpec::Filter)),
    ("select", |step| read(step).map(StepSpec::Select)),
    ("union", |step| read(step).map(StepSpec::Union)),
    ("split", |step| read(step).map(StepSpec::Split)),
    ("aggregate", |step| read(step).map(StepSpec::Aggregate)),
    ("dedup", |step| read(step).map(StepSpec::Dedup)),
    ("join", |step| read(step).map(StepSpec::Join)),
    ("top", |step| read(step).map(StepSpec::Top)),
    ("state", |step| read(step).map(StepSpec::State)),
    ("sql", |step| read(step).map(StepSpec::Sql)),
];

/// What the engine asks of every kind.
pub(crate) trait Kind {
    /// Where the step names its inputs, and which it names.
    fn inputs(&self) -> Vec<(String, &str)>;

    /// What each of `inputs` may name, by its place there.
    fn takes(&self, _input: usize) -> Takes {
        Takes::Rows
    }

    /// By what names others take its rows, in the order of the outlets that `plan` gives.
    fn ports(&self) -> Vec<Port> {
        vec![Port::main()]
    }

    /// What can be said while the inputs are not known.
    fn check_alone(&self, _: &Environment) -> Result<(), SpecError> {
        Ok(())
    }

    /// Gives the step its meaning; inputs are in the order of `inputs`.
    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError>;
}

/// What a step can take at one of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Rows of a source or step, as they come.
    Rows,
    /// A table: its outlet in `plan` has a view.
    Table,
    /// One or the other; the outlet tells which.
    Either,
}

/// A way out of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// Others say `step.name`; for the empty name, `step`.
    pub(crate) name: String,
    /// Nobody has to take its rows.
    pub(crate) optional: bool,
}

impl Port {
    /// The rows that are meant by the step's name alone.
    pub(crate) fn main() -> Self {
        Self { name: String::new(), optional: false }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), optional: false }
    }

    pub(crate) fn optional(name: &str) -> Self {
        Self { name: name.to_owned(), optional: true }
    }
}

impl StepSpec {
    /// The kind, as it is written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Wasm(_) => "wasm",
            Self::Filter(_) => "filter",
            Self::Select(_) => "select",
            Self::Union(_) => "union",
            Self::Split(_) => "split",
            Self::Aggregate(_) => "aggregate",
            Self::Dedup(_) => "dedup",
            Self::Join(_) => "join",
            Self::Top(_) => "top",
            Self::State(_) => "state",
            Self::Sql(_) => "sql",
        }
    }

    pub(crate) fn as_kind(&self) -> &dyn Kind {
        match self {
            Self::Wasm(step) => step,
            Self::Filter(step) => step,
            Self::Select(step) => step,
            Self::Union(step) => step,
            Self::Split(step) => step,
            Self::Aggregate(step) => step,
            Self::Dedup(step) => step,
            Self::Join(step) => step,
            Self::Top(step) => step,
            Self::Sql(step) => step,
            Self::State(step) => step,
        }
    }

    /// The operators of plugins that the step names, each with its place in the step and its config.
    #[must_use]
    pub fn operators(&self) -> Vec<(String, &str, &Value)> {
        match self {
            Self::Wasm(step) => vec![(String::new(), &step.operator, &step.config)],
            Self::State(step) => vec![(String::new(), &step.operator, &step.config)],
            Self::Aggregate(step) => step.operators(),
            _ => Vec::new(),
        }
    }

    fn from_value(value: Value) -> Result<Self, SpecError> {
        let Some(map) = value.as_object() else {
            return Err(SpecError::new("", "a step is a map such as `{ from: lines, filter: \"n > 0\" }`"));
        };
        let mut found = KINDS.iter().filter(|(kind, _)| map.contains_key(*kind));
        match (found.next(), found.next()) {
            (Some((kind, read)), None) => read(value).map_err(|error| of_kind(kind, error)),
            (None, _) => Err(SpecError::new("", no_kind(map))),
            (Some((first, _)), Some((second, _))) => {
                Err(SpecError::new("", format!("a step has one kind, this one has {first} and {second}")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for StepSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(value).map_err(serde::de::Error::custom)
    }
}

/// An error of reading, in the words of the step.
fn of_kind(kind: &str, error: SpecError) -> SpecError {
    match error.message.strip_prefix("unknown key ") {
        Some(rest) if error.path.is_empty() => {
            SpecError::new("", format!("unknown key of a `{kind}` step {rest}"))
        }
        None if error.message == "missing field `from`" => {
            SpecError::new("from", "missing: name the entry whose rows this step takes")
        }
        _ => error,
    }
}

/// Keys that several kinds have: no misspelt kinds.
const COMMON: [&str; 13] = [
    "from", "config", "on_fault", "deadline", "memory", "emit", "late", "by", "timers", "ttl", "tables",
    "schema", "initial",
];

fn no_kind(map: &Map<String, Value>) -> String {
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    match map.keys().find(|key| !COMMON.contains(&key.as_str())) {
        Some(key) => unknown_name("kind of step", key, &kinds),
        None => format!("a step needs one of these keys: {}", kinds.join(", ")),
    }
}
