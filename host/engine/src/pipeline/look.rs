//! State for people: what a step remembers, as of the newest checkpoint. The step is built once more, restored and
//! asked; the running pipeline never notices.

use std::fmt;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, Scalar};
use arrow_ord::cmp::not_distinct;
use arrow_schema::Schema;
use arrow_select::filter::filter_record_batch;
use serde_json::{Map, Value};

use super::deployment::Deployment;
use super::error::unknown_name;
use super::letter::decode_row;
use crate::batch::type_name;
use crate::checkpoint::StateView;
use crate::sqlite::StoreError;
use crate::state::KEY_GROUPS;
use crate::steps::{KeyedPlan, StateChunk, StepError};

/// State is looked at in parts of about so many bytes on disk, some times as much in memory.
const PART_BYTES: u64 = 64 << 20;

/// Rows of one of a step's tables.
#[derive(Clone, Debug)]
pub struct StateRows {
    /// The table: a step may have several.
    pub table: String,
    /// The rows: key columns and what is known of them.
    pub rows: RecordBatch,
}

/// Why there is nothing to see.
#[derive(Debug)]
pub enum LookError {
    /// The pipeline has no such step, or it remembers nothing.
    NoState {
        /// What was asked for.
        step: String,
        /// The steps that have state.
        known: Vec<String>,
    },
    /// A column or a value that was asked for is not of this state.
    Key(String),
    /// The state is not of this version of the pipeline.
    State(String),
    /// It cannot be read.
    Store(StoreError),
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoState { step, known } if known.is_empty() => {
                write!(f, "there is no state of `{step}`: no step of this pipeline remembers anything")
            }
            Self::NoState { step, known } => {
                write!(
                    f,
                    "there is no state of `{step}`: the steps that remember something are {}",
                    known.join(", ")
                )
            }
            Self::Key(message) | Self::State(message) => f.write_str(message),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LookError {}

impl From<StoreError> for LookError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StepError> for LookError {
    fn from(error: StepError) -> Self {
        Self::State(error.to_string())
    }
}

impl Deployment {
    /// The steps that keep state.
    #[must_use]
    pub fn stateful(&self) -> Vec<String> {
        let pairs = self.graph.nodes.iter().zip(&self.entries);
        pairs.filter(|(_, entry)| entry.what.keeps_state()).map(|(node, _)| node.name.to_string()).collect()
    }

    /// Gives the state of a step to `take`, a part of the keys after the other, until it has enough and
    /// answers false: the rows whose columns have the values of `key`. Each table that has these columns
    /// comes at least once, with or without rows.
    ///
    /// # Errors
    /// When there is no such state, or it cannot be read.
    pub fn look(
        &self,
        view: &StateView,
        step: &str,
        key: &Map<String, Value>,
        mut take: impl FnMut(StateRows) -> bool,
    ) -> Result<(), LookError> {
        let plan = self.keyed_plan(step)?;
        let parts = view.look().bytes.div_ceil(PART_BYTES).clamp(1, u64::from(KEY_GROUPS)) as u32;
        for part in 0..parts {
            let chunks = look_at_part(plan, view, step, part, parts)?;
            check_columns(key, &chunks)?;
            for chunk in chunks {
                let Some(rows) = with_key(key, &chunk.rows)? else { continue };
                if !take(StateRows { table: chunk.table, rows }) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Says whether a step keeps state.
    ///
    /// # Errors
    /// When it does not: names those that do.
    pub fn check_state(&self, step: &str) -> Result<(), LookError> {
        self.keyed_plan(step).map(drop)
    }

    pub(super) fn keyed_plan(&self, step: &str) -> Result<&dyn KeyedPlan, LookError> {
        let plan = self.graph.find(step).and_then(|i| self.entries[i].what.keyed());
        let plan = plan.filter(|plan| plan.keeps_state());
        plan.ok_or_else(|| LookError::NoState { step: step.to_owned(), known: self.stateful() })
    }
}

/// The state of the keys that would be worker `part`'s if there were `parts` of them.
fn look_at_part(
    plan: &dyn KeyedPlan,
    view: &StateView,
    name: &str,
    part: u32,
    parts: u32,
) -> Result<Vec<StateChunk>, LookError> {
    let mut step = plan.build(part, parts)?;
    let mut refused = None;
    let read = view.read(name, |stored| {
        let chunk = StateChunk { table: stored.table, rows: stored.rows };
        step.restore(&chunk).map_err(|error| {
            refused = Some(LookError::from(error));
            String::new()
        })
    });
    refused.map_or(Ok(()), Err)?;
    read?;
    Ok(step.look()?)
}

/// Every column that is asked for is in one of the tables.
fn check_columns(key: &Map<String, Value>, tables: &[StateChunk]) -> Result<(), LookError> {
    let has = |table: &StateChunk, name: &str| table.rows.schema().column_with_name(name).is_some();
    let missing = key.keys().find(|name| !tables.iter().any(|table| has(table, name)));
    let Some(missing) = missing else { return Ok(()) };
    let names =
        tables.iter().flat_map(|table| table.rows.schema().fields().iter().cloned().collect::<Vec<_>>());
    let mut names: Vec<String> = names.map(|field| field.name().clone()).collect();
    names.dedup();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Err(LookError::Key(unknown_name("column", missing, &names)))
}

/// The rows whose columns have these values; nothing for a table without the columns.
fn with_key(key: &Map<String, Value>, rows: &RecordBatch) -> Result<Option<RecordBatch>, LookError> {
    let schema = rows.schema();
    let mut kept = rows.clone();
    for (name, value) in key {
        let Some((column, field)) = schema.column_with_name(name) else { return Ok(None) };
        let one = Arc::new(Schema::new(vec![field.clone().with_nullable(true)]));
        let text = Value::Object(Map::from_iter([(name.clone(), value.clone())])).to_string();
        let asked = decode_row(&text, &one).map_err(|_| {
            let is = type_name(field.data_type());
            LookError::Key(format!("{value} is no value of the column `{name}`, which is {is}"))
        })?;
        let equal: BooleanArray = not_distinct(kept.column(column), &Scalar::new(asked.column(0)))
            .map_err(|error| LookError::Key(format!("`{name}` cannot be compared: {error}")))?;
        kept = filter_record_batch(&kept, &equal).map_err(|error| LookError::State(error.to_string()))?;
    }
    Ok(Some(kept))
}
