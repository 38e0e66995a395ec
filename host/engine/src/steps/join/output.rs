//! The columns that a join emits, out of the rows of its sides.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{ArrowError, Schema, SchemaRef};

use super::{JoinError, JoinKind};

/// What rows look like that leave a join.
#[derive(Clone, Debug)]
pub(super) struct Output {
    schema: SchemaRef,
    /// By left column: the right one that is the same key.
    same: Vec<Option<usize>>,
    /// The right columns that are emitted, after the left ones.
    right: Vec<usize>,
    left_all: Vec<usize>,
    right_all: Vec<usize>,
}

impl Output {
    /// `merged` are pairs of columns that are the same key.
    pub(super) fn new(
        schemas: [&SchemaRef; 2],
        merged: &[(usize, usize)],
        kind: JoinKind,
    ) -> Result<Self, JoinError> {
        let [left, right] = schemas.map(|schema| schema.fields());
        let [left_alone, right_alone] = kind.emits_alone();
        let mut same = vec![None; left.len()];
        merged.iter().for_each(|(left, right)| same[*left] = same[*left].or(Some(*right)));
        let kept: Vec<usize> = match kind.is_filter() {
            true => Vec::new(),
            false => (0..right.len()).filter(|i| merged.iter().all(|(_, right)| right != i)).collect(),
        };
        let mut fields = Vec::with_capacity(left.len() + kept.len());
        for (field, same) in left.iter().zip(&same) {
            let is_null_alone = same.is_none_or(|same| right[same].is_nullable());
            let is_nullable = field.is_nullable() || (right_alone && is_null_alone);
            fields.push(field.as_ref().clone().with_nullable(is_nullable));
        }
        let mut names: BTreeSet<String> = left.iter().map(|field| field.name().clone()).collect();
        let rights: BTreeSet<&String> = kept.iter().map(|i| right[*i].name()).collect();
        for i in &kept {
            let field = right[*i].as_ref().clone();
            let name = field.name().clone();
            let new = if names.contains(&name) { format!("{name}_right") } else { name.clone() };
            if (new != name && rights.contains(&new)) || !names.insert(new.clone()) {
                let message = format!(
                    "both sides have `{name}`, and `{new}` is taken too: give one another name with a `select` before"
                );
                return Err(JoinError::new("right", message));
            }
            let is_nullable = field.is_nullable() || left_alone;
            fields.push(field.with_name(new).with_nullable(is_nullable));
        }
        let (left_all, right_all) = ((0..left.len()).collect(), (0..right.len()).collect());
        Ok(Self { schema: Arc::new(Schema::new(fields)), same, right: kept, left_all, right_all })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Where a column of the right side is.
    pub(super) fn right_column(&self, column: usize) -> Option<usize> {
        let kept = self.right.iter().position(|right| *right == column).map(|i| self.same.len() + i);
        kept.or_else(|| self.same.iter().position(|same| *same == Some(column)))
    }

    /// The columns of each side that a pair is made of.
    pub(super) fn of_pairs(&self) -> [&[usize]; 2] {
        [&self.left_all, &self.right]
    }

    /// All columns of each side.
    pub(super) fn all(&self) -> [&[usize]; 2] {
        [&self.left_all, &self.right_all]
    }

    /// Rows out of the columns that `of_pairs` asks for.
    pub(super) fn pairs(
        &self,
        left: Vec<ArrayRef>,
        right: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<RecordBatch, ArrowError> {
        self.batch(left.into_iter().chain(right).collect(), rows)
    }

    /// Rows of one side without a match, out of all of its columns.
    pub(super) fn alone(
        &self,
        side: usize,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<RecordBatch, ArrowError> {
        let nothing = |i: usize| new_null_array(self.schema.field(i).data_type(), rows);
        let count = self.schema.fields().len();
        let columns = if side == 0 {
            columns.iter().map(Arc::clone).chain((columns.len()..count).map(nothing)).collect()
        } else {
            let left = self.same.iter().enumerate();
            let left =
                left.map(|(i, same)| same.map_or_else(|| nothing(i), |same| Arc::clone(&columns[same])));
            left.chain(self.right.iter().map(|i| Arc::clone(&columns[*i]))).collect()
        };
        self.batch(columns, rows)
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}
