//! Groups that memory has no room for: those that no batch has changed for longest are in the scratch file, each
//! with its rows in order as one list a column. A group is brought back before rows of it are taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::Field;

use super::rows::Rows;
use super::{Group, Place, Table, Top, state};
use crate::state::cold::{
    ColdParts, ColdRows, Copied, Cursor, Payload, Recent, Spill, Unlisted, list_field, lists,
};
use crate::state::{GroupTable, KeyColumn, StateError};
use crate::steps::filter::failed;
use crate::steps::{Extent, StateChunk, StepError};

/// Rows of groups that are written at a time.
const PIECE_ROWS: usize = 1 << 14;

impl Top {
    /// From now on groups may leave memory.
    pub(super) fn set_spill(&mut self, spill: Spill) -> Result<(), StepError> {
        let lists: Vec<Field> = self.plan.input.fields().iter().map(|field| list_field(field)).collect();
        self.cold = Some(ColdParts::new(Payload::new(&lists).map_err(StepError::of_state)?, spill));
        Ok(())
    }

    /// Brings the groups into memory that rows belong to. Nothing may have been touched in this batch yet.
    pub(super) fn bring<'a>(&mut self, rows: impl Iterator<Item = &'a RecordBatch>) -> Result<(), StepError> {
        if !self.cold.as_ref().is_some_and(ColdParts::is_in_use) {
            return Ok(());
        }
        // Those of all rows at once: a page of the file that is read serves the more of them.
        let mut wanted: BTreeMap<i64, BinaryBuilder> = BTreeMap::new();
        for rows in rows {
            for (time_us, rows) in self.by_time(rows)? {
                let keys = self.plan.keys.of(&rows)?.keys;
                let keys = self.codec.encode(&keys, rows.num_rows()).map_err(failed)?;
                let wanted = wanted.entry(time_us).or_default();
                keys.for_each(|key| wanted.append_option(key));
            }
        }
        for (time_us, mut keys) in wanted {
            let table = self.tables.entry(time_us).or_default();
            let Some(cold) = &mut self.cold else { return Ok(()) };
            let keys = KeyColumn::Bytes(keys.finish());
            let pieces = cold.bring_all(time_us, &keys, &table.groups).map_err(StepError::of_state)?;
            pieces.iter().try_for_each(|rows| self.take_in(time_us, rows))?;
        }
        Ok(())
    }

    /// Brings all groups into memory that are closed at a time.
    pub(super) fn bring_closed(&mut self, watermark_us: i64) -> Result<(), StepError> {
        for time_us in self.closed_parts(watermark_us) {
            let mut cursor = Cursor::default();
            loop {
                let hot = self.tables.get(&time_us).map(|table| &table.groups);
                let Some(cold) = &mut self.cold else { return Ok(()) };
                let rows = cold.scan(time_us, hot, &mut cursor).map_err(StepError::of_state)?;
                let Some(rows) = rows else { break };
                self.take_in(time_us, &rows)?;
            }
            self.forget_cold(time_us)?;
        }
        Ok(())
    }

    /// Forgets the groups that are closed at a time and not in memory; answers how many there were.
    pub(super) fn close_cold(&mut self, watermark_us: i64) -> Result<u64, StepError> {
        self.closed_parts(watermark_us).into_iter().map(|time_us| self.forget_cold(time_us)).sum()
    }

    /// When the state is over the budget: lets groups leave memory.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        let (hot, batch) = (self.bytes(), self.batch);
        self.batch += 1;
        let Some(goal) = self.cold.as_mut().and_then(|cold| cold.goal(hot)) else { return Ok(()) };
        let groups = || self.tables.values().flat_map(|table| &table.tops);
        let count = groups().count();
        let keep = (count as u128 * u128::from(goal) / u128::from(hot.max(1))) as usize;
        if keep >= count {
            return Ok(());
        }
        let mut recent = Recent::new(groups().map(|group| batch - group.batch), keep);
        for (time_us, mut table) in std::mem::take(&mut self.tables) {
            let all = 0..table.tops.len() as u32;
            let (kept, gone): (Vec<u32>, Vec<u32>) =
                all.partition(|id| recent.keeps(batch - table.tops[*id as usize].batch));
            self.let_groups_go(time_us, &table, &gone)?;
            if !gone.is_empty() {
                table = table.with(&kept)?;
            }
            // Also without groups: its time is open.
            self.tables.insert(time_us, table);
        }
        self.tidy()?;
        // What is left is over the budget only where that is smaller than what knows of cold groups.
        let hot = self.bytes();
        self.cold.as_mut().map(|cold| cold.goal(hot));
        Ok(())
    }

    /// The first piece of a snapshot.
    pub(super) fn copy_first(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        match (&mut self.cold, extent) {
            (None, _) => {}
            (Some(cold), Extent::Full) => cold.begin_full().map_err(StepError::of_state)?,
            (Some(cold), Extent::Delta) => {
                cold.begin_delta();
                return Ok(Vec::new());
            }
        }
        state::copy(self, extent)
    }

    /// The next piece of a snapshot.
    pub(super) fn copy_next(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        let Some(cold) = &mut self.cold else { return Ok(None) };
        let copied = cold.copy(|time_us| self.tables.get(&time_us).map(|table| &table.groups));
        match copied.map_err(StepError::of_state)? {
            Copied::Rows(_, rows) => Ok(Some(vec![self.cold_chunk(&rows)?])),
            Copied::Memory => state::copy(self, Extent::Delta).map(Some),
            Copied::End => Ok(None),
        }
    }

    /// Times of groups in the file that are before the watermark.
    fn closed_parts(&self, watermark_us: i64) -> Vec<i64> {
        let parts = self.cold.as_ref().map_or(Vec::new(), ColdParts::parts);
        parts.into_iter().filter(|time_us| *time_us < watermark_us).collect()
    }

    fn forget_cold(&mut self, time_us: i64) -> Result<u64, StepError> {
        self.cold.as_mut().map_or(Ok(0), |cold| cold.close(time_us)).map_err(StepError::of_state)
    }

    /// Takes groups of the file into memory. No batch has touched them by that.
    fn take_in(&mut self, time_us: i64, rows: &ColdRows) -> Result<(), StepError> {
        let (rows, _) = self.flat(rows).map_err(StepError::of_state)?;
        self.take_at(time_us, &rows)?;
        self.tables.entry(time_us).or_default().forget_touched();
        Ok(())
    }

    /// The rows of groups of the file, and where each group's end.
    fn flat(&self, rows: &ColdRows) -> Result<(RecordBatch, OffsetBuffer<i32>), StateError> {
        let Unlisted { columns, ends, .. } = rows.unlisted()?;
        Ok((RecordBatch::try_new(Arc::clone(&self.plan.input), columns)?, ends))
    }

    fn cold_chunk(&self, rows: &ColdRows) -> Result<StateChunk, StepError> {
        let (rows, ends) = self.flat(rows).map_err(StepError::of_state)?;
        let ranks = ends.windows(2).flat_map(|pair| 1..=i64::from(pair[1] - pair[0]));
        let ranks: ArrayRef = Arc::new(Int64Array::from_iter_values(ranks));
        let columns = rows.columns().iter().cloned().chain([ranks]).collect();
        let rows = RecordBatch::try_new(Arc::clone(&self.state_schema), columns).map_err(failed)?;
        Ok(StateChunk { table: state::ROWS.to_owned(), rows })
    }

    /// Writes groups that leave memory.
    fn let_groups_go(&mut self, time_us: i64, table: &Table, ids: &[u32]) -> Result<(), StateError> {
        let mut rest = ids;
        while !rest.is_empty() {
            let (mut slots, mut lengths) = (Vec::new(), Vec::new());
            for id in rest {
                let group = &table.tops[*id as usize];
                slots.extend(group.slots());
                lengths.push(group.rows.len());
                if slots.len() >= PIECE_ROWS {
                    break;
                }
            }
            let (piece, others) = rest.split_at(lengths.len());
            rest = others;
            let ends = OffsetBuffer::<i32>::from_lengths(lengths);
            let rows = self.rows.gather(&slots)?;
            let columns = self.plan.input.fields().iter().zip(rows.columns());
            let lists = columns.map(|(field, column)| lists(field, &ends, Arc::clone(column)));
            let lists = lists.collect::<Result<Vec<_>, _>>()?;
            let changed: BooleanArray =
                piece.iter().map(|id| Some(table.tops[*id as usize].is_changed)).collect();
            let keys = table.groups.keys().gather(piece)?;
            if let Some(cold) = &mut self.cold {
                cold.take(time_us, &keys, &lists, &changed)?;
            }
        }
        Ok(())
    }

    /// Makes the store of rows anew with those of the groups that there are.
    fn tidy(&mut self) -> Result<(), StateError> {
        let old = std::mem::replace(&mut self.rows, Rows::new(Arc::clone(&self.plan.input)));
        let groups: Vec<&mut Group> = self.tables.values_mut().flat_map(|table| &mut table.tops).collect();
        let mut places: Vec<&mut Place> =
            groups.into_iter().flat_map(|group| group.rows.iter_mut().map(|row| &mut row.place)).collect();
        for places in places.chunks_mut(PIECE_ROWS) {
            let slots: Vec<u32> = places.iter().filter_map(|place| place.slot()).collect();
            let slots = self.rows.insert(old.gather(&slots)?)?;
            places.iter_mut().zip(slots).for_each(|(place, slot)| **place = Place::Slot(slot));
        }
        Ok(())
    }
}

impl Table {
    /// With these groups alone, which ascend.
    fn with(mut self, kept: &[u32]) -> Result<Self, StateError> {
        let mut new = Self::default();
        let keys = KeyColumn::Bytes(self.groups.keys().gather(kept)?);
        new.groups = GroupTable::default();
        new.groups.groups(&keys, &mut Vec::new())?;
        new.tops = kept.iter().map(|id| std::mem::take(&mut self.tops[*id as usize])).collect();
        let renamed = |id: &u32| kept.binary_search(id).ok().map(|id| id as u32);
        new.changed = self.changed.iter().filter_map(renamed).collect();
        Ok(new)
    }
}
