//! Keys that memory has no room for. Old buckets of time go first: what comes next is mostly newer.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::Field;

use super::{Bucket, Dedup, SEEN};
use crate::batch::timestamp_us;
use crate::state::cold::{ColdParts, ColdRows, Copied, Payload, Spill};
use crate::state::{KeyColumn, StateError};
use crate::steps::filter::failed;
use crate::steps::{Extent, StateChunk, StepError};

impl Dedup {
    pub(super) fn set_spill(&mut self, spill: Spill) -> Result<(), StepError> {
        let payload = Payload::new([&Field::new("time", timestamp_us(), false)]);
        self.cold = Some(ColdParts::new(payload.map_err(StepError::of_state)?, spill));
        Ok(())
    }

    /// Brings keys of a bucket into memory that are about to be looked up.
    pub(super) fn bring(&mut self, bucket: i64, keys: &KeyColumn) -> Result<(), StateError> {
        let Some(cold) = self.cold.as_mut().filter(|cold| cold.has(bucket)) else { return Ok(()) };
        let table = self.buckets.entry(bucket).or_default();
        let Some(rows) = cold.bring(bucket, keys, &table.groups)? else { return Ok(()) };
        let mut ids = Vec::new();
        table.groups.groups(&KeyColumn::Bytes(rows.keys), &mut ids)?;
        table.times_us.resize(table.groups.len(), None);
        let times = rows.payload[0].as_primitive::<TimestampMicrosecondType>();
        ids.iter()
            .zip(times.values())
            .for_each(|(id, time_us)| table.times_us[*id as usize] = Some(*time_us));
        Ok(())
    }

    /// When the state is over the budget: lets old buckets leave memory.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let mut hot: u64 = self.buckets.values().map(Bucket::bytes).sum();
        let Some(goal) = cold.goal(hot) else { return Ok(()) };
        for (&bucket, table) in &mut self.buckets {
            if hot <= goal {
                break;
            }
            hot = hot.saturating_sub(table.bytes());
            let table = std::mem::take(table);
            let mut is_changed = vec![false; table.groups.len()];
            table.changed.iter().for_each(|group| is_changed[*group as usize] = true);
            let kept = table.kept();
            let times: TimestampMicrosecondArray =
                kept.iter().map(|group| table.times_us[*group as usize]).collect();
            let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
            let changed: BooleanArray = kept.iter().map(|group| Some(is_changed[*group as usize])).collect();
            cold.take(bucket, &table.groups.keys().gather(&kept)?, &[times], &changed)?;
        }
        cold.goal(self.buckets.values().map(Bucket::bytes).sum());
        Ok(())
    }

    /// Forgets the cold keys of a bucket; answers how many there were.
    pub(super) fn close(&mut self, bucket: i64) -> Result<u64, StepError> {
        let closed = self.cold.as_mut().map_or(Ok(0), |cold| cold.close(bucket));
        closed.map_err(StepError::of_state)
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
        self.copy_memory(extent)
    }

    /// The next piece of a snapshot.
    pub(super) fn copy_next(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        let Some(cold) = &mut self.cold else { return Ok(None) };
        let copied = cold.copy(|bucket| self.buckets.get(&bucket).map(|table| &table.groups));
        match copied.map_err(StepError::of_state)? {
            Copied::Rows(_, rows) => Ok(Some(vec![self.cold_chunk(rows)?])),
            Copied::Memory => self.copy_memory(Extent::Delta).map(Some),
            Copied::End => Ok(None),
        }
    }

    fn cold_chunk(&self, rows: ColdRows) -> Result<StateChunk, StepError> {
        let mut columns = self.codec.decode(&rows.keys).map_err(failed)?;
        columns.extend(rows.payload);
        let rows = RecordBatch::try_new(self.plan.state_schema(), columns).map_err(failed)?;
        Ok(StateChunk { table: SEEN.to_owned(), rows })
    }
}
