//! `dedup`: of rows with one key whose event times are less than a bound apart, the first to come.
//!
//! Event time is cut into buckets as long as the bound, so a key has at most one row in a bucket, and
//! its rivals are in that bucket or the two beside it. A bucket is dropped whole once the watermark
//! is so far that no row on time can be near it.

mod cold;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::take::{take, take_record_batch};

use super::filter::failed;
use super::keys::Keys;
use super::shuffle::{Shuffle, owned};
use super::{Extent, KeyedPlan, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};
use crate::batch::{BatchCtx, EventTime, timestamp_us};
use crate::state::cold::{ColdParts, Spill};
use crate::state::{GroupTable, KeyCodec, StateError};

const SEEN: &str = "seen";

/// Rows that are taken back at a time.
const RESTORED_ROWS: usize = 1 << 17;

/// What a `dedup` step does.
#[derive(Clone, Debug)]
pub struct DedupPlan {
    keys: Keys,
    schema: SchemaRef,
    time: EventTime,
    within_us: i64,
}

impl DedupPlan {
    /// One row a key within `within_us` microseconds.
    ///
    /// # Errors
    /// When a column's type cannot be a key, or the bound is not positive.
    pub fn new(keys: Keys, schema: SchemaRef, time: EventTime, within_us: i64) -> Result<Self, StateError> {
        keys.codec()?;
        if within_us <= 0 {
            let message = "`within` must be longer than nothing, or no row is the duplicate of another";
            return Err(StateError::Unsupported(message.to_owned()));
        }
        Ok(Self { keys, schema, time, within_us })
    }

    fn state_schema(&self) -> SchemaRef {
        let types = self.keys.types().into_iter().zip(self.keys.names());
        let keys = types.map(|(data_type, name)| Field::new(name, data_type, true));
        let time = Field::new("time", timestamp_us(), false);
        Arc::new(Schema::new(keys.chain([time]).collect::<Vec<_>>()))
    }
}

impl KeyedPlan for DedupPlan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn holds_back_us(&self) -> Option<i64> {
        None
    }

    fn can_spill(&self) -> bool {
        true
    }

    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError> {
        Ok(Box::new(Dedup {
            codec: self.keys.codec().map_err(failed)?,
            plan: self.clone(),
            worker,
            workers,
            shuffle: Shuffle::new(workers),
            buckets: BTreeMap::new(),
            kept: Vec::new(),
            cold: None,
            size: StateSize::default(),
        }))
    }
}

/// A `dedup` step on one worker.
struct Dedup {
    plan: DedupPlan,
    worker: u32,
    workers: u32,
    codec: KeyCodec,
    shuffle: Shuffle,
    /// By event time divided by the bound.
    buckets: BTreeMap<i64, Bucket>,
    kept: Vec<RecordBatch>,
    /// Keys that are not in memory; none where all of them must be.
    cold: Option<ColdParts>,
    size: StateSize,
}

/// The keys with a row in one bucket of time.
#[derive(Default)]
struct Bucket {
    groups: GroupTable,
    /// By group: the time of the row that was kept; none where a neighbour's was.
    times_us: Vec<Option<i64>>,
    /// Groups that are in no snapshot yet.
    changed: Vec<u32>,
}

impl Bucket {
    /// The groups of which a row was kept.
    fn kept(&self) -> Vec<u32> {
        (0..self.groups.len() as u32).filter(|group| self.times_us[*group as usize].is_some()).collect()
    }

    /// Bytes of memory.
    fn bytes(&self) -> u64 {
        (self.groups.bytes() + self.times_us.capacity() * 16 + self.changed.capacity() * 4) as u64
    }
}

/// Where a row may have rivals: a group in its own bucket, and in those before and after it.
#[derive(Clone, Copy)]
struct Places {
    bucket: i64,
    own: u32,
    before: Option<u32>,
    after: Option<u32>,
}

impl Dedup {
    fn bucket_of(&self, time_us: i64) -> i64 {
        time_us.div_euclid(self.plan.within_us)
    }

    /// Looks the keys of all rows up, bucket by bucket.
    fn places(&mut self, keys: &[ArrayRef], times_us: &[i64]) -> Result<Vec<Places>, StepError> {
        let mut by_bucket: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, time_us) in (0..).zip(times_us) {
            by_bucket.entry(self.bucket_of(*time_us)).or_default().push(row);
        }
        let mut encoded = Vec::with_capacity(by_bucket.len());
        let mut ids = Vec::new();
        let nowhere = Places { bucket: 0, own: 0, before: None, after: None };
        let mut places = vec![nowhere; times_us.len()];
        for (bucket, rows) in by_bucket {
            let selected: Vec<ArrayRef> = if rows.len() == times_us.len() {
                keys.to_vec()
            } else {
                let rows = UInt32Array::from(rows.clone());
                keys.iter().map(|key| take(key, &rows, None)).collect::<Result<_, _>>().map_err(failed)?
            };
            let selected = self.codec.encode(&selected, rows.len()).map_err(failed)?;
            for near in [bucket.checked_sub(1), Some(bucket), bucket.checked_add(1)] {
                near.map_or(Ok(()), |near| self.bring(near, &selected)).map_err(StepError::of_state)?;
            }
            let table = self.buckets.entry(bucket).or_default();
            table.groups.groups(&selected, &mut ids).map_err(failed)?;
            table.times_us.resize(table.groups.len(), None);
            for (row, id) in rows.iter().zip(&ids) {
                places[*row as usize] = Places { bucket, own: *id, ..nowhere };
            }
            encoded.push((bucket, rows, selected));
        }
        // Only now: a row's rivals may have come with this chunk.
        for (bucket, rows, keys) in encoded {
            if let Some(table) = bucket.checked_sub(1).and_then(|before| self.buckets.get(&before)) {
                let found = table.groups.find(&keys);
                rows.iter().zip(found).for_each(|(row, id)| places[*row as usize].before = id);
            }
            if let Some(table) = bucket.checked_add(1).and_then(|after| self.buckets.get(&after)) {
                let found = table.groups.find(&keys);
                rows.iter().zip(found).for_each(|(row, id)| places[*row as usize].after = id);
            }
        }
        Ok(places)
    }

    /// Whether a row of this key is near `time_us` in a bucket beside its own.
    fn has_rival(&self, bucket: Option<i64>, group: Option<u32>, time_us: i64) -> bool {
        let table = bucket.and_then(|bucket| self.buckets.get(&bucket));
        let rival = table.zip(group).and_then(|(table, group)| table.times_us[group as usize]);
        rival.is_some_and(|rival| rival.abs_diff(time_us) < self.plan.within_us.unsigned_abs())
    }

    fn take_rows(&mut self, rows: &RecordBatch) -> Result<(), StepError> {
        let keys = self.plan.keys.of(rows)?.keys;
        let times = self.plan.time.times(rows);
        let places = self.places(&keys, times.values())?;
        let mut kept = Vec::with_capacity(rows.num_rows());
        for (row, (place, time_us)) in (0u32..).zip(places.into_iter().zip(times.values())) {
            let Places { bucket, own, before, after } = place;
            let is_known = self.buckets[&bucket].times_us[own as usize].is_some();
            if is_known
                || self.has_rival(bucket.checked_sub(1), before, *time_us)
                || self.has_rival(bucket.checked_add(1), after, *time_us)
            {
                continue;
            }
            if let Some(table) = self.buckets.get_mut(&bucket) {
                table.times_us[own as usize] = Some(*time_us);
                table.changed.push(own);
            }
            kept.push(row);
        }
        self.size.updated += kept.len() as u64;
        if kept.len() == rows.num_rows() {
            self.kept.push(rows.clone());
        } else if !kept.is_empty() {
            self.kept.push(take_record_batch(rows, &UInt32Array::from(kept)).map_err(failed)?);
        }
        Ok(())
    }

    /// Copies what is in memory.
    fn copy_memory(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        let mut chunks = Vec::new();
        for bucket in self.buckets.values() {
            let groups = match extent {
                Extent::Delta => bucket.changed.clone(),
                Extent::Full => bucket.kept(),
            };
            if !groups.is_empty() {
                chunks.push(self.chunk(bucket, &groups)?);
            }
        }
        self.buckets.values_mut().for_each(|bucket| bucket.changed.clear());
        Ok(chunks)
    }

    /// Takes back rows of a snapshot that this worker owns.
    fn restore_rows(&mut self, rows: &RecordBatch) -> Result<(), StepError> {
        let key_columns = self.plan.keys.names().len();
        let times = rows.column(key_columns).as_primitive::<TimestampMicrosecondType>().clone();
        let places = self.places(&rows.columns()[..key_columns], times.values())?;
        for (place, time_us) in places.into_iter().zip(times.values()) {
            if let Some(bucket) = self.buckets.get_mut(&place.bucket) {
                bucket.times_us[place.own as usize] = Some(*time_us);
            }
        }
        self.make_room().map_err(StepError::of_state)
    }

    fn chunk(&self, bucket: &Bucket, groups: &[u32]) -> Result<StateChunk, StepError> {
        let mut columns =
            self.codec.decode(&bucket.groups.keys().gather(groups).map_err(failed)?).map_err(failed)?;
        let times = groups.iter().map(|group| bucket.times_us[*group as usize]);
        columns.push(Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")));
        let rows = RecordBatch::try_new(self.plan.state_schema(), columns).map_err(failed)?;
        Ok(StateChunk { table: SEEN.to_owned(), rows })
    }
}

impl KeyedStep for Dedup {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        let on_time = self.plan.keys.of_on_time(input, Some(self.plan.time), ctx.watermark_us)?;
        self.shuffle.deal(port, ctx.order, on_time.rows, &self.codec, &on_time.keys)?;
        Ok(on_time.refused)
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        Ok(self.shuffle.take())
    }

    fn merge(&mut self, _: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        self.size = StateSize::default();
        parcels.iter().try_for_each(|parcel| self.take_rows(&parcel.rows))
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        if let Some(watermark_us) = ctx.watermark_us {
            // Rows on time are in the watermark's bucket or later; their rivals in the one before, too.
            let oldest = self.bucket_of(watermark_us).saturating_sub(1);
            let open = self.buckets.split_off(&oldest);
            let gone = std::mem::replace(&mut self.buckets, open);
            self.size.removed = gone.values().map(|bucket| bucket.groups.len() as u64).sum();
            for bucket in gone.into_keys() {
                self.size.removed += self.close(bucket)?;
            }
        }
        self.make_room().map_err(StepError::of_state)?;
        Ok(std::mem::take(&mut self.kept))
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.set_spill(spill)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.copy_first(extent)
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        self.copy_next()
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        if chunk.table != SEEN || chunk.rows.schema() != self.plan.state_schema() {
            return Err(StepError::State(format!(
                "the checkpoint's table `{}` is not of this `dedup`: undo the change to its keys, or start without the \
                 checkpoint",
                chunk.table
            )));
        }
        let key_columns = self.plan.keys.names().len();
        let encode = |codec: &KeyCodec, rows: &RecordBatch| {
            codec.encode(&rows.columns()[..key_columns], rows.num_rows()).map_err(failed)
        };
        let keys = encode(&self.codec, &chunk.rows)?;
        let rows = owned(&chunk.rows, &keys, self.worker, self.workers)?;
        // In pieces, so that what has no room leaves memory before more comes.
        (0..rows.num_rows()).step_by(RESTORED_ROWS).try_for_each(|first| {
            self.restore_rows(&rows.slice(first, RESTORED_ROWS.min(rows.num_rows() - first)))
        })
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        let none =
            StateChunk { table: SEEN.to_owned(), rows: RecordBatch::new_empty(self.plan.state_schema()) };
        Ok(std::iter::once(none).chain(self.snapshot(Extent::Full)?).collect())
    }

    fn size(&self) -> StateSize {
        let cold = self.cold.as_ref();
        let keys_cold = cold.map_or(0, ColdParts::keys);
        StateSize {
            keys: self.buckets.values().map(|bucket| bucket.groups.len() as u64).sum::<u64>() + keys_cold,
            bytes: self.buckets.values().map(Bucket::bytes).sum::<u64>() + cold.map_or(0, ColdParts::bytes),
            keys_cold,
            bytes_cold: cold.map_or(0, ColdParts::file_bytes),
            ..self.size
        }
    }
}

#[cfg(test)]
mod tests;
