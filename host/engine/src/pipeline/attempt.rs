//! One attempt to run a pipeline: opened, brought to where its checkpoint and plans left it, then
//! driven batch by batch until it is over or something fails. After a failure nothing of it is used
//! again: the next attempt starts from what is on disk.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;

use super::checkpointer::Checkpointer;
use super::control::{Control, Controls};
use super::deployment::{Deployment, Environment};
use super::lane::{LaneFailure, Run};
use super::lanes::Lanes;
use super::opened::{self, OpenedSource};
use super::report::{BatchFacts, Reporter};
use super::rate::RateController;
use super::sink_thread::SinkThread;
use super::spec::Delivery;
use super::status::{PipelineState, SharedEvents};
use super::tap::Taps;
use super::watermark::{SavedMark, TimeNode, Watermarks};
use crate::batch::{BatchCtx, BatchId};
use crate::checkpoint::{
    BatchPlan, Checkpoint, CommitRow, SourcePart, StateFile, StateStore, Store, check_parts, check_store,
};
use crate::sink::SinkError;
use crate::source::{Limits, SourceError};
use crate::sqlite::{Durability, StoreError};
use crate::steps::Extent;

/// Without rows, sources are asked again after the trigger's interval, but not more often than this;
/// sources that are given data wake the driver themselves.
const IDLE_POLL_MIN: Duration = Duration::from_millis(50);

/// What all attempts of a pipeline share.
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) env: Environment,
    pub(crate) events: SharedEvents,
    pub(crate) taps: Arc<Taps>,
    pub(crate) controls: Controls,
    pub(crate) run_id: String,
}

/// How an attempt ends when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Finished,
}

/// Why an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) transient: bool,
}

impl Failure {
    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false }
    }

    pub(crate) fn of_source(entry: &str, error: &SourceError) -> Self {
        let transient = matches!(error, SourceError::Transient(_));
        Self { message: format!("source {entry}: {error}"), transient }
    }

    pub(crate) fn of_sink(entry: &str, error: &SinkError) -> Self {
        let transient = matches!(error, SinkError::Transient(_));
        Self { message: format!("sink {entry}: {error}"), transient }
    }

    pub(crate) fn of_thread(error: &std::io::Error) -> Self {
        Self { message: format!("the system gives no more threads ({error})"), transient: true }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<LaneFailure> for Failure {
    fn from(failure: LaneFailure) -> Self {
        let message = match failure.entry.as_str() {
            "" => failure.message,
            entry => format!("{entry}: {}", failure.message),
        };
        Self { message, transient: failure.transient }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { message: error.to_string(), transient: error.is_transient() }
    }
}

/// A pipeline at work.
pub(crate) struct Attempt<'a> {
    shared: &'a Shared,
    deployment: Deployment,
    names: Vec<Arc<str>>,
    store: Store,
    seed: u64,
    state_file: StateFile,
    durability: Durability,
    sources: Vec<OpenedSource>,
    sinks: Vec<SinkThread>,
    /// Dropped before the sinks and sources, on which its threads depend.
    lanes: Lanes,
    /// Keyed steps, in the order of the graph.
    keyed: Vec<usize>,
    times: Vec<TimeNode>,
    watermarks: Watermarks,
    checkpointer: Checkpointer,
    rate: RateController,
    reporter: Reporter,
    /// The newest batch that was run.
    batch: BatchId,
    epoch: u64,
    /// Batches whose sinks are at work, oldest first.
    uncommitted: VecDeque<Executed>,
    replays: Vec<u64>,
    last_start: Option<Duration>,
    last_checkpoint: Duration,
    /// No batch was run since the newest checkpoint.
    checkpointed: bool,
}

/// A batch that was run; its sinks are told to commit.
struct Executed {
    facts: BatchFacts,
    replayed: Vec<u64>,
    letters: Vec<crate::batch::DeadLetter>,
}

impl<'a> Attempt<'a> {
    /// Opens everything and brings it to where it was.
    pub(crate) fn open(shared: &'a Shared, mut deployment: Deployment) -> Result<Self, Failure> {
        let at_most_once = deployment.spec.delivery == Delivery::AtMostOnce;
        let durability = if at_most_once { Durability::Process } else { Durability::Power };
        std::fs::create_dir_all(&shared.dir)
            .map_err(|error| Failure { message: format!("{}: {error}", shared.dir.display()), transient: true })?;
        check_store(&shared.dir)?;
        let store = Store::open(&shared.dir, durability)?;
        if let Some(checkpoint) = store.checkpoint()? {
            check_parts(&shared.dir, &checkpoint)?;
        }
        let random = || format!("{:016x}{:016x}", (shared.env.random)(), (shared.env.random)());
        let id = store.fixed("id", random)?;
        let seed = store.fixed("seed", || (shared.env.random)().to_string())?;
        let seed = seed.parse().unwrap_or_default();
        let names: Vec<Arc<str>> = deployment.graph.nodes.iter().map(|node| Arc::clone(&node.name)).collect();
        let times = opened::time_nodes(&deployment);
        let keyed = opened::keyed_entries(&deployment);
        let sources = opened::open_sources(shared, &mut deployment)?;
        let sinks = opened::open_sinks(shared, &mut deployment, &id, !at_most_once)?;
        let lanes = opened::start_lanes(shared, &deployment, &sources)?;
        let state_file = StateFile::in_dir(&shared.dir);
        let clock = Arc::clone(&shared.env.clock);
        let checkpointer = Checkpointer::start(&deployment.spec.name, state_file.clone(), durability, clock)
            .map_err(|error| Failure::of_thread(&error))?;
        let mut attempt = Self {
            shared,
            rate: RateController::new(&deployment.spec.trigger),
            reporter: Reporter::new(&deployment, id, shared.run_id.clone()),
            watermarks: Watermarks::new(names.len()),
            deployment,
            names,
            store,
            seed,
            state_file,
            durability,
            sources,
            sinks,
            lanes,
            keyed,
            times,
            checkpointer,
            batch: BatchId::ZERO,
            epoch: 0,
            uncommitted: VecDeque::new(),
            replays: Vec::new(),
            last_start: None,
            last_checkpoint: shared.env.clock.monotonic(),
            checkpointed: true,
        };
        attempt.recover()?;
        Ok(attempt)
    }

    /// The newest batch that was run.
    pub(crate) fn batch(&self) -> BatchId {
        self.batch
    }

    fn monotonic(&self) -> Duration {
        self.shared.env.clock.monotonic()
    }

    /// State and positions of the newest checkpoint, then the batches planned since then, again.
    fn recover(&mut self) -> Result<(), Failure> {
        let checkpoint = self.store.checkpoint()?;
        let position = |name: &str| checkpoint.as_ref().and_then(|found| found.positions.get(name));
        for source in &mut self.sources {
            let restored = source.source.restore(position(&source.name));
            restored.map_err(|error| Failure::of_source(&source.name, &error))?;
        }
        if let Some(checkpoint) = &checkpoint {
            self.restore(checkpoint)?;
        }
        for unfinished in self.store.plans_after(self.batch)? {
            self.tell_of_changed_plugins(&unfinished.plan);
            self.run_again(unfinished.plan, unfinished.committed)?;
        }
        Ok(())
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        (self.batch, self.epoch) = (checkpoint.batch, checkpoint.epoch);
        let saved: BTreeMap<String, SavedMark> = serde_json::from_value(checkpoint.watermark.clone())
            .map_err(|error| Failure::permanent(format!("the checkpoint's watermarks cannot be read ({error})")))?;
        self.watermarks = Watermarks::load(&saved, &self.names);
        if self.keyed.is_empty() {
            return Ok(());
        }
        let state = StateStore::open(&self.state_file, self.durability)?;
        let mut failure = None;
        let lanes = &self.lanes;
        let read = state.read(checkpoint.base, checkpoint.epoch, |chunk| {
            lanes.restore(chunk).map_err(|error| {
                failure = Some(Failure::from(error));
                "the state was not taken back".to_owned()
            })
        });
        failure.map_or(Ok(()), Err)?;
        Ok(read?)
    }

    fn tell_of_changed_plugins(&self, plan: &BatchPlan) {
        let now = self.deployment.plugin_digests();
        for (step, digest) in &plan.plugins {
            if now.get(step).is_some_and(|current| current != digest) {
                let message = format!(
                    "batch {} was planned with another plugin in step {step} and is run with the new one",
                    plan.batch
                );
                self.reporter.log(&self.shared.events, &*self.shared.env.clock, "warn", Some(step), message);
            }
        }
    }

    /// A batch that was planned in an earlier life.
    fn run_again(&mut self, plan: BatchPlan, committed: bool) -> Result<(), Failure> {
        for source in &mut self.sources {
            if let Some(part) = plan.sources.get(&*source.name) {
                let advanced = source.source.advance(&part.splits);
                advanced.map_err(|error| Failure::of_source(&source.name, &error))?;
            }
        }
        if self.deployment.spec.delivery == Delivery::AtMostOnce {
            // What was planned may have been used: it is not used again.
            self.batch = plan.batch;
            self.checkpointed = false;
            return Ok(());
        }
        let executed = self.execute(&plan)?;
        self.await_sinks(&executed)?;
        if committed {
            return Ok(());
        }
        self.put_on_record(vec![executed], None)
    }

    /// Runs batches until the pipeline is over.
    pub(crate) fn drive(&mut self) -> Result<End, Failure> {
        let mut draining = self.deployment.spec.trigger.available_now;
        loop {
            match self.shared.controls.take() {
                Control::Stop => return self.wind_up(End::Stopped),
                Control::Drain { replays } => {
                    self.replays.extend(replays);
                    draining = true;
                }
                Control::Go { replays } => self.replays.extend(replays),
            }
            let (plan, finished) = if self.wait_for_trigger().is_zero() { self.plan()? } else { (None, false) };
            if let Some(plan) = plan {
                self.step(&plan)?;
            } else {
                self.settle()?;
                if finished || (draining && self.is_drained()) {
                    return self.wind_up(if self.shared.controls.is_draining() { End::Stopped } else { End::Finished });
                }
                self.rest();
            }
            self.checkpoint_if_due()?;
        }
    }

    /// Puts the plan on record together with the commits that are due, then runs the batch.
    fn step(&mut self, plan: &BatchPlan) -> Result<(), Failure> {
        let start = self.monotonic();
        let mut due = Vec::new();
        // The newest batch may still be in its sinks while the next one runs; not two of them.
        while self.uncommitted.len() > 1 || self.uncommitted.front().is_some_and(|first| self.is_written(first)) {
            let Some(first) = self.uncommitted.pop_front() else { break };
            self.await_sinks(&first)?;
            due.push(first);
        }
        self.put_on_record(due, Some(plan))?;
        let on_record = self.monotonic();
        let mut executed = self.execute(plan)?;
        executed.facts.wal = on_record.saturating_sub(start);
        let backlogs = self.sources.iter().map(|source| (source.name.to_string(), source.backlog_bytes));
        executed.facts.backlogs = backlogs.collect();
        self.uncommitted.push_back(executed);
        Ok(())
    }

    fn is_written(&self, _: &Executed) -> bool {
        self.sinks.iter().all(SinkThread::is_ready)
    }

    /// Waits for the sinks of all batches and puts them on record.
    fn settle(&mut self) -> Result<(), Failure> {
        let mut due = Vec::new();
        while let Some(first) = self.uncommitted.pop_front() {
            self.await_sinks(&first)?;
            due.push(first);
        }
        self.put_on_record(due, None)
    }

    fn await_sinks(&self, executed: &Executed) -> Result<(), Failure> {
        for sink in &self.sinks {
            let name = &self.names[sink.entry];
            let written = sink.wait().map_err(|error| Failure::of_sink(name, &error))?;
            debug_assert_eq!(written.batch, executed.facts.batch, "sinks commit in order");
        }
        Ok(())
    }

    fn put_on_record(&mut self, executed: Vec<Executed>, plan: Option<&BatchPlan>) -> Result<(), Failure> {
        let now_us = self.shared.env.clock.now_us();
        let mut told = Vec::with_capacity(executed.len());
        let rows: Vec<CommitRow> = executed
            .into_iter()
            .map(|done| {
                let progress = self.reporter.progress(&done.facts, self.monotonic());
                let text = serde_json::to_string(&progress).unwrap_or_default();
                told.push(progress);
                CommitRow { batch: done.facts.batch, progress: text, letters: done.letters, replayed: done.replayed }
            })
            .collect();
        self.store.advance(&rows, plan, now_us)?;
        told.iter().for_each(|progress| self.shared.events.progress(progress));
        Ok(())
    }

    /// How long until the next batch may start.
    fn wait_for_trigger(&self) -> Duration {
        let Some(last) = self.last_start else { return Duration::ZERO };
        if self.deployment.spec.trigger.available_now {
            return Duration::ZERO;
        }
        (last + self.deployment.spec.trigger.every.duration()).saturating_sub(self.monotonic())
    }

    /// Asks the sources; the plan of the next batch if there is anything to do, and whether all
    /// sources have ended.
    fn plan(&mut self) -> Result<(Option<BatchPlan>, bool), Failure> {
        let started = self.monotonic();
        let limits: Limits = self.rate.limits(self.sources.len());
        let now_us = self.shared.env.clock.now_us();
        let mut parts = BTreeMap::new();
        let mut finished = true;
        for source in &mut self.sources {
            let poll = source.source.poll(limits).map_err(|error| Failure::of_source(&source.name, &error))?;
            finished &= poll.finished;
            let idle = source.note_poll(&poll, now_us);
            self.watermarks.set_idle(source.entry, idle);
            parts.insert(source.name.to_string(), SourcePart { splits: poll.splits, idle });
        }
        let plan = BatchPlan {
            batch: self.batch.next(),
            now_us,
            seed: self.seed ^ self.batch.next().0.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            sources: parts,
            plugins: self.deployment.plugin_digests(),
            replays: std::mem::take(&mut self.replays),
        };
        let time_passes = !self.keyed.is_empty() && self.watermarks.would_advance(&self.times);
        if plan.is_empty() && !time_passes {
            return Ok((None, finished));
        }
        self.last_start = Some(started);
        self.reporter.planned(self.monotonic().saturating_sub(started));
        Ok((Some(plan), false))
    }

    /// Runs a batch and tells the sinks to commit it.
    fn execute(&mut self, plan: &BatchPlan) -> Result<Executed, Failure> {
        let started = self.monotonic();
        let run = Arc::new(self.prepare(plan)?);
        for sink in &self.sinks {
            sink.begin(plan.batch).map_err(|error| Failure::of_sink(&self.names[sink.entry], &error))?;
        }
        let (sinks, names) = (&self.sinks, &self.names);
        let mut take = |entry: usize, rows: RecordBatch| {
            let Some(sink) = sinks.iter().find(|sink| sink.entry == entry) else { return Ok(()) };
            sink.write(rows).map_err(|error| Failure::of_sink(&names[entry], &error))
        };
        self.lanes.run(&run, &mut take)?;
        for entry in &self.keyed {
            self.lanes.merge(*entry, &mut take)?;
        }
        let reports = self.lanes.reports()?;
        for sink in &self.sinks {
            sink.commit().map_err(|error| Failure::of_sink(&self.names[sink.entry], &error))?;
        }
        let took = self.monotonic().saturating_sub(started);
        let (facts, letters) = self.reporter.facts(plan, &run.watermarks_us, reports, started, took);
        for source in &self.sources {
            if let Some(time_us) = facts.counts[source.entry].max_time_us {
                self.watermarks.see(source.entry, time_us);
            }
        }
        let bytes = self.sources.iter().map(|source| source.polled_bytes).sum();
        self.rate.observe(bytes, took);
        self.batch = plan.batch;
        self.checkpointed = false;
        Ok(Executed { facts, replayed: plan.replays.clone(), letters })
    }

    fn prepare(&mut self, plan: &BatchPlan) -> Result<Run, Failure> {
        let mut splits = Vec::new();
        for source in &self.sources {
            let Some(part) = plan.sources.get(&*source.name) else { continue };
            self.watermarks.set_idle(source.entry, part.idle);
            splits.extend(part.splits.iter().map(|split| (source.entry, split.clone())));
        }
        let mut replays: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for letter in self.store.letters(&plan.replays)? {
            if let Some(entry) = self.deployment.graph.find(&letter.entry) {
                replays.entry(entry).or_default().push(letter.payload);
            }
        }
        let watermarks_us = self.watermarks.advance(&self.times);
        let ctx = BatchCtx { batch: plan.batch, now_us: plan.now_us, watermark_us: None, seed: plan.seed };
        Ok(Run { ctx, watermarks_us, splits, replays: replays.into_iter().collect() })
    }

    /// Nothing waits that was there when the last plan was made.
    fn is_drained(&self) -> bool {
        self.sources.iter().all(|source| source.backlog_bytes == 0 && source.last_poll_was_empty)
            && self.wait_for_trigger().is_zero()
    }

    /// Waits for something to do.
    fn rest(&mut self) {
        let until_trigger = self.wait_for_trigger();
        let pause = if until_trigger.is_zero() {
            self.deployment.spec.trigger.every.duration().max(IDLE_POLL_MIN)
        } else {
            until_trigger
        };
        // Before the trigger is due, data alone changes nothing: only a request does.
        self.shared.controls.wait(pause, until_trigger.is_zero());
    }

    fn checkpoint_if_due(&mut self) -> Result<(), Failure> {
        self.complete_checkpoint(false)?;
        let every = self.deployment.spec.checkpoint.every.duration();
        let due = self.monotonic().saturating_sub(self.last_checkpoint) >= every;
        if due && !self.checkpointed && !self.checkpointer.is_busy() {
            self.begin_checkpoint()?;
        }
        Ok(())
    }

    /// Copies the state as it is after the newest batch; the rest happens in the background.
    fn begin_checkpoint(&mut self) -> Result<(), Failure> {
        let started = self.monotonic();
        let extent: Extent = self.checkpointer.next_extent();
        let chunks = if self.keyed.is_empty() { Vec::new() } else { self.lanes.snapshot(extent)? };
        self.epoch += 1;
        let positions =
            self.sources.iter().map(|source| (source.name.to_string(), source.source.position())).collect();
        let watermark = serde_json::to_value(self.watermarks.save(&self.names)).unwrap_or_default();
        let checkpoint = Checkpoint {
            epoch: self.epoch,
            batch: self.batch,
            base: 0,
            kind: String::new(),
            bytes: 0,
            duration_us: 0,
            positions,
            watermark,
        };
        self.checkpointer.write(checkpoint, extent, chunks, started);
        self.last_checkpoint = started;
        self.checkpointed = true;
        Ok(())
    }

    /// Declares a checkpoint complete that is written and whose batch is committed.
    fn complete_checkpoint(&mut self, wait: bool) -> Result<(), Failure> {
        let oldest_uncommitted = self.uncommitted.front().map(|executed| executed.facts.batch);
        let Some(written) = self.checkpointer.poll(wait)? else { return Ok(()) };
        if oldest_uncommitted.is_some_and(|oldest| oldest <= written.batch) {
            return Ok(());
        }
        self.store.complete(written, self.shared.env.clock.now_us())?;
        let Some(completed) = self.checkpointer.completed() else { return Ok(()) };
        for source in &mut self.sources {
            if let Some(position) = completed.positions.get(&*source.name)
                && let Err(error) = source.source.release(position)
            {
                let message = format!("what the checkpoint covers was not cleaned up: {error}");
                let (events, clock) = (&self.shared.events, &*self.shared.env.clock);
                self.reporter.log(events, clock, "warn", Some(&source.name), message);
            }
        }
        Ok(())
    }

    /// Commits what is under way and leaves a checkpoint, so that the next start runs nothing again.
    fn wind_up(&mut self, end: End) -> Result<End, Failure> {
        if end == End::Stopped {
            self.shared.events.state(&PipelineState::Draining);
        }
        self.settle()?;
        self.complete_checkpoint(true)?;
        if !self.checkpointed {
            self.begin_checkpoint()?;
            self.complete_checkpoint(true)?;
        }
        Ok(end)
    }
}
