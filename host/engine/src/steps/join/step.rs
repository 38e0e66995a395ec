//! A `join` step on one worker: keeps both sides, finds pairs, lets rows go.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_select::filter::filter_record_batch;

use super::super::filter::failed;
use super::super::shuffle::Shuffle;
use super::super::{Extent, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};
use super::cold::Cold;
use super::snapshot::ROWS;
use super::{JoinKind, JoinPlan};
use crate::batch::BatchCtx;
use crate::state::cold::Spill;
use crate::state::{GroupTable, KeyCodec, KeyColumn, NONE, RowStore, StateError};

/// Rows of one emitted batch.
const OUTPUT_ROWS: usize = 8192;

/// Compacting fewer dead rows than this is not worth it.
const DEAD_MIN: usize = if cfg!(test) { 4 } else { 4096 };

/// A `join` step on one worker.
pub(super) struct Join {
    pub(super) plan: Arc<JoinPlan>,
    pub(super) worker: u32,
    pub(super) workers: u32,
    pub(super) codec: KeyCodec,
    /// The keys of both sides.
    pub(super) groups: GroupTable,
    /// Left and right.
    pub(super) sides: [RowStore; 2],
    /// The watermark of the newest batch; rows that it has passed are gone.
    pub(super) watermark_us: Option<i64>,
    /// The one that the newest snapshot holds.
    pub(super) saved_us: Option<i64>,
    pub(super) ids: Vec<u32>,
    shuffle: Shuffle,
    /// Left and right row of each pair of this batch; for a semi join, left rows alone.
    pairs: [Vec<u32>; 2],
    found: Vec<u32>,
    /// Rows whose key is null: they match nothing.
    alone: Vec<RecordBatch>,
    /// Rows that are not in memory; none where all of them must be.
    pub(super) cold: Option<Cold>,
    /// A copy is not at its end, of which this is missing.
    copying: Option<Extent>,
    size: StateSize,
}

impl Join {
    pub(super) fn new(plan: Arc<JoinPlan>, worker: u32, workers: u32) -> Result<Self, StepError> {
        let keeps_us = plan.keeps_us();
        let side = |side: usize| RowStore::new(Arc::clone(&plan.inputs[side].schema), keeps_us[side]);
        Ok(Self {
            codec: plan.keys[0].codec().map_err(failed)?,
            sides: [side(0), side(1)],
            plan,
            worker,
            workers,
            groups: GroupTable::default(),
            watermark_us: None,
            saved_us: None,
            ids: Vec::new(),
            shuffle: Shuffle::new(workers),
            pairs: [Vec::new(), Vec::new()],
            found: Vec::new(),
            alone: Vec::new(),
            cold: None,
            copying: None,
            size: StateSize::default(),
        })
    }

    /// Keeps rows whose keys are not null; answers with their ids.
    pub(super) fn keep(&mut self, side: usize, rows: &RecordBatch) -> Result<Range<u32>, StepError> {
        let keys = self.encode(side, rows).map_err(StepError::of_state)?;
        self.groups.groups(&keys, &mut self.ids).map_err(failed)?;
        self.sides.iter_mut().for_each(|side| side.reserve_groups(self.groups.len()));
        let times = self.plan.inputs[side].time.times(rows);
        self.sides[side].append(rows.clone(), times.values(), &self.ids).map_err(failed)
    }

    /// The keys of rows, none of which is null.
    pub(super) fn encode(&self, side: usize, rows: &RecordBatch) -> Result<KeyColumn, StateError> {
        let keys = self.plan.keys[side].of(rows).map_err(|error| StateError::Mismatch(error.to_string()))?;
        self.codec.encode(&keys.keys, rows.num_rows())
    }

    /// Rows that wait, in memory or not.
    fn live(&self) -> u64 {
        let hot: usize = self.sides.iter().map(RowStore::live).sum();
        hot as u64 + self.cold.as_ref().map_or(0, Cold::waiting)
    }

    /// Bytes of memory of what is there.
    pub(super) fn bytes(&self) -> u64 {
        (self.groups.bytes() + self.sides.iter().map(RowStore::bytes).sum::<usize>()) as u64
    }

    /// Finds what matches rows that were just kept.
    fn match_rows(&mut self, side: usize, rows: Range<u32>) {
        let JoinPlan { kind, before_us, after_us, .. } = *self.plan;
        let [tracks_left, tracks_right] = kind.emits_alone();
        let [left, right] = &mut self.sides;
        let [lefts, rights] = &mut self.pairs;
        if side == 1 {
            for id in rows {
                let (group, time_us) = right.place_of(id);
                let reach = time_us.saturating_sub(after_us)..=time_us.saturating_add(before_us);
                left.find(group, &reach, &mut self.found);
                if kind.is_filter() {
                    for found in &self.found {
                        left.mark(*found);
                        left.kill(*found);
                    }
                    lefts.extend(&self.found);
                    continue;
                }
                lefts.extend(&self.found);
                rights.extend(self.found.iter().map(|_| id));
                if tracks_left {
                    self.found.iter().for_each(|found| left.mark(*found));
                }
                if tracks_right && !self.found.is_empty() {
                    right.mark(id);
                }
            }
            return;
        }
        for id in rows {
            let (group, time_us) = left.place_of(id);
            let reach = time_us.saturating_sub(before_us)..=time_us.saturating_add(after_us);
            right.find(group, &reach, &mut self.found);
            if self.found.is_empty() {
                continue;
            }
            if kind.is_filter() {
                left.kill(id);
                lefts.push(id);
                continue;
            }
            lefts.extend(self.found.iter().map(|_| id));
            rights.extend(&self.found);
            if tracks_left {
                left.mark(id);
            }
            if tracks_right {
                self.found.iter().for_each(|found| right.mark(*found));
            }
        }
    }

    fn emit_pairs(&mut self, out: &mut Vec<RecordBatch>) -> Result<(), StepError> {
        let [lefts, rights] = std::mem::take(&mut self.pairs);
        match self.plan.kind {
            JoinKind::Anti => {}
            JoinKind::Semi => self.emit_alone(0, &lefts, out)?,
            _ => {
                let [left, right] = self.plan.output.of_pairs();
                for (lefts, rights) in lefts.chunks(OUTPUT_ROWS).zip(rights.chunks(OUTPUT_ROWS)) {
                    let left = self.sides[0].gather(lefts, left).map_err(failed)?;
                    let right = self.sides[1].gather(rights, right).map_err(failed)?;
                    out.push(self.plan.output.pairs(left, right, lefts.len()).map_err(failed)?);
                }
            }
        }
        self.pairs = [lefts, rights];
        self.pairs.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    fn emit_alone(&self, side: usize, ids: &[u32], out: &mut Vec<RecordBatch>) -> Result<(), StepError> {
        for ids in ids.chunks(OUTPUT_ROWS) {
            let columns = self.sides[side].gather(ids, self.plan.output.all()[side]).map_err(failed)?;
            out.push(self.plan.output.alone(side, &columns, ids.len()).map_err(failed)?);
        }
        Ok(())
    }

    /// Drops the rows that nothing on time can match; emits those that nothing did match.
    fn expire(&mut self, watermark_us: i64, out: &mut Vec<RecordBatch>) -> Result<(), StepError> {
        let keeps_us = self.plan.keeps_us();
        let emits = self.plan.kind.emits_alone();
        for side in 0..2 {
            let mut gone = Vec::new();
            let before_us = watermark_us.saturating_sub(keeps_us[side]);
            self.expire_cold(side, before_us).map_err(StepError::of_state)?;
            self.sides[side].expire(before_us, &mut gone);
            if emits[side] {
                let (store, keys) = (&self.sides[side], self.groups.keys());
                gone.retain(|id| !store.is_marked(*id));
                // In an order that has nothing to do with where they were.
                gone.sort_unstable_by(|left, right| {
                    let place = |id: u32| {
                        let (group, time_us) = store.place_of(id);
                        (time_us, group)
                    };
                    let ((left_us, left_group), (right_us, right_group)) = (place(*left), place(*right));
                    let by_key = || keys.get(left_group).cmp(&keys.get(right_group));
                    let last = |id: u32| (!store.is_old(id), id);
                    left_us.cmp(&right_us).then_with(by_key).then_with(|| last(*left).cmp(&last(*right)))
                });
                self.emit_alone(side, &gone, out)?;
            }
        }
        Ok(())
    }

    /// Once more rows are dead than live, or when it `must`, forgets them and the keys that only they had.
    pub(super) fn compact(&mut self, must: bool) -> Result<(), StateError> {
        self.sides.iter_mut().for_each(RowStore::release);
        let live: usize = self.sides.iter().map(RowStore::live).sum();
        let dead: usize = self.sides.iter().map(RowStore::dead).sum();
        if !must && (dead < DEAD_MIN || dead <= live) {
            return Ok(());
        }
        let mut used = vec![false; self.groups.len()];
        let watermark_us = self.watermark_us.unwrap_or(i64::MIN);
        for (side, keep_us) in self.sides.iter_mut().zip(self.plan.keeps_us()) {
            side.groups_used(&mut used, watermark_us.saturating_sub(keep_us));
        }
        let kept: Vec<u32> = (0..).zip(&used).filter(|(_, used)| **used).map(|(group, _)| group).collect();
        let keys = KeyColumn::Bytes(self.groups.keys().gather(&kept)?);
        let mut groups = GroupTable::default();
        groups.groups(&keys, &mut self.ids)?;
        let mut renamed = vec![NONE; used.len()];
        kept.iter().zip(&self.ids).for_each(|(old, new)| renamed[*old as usize] = *new);
        self.groups = groups;
        let groups = self.groups.len();
        self.sides.iter_mut().try_for_each(|side| side.compact(&renamed, groups))
    }
}

/// The rows that have a key, and those that have none.
pub(super) fn by_key(
    rows: RecordBatch,
    keys: Vec<ArrayRef>,
) -> Result<(RecordBatch, Vec<ArrayRef>, Option<RecordBatch>), StepError> {
    let nulls = keys.iter().fold(None, |all, key| NullBuffer::union(all.as_ref(), key.nulls()));
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return Ok((rows, keys, None)) };
    let is_key = BooleanArray::new(nulls.into_inner(), None);
    let is_none = arrow_arith::boolean::not(&is_key).map_err(failed)?;
    let without = filter_record_batch(&rows, &is_none).map_err(failed)?;
    let filter = |key: &ArrayRef| arrow_select::filter::filter(key, &is_key);
    let keys = keys.iter().map(filter).collect::<Result<_, _>>().map_err(failed)?;
    Ok((filter_record_batch(&rows, &is_key).map_err(failed)?, keys, Some(without)))
}

impl KeyedStep for Join {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        let time = Some(self.plan.inputs[port].time);
        let on_time = self.plan.keys[port].of_on_time(input, time, ctx.watermark_us)?;
        let (rows, keys, without) = by_key(on_time.rows, on_time.keys)?;
        if let Some(rows) = without.filter(|_| self.plan.kind.emits_alone()[port]) {
            let rows = self.plan.output.alone(port, rows.columns(), rows.num_rows());
            self.alone.push(rows.map_err(failed)?);
        }
        self.shuffle.deal(port, ctx.order, rows, &self.codec, &keys)?;
        Ok(on_time.refused)
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        Ok(self.shuffle.take())
    }

    fn merge(&mut self, _: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        self.size = StateSize::default();
        self.welcome(parcels).map_err(StepError::of_state)?;
        for parcel in parcels {
            self.size.updated += parcel.rows.num_rows() as u64;
            let rows = self.keep(parcel.port, &parcel.rows)?;
            self.match_rows(parcel.port, rows);
        }
        Ok(())
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        let mut out = std::mem::take(&mut self.alone);
        self.emit_pairs(&mut out)?;
        self.see_off().map_err(StepError::of_state)?;
        let before = self.live();
        if let Some(watermark_us) = ctx.watermark_us {
            self.watermark_us = Some(watermark_us);
            self.expire(watermark_us, &mut out)?;
        }
        self.size.removed = before.saturating_sub(self.live());
        self.compact(false).map_err(StepError::of_state)?;
        self.make_room().map_err(StepError::of_state)?;
        Ok(out)
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.set_spill(spill).map_err(StepError::of_state)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.copying = None;
        if self.begin_copy(extent).map_err(StepError::of_state)? {
            // What is in memory came later than the rest, so it is copied last.
            self.copying = Some(extent);
            return Ok(Vec::new());
        }
        self.state(extent)
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        match self.copy_cold().map_err(StepError::of_state)? {
            Some((side, rows)) => Ok(Some(vec![StateChunk { table: ROWS[side].to_owned(), rows }])),
            None => self.copying.take().map(|extent| self.state(extent)).transpose(),
        }
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        self.take_back(chunk)
    }

    /// A key here is a row that is kept.
    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        self.waiting()
    }

    fn size(&self) -> StateSize {
        let cold = self.cold.as_ref();
        StateSize {
            keys: self.live(),
            bytes: self.bytes() + cold.map_or(0, Cold::bytes),
            keys_cold: cold.map_or(0, Cold::waiting),
            bytes_cold: cold.map_or(0, Cold::file_bytes),
            ..self.size
        }
    }
}
