//! Copies of the rows that are not in memory, piece by piece.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch};
use arrow_select::filter::{filter, filter_record_batch};

use super::{Cold, SCAN_ROWS, times};
use crate::state::cold::{ColdRows, Cursor};
use crate::state::{GroupTable, KeyColumn, StateError};
use crate::steps::Extent;
use crate::steps::join::step::Join;

/// How far a copy is; what is in memory comes last.
pub(super) enum Copying {
    /// The next entry of what has left memory, by side.
    Changed(usize, usize),
    /// Side and start of the stretches that are left, the next one last, and how far that is.
    Stretches(Vec<(usize, i64)>, Cursor),
}

impl Join {
    /// Begins a copy of the state, whose pieces `copy_cold` gives.
    pub(in crate::steps::join) fn begin_copy(&mut self, extent: Extent) -> Result<bool, StateError> {
        let Some(Cold { store, sides, copying, .. }) = &mut self.cold else { return Ok(false) };
        *copying = Some(match extent {
            Extent::Delta => Copying::Changed(0, 0),
            Extent::Full => {
                sides.iter_mut().try_for_each(|side| store.clear(&mut side.changed))?;
                let all = sides.iter().enumerate();
                let all =
                    all.flat_map(|(side, own)| own.stretches.starts().into_iter().map(move |us| (side, us)));
                Copying::Stretches(all.collect(), Cursor::default())
            }
        });
        Ok(true)
    }

    /// The next rows of a copy, with their side; none when it is time for those in memory, or all has been.
    pub(in crate::steps::join) fn copy_cold(&mut self) -> Result<Option<(usize, RecordBatch)>, StateError> {
        loop {
            let Some(cold) = &mut self.cold else { return Ok(None) };
            match cold.copying.take() {
                None => return Ok(None),
                Some(Copying::Changed(side, entry)) => {
                    let own = &mut cold.sides[side];
                    if entry < own.changed.entries().len() {
                        cold.copying = Some(Copying::Changed(side, entry + 1));
                        if let Some(rows) = cold.store.entry(&own.changed, entry)? {
                            return Ok(Some((side, self.batch(side, rows.payload)?)));
                        }
                        continue;
                    }
                    cold.store.clear(&mut own.changed)?;
                    cold.copying = (side == 0).then_some(Copying::Changed(1, 0));
                }
                Some(Copying::Stretches(mut left, mut cursor)) => {
                    let Some(&(side, start_us)) = left.last() else { return Ok(None) };
                    let found = cold.sides[side].stretches.get_mut(start_us);
                    let Some((_, stretch)) = found else { return Ok(None) };
                    let rows = cold.store.scan(&stretch.rows, &mut cursor, SCAN_ROWS)?;
                    let Some(rows) = rows else {
                        left.pop();
                        cold.copying = Some(Copying::Stretches(left, Cursor::default()));
                        continue;
                    };
                    let marks =
                        cold.store.find_all(&mut stretch.marks, &KeyColumn::Bytes(rows.keys.clone()))?;
                    cold.copying = Some(Copying::Stretches(left, cursor));
                    return Ok(Some((side, self.with_marks(side, rows, &marks)?)));
                }
            }
        }
    }

    /// Rows of the file as those of a copy, with the marks that were made beside them.
    fn with_marks(&self, side: usize, rows: ColdRows, marks: &[ColdRows]) -> Result<RecordBatch, StateError> {
        let batch = self.batch(side, rows.payload)?;
        if marks.iter().all(|marks| marks.keys.is_empty()) {
            return Ok(batch);
        }
        let is_marked = self.is_marked(side, rows.keys, &batch, marks)?;
        if self.plan.kind.is_filter() {
            return Ok(filter_record_batch(&batch, &arrow_arith::boolean::not(&is_marked)?)?);
        }
        let mut columns = batch.columns().to_vec();
        if let Some(matched) = columns.last_mut() {
            *matched = Arc::new(arrow_arith::boolean::or(matched.as_boolean(), &is_marked)?);
        }
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    }

    /// Those of the rows of the file that have had no match.
    pub(super) fn unmatched(
        &self,
        side: usize,
        rows: ColdRows,
        marks: &[ColdRows],
    ) -> Result<ColdRows, StateError> {
        let keys = rows.keys.clone();
        let batch = self.batch(side, rows.payload)?;
        let is_marked = self.is_marked(side, rows.keys, &batch, marks)?;
        let was_matched = batch.column(batch.num_columns() - 1).as_boolean();
        let is_matched = arrow_arith::boolean::or(was_matched, &is_marked)?;
        let waits = arrow_arith::boolean::not(&is_matched)?;
        let batch = filter_record_batch(&batch, &waits)?;
        Ok(ColdRows { keys: filter(&keys, &waits)?.as_binary().clone(), payload: batch.columns().to_vec() })
    }

    /// Which rows of the file have marks beside them.
    fn is_marked(
        &self,
        side: usize,
        keys: BinaryArray,
        rows: &RecordBatch,
        marks: &[ColdRows],
    ) -> Result<BooleanArray, StateError> {
        let (mut groups, mut ids) = (GroupTable::default(), Vec::new());
        let mut marked = BTreeSet::new();
        for marks in marks {
            groups.groups(&KeyColumn::Bytes(marks.keys.clone()), &mut ids)?;
            marked.extend(ids.iter().copied().zip(times(&marks.payload[0]).iter().copied()));
        }
        let times_us = self.plan.inputs[side].time.times(rows);
        let places = groups.find(&KeyColumn::Bytes(keys)).into_iter().zip(times_us.values());
        let is_marked = places.map(|(group, us)| group.is_some_and(|group| marked.contains(&(group, *us))));
        Ok(is_marked.map(Some).collect())
    }

    fn batch(&self, side: usize, columns: Vec<ArrayRef>) -> Result<RecordBatch, StateError> {
        Ok(RecordBatch::try_new(self.rows_schema(side), columns)?)
    }
}
