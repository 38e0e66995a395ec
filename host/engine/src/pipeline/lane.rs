//! A lane: one worker's copy of the graph. Rows of the splits it is dealt go through all fused steps
//! chunk by chunk; at a keyed step they are gathered, exchanged between lanes and merged.
//!
//! A lane runs on a thread of its own and talks in messages. What it answers comes in a fixed order,
//! so whoever listens to all lanes in a fixed order sees the same rows in the same order each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::SchemaRef;
use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::ahead::{Read, Reading};
use super::letter::{decode_row, row_letters};
use super::spec::FaultPolicy;
use super::tap::Taps;
use super::verdict::{Verdicts, verdicts};
use crate::batch::{BatchCtx, BatchId, Chunk, DeadLetter, DeadLetterKind, Payload};
use crate::checkpoint::{StoredChunk, TimedOut};
use crate::clock::SharedClock;
use crate::source::{SourceError, Split, SplitReader};
use crate::steps::{Extent, KeyedStep, RejectedRow, StateChunk, StateSize, Step};

/// What a lane is asked to do.
pub(crate) enum Job {
    /// Read and run the splits that are this lane's.
    Run(Arc<Run>),
    /// Give what was gathered at a keyed step.
    Exchange(usize),
    /// Take what the lanes gathered for this one, and let the keyed step emit.
    Merge { entry: usize, gathered: Vec<RecordBatch> },
    /// Tell what happened since the last report.
    Report,
    /// Copy the state.
    Snapshot(Extent),
    /// Take a chunk of state back.
    Restore(Arc<StoredChunk>),
}

/// One batch, the same for all lanes.
pub(crate) struct Run {
    pub(crate) ctx: BatchCtx,
    /// By entry.
    pub(crate) watermarks_us: Vec<Option<i64>>,
    /// Entry of the source and what is read, in the order of their numbers; split i is lane i mod n's.
    pub(crate) splits: Vec<(usize, Split)>,
    /// What the next batch reads, where it is planned already; lanes begin with it when they would wait.
    pub(crate) next_splits: Option<Vec<(usize, Split)>>,
    /// Dead letters that go through their entry again, on the first lane, after its splits.
    pub(crate) replays: Vec<(usize, Vec<Payload>)>,
    /// By step: rows that exceeded their time when the batch ran first.
    pub(crate) verdicts: HashMap<usize, Verdicts>,
    /// Sinks may have the batch from an earlier run: what passed then has to pass now.
    pub(crate) settled: bool,
}

/// What a lane answers.
pub(crate) enum Answer {
    /// Rows for the sink at this entry.
    Rows {
        entry: usize,
        rows: RecordBatch,
    },
    /// This split is done; rows after this are the next one's.
    SplitDone,
    /// Everything that the job meant is done.
    JobDone,
    /// For each lane, what was gathered for it.
    Gathered(Vec<RecordBatch>),
    Report(Box<Report>),
    State(Vec<StoredChunk>),
    Failed(LaneFailure),
}

/// Why a lane cannot go on with the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LaneFailure {
    pub(crate) entry: String,
    pub(crate) message: String,
    /// The cause may pass: try the batch again.
    pub(crate) transient: bool,
}

/// What happened in a lane during a batch.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) letters: Vec<DeadLetter>,
    /// By entry.
    pub(crate) counts: Vec<Counts>,
    /// By entry; only keyed steps have a size.
    pub(crate) sizes: Vec<Option<StateSize>>,
    /// Rows that exceeded their time.
    pub(crate) timed_out: Vec<TimedOut>,
}

/// What passed an entry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows_in: u64,
    pub(crate) rows_out: u64,
    pub(crate) calls: u64,
    pub(crate) busy: Duration,
    pub(crate) late: u64,
    /// Refused rows that the step's policy drops.
    pub(crate) dropped: u64,
    /// Greatest event time that a source saw, in microseconds.
    pub(crate) max_time_us: Option<i64>,
}

/// An entry as it runs in a lane.
pub(crate) struct LaneEntry {
    pub(crate) name: Arc<str>,
    pub(crate) outputs: Vec<usize>,
    /// The rows that come in (for a source: go out).
    pub(crate) input: SchemaRef,
    pub(crate) on_fault: FaultPolicy,
    pub(crate) what: LaneWhat,
}

pub(crate) enum LaneWhat {
    Source { reader: Arc<dyn SplitReader>, time: Option<usize> },
    Step(Box<dyn Step>),
    Union,
    Keyed(Box<dyn KeyedStep>),
    Sink,
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
                let gathered = gathered.map_err(|error| self.failed(entry, error.to_string()))?;
                self.answer(Answer::Gathered(gathered))?;
            }
            Job::Merge { entry, gathered } => {
                self.merge(entry, &gathered)?;
                self.answer(Answer::JobDone)?;
            }
            Job::Report => {
                let sizes = self.entries.iter().map(|entry| match &entry.what {
                    LaneWhat::Keyed(step) => Some(step.size()),
                    _ => None,
                });
                self.report.sizes = sizes.collect();
                let report = std::mem::take(&mut self.report);
                self.answer(Answer::Report(Box::new(report)))?;
            }
            Job::Snapshot(extent) => {
                let chunks = self.snapshot(extent)?;
                self.answer(Answer::State(chunks))?;
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
        Stop::Failed(LaneFailure { entry, message, transient: false })
    }

    fn source_failed(&self, entry: usize, error: &SourceError) -> Stop {
        let transient = matches!(error, SourceError::Transient(_));
        let entry = self.entries[entry].name.to_string();
        Stop::Failed(LaneFailure { entry, message: error.to_string(), transient })
    }

    fn run(&mut self, run: &Run) -> Result<(), Stop> {
        let batch = run.ctx.batch;
        let begun = self.ahead.take().filter(|ahead| ahead.batch == batch);
        let mut reading = begun.unwrap_or_else(|| self.reading(batch, &run.splits));
        while let Some(read) = reading.next(&*self.clock) {
            match read {
                Read::Chunk { entry, split, number, chunk, took } => {
                    self.report.counts[entry].busy += took;
                    let ctx = BatchCtx { seed: mix(run.ctx.seed, split as u64, number), ..run.ctx };
                    self.take_chunk(&ctx, run, entry, chunk)?;
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

    fn reading(&self, batch: BatchId, splits: &[(usize, Split)]) -> Reading {
        Reading::new(batch, splits, &self.entries, self.number, self.lanes)
    }

    /// A source's chunk: bad records are dead letters, event times are noted, rows go on.
    fn take_chunk(&mut self, ctx: &BatchCtx, run: &Run, entry: usize, chunk: Chunk) -> Result<(), Stop> {
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
        if let LaneWhat::Source { time: Some(time), .. } = self.entries[entry].what {
            let times = chunk.rows.column(time).as_primitive::<TimestampMicrosecondType>();
            counts.max_time_us = counts.max_time_us.max(arrow_arith::aggregate::max(times));
        }
        self.deliver(ctx, run, entry, chunk.rows)
    }

    /// Rows that leave an entry.
    fn deliver(&mut self, ctx: &BatchCtx, run: &Run, entry: usize, rows: RecordBatch) -> Result<(), Stop> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.report.counts[entry].rows_out += rows.num_rows() as u64;
        self.taps.give(entry, ctx.batch, &rows);
        for i in 0..self.entries[entry].outputs.len() {
            self.feed(ctx, run, self.entries[entry].outputs[i], &rows)?;
        }
        Ok(())
    }

    /// Rows that come to an entry.
    fn feed(&mut self, ctx: &BatchCtx, run: &Run, entry: usize, rows: &RecordBatch) -> Result<(), Stop> {
        let ctx = BatchCtx { watermark_us: run.watermarks_us[entry], ..*ctx };
        let Some(verdicts) = run.verdicts.get(&entry) else { return self.pass(&ctx, run, entry, rows) };
        let set_aside = verdicts.set_aside(rows);
        let (refused, rest) = set_aside.map_err(|error| self.failed(entry, error.to_string()))?;
        self.report.counts[entry].rows_in += refused.len() as u64;
        self.refuse(&ctx, entry, rows, &refused)?;
        if rest.num_rows() == 0 { Ok(()) } else { self.pass(&ctx, run, entry, &rest) }
    }

    /// Rows that an entry works on.
    fn pass(&mut self, ctx: &BatchCtx, run: &Run, entry: usize, rows: &RecordBatch) -> Result<(), Stop> {
        let count = rows.num_rows() as u64;
        let start = self.clock.monotonic();
        let (result, refused) = match &mut self.entries[entry].what {
            LaneWhat::Step(step) => match step.apply(ctx, rows) {
                Ok(applied) => (Ok(Some(applied.rows)), applied.rejected),
                Err(error) => (Err(error), Vec::new()),
            },
            LaneWhat::Keyed(step) => match step.accumulate(ctx, rows) {
                Ok(refused) => (Ok(None), refused),
                Err(error) => (Err(error), Vec::new()),
            },
            LaneWhat::Union | LaneWhat::Source { .. } => (Ok(Some(rows.clone())), Vec::new()),
            LaneWhat::Sink => {
                self.taps.give(entry, ctx.batch, rows);
                self.report.counts[entry].rows_in += count;
                return Ok(self.answer(Answer::Rows { entry, rows: rows.clone() })?);
            }
        };
        let counts = &mut self.report.counts[entry];
        counts.rows_in += count;
        counts.calls += 1;
        counts.busy += self.clock.monotonic().saturating_sub(start);
        self.keep_verdicts(run, entry, rows, &refused)?;
        self.refuse(ctx, entry, rows, &refused)?;
        match result.map_err(|error| self.failed(entry, error.to_string()))? {
            Some(out) => self.deliver(ctx, run, entry, out),
            None => Ok(()),
        }
    }

    /// Remembers the rows that exceeded their time, for the batch's plan.
    fn keep_verdicts(
        &mut self,
        run: &Run,
        entry: usize,
        rows: &RecordBatch,
        refused: &[RejectedRow],
    ) -> Result<(), Stop> {
        let name = &self.entries[entry].name;
        let new = verdicts(name, rows, refused).map_err(|error| self.failed(entry, error.to_string()))?;
        if let (true, Some(first)) = (run.settled, new.first()) {
            let message = format!(
                "batch {} was run before, and a row that passed then exceeds its time now: {}; a larger `deadline` of \
                 the step gives a slower machine more time",
                run.ctx.batch, first.reason
            );
            return Err(Stop::Failed(LaneFailure { entry: name.to_string(), message, transient: true }));
        }
        self.report.timed_out.extend(new);
        Ok(())
    }

    fn refuse(
        &mut self,
        ctx: &BatchCtx,
        entry: usize,
        rows: &RecordBatch,
        refused: &[RejectedRow],
    ) -> Result<(), Stop> {
        let Some(first) = refused.first() else { return Ok(()) };
        let late = refused.iter().filter(|row| row.kind == DeadLetterKind::Late).count() as u64;
        self.report.counts[entry].late += late;
        match self.entries[entry].on_fault {
            FaultPolicy::Fail => {
                let message =
                    format!("on_fault is `fail`, and a row was refused: {} ({})", first.reason, first.kind);
                Err(self.failed(entry, message))
            }
            FaultPolicy::Drop => {
                self.report.counts[entry].dropped += refused.len() as u64;
                Ok(())
            }
            FaultPolicy::DeadLetter => {
                let name = Arc::clone(&self.entries[entry].name);
                let letters = row_letters(&name, ctx.batch, rows, refused);
                self.report.letters.extend(letters.map_err(|error| self.failed(entry, error))?);
                Ok(())
            }
        }
    }

    /// Dead letters go through their entry again, as the batch's last rows.
    fn replay(&mut self, run: &Run, entry: usize, payloads: &[Payload]) -> Result<(), Stop> {
        let ctx = BatchCtx { seed: mix(run.ctx.seed, u64::MAX, entry as u64), ..run.ctx };
        let raw: Vec<&[u8]> = payloads
            .iter()
            .filter_map(|payload| match payload {
                Payload::Raw(bytes) => Some(bytes.as_slice()),
                Payload::Row(_) => None,
            })
            .collect();
        if let LaneWhat::Source { reader, .. } = &self.entries[entry].what
            && !raw.is_empty()
        {
            let chunk = Arc::clone(reader).decode(&raw).map_err(|error| self.source_failed(entry, &error))?;
            return self.take_chunk(&ctx, run, entry, chunk);
        }
        for payload in payloads {
            let Payload::Row(text) = payload else { continue };
            let row =
                decode_row(text, &self.entries[entry].input).map_err(|error| self.failed(entry, error))?;
            self.feed(&ctx, run, entry, &row)?;
        }
        Ok(())
    }

    fn merge(&mut self, entry: usize, gathered: &[RecordBatch]) -> Result<(), Stop> {
        let Some(run) = self.run.clone() else { return Ok(()) };
        let ctx = BatchCtx { watermark_us: run.watermarks_us[entry], ..run.ctx };
        let start = self.clock.monotonic();
        let LaneWhat::Keyed(step) = &mut self.entries[entry].what else { return Ok(()) };
        let mut result = gathered.iter().try_for_each(|part| step.merge(&ctx, part));
        let mut emitted = Vec::new();
        if result.is_ok() {
            match step.emit(&ctx) {
                Ok(batches) => emitted = batches,
                Err(error) => result = Err(error),
            }
        }
        self.report.counts[entry].busy += self.clock.monotonic().saturating_sub(start);
        result.map_err(|error| self.failed(entry, error.to_string()))?;
        emitted.into_iter().enumerate().try_for_each(|(i, rows)| {
            let ctx = BatchCtx {
                seed: mix(ctx.seed, entry as u64, (u64::from(self.number) << 32) | i as u64),
                ..ctx
            };
            self.deliver(&ctx, &run, entry, rows)
        })
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StoredChunk>, Stop> {
        let mut all = Vec::new();
        for i in 0..self.entries.len() {
            let LaneWhat::Keyed(step) = &mut self.entries[i].what else { continue };
            let chunks = step.snapshot(extent).map_err(|error| self.failed(i, error.to_string()))?;
            let name = &self.entries[i].name;
            all.extend(chunks.into_iter().map(|chunk| StoredChunk {
                step: name.to_string(),
                worker: self.number,
                table: chunk.table,
                rows: chunk.rows,
            }));
        }
        Ok(all)
    }

    fn restore(&mut self, chunk: &StoredChunk) -> Result<(), Stop> {
        let Some(entry) = self.entries.iter().position(|entry| *entry.name == *chunk.step) else {
            return Ok(());
        };
        let LaneWhat::Keyed(step) = &mut self.entries[entry].what else { return Ok(()) };
        let state = StateChunk { table: chunk.table.clone(), rows: chunk.rows.clone() };
        step.restore(&state).map_err(|error| self.failed(entry, error.to_string()))
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
