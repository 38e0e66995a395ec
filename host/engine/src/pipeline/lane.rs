//! A lane: one worker's copy of the graph. Rows of the splits it is dealt go through all fused steps
//! chunk by chunk; at a keyed step they are gathered, exchanged between lanes and merged.
//!
//! A lane runs on a thread of its own and talks in messages. What it answers comes in a fixed order,
//! so whoever listens to all lanes in a fixed order sees the same rows in the same order each time.

mod messages;
mod refused;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::ahead::{Read, Reading};
use super::failure::Persistence;
use super::kinds::FaultPolicy;
use super::letter::decode_row;
use super::tap::Taps;
use crate::batch::{BatchCtx, BatchId, Chunk, DeadLetter, DeadLetterKind, Payload};
use crate::checkpoint::StoredChunk;
use crate::clock::SharedClock;
use crate::source::{self, SourceError, SplitReader};
use crate::steps::{Extent, KeyedStep, Parcel, Split, StateChunk, Step, StepError};

pub(crate) use messages::{Answer, Counts, Job, LaneFailure, Report, Run};

/// Behind all chunks of sources: the order of what keyed steps emit, and of dead letters that are replayed.
const LAST_OF_SOURCES: u64 = 1 << 63;

/// An entry as it runs in a lane.
pub(crate) struct LaneEntry {
    pub(crate) name: Arc<str>,
    /// By output port: who takes the rows, and by which of its inputs.
    pub(crate) outputs: Vec<Vec<(usize, usize)>>,
    /// The rows that come in by each input (for a source: go out).
    pub(crate) inputs: Vec<SchemaRef>,
    pub(crate) on_fault: FaultPolicy,
    pub(crate) late: LateRows,
    pub(crate) what: LaneWhat,
}

/// What becomes of late rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LateRows {
    #[default]
    DeadLetters,
    Dropped,
    /// They leave by this output port.
    Output(usize),
}

pub(crate) enum LaneWhat {
    Source { reader: Arc<dyn SplitReader>, time: Option<SourceTime> },
    Step(Box<dyn Step>),
    Split(Split),
    Union,
    Keyed(Box<dyn KeyedStep>),
    Sink,
}

/// The event time of a source's rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceTime {
    pub(crate) column: usize,
    /// Rows further than this ahead of the batch's clock are refused.
    pub(crate) max_future_us: Option<i64>,
}

pub(crate) struct Lane {
    pub(crate) number: u32,
    pub(crate) lanes: u32,
    pub(crate) entries: Vec<LaneEntry>,
    pub(crate) taps: Arc<Taps>,
    pub(crate) clock: SharedClock,
    pub(crate) answers: Sender<Answer>,
    pub(crate) report: Report,
    /// The newest batch.
    pub(crate) run: Option<Arc<Run>>,
    /// What the next batch reads.
    pub(crate) ahead: Option<Reading>,
}

/// Nobody listens any more: the pipeline gave the attempt up.
struct Gone;

/// Why work stopped.
enum Stop {
    Gone,
    Failed(LaneFailure),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Lane {
    /// Works until nobody asks or listens any more, or something failed.
    pub(crate) fn work(mut self, jobs: &Receiver<Job>) {
        while let Some(job) = self.next_job(jobs) {
            match self.job(job) {
                Ok(()) => {}
                Err(Stop::Gone) => return,
                Err(Stop::Failed(failure)) => {
                    // If nobody hears it, nobody waits for it.
                    let _ = self.answers.send(Answer::Failed(failure));
                    return;
                }
            }
        }
    }

    /// Waits for the next job, and reads ahead meanwhile.
    fn next_job(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        loop {
            match jobs.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {
                    let reads = self.ahead.as_mut().is_some_and(|ahead| ahead.read_ahead(&*self.clock));
                    if !reads {
                        return jobs.recv().ok();
                    }
                }
            }
        }
    }

    fn job(&mut self, job: Job) -> Result<(), Stop> {
        match job {
            Job::Run(run) => {
                self.report.counts = vec![Counts::default(); self.entries.len()];
                self.run = Some(Arc::clone(&run));
                self.run(&run)?;
                self.answer(Answer::JobDone)?;
            }
            Job::Exchange(entry) => {
                let LaneWhat::Keyed(step) = &mut self.entries[entry].what else { return Ok(()) };
                let gathered = step.exchange();
                let gathered = gathered.map_err(|error| self.step_failed(entry, &error))?;
                self.answer(Answer::Gathered(gathered))?;
            }
            Job::Merge { entry, gathered } => {
                self.merge(entry, gathered)?;
                self.answer(Answer::JobDone)?;
            }
            Job::Report => {
                let sizes = self.entries.iter().map(|entry| match &entry.what {
                    LaneWhat::Keyed(step) => Some(step.size()),
                    _ => None,
                });
                self.report.sizes = sizes.collect();
                let timers = self.entries.iter_mut().map(|entry| match &mut entry.what {
                    LaneWhat::Keyed(step) => step.earliest_timer_us(),
                    _ => None,
                });
                self.report.timers_us = timers.collect();
                let report = std::mem::take(&mut self.report);
                self.answer(Answer::Report(Box::new(report)))?;
            }
            Job::Snapshot(extent) => {
                self.snapshot(extent)?;
                self.answer(Answer::JobDone)?;
            }
            Job::Restore(chunk) => {
                self.restore(&chunk)?;
                self.answer(Answer::JobDone)?;
            }
        }
        Ok(())
    }

    fn answer(&self, answer: Answer) -> Result<(), Gone> {
        self.answers.send(answer).map_err(|_| Gone)
    }

    fn failed(&self, entry: usize, message: String) -> Stop {
        let entry = self.entries[entry].name.to_string();
        Stop::Failed(LaneFailure { entry, message, persistence: Persistence::Lasting })
    }

    fn source_failed(&self, entry: usize, error: &SourceError) -> Stop {
        let persistence = Persistence::of_transient(matches!(error, SourceError::Transient(_)));
        let entry = self.entries[entry].name.to_string();
        Stop::Failed(LaneFailure { entry, message: error.to_string(), persistence })
    }

    fn step_failed(&self, entry: usize, error: &StepError) -> Stop {
        let persistence = match error {
            StepError::Failed(_) | StepError::State(_) => Persistence::Lasting,
            StepError::Scratch { full: true, .. } => Persistence::UntilRoom,
            StepError::Scratch { full: false, .. } => Persistence::Passing,
        };
        let entry = self.entries[entry].name.to_string();
        Stop::Failed(LaneFailure { entry, message: error.to_string(), persistence })
    }

    fn run(&mut self, run: &Run) -> Result<(), Stop> {
        let batch = run.ctx.batch;
        let begun = self.ahead.take().filter(|ahead| ahead.batch == batch);
        let mut reading = begun.unwrap_or_else(|| self.reading(batch, &run.splits));
        while let Some(read) = reading.next(&*self.clock) {
            match read {
                Read::Chunk { entry, split, number, chunk, took } => {
                    self.report.counts[entry].busy += took;
                    let ctx = BatchCtx {
                        seed: mix(run.ctx.seed, split as u64, number),
                        order: (split as u64) << 32 | number,
                        ..run.ctx
                    };
                    let partition = self.partition(run, entry, split);
                    self.take_chunk(&ctx, run, entry, partition, chunk)?;
                }
                Read::End => self.answer(Answer::SplitDone)?,
                Read::Failed { entry, error } => return Err(self.source_failed(entry, &error)),
            }
        }
        if self.number == 0 {
            for (entry, payloads) in &run.replays {
                self.replay(run, *entry, payloads)?;
            }
        }
        self.ahead = run.next_splits.as_ref().map(|splits| self.reading(batch.next(), splits));
        Ok(())
    }

    fn reading(&self, batch: BatchId, splits: &[(usize, source::Split)]) -> Reading {
        Reading::new(batch, splits, &self.entries, self.number, self.lanes)
    }

    /// The partition of its source that a split of the batch is part of.
    fn partition(&self, run: &Run, entry: usize, split: usize) -> Option<String> {
        let LaneWhat::Source { reader, time: Some(_) } = &self.entries[entry].what else { return None };
        run.splits.get(split).and_then(|(_, split)| reader.partition(split))
    }

    /// A source's chunk: bad records are dead letters, event times are noted, rows go on.
    fn take_chunk(
        &mut self,
        ctx: &BatchCtx,
        run: &Run,
        entry: usize,
        partition: Option<String>,
        chunk: Chunk,
    ) -> Result<(), Stop> {
        let name = Arc::clone(&self.entries[entry].name);
        self.report.letters.extend(chunk.bad.into_iter().map(|bad| DeadLetter {
            entry: Arc::clone(&name),
            kind: DeadLetterKind::Malformed,
            reason: bad.reason,
            origin: bad.position,
            payload: Payload::Raw(bad.bytes),
        }));
        let counts = &mut self.report.counts[entry];
        counts.rows_in += chunk.rows.num_rows() as u64;
        counts.calls += 1;
        let mut rows = chunk.rows;
        if let LaneWhat::Source { time: Some(SourceTime { column, max_future_us }), .. } =
            self.entries[entry].what
        {
            let times = rows.column(column).as_primitive::<TimestampMicrosecondType>();
            counts.without_time += times.null_count() as u64;
            let mut max_us = arrow_arith::aggregate::max(times);
            let limit_us = max_future_us.map(|us| ctx.now_us.saturating_add(us));
            if let (Some(limit_us), Some(_)) = (limit_us, max_us.filter(|max_us| Some(*max_us) > limit_us)) {
                let (kept, ahead) = refused::without_future(&rows, column, limit_us)
                    .map_err(|error| self.failed(entry, error.to_string()))?;
                self.refuse(ctx, run, entry, 0, &rows, &ahead)?;
                rows = kept;
                max_us = arrow_arith::aggregate::max(
                    rows.column(column).as_primitive::<TimestampMicrosecondType>(),
                );
            }
            let counts = &mut self.report.counts[entry];
            counts.max_time_us = counts.max_time_us.max(max_us);
            if let (Some(partition), Some(max_us)) = (partition, max_us) {
                let known = self.report.partitions_us.entry((entry, partition)).or_insert(max_us);
                *known = max_us.max(*known);
            }
        }
        self.deliver(ctx, run, entry, 0, rows)
    }

    /// Rows that leave an entry by one of its outputs.
    fn deliver(
        &mut self,
        ctx: &BatchCtx,
        run: &Run,
        entry: usize,
        port: usize,
        rows: RecordBatch,
    ) -> Result<(), Stop> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.report.counts[entry].rows_out += rows.num_rows() as u64;
        self.taps.give(entry, port, ctx.batch, &rows);
        for i in 0..self.entries[entry].outputs[port].len() {
            let (to, input) = self.entries[entry].outputs[port][i];
            self.feed(ctx, run, to, input, &rows)?;
        }
        Ok(())
    }

    /// Rows that come to an entry.
    fn feed(
        &mut self,
        ctx: &BatchCtx,
        run: &Run,
        entry: usize,
        input: usize,
        rows: &RecordBatch,
    ) -> Result<(), Stop> {
        let ctx = BatchCtx { watermark_us: run.watermarks_us[entry], ..*ctx };
        let Some(verdicts) = run.verdicts.get(&entry) else {
            return self.pass(&ctx, run, entry, input, rows);
        };
        let set_aside = verdicts.set_aside(rows);
        let (refused, rest) = set_aside.map_err(|error| self.failed(entry, error.to_string()))?;
        self.report.counts[entry].rows_in += refused.len() as u64;
        self.refuse(&ctx, run, entry, input, rows, &refused)?;
        if rest.num_rows() == 0 { Ok(()) } else { self.pass(&ctx, run, entry, input, &rest) }
    }

    /// Rows that an entry works on.
    fn pass(
        &mut self,
        ctx: &BatchCtx,
        run: &Run,
        entry: usize,
        input: usize,
        rows: &RecordBatch,
    ) -> Result<(), Stop> {
        let count = rows.num_rows() as u64;
        let start = self.clock.monotonic();
        let (result, refused) = match &mut self.entries[entry].what {
            LaneWhat::Step(step) => match step.apply(ctx, rows) {
                Ok(applied) => (Ok(vec![applied.rows]), applied.rejected),
                Err(error) => (Err(error), Vec::new()),
            },
            LaneWhat::Split(split) => match split.apply(rows) {
                Ok((branches, refused)) => (Ok(branches), refused),
                Err(error) => (Err(error), Vec::new()),
            },
            LaneWhat::Keyed(step) => match step.accumulate(ctx, input, rows) {
                Ok(refused) => (Ok(Vec::new()), refused),
                Err(error) => (Err(error), Vec::new()),
            },
            LaneWhat::Union | LaneWhat::Source { .. } => (Ok(vec![rows.clone()]), Vec::new()),
            LaneWhat::Sink => {
                self.taps.give(entry, 0, ctx.batch, rows);
                self.report.counts[entry].rows_in += count;
                return Ok(self.answer(Answer::Rows { entry, rows: rows.clone() })?);
            }
        };
        let counts = &mut self.report.counts[entry];
        counts.rows_in += count;
        counts.calls += 1;
        counts.busy += self.clock.monotonic().saturating_sub(start);
        self.keep_verdicts(run, entry, rows, &refused)?;
        self.refuse(ctx, run, entry, input, rows, &refused)?;
        let out = result.map_err(|error| self.step_failed(entry, &error))?;
        out.into_iter().enumerate().try_for_each(|(port, rows)| self.deliver(ctx, run, entry, port, rows))
    }

    /// Dead letters go through their entry again, as the batch's last rows.
    fn replay(&mut self, run: &Run, entry: usize, payloads: &[Payload]) -> Result<(), Stop> {
        let ctx =
            BatchCtx { seed: mix(run.ctx.seed, u64::MAX, entry as u64), order: LAST_OF_SOURCES, ..run.ctx };
        let raw: Vec<&[u8]> = payloads
            .iter()
            .filter_map(|payload| match payload {
                Payload::Raw(bytes) => Some(bytes.as_slice()),
                Payload::Row { .. } => None,
            })
            .collect();
        if let LaneWhat::Source { reader, .. } = &self.entries[entry].what
            && !raw.is_empty()
        {
            let chunk = Arc::clone(reader).decode(&raw).map_err(|error| self.source_failed(entry, &error))?;
            return self.take_chunk(&ctx, run, entry, None, chunk);
        }
        for payload in payloads {
            let Payload::Row { input, text } = payload else { continue };
            let Some(schema) = self.entries[entry].inputs.get(*input) else { continue };
            let row = decode_row(text, schema).map_err(|error| self.failed(entry, error))?;
            self.feed(&ctx, run, entry, *input, &row)?;
        }
        Ok(())
    }

    fn merge(&mut self, entry: usize, mut gathered: Vec<Parcel>) -> Result<(), Stop> {
        let Some(run) = self.run.clone() else { return Ok(()) };
        let ctx = BatchCtx { watermark_us: run.watermarks_us[entry], ..run.ctx };
        let start = self.clock.monotonic();
        let LaneWhat::Keyed(step) = &mut self.entries[entry].what else { return Ok(()) };
        gathered.sort_by_key(|parcel| parcel.order);
        if let Some(verdicts) = run.verdicts.get(&entry) {
            step.forewarn(verdicts.all());
        }
        // What the step asks a plugin has random numbers of its own.
        let asking = BatchCtx { seed: mix(ctx.seed, entry as u64, LAST_OF_SOURCES), ..ctx };
        let emitted = step.merge(&asking, &gathered).and_then(|()| step.emit(&asking));
        let refusals = step.refusals();
        drop(gathered);
        self.report.counts[entry].busy += self.clock.monotonic().saturating_sub(start);
        let emitted = emitted.map_err(|error| self.step_failed(entry, &error))?;
        self.refuse_all(&ctx, &run, entry, refusals)?;
        emitted.into_iter().enumerate().try_for_each(|(i, rows)| {
            let place = (u64::from(self.number) << 32) | i as u64;
            let ctx =
                BatchCtx { seed: mix(ctx.seed, entry as u64, place), order: LAST_OF_SOURCES | place, ..ctx };
            self.deliver(&ctx, &run, entry, 0, rows)
        })
    }

    fn snapshot(&mut self, extent: Extent) -> Result<(), Stop> {
        for i in 0..self.entries.len() {
            let LaneWhat::Keyed(step) = &mut self.entries[i].what else { continue };
            let mut copied = step.snapshot(extent).map(Some);
            while let Some(chunks) = copied.map_err(|error| self.step_failed(i, &error))? {
                let stored = |chunk: StateChunk| StoredChunk {
                    step: self.entries[i].name.to_string(),
                    worker: self.number,
                    table: chunk.table,
                    rows: chunk.rows,
                };
                self.answer(Answer::State(chunks.into_iter().map(stored).collect()))?;
                let LaneWhat::Keyed(step) = &mut self.entries[i].what else { break };
                copied = step.snapshot_more();
            }
        }
        Ok(())
    }

    fn restore(&mut self, chunk: &StoredChunk) -> Result<(), Stop> {
        let Some(entry) = self.entries.iter().position(|entry| *entry.name == *chunk.step) else {
            return Ok(());
        };
        let LaneWhat::Keyed(step) = &mut self.entries[entry].what else { return Ok(()) };
        let state = StateChunk { table: chunk.table.clone(), rows: chunk.rows.clone() };
        step.restore(&state).map_err(|error| self.step_failed(entry, &error))
    }
}

/// A seed of a call's own, the same whenever the call is made again (SplitMix64's finaliser).
fn mix(seed: u64, split: u64, call: u64) -> u64 {
    let mut z = seed ^ split.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ call.wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
