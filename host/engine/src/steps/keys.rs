//! The key of rows in a keyed step: expressions, computed for each chunk.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Fields, Schema};
use arrow_select::take::take_record_batch;

use super::filter::{failed, rejected};
use super::on_time::on_time;
use super::{RejectedRow, StepError};
use crate::batch::EventTime;
use crate::expr::{Expr, ExprError, Projection};
use crate::state::{KeyCodec, StateError};

/// Key columns by name, as expressions over a step's input.
#[derive(Clone, Debug)]
pub struct Keys {
    projection: Projection,
    names: Vec<String>,
}

/// A chunk with its keys, without the rows whose key cannot be computed.
pub(super) struct KeyedRows {
    pub(super) rows: RecordBatch,
    pub(super) keys: Vec<ArrayRef>,
    pub(super) refused: Vec<RejectedRow>,
}

impl Keys {
    /// Compiles the expression of each key column.
    ///
    /// # Errors
    /// The name of the first column whose expression is wrong, and why.
    pub fn new(by: &[(String, String)], input: &Schema) -> Result<Self, (String, ExprError)> {
        let compile = |(name, text): &(String, String)| {
            let expr = Expr::compile(text, input).map_err(|error| (name.clone(), error))?;
            Ok((name.clone(), expr))
        };
        let columns = by.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let names = columns.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { projection: Projection::from_exprs(columns), names })
    }

    /// The names of the key columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The key columns.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        self.projection.schema().fields()
    }

    /// The columns of the input that are keys as they are.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        self.projection.pass_through().map(|(_, column)| column)
    }

    /// The types of the key columns.
    #[must_use]
    pub fn types(&self) -> Vec<DataType> {
        self.projection.schema().fields().iter().map(|field| field.data_type().clone()).collect()
    }

    /// A codec for these keys.
    ///
    /// # Errors
    /// When a column's type cannot be a key.
    pub fn codec(&self) -> Result<KeyCodec, StateError> {
        KeyCodec::new(self.types())
    }

    pub(super) fn of(&self, input: &RecordBatch) -> Result<KeyedRows, StepError> {
        let projected = self.projection.apply(input).map_err(failed)?;
        let refused = rejected(projected.faults);
        let rows = if refused.is_empty() {
            input.clone()
        } else {
            let kept = UInt32Array::from(kept_rows(input.num_rows(), &refused));
            take_record_batch(input, &kept).map_err(failed)?
        };
        let keys = projected.rows.columns().iter().map(Arc::clone).collect();
        Ok(KeyedRows { rows, keys, refused })
    }
}

impl Keys {
    /// A chunk with its keys, without the rows that come too late for `time`, where there is one.
    pub(super) fn of_on_time(
        &self,
        input: &RecordBatch,
        time: Option<EventTime>,
        watermark_us: Option<i64>,
    ) -> Result<KeyedRows, StepError> {
        let keyed = self.of(input)?;
        let Some(time) = time else { return Ok(keyed) };
        let (rows, late) = on_time(&keyed.rows, time, watermark_us)?;
        let keys = if late.is_empty() { keyed.keys } else { self.of(&rows)?.keys };
        Ok(KeyedRows { rows, keys, refused: both(input.num_rows(), keyed.refused, &late) })
    }
}

/// The numbers of the rows that are not gone.
pub(super) fn kept_rows(rows: usize, gone: &[RejectedRow]) -> Vec<u32> {
    let mut gone = gone.iter().map(|row| row.row).peekable();
    (0..u32::try_from(rows).unwrap_or(u32::MAX)).filter(|row| gone.next_if_eq(row).is_none()).collect()
}

/// Refused rows of a chunk, and refused rows of what was left of it.
pub(super) fn both(rows: usize, first: Vec<RejectedRow>, then: &[RejectedRow]) -> Vec<RejectedRow> {
    if then.is_empty() {
        return first;
    }
    let kept = kept_rows(rows, &first);
    let then = then.iter().map(|row| RejectedRow { row: kept[row.row as usize], ..row.clone() });
    let mut all: Vec<RejectedRow> = then.chain(first).collect();
    all.sort_by_key(|row| row.row);
    all
}
