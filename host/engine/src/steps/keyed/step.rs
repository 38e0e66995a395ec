//! A `state` step on one worker: the life of a batch.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use millstream_wasm::CallClock;

use super::operator::Operator;
use super::search::{Given, Search, timer_text};
use super::store::Store;
use super::turns::{Turns, ended};
use super::{StateParts, StatePlan, TimerClock};
use crate::batch::{BatchCtx, DeadLetterKind};
use crate::state::cold::{Copied, Spill};
use crate::steps::filter::failed;
use crate::steps::shuffle::{Shuffle, owned};
use crate::steps::{
    Extent, KeyedStep, LostTimer, Parcel, Refusals, RefusedRows, RejectedRow, StateChunk, StateSize,
    StepError,
};

/// The step.
pub(super) struct Step {
    pub(super) parts: StateParts,
    pub(super) operator: Box<dyn Operator>,
    pub(super) worker: u32,
    pub(super) workers: u32,
    pub(super) store: Store,
    shuffle: Shuffle,
    given: Given,
    /// Timers that exceeded their time when the batch ran first, with what was said of each.
    timed_out: HashMap<String, String>,
    /// Some states were written by another version, so that the next copy has to have all.
    pub(super) has_migrated: bool,
    /// The first batch was, and its initial rows with it.
    pub(super) has_begun: bool,
    /// A snapshot says so.
    pub(super) beginning_saved: bool,
    updated: u64,
    removed: u64,
    ids: Vec<u32>,
    /// The cutter's own.
    scratch: Vec<u32>,
}

impl Step {
    pub(super) fn new(
        parts: StateParts,
        operator: Box<dyn Operator>,
        worker: u32,
        workers: u32,
    ) -> Result<Self, StepError> {
        let codec = parts.keys.codec().map_err(failed)?;
        let store = Store::new(codec, StatePlan::key_schema(&parts.keys), parts.ttl_us);
        Ok(Self {
            parts,
            operator,
            worker,
            workers,
            store,
            shuffle: Shuffle::new(workers),
            given: Given::default(),
            timed_out: HashMap::new(),
            has_migrated: false,
            has_begun: false,
            beginning_saved: false,
            updated: 0,
            removed: 0,
            ids: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Timers that are known to exceed their time are not tried again.
    fn set_timers_aside(&mut self, due: &mut Vec<(i64, u32)>) -> Result<(), StepError> {
        if self.timed_out.is_empty() || due.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = due.iter().map(|(_, id)| *id).collect();
        let keys = self.store.keys(&ids).map_err(ended)?;
        let mut key = 0..;
        due.retain(|(at_us, _)| {
            let text = timer_text(&keys, key.next().unwrap_or_default(), *at_us);
            let reason = self.timed_out.get(&text).cloned();
            let is_known = reason.is_some();
            self.given.lost.extend(reason.map(|reason| LostTimer {
                text,
                kind: DeadLetterKind::TimedOut,
                reason,
            }));
            !is_known
        });
        Ok(())
    }

    /// The parcels of a batch; those of the first one begin with the initial rows of this worker's keys.
    fn with_initial<'a>(&mut self, parcels: &'a [Parcel]) -> Result<Cow<'a, [Parcel]>, StepError> {
        let Some(initial) = self.parts.initial.as_ref().filter(|_| !self.has_begun) else {
            return Ok(Cow::Borrowed(parcels));
        };
        let keyed = self.parts.keys.of(&initial.rows()?)?;
        let given = &mut self.given.refused;
        if self.worker == 0 && !keyed.refused.is_empty() {
            given.push(RefusedRows { port: 0, rows: initial.rows()?, refused: keyed.refused });
        }
        let keys = self.store.codec().encode(&keyed.keys, keyed.rows.num_rows()).map_err(failed)?;
        let rows = owned(&keyed.rows, &keys, self.worker, self.workers)?;
        let first = Some(Parcel { port: 0, order: 0, rows }).filter(|first| first.rows.num_rows() > 0);
        Ok(first.into_iter().chain(parcels.iter().cloned()).collect())
    }

    /// Sets `self.ids` to the ids of all rows, parcel by parcel.
    fn find(&mut self, parcels: &[Parcel]) -> Result<(), StepError> {
        let mut all = Vec::with_capacity(parcels.iter().map(|parcel| parcel.rows.num_rows()).sum());
        let mut encoded = Vec::with_capacity(parcels.len());
        for parcel in parcels {
            let keys = self.parts.keys.of(&parcel.rows)?.keys;
            encoded.push(self.store.codec().encode(&keys, parcel.rows.num_rows()).map_err(failed)?);
        }
        self.store.bring(&encoded).map_err(ended)?;
        for keys in encoded {
            self.store.find(&keys, &mut self.ids).map_err(ended)?;
            all.extend_from_slice(&self.ids);
        }
        self.ids = all;
        Ok(())
    }
}

impl KeyedStep for Step {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        let time = match self.parts.timers {
            TimerClock::ProcessingTime => None,
            TimerClock::EventTime(time) => Some(time),
        };
        let on_time = self.parts.keys.of_on_time(input, time, ctx.watermark_us)?;
        self.shuffle.deal(port, ctx.order, on_time.rows, self.store.codec(), &on_time.keys)?;
        Ok(on_time.refused)
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        Ok(self.shuffle.take())
    }

    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        let mut due = match self.parts.timers.now_us(ctx) {
            Some(now_us) => self.store.advance(now_us).map_err(ended)?,
            None => Vec::new(),
        };
        let were_due: Vec<u32> = due.iter().map(|(_, id)| *id).collect();
        self.set_timers_aside(&mut due)?;
        let parcels = self.with_initial(parcels)?;
        let parcels: &[Parcel] = &parcels;
        self.has_begun = true;
        self.find(parcels)?;
        let memory_bytes = self.parts.memory_bytes;
        let turns = Turns::cut(&self.store, &mut self.scratch, &due, parcels, &self.ids, memory_bytes);
        let none = RecordBatch::new_empty(Arc::clone(&self.parts.input));
        let mut search = Search {
            parts: &self.parts,
            operator: &mut *self.operator,
            store: &mut self.store,
            clock: CallClock {
                batch_id: ctx.batch.0,
                // Each worker has numbers of its own.
                chunk: u64::from(self.worker) << 32,
                now_us: ctx.now_us,
                watermark_us: ctx.watermark_us,
                seed: ctx.seed,
            },
            given: &mut self.given,
        };
        for turn in 0..turns.len() {
            let work = turns.work(turn, search.store, &none)?;
            search.run(work)?;
        }
        search.check_batch()?;
        self.updated = turns.keys().len() as u64;
        were_due.iter().for_each(|id| self.store.watch(*id));
        self.removed = self.store.take_removed();
        self.store.bury();
        self.store.compact().map_err(ended)?;
        self.store.make_room().map_err(ended)?;
        if self.scratch.len() > self.store.len() * 2 {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    fn emit(&mut self, _: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        Ok(std::mem::take(&mut self.given.rows))
    }

    fn refusals(&mut self) -> Refusals {
        self.timed_out.clear();
        let given = std::mem::take(&mut self.given);
        Refusals { rows: given.refused, timers: given.lost }
    }

    fn forewarn(&mut self, timed_out: &HashMap<String, String>) {
        self.timed_out.clone_from(timed_out);
    }

    fn earliest_timer_us(&mut self) -> Option<i64> {
        self.store.earliest_timer_us()
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.store.set_spill(spill).map_err(ended)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        if self.store.begin_copy(extent == Extent::Full).map_err(ended)? {
            return Ok(Vec::new());
        }
        self.copy(extent)
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        match self.store.copy_cold().map_err(ended)? {
            Copied::Rows(_, rows) => self.cold_chunk(rows).map(|chunk| Some(vec![chunk])),
            Copied::Memory => self.copy(Extent::Delta).map(Some),
            Copied::End => Ok(None),
        }
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        self.take_back(chunk)
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        let none = self.empty_chunk();
        let (keys, _): (Vec<_>, Vec<_>) =
            self.copy(Extent::Full)?.into_iter().partition(|chunk| chunk.table == none.table);
        Ok(std::iter::once(none).chain(keys).collect())
    }

    fn size(&self) -> StateSize {
        let (keys_cold, bytes_cold) = self.store.cold_size();
        StateSize {
            keys: self.store.live(),
            bytes: self.store.bytes() as u64 + self.store.cold_bytes(),
            updated: self.updated,
            removed: self.removed,
            keys_cold,
            bytes_cold,
        }
    }
}
