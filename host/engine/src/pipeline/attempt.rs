//! One attempt to run a pipeline: opened, brought to where its checkpoint and plans left it, then
//! driven batch by batch until it is over or something fails. After a failure nothing of it is used
//! again: the next attempt starts from what is on disk.

mod checkpoints;
mod recovery;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;

use super::checkpointer::Checkpointer;
use super::control::{Control, Controls};
use super::deployment::{Deployment, Environment};
use super::failure::{End, Failure};
use super::lane::Run;
use super::lanes::Lanes;
use super::opened::{self, OpenedSource};
use super::rate::RateController;
use super::report::{BatchFacts, Reporter};
use super::sink_thread::SinkThread;
use super::spec::Delivery;
use super::status::{PipelineState, SharedEvents};
use super::tap::Taps;
use super::watermark::{TimeNode, Watermarks};
use crate::batch::{BatchCtx, BatchId};
use crate::checkpoint::{BatchPlan, CommitRow, SourcePart, StateFile, Store, check_parts, check_store};
use crate::source::Limits;
use crate::sqlite::Durability;

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

/// A pipeline at work.
pub(crate) struct Attempt<'a> {
    shared: &'a Shared,
    deployment: Deployment,
    names: Vec<Arc<str>>,
    store: Store,
    seed: u64,
    state_file: StateFile,
    durability: Durability,
    /// Fields are dropped in their order: first whoever works, then what it works with.
    lanes: Lanes,
    sinks: Vec<SinkThread>,
    sources: Vec<OpenedSource>,
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
        std::fs::create_dir_all(&shared.dir).map_err(|error| Failure::of_dir(&shared.dir, &error))?;
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
            let (plan, finished) =
                if self.wait_for_trigger().is_zero() { self.plan()? } else { (None, false) };
            if let Some(plan) = plan {
                self.step(&plan)?;
            } else {
                self.settle()?;
                if finished || (draining && self.is_drained()) {
                    return self.wind_up(if self.shared.controls.is_draining() {
                        End::Stopped
                    } else {
                        End::Finished
                    });
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
        while self.uncommitted.len() > 1
            || self.uncommitted.front().is_some_and(|first| self.is_written(first))
        {
            let Some(mut first) = self.uncommitted.pop_front() else { break };
            self.await_sinks(&mut first)?;
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
        while let Some(mut first) = self.uncommitted.pop_front() {
            self.await_sinks(&mut first)?;
            due.push(first);
        }
        self.put_on_record(due, None)
    }

    fn await_sinks(&self, executed: &mut Executed) -> Result<(), Failure> {
        for sink in &self.sinks {
            let name = &self.names[sink.entry];
            let written = sink.wait().map_err(|error| Failure::of_sink(name, &error))?;
            debug_assert_eq!(written.batch, executed.facts.batch, "sinks commit in order");
            executed.facts.written = executed.facts.written.max(written.at);
        }
        Ok(())
    }

    fn put_on_record(&mut self, executed: Vec<Executed>, plan: Option<&BatchPlan>) -> Result<(), Failure> {
        let now_us = self.shared.env.clock.now_us();
        let mut told = Vec::with_capacity(executed.len());
        let rows: Vec<CommitRow> = executed
            .into_iter()
            .map(|done| {
                let progress = self.reporter.progress(&done.facts);
                let text = serde_json::to_string(&progress).unwrap_or_default();
                told.push(progress);
                CommitRow {
                    batch: done.facts.batch,
                    progress: text,
                    letters: done.letters,
                    replayed: done.replayed,
                }
            })
            .collect();
        self.store.advance(&rows, plan, now_us)?;
        told.iter().for_each(|progress| self.shared.events.progress(progress));
        Ok(())
    }

    /// How long until the next batch may start: at once while a backlog waits.
    fn wait_for_trigger(&self) -> Duration {
        let Some(last) = self.last_start else { return Duration::ZERO };
        let behind = self.sources.iter().any(|source| source.backlog_bytes > 0);
        if self.deployment.spec.trigger.available_now || behind {
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
            let poll =
                source.source.poll(limits).map_err(|error| Failure::of_source(&source.name, &error))?;
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
            replays: self.due_replays()?,
        };
        let time_passes = !self.keyed.is_empty() && self.watermarks.would_advance(&self.times);
        if plan.is_empty() && !time_passes {
            return Ok((None, finished));
        }
        self.last_start = Some(started);
        self.reporter.planned(self.monotonic().saturating_sub(started));
        Ok((Some(plan), false))
    }

    /// Dead letters that were asked for and are in no batch yet: asking twice replays once.
    fn due_replays(&mut self) -> Result<Vec<u64>, Failure> {
        let mut ids = std::mem::take(&mut self.replays);
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| !self.uncommitted.iter().any(|executed| executed.replayed.contains(id)));
        let mut due = Vec::with_capacity(ids.len());
        for letter in self.store.letters(&self.store.unreplayed(&ids)?)? {
            if self.deployment.graph.find(&letter.entry).is_some() {
                due.push(letter.id);
            } else {
                let message =
                    format!("dead letter {} stays: the pipeline has no such entry any more", letter.id);
                let (events, clock) = (&self.shared.events, &*self.shared.env.clock);
                self.reporter.log(events, clock, "warn", Some(&letter.entry), message);
            }
        }
        Ok(due)
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
