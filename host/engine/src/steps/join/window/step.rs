//! A join by window on one worker: keeps rows by pane, joins a window's when it closes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::{take, take_record_batch};

use super::super::JoinKind;
use super::super::index::Index;
use super::WindowJoinPlan;
use super::cold::{Cold, ColdRows};
use crate::batch::BatchCtx;
use crate::state::KeyCodec;
use crate::state::cold::Spill;
use crate::steps::aggregate::placement::{Placement, place};
use crate::steps::filter::failed;
use crate::steps::keys::{both, kept_rows};
use crate::steps::shuffle::Shuffle;
use crate::steps::{Extent, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};
use crate::windows::Window;

/// Rows of one emitted batch.
const OUTPUT_ROWS: usize = 8192;

/// The rows of a pane, left and right, as they came.
#[derive(Debug, Default)]
pub(super) struct Pane {
    pub(super) sides: [Vec<RecordBatch>; 2],
    /// So many of them are in the newest snapshot.
    pub(super) saved: [usize; 2],
    /// Rows that are not in memory.
    pub(super) cold: [Option<ColdRows>; 2],
}

impl Pane {
    fn rows(&self) -> u64 {
        self.sides.iter().flatten().map(|rows| rows.num_rows() as u64).sum::<u64>() + self.rows_cold()
    }

    fn rows_cold(&self) -> u64 {
        self.cold.iter().flatten().map(ColdRows::rows).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        let rows = self.sides.iter().flatten().map(|rows| rows.get_array_memory_size() as u64);
        rows.sum::<u64>() + self.cold.iter().flatten().map(ColdRows::bytes).sum::<u64>()
    }
}

/// A join by window on one worker.
pub(super) struct WindowJoin {
    pub(super) plan: Arc<WindowJoinPlan>,
    pub(super) worker: u32,
    pub(super) workers: u32,
    pub(super) codec: KeyCodec,
    pub(super) panes: BTreeMap<Window, Pane>,
    /// Windows that end here or before were emitted.
    pub(super) closed_us: Option<i64>,
    /// What the newest snapshot says of that.
    pub(super) saved_us: Option<i64>,
    shuffle: Shuffle,
    out: Vec<RecordBatch>,
    /// Where rows go that memory has no room for, if they may.
    pub(super) cold: Option<Cold>,
    /// A copy is not at its end, of which this is missing.
    copying: Option<Extent>,
    size: StateSize,
}

impl WindowJoin {
    pub(super) fn new(plan: Arc<WindowJoinPlan>, worker: u32, workers: u32) -> Result<Self, StepError> {
        Ok(Self {
            codec: plan.keys[0].codec().map_err(failed)?,
            plan,
            worker,
            workers,
            panes: BTreeMap::new(),
            closed_us: None,
            saved_us: None,
            shuffle: Shuffle::new(workers),
            out: Vec::new(),
            cold: None,
            copying: None,
            size: StateSize::default(),
        })
    }

    fn place(&self, side: usize, rows: &RecordBatch, closed_us: Option<i64>) -> Placement {
        let times = self.plan.inputs[side].time.times(rows);
        place(&self.plan.windows, &times, self.plan.time_name(side), closed_us)
    }

    /// Keeps rows whose windows are open.
    pub(super) fn keep(&mut self, side: usize, rows: &RecordBatch) -> Result<(), StepError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        match self.place(side, rows, None) {
            Placement::One(pane) => self.panes.entry(pane).or_default().sides[side].push(rows.clone()),
            Placement::Many { panes, .. } => {
                for (pane, numbers) in panes {
                    let rows = take_record_batch(rows, &UInt32Array::from(numbers)).map_err(failed)?;
                    self.panes.entry(pane).or_default().sides[side].push(rows);
                }
            }
        }
        Ok(())
    }

    /// Emits the windows that end up to here, in order, and drops what only they needed.
    fn close(&mut self, closed_us: i64) -> Result<(), StepError> {
        if self.closed_us.is_some_and(|before_us| before_us >= closed_us) {
            return Ok(());
        }
        let closes = |window: &Window| window.is_closed(Some(closed_us)) && !window.is_closed(self.closed_us);
        let windows: BTreeSet<Window> =
            self.panes.keys().flat_map(|pane| self.plan.windows.of(*pane).filter(closes)).collect();
        for window in windows {
            self.join(window)?;
        }
        self.forget(closed_us)
    }

    /// Drops the panes all of whose windows end up to here.
    pub(super) fn forget(&mut self, closed_us: i64) -> Result<(), StepError> {
        self.closed_us = self.closed_us.max(Some(closed_us));
        let (windows, closed_us) = (self.plan.windows, self.closed_us);
        let gone = self.panes.extract_if(.., |pane, _| windows.last_of(*pane).is_closed(closed_us));
        let gone: Vec<Pane> = gone.map(|(_, pane)| pane).collect();
        self.forget_cold(gone.into_iter()).map_err(StepError::of_state)
    }

    /// All rows of one side of a window.
    fn side(&mut self, side: usize, window: Window) -> Result<RecordBatch, StepError> {
        let from = Window { end_us: i64::MIN, ..window };
        let panes = self.panes.range(from..).take_while(|(pane, _)| window.contains(pane.start_us));
        let panes: Vec<Window> = panes.map(|(pane, _)| *pane).collect();
        let mut rows = Vec::new();
        for pane in panes {
            rows.extend(self.cold_rows(side, pane).map_err(StepError::of_state)?);
            rows.extend(self.panes[&pane].sides[side].iter().cloned());
        }
        concat_batches(&self.plan.inputs[side].schema, &rows).map_err(failed)
    }

    fn join(&mut self, window: Window) -> Result<(), StepError> {
        let plan = Arc::clone(&self.plan);
        let [left, right] = [self.side(0, window)?, self.side(1, window)?];
        let keys = plan.keys[1].of(&right)?.keys;
        let (index, keyless) = Index::new(right, keys, &self.codec)?;
        let keys = self.codec.encode(&plan.keys[0].of(&left)?.keys, left.num_rows()).map_err(failed)?;
        let found = index.groups.find(&keys);
        let [emits_left, emits_right] = plan.kind.emits_alone();
        let chosen = |is_match: bool| {
            let rows = (0u32..).zip(&found).filter(|(_, group)| group.is_some() == is_match);
            rows.map(|(row, _)| row).collect::<Vec<u32>>()
        };
        match plan.kind {
            JoinKind::Anti => {}
            JoinKind::Semi => self.alone(window, 0, &left, &chosen(true))?,
            _ => self.pairs(window, &left, &index, &found)?,
        }
        if emits_left {
            self.alone(window, 0, &left, &chosen(false))?;
        }
        if emits_right {
            let mut is_matched = vec![false; index.groups.len()];
            found.iter().flatten().for_each(|group| is_matched[*group as usize] = true);
            let groups = (0u32..).zip(&is_matched).filter(|(_, is_matched)| !**is_matched);
            let mut rows: Vec<u32> = groups.flat_map(|(group, _)| index.of_group(group)).copied().collect();
            rows.sort_unstable();
            self.alone(window, 1, &index.rows, &rows)?;
            if let Some(keyless) = keyless {
                let all: Vec<u32> = (0..keyless.num_rows() as u32).collect();
                self.alone(window, 1, &keyless, &all)?;
            }
        }
        Ok(())
    }

    fn pairs(
        &mut self,
        window: Window,
        left: &RecordBatch,
        index: &Index,
        found: &[Option<u32>],
    ) -> Result<(), StepError> {
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        for (row, group) in (0u32..).zip(found) {
            let Some(group) = group else { continue };
            for members in index.of_group(*group).chunks(OUTPUT_ROWS) {
                lefts.extend(members.iter().map(|_| row));
                rights.extend(members);
                if lefts.len() >= OUTPUT_ROWS {
                    self.emit_pairs(window, [left, &index.rows], [&mut lefts, &mut rights])?;
                }
            }
        }
        self.emit_pairs(window, [left, &index.rows], [&mut lefts, &mut rights])
    }

    fn emit_pairs(
        &mut self,
        window: Window,
        sides: [&RecordBatch; 2],
        numbers: [&mut Vec<u32>; 2],
    ) -> Result<(), StepError> {
        let rows = numbers[0].len();
        if rows == 0 {
            return Ok(());
        }
        let [lefts, rights] = numbers.map(|numbers| UInt32Array::from(std::mem::take(numbers)));
        let plan = Arc::clone(&self.plan);
        let [left, right] = plan.output.of_pairs();
        let left = gather(sides[0], left, &lefts)?;
        let right = gather(sides[1], right, &rights)?;
        let pairs = plan.output.pairs(left, right, rows).map_err(failed)?;
        self.emit_rows(window, &pairs)
    }

    /// Emits rows of one side without another.
    fn alone(
        &mut self,
        window: Window,
        side: usize,
        all: &RecordBatch,
        numbers: &[u32],
    ) -> Result<(), StepError> {
        let plan = Arc::clone(&self.plan);
        for numbers in numbers.chunks(OUTPUT_ROWS) {
            let columns = gather(all, plan.output.all()[side], &UInt32Array::from(numbers.to_vec()))?;
            let rows = plan.output.alone(side, &columns, numbers.len()).map_err(failed)?;
            self.emit_rows(window, &rows)?;
        }
        Ok(())
    }

    fn emit_rows(&mut self, window: Window, rows: &RecordBatch) -> Result<(), StepError> {
        let times = |time_us: i64| {
            let times = TimestampMicrosecondArray::from_value(time_us, rows.num_rows());
            Arc::new(times.with_timezone("UTC")) as ArrayRef
        };
        let window = [times(window.start_us), times(window.end_us)];
        let columns = window.into_iter().chain(rows.columns().iter().cloned()).collect();
        self.out.push(RecordBatch::try_new(Arc::clone(&self.plan.schema), columns).map_err(failed)?);
        Ok(())
    }

    fn rows(&self) -> u64 {
        self.panes.values().map(Pane::rows).sum()
    }
}

fn gather(rows: &RecordBatch, columns: &[usize], numbers: &UInt32Array) -> Result<Vec<ArrayRef>, StepError> {
    let column = |i: &usize| take(rows.column(*i), numbers, None).map_err(failed);
    columns.iter().map(column).collect()
}

impl KeyedStep for WindowJoin {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        let keyed = self.plan.keys[port].of(input)?;
        if keyed.rows.num_rows() == 0 {
            return Ok(keyed.refused);
        }
        let closed_us = ctx.watermark_us.map(|us| us.saturating_sub(self.plan.lateness_us));
        let rejected = match self.place(port, &keyed.rows, closed_us) {
            Placement::One(_) => Vec::new(),
            Placement::Many { rejected, .. } => rejected,
        };
        let (rows, keys) = if rejected.is_empty() {
            (keyed.rows, keyed.keys)
        } else {
            let kept = UInt32Array::from(kept_rows(keyed.rows.num_rows(), &rejected));
            let rows = take_record_batch(&keyed.rows, &kept).map_err(failed)?;
            let keys = self.plan.keys[port].of(&rows)?.keys;
            (rows, keys)
        };
        self.shuffle.deal(port, ctx.order, rows, &self.codec, &keys)?;
        Ok(both(input.num_rows(), keyed.refused, &rejected))
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        Ok(self.shuffle.take())
    }

    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        let before = self.rows();
        // Before the batch's rows come: what is late for one of its windows is still in the others.
        if let Some(watermark_us) = ctx.watermark_us {
            self.close(watermark_us.saturating_sub(self.plan.lateness_us))?;
        }
        let removed = before - self.rows();
        let updated = parcels.iter().map(|parcel| parcel.rows.num_rows() as u64).sum();
        self.size = StateSize { updated, removed, ..StateSize::default() };
        parcels.iter().try_for_each(|parcel| self.keep(parcel.port, &parcel.rows))?;
        self.make_room().map_err(StepError::of_state)
    }

    fn emit(&mut self, _: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        Ok(std::mem::take(&mut self.out))
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.set_spill(spill).map_err(StepError::of_state)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        if self.cold.is_none() {
            return self.state(extent);
        }
        // What is in memory came later than the rest, so it is copied last.
        self.begin_copy(extent);
        self.copying = Some(extent);
        Ok(Vec::new())
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        match self.copy_cold().map_err(StepError::of_state)? {
            Some(chunk) => Ok(Some(vec![chunk])),
            None => self.copying.take().map(|extent| self.state(extent)).transpose(),
        }
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        self.take_back(chunk)
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        self.waiting()
    }

    /// A key here is a row that is kept.
    fn size(&self) -> StateSize {
        StateSize {
            keys: self.rows(),
            bytes: self.panes.values().map(Pane::bytes).sum(),
            keys_cold: self.panes.values().map(Pane::rows_cold).sum(),
            bytes_cold: self.cold.as_ref().map_or(0, Cold::file_bytes),
            ..self.size
        }
    }
}
