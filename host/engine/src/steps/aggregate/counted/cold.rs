//! Keys that memory has no room for: those of which no batch had rows for longest are in the scratch file, each
//! with how many rows came and its panes as one list a column. A key is brought back before its rows are counted.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};

use super::snapshot;
use super::step::Counted;
use super::table::Counter;
use crate::state::cold::{ColdParts, Copied, Payload, Recent, Spill, Unlisted, list_field, lists};
use crate::state::{KeyColumn, StateError};
use crate::steps::aggregate::PIECE_ROWS;
use crate::steps::{Extent, StateChunk, StepError};

/// All keys are in one part of the file.
const ALL: i64 = 0;

/// The keys of one worker that are not in memory.
pub(super) struct Cold {
    parts: ColdParts,
    /// By group of the table in memory: the batch that had rows of it last.
    batches: Vec<u32>,
    batch: u32,
}

impl Cold {
    /// Keys that are not in memory.
    pub(super) fn keys(&self) -> u64 {
        self.parts.keys()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.bytes() + self.own_bytes()
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.parts.file_bytes()
    }

    fn own_bytes(&self) -> u64 {
        (self.batches.capacity() * size_of::<u32>()) as u64
    }
}

impl Counted {
    /// From now on keys may leave memory.
    pub(super) fn set_spill(&mut self, spill: Spill) -> Result<(), StateError> {
        let rows = Field::new("rows", DataType::Int64, false);
        let panes = self.pane_fields().iter().map(list_field).collect::<Vec<_>>();
        let parts = ColdParts::new(Payload::new(std::iter::once(&rows).chain(&panes))?, spill);
        self.cold = Some(Cold { parts, batches: Vec::new(), batch: 0 });
        Ok(())
    }

    /// Brings keys into memory whose rows are about to be counted.
    pub(super) fn bring(&mut self, keys: &[KeyColumn]) -> Result<(), StateError> {
        let Some(cold) = self.cold.as_mut().filter(|cold| cold.parts.is_in_use()) else { return Ok(()) };
        let mut all = BinaryBuilder::new();
        keys.iter().for_each(|keys| keys.for_each(|key| all.append_option(key)));
        let pieces = cold.parts.bring_all(ALL, &KeyColumn::Bytes(all.finish()), self.state.groups())?;
        for rows in pieces {
            let counts = rows.payload[0].as_primitive::<Int64Type>();
            self.state.restore_counts(&KeyColumn::Bytes(rows.keys.clone()), counts.values())?;
            let Unlisted { keys, columns, .. } = rows.unlisted()?;
            self.state.restore_panes(&KeyColumn::Bytes(keys), &columns)?;
        }
        self.note_groups();
        Ok(())
    }

    /// When the state is over the budget: lets keys leave memory, those first of which no batch had rows for
    /// longest.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        self.note_groups();
        let own = self.cold.as_ref().map_or(0, Cold::own_bytes);
        let hot = self.state.bytes() as u64 + own;
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let goal = cold.parts.goal(hot);
        let batch = cold.batch;
        cold.batch += 1;
        let Some(goal) = goal else { return Ok(()) };
        let keep = (cold.batches.len() as u128 * u128::from(goal) / u128::from(hot.max(1))) as usize;
        if keep >= cold.batches.len() {
            return Ok(());
        }
        let ages: Vec<u32> = cold.batches.iter().map(|last| batch - last).collect();
        let mut recent = Recent::new(ages.iter().copied(), keep);
        let (kept, gone): (Vec<u32>, Vec<u32>) =
            (0..ages.len() as u32).partition(|group| recent.keeps(ages[*group as usize]));
        gone.chunks(PIECE_ROWS).try_for_each(|groups| self.let_go(groups))?;
        self.state = self.state.part(&kept, &|| self.plan.accumulators())?;
        let hot = self.state.bytes() as u64;
        let Some(cold) = &mut self.cold else { return Ok(()) };
        cold.batches = kept.iter().map(|group| cold.batches[*group as usize]).collect();
        // What is left is over the budget only where that is smaller than what knows of cold keys.
        cold.parts.goal(hot + cold.own_bytes());
        Ok(())
    }

    /// The batch had rows of these groups.
    pub(super) fn note_touched(&mut self) {
        self.note_groups();
        let Some(cold) = &mut self.cold else { return };
        self.state.touched().iter().for_each(|group| cold.batches[*group as usize] = cold.batch);
    }

    /// The first piece of a snapshot.
    pub(super) fn copy_first(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        match (&mut self.cold, extent) {
            (None, _) => {}
            (Some(cold), Extent::Full) => cold.parts.begin_full().map_err(StepError::of_state)?,
            (Some(cold), Extent::Delta) => {
                cold.parts.begin_delta();
                return Ok(Vec::new());
            }
        }
        snapshot::copy(self, extent)
    }

    /// The next piece of a snapshot.
    pub(super) fn copy_next(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        let Some(cold) = &mut self.cold else { return Ok(None) };
        match cold.parts.copy(|_| Some(self.state.groups())).map_err(StepError::of_state)? {
            Copied::Rows(_, rows) => {
                let panes = rows.unlisted().map_err(StepError::of_state)?;
                let chunks = snapshot::chunks(self, &rows.keys, Arc::clone(&rows.payload[0]), panes);
                chunks.map(Some).map_err(StepError::of_state)
            }
            Copied::Memory => snapshot::copy(self, Extent::Delta).map(Some),
            Copied::End => Ok(None),
        }
    }

    /// The states of functions over one pane.
    fn pane_fields(&self) -> Vec<Field> {
        self.state.accumulators().iter().flat_map(|accumulator| accumulator.state_fields()).collect()
    }

    fn note_groups(&mut self) {
        if let Some(cold) = &mut self.cold {
            cold.batches.resize(self.state.groups().len(), cold.batch);
        }
    }

    /// Writes keys that leave memory.
    fn let_go(&mut self, groups: &[u32]) -> Result<(), StateError> {
        let counter = |group: &u32| -> &Counter { &self.state.counters()[*group as usize] };
        let rows = groups.iter().map(|group| i64::try_from(counter(group).rows).unwrap_or(i64::MAX));
        let mut payload: Vec<ArrayRef> = vec![Arc::new(rows.collect::<Int64Array>())];
        let slots: Vec<u32> = groups.iter().flat_map(|group| counter(group).slots.iter().copied()).collect();
        let ends = OffsetBuffer::<i32>::from_lengths(groups.iter().map(|group| counter(group).slots.len()));
        for accumulator in self.state.accumulators() {
            for (field, states) in accumulator.state_fields().iter().zip(accumulator.state(&slots)?) {
                payload.push(lists(field, &ends, states)?);
            }
        }
        let changed = groups.iter().map(|group| Some(self.state.is_changed(*group)));
        let changed: BooleanArray = changed.collect();
        let keys = self.state.groups().keys().gather(groups)?;
        self.cold.as_mut().map_or(Ok(()), |cold| cold.parts.take(ALL, &keys, &payload, &changed))
    }
}
