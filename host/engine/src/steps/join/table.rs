//! A join of a stream with a table: remembers nothing, so it needs no shuffle and no time. The rows of a
//! batch see the version of the table that the batch's plan says, and carry its number.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::{take, take_record_batch};

use super::super::filter::failed;
use super::super::{Applied, Keys, Step, StepError};
use super::index::Index;
use super::output::Output;
use super::{EqualKeys, JoinError, JoinKey, JoinKind, equal_keys};
use crate::batch::BatchCtx;
use crate::state::KeyCodec;
use crate::table::TableView;

/// Rows that one chunk may become, which is held in memory as a whole.
const MATCHES_MAX: usize = 1 << 22;

/// What a [`TableJoinPlan`] is made of.
#[derive(Clone, Debug)]
pub struct TableJoinParts {
    /// The rows that come.
    pub left: SchemaRef,
    /// The table.
    pub right: TableView,
    /// What must be equal.
    pub on: Vec<JoinKey>,
    /// What is emitted; a table's rows never come out alone.
    pub kind: JoinKind,
}

/// What a join with a table does; makes the step for each worker. All of them share one index.
#[derive(Clone, Debug)]
pub struct TableJoinPlan {
    table: TableView,
    keys: [Keys; 2],
    kind: JoinKind,
    output: Output,
    schema: SchemaRef,
    /// Guards the index of the newest version; whoever needs it first makes it while the others wait.
    index: Arc<Mutex<Option<Arc<Indexed>>>>,
}

impl TableJoinPlan {
    /// Checks the parts against each other.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn new(parts: TableJoinParts) -> Result<Self, JoinError> {
        let TableJoinParts { left, right: table, on, kind } = parts;
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            let message = "a table's rows do not come, so none of them can be without a match: use `inner`, `left`, \
                           `semi` or `anti`";
            return Err(JoinError::new("kind", message));
        }
        let schemas = [&left, table.schema()];
        let EqualKeys { keys, merged } = equal_keys(&on, schemas)?;
        let output = Output::new(schemas, &merged, kind)?;
        let version = format!("{}_version", table.name());
        if output.schema().column_with_name(&version).is_some() {
            let message = format!(
                "the rows have a column `{version}` already, which is to say which version of the table they saw: give \
                 it another name with a `select` before"
            );
            return Err(JoinError::new("right", message));
        }
        let fields = output.schema().fields().iter().map(|field| field.as_ref().clone());
        let version = Field::new(version, DataType::Int64, false);
        let schema = Arc::new(Schema::new(fields.chain([version]).collect::<Vec<_>>()));
        Ok(Self { table, keys, kind, output, schema, index: Arc::default() })
    }

    /// The schema of what the step emits: the left columns come first, as they are.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The step on one worker.
    ///
    /// # Errors
    /// When a key's type cannot be a key, which `new` has refused.
    pub fn build(&self) -> Result<TableJoin, StepError> {
        Ok(TableJoin { codec: self.keys[0].codec().map_err(failed)?, plan: self.clone(), index: None })
    }
}

/// The rows of a version by key.
#[derive(Debug)]
struct Indexed {
    version: u64,
    index: Index,
}

/// A join with a table on one worker.
#[derive(Debug)]
pub struct TableJoin {
    plan: TableJoinPlan,
    codec: KeyCodec,
    index: Option<Arc<Indexed>>,
}

impl TableJoin {
    /// The index of the version that the batch sees.
    fn index(&mut self) -> Result<Arc<Indexed>, StepError> {
        let version = self.plan.table.version();
        if let Some(index) = self.index.as_ref().filter(|index| index.version == version.number) {
            return Ok(Arc::clone(index));
        }
        let mut shared = self.plan.index.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match shared.as_ref().filter(|index| index.version == version.number) {
            Some(index) => Arc::clone(index),
            None => {
                // The old one goes before the new one is made.
                (*shared, self.index) = (None, None);
                // A row without a key, or whose key cannot be computed, matches nothing.
                let keyed = self.plan.keys[1].of(&version.rows)?;
                let (index, _) = Index::new(keyed.rows, keyed.keys, &self.codec)?;
                Arc::clone(shared.insert(Arc::new(Indexed { version: version.number, index })))
            }
        };
        Ok(Arc::clone(self.index.insert(index)))
    }

    /// Which row of the left goes with which of the table; with none, where `keeps_alone`.
    fn pairs(
        &self,
        index: &Index,
        found: &[Option<u32>],
        keeps_alone: bool,
    ) -> Result<(Vec<u32>, UInt32Array), StepError> {
        let matches = |group: &Option<u32>| group.map_or(0, |group| index.of_group(group).len());
        let total: usize = found.iter().map(matches).sum();
        if total > MATCHES_MAX {
            return Err(StepError::Failed(format!(
                "{} rows match {total} rows of table `{}`, which has many rows of one key, and more than {MATCHES_MAX} \
                 are not made at once: join on more columns, or leave rows of the table out",
                found.len(),
                self.plan.table.name(),
            )));
        }
        let mut lefts = Vec::with_capacity(total.max(found.len()));
        let mut rights = UInt32Array::builder(total.max(found.len()));
        for (row, group) in (0u32..).zip(found) {
            let Some(group) = group else {
                if keeps_alone {
                    lefts.push(row);
                    rights.append_null();
                }
                continue;
            };
            let members = index.of_group(*group);
            lefts.extend(members.iter().map(|_| row));
            rights.append_slice(members);
        }
        Ok((lefts, rights.finish()))
    }
}

impl Step for TableJoin {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.schema)
    }

    fn apply(&mut self, _: &BatchCtx, input: &RecordBatch) -> Result<Applied, StepError> {
        let indexed = self.index()?;
        let Indexed { version, index } = &*indexed;
        let keyed = self.plan.keys[0].of(input)?;
        let left = keyed.rows;
        let keys = self.codec.encode(&keyed.keys, left.num_rows()).map_err(failed)?;
        // The null key is in no index, so it finds nothing.
        let found = index.groups.find(&keys);
        let (left, right) = match self.plan.kind {
            JoinKind::Semi | JoinKind::Anti => {
                let wanted = self.plan.kind == JoinKind::Semi;
                let kept: BooleanArray = found.iter().map(|group| Some(group.is_some() == wanted)).collect();
                (filter_record_batch(&left, &kept).map_err(failed)?, Vec::new())
            }
            kind => {
                let (lefts, rights) = self.pairs(index, &found, kind == JoinKind::Left)?;
                let column = |i: &usize| take(index.rows.column(*i), &rights, None);
                let [_, right] = self.plan.output.of_pairs();
                let right = right.iter().map(column).collect::<Result<Vec<ArrayRef>, _>>().map_err(failed)?;
                // With one row of the table for each, nothing on the left moves.
                let is_same =
                    lefts.len() == left.num_rows() && (0u32..).zip(&lefts).all(|(i, row)| i == *row);
                let left = match is_same {
                    true => left,
                    false => take_record_batch(&left, &UInt32Array::from(lefts)).map_err(failed)?,
                };
                (left, right)
            }
        };
        let rows = left.num_rows();
        let version: ArrayRef = Arc::new(Int64Array::from_value(version.cast_signed(), rows));
        let columns = left.columns().iter().cloned().chain(right).chain([version]).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(failed)?;
        Ok(Applied { rows, rejected: keyed.refused })
    }
}

#[cfg(test)]
mod tests;
