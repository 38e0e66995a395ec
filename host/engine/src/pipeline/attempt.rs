//! One attempt to run a pipeline: opened, brought to where its checkpoint and plans left it, then
//! driven batch by batch until it is over or something fails. After a failure nothing of it is used
//! again: the next attempt starts from what is on disk.

mod checkpoints;
mod planning;
mod recovery;

use planning::Planned;

use std::collections::{BTreeMap, HashMap, VecDeque};
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
use super::tables::Tables;
use super::tap::Taps;
use super::timers::{Ran, Timers};
use super::verdict::Verdicts;
use super::watermark::{TimeNode, Watermarks};
use crate::batch::{BatchCtx, BatchId};
use crate::checkpoint::{BatchPlan, CommitRow, StateFile, Store, check_parts, check_store};
use crate::source::Split;
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
    tables: Tables,
    /// Keyed steps, in the order of the graph.
    keyed: Vec<usize>,
    times: Vec<TimeNode>,
    watermarks: Watermarks,
    timers: Timers,
    checkpointer: Checkpointer,
    rate: RateController,
    reporter: Reporter,
    /// The newest batch that was run.
    batch: BatchId,
    epoch: u64,
    /// Batches whose sinks are at work, oldest first.
    uncommitted: VecDeque<Executed>,
    /// The batch after the newest, where it is planned already.
    ahead: Option<Planned>,
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
        let tables = Tables::open(shared, &deployment, durability)?;
        let lanes = opened::start_lanes(shared, &deployment, &sources)?;
        let state_file = StateFile::in_dir(&shared.dir);
        let clock = Arc::clone(&shared.env.clock);
        let has_budget = deployment.spec.memory.is_some();
        let name = &deployment.spec.name;
        let chain = store.chain()?;
        let checkpointer =
            Checkpointer::start(name, state_file.clone(), durability, clock, has_budget, chain)
                .map_err(|error| Failure::of_thread(&error))?;
        let mut attempt = Self {
            shared,
            rate: RateController::new(&deployment.spec.trigger),
            reporter: Reporter::new(&deployment, id, shared.run_id.clone()),
            watermarks: Watermarks::new(names.len(), deployment.spec.watermark),
            timers: Timers::new(&deployment),
            deployment,
            names,
            store,
            seed,
            state_file,
            durability,
            sources,
            tables,
            sinks,
            lanes,
            keyed,
            times,
            checkpointer,
            batch: BatchId::ZERO,
            epoch: 0,
            uncommitted: VecDeque::new(),
            ahead: None,
            replays: Vec::new(),
            last_start: None,
            last_checkpoint: shared.env.clock.monotonic(),
            checkpointed: true,
        };
        attempt.recover()?;
        if !attempt.timers.is_empty() {
            attempt.timers.note(&attempt.lanes.reports()?, None);
        }
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
                Control::Stop => {
                    if let Some(planned) = self.ahead.take() {
                        self.step(planned)?;
                    }
                    return self.wind_up(End::Stopped);
                }
                Control::Drain { replays } => {
                    self.replays.extend(replays);
                    draining = true;
                }
                Control::Go { replays } => self.replays.extend(replays),
            }
            let is_due = self.wait_for_trigger().is_zero();
            let (planned, finished) = match self.ahead.take() {
                Some(planned) => (Some(planned), false),
                None if is_due => self.plan()?,
                None => (None, false),
            };
            if let Some(planned) = planned {
                self.step(planned)?;
            } else {
                self.settle()?;
                if finished || (draining && is_due && self.is_drained()) {
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
    fn step(&mut self, planned: Planned) -> Result<(), Failure> {
        let start = self.monotonic();
        self.last_start = Some(start);
        let mut due = Vec::new();
        // The newest batch may still be in its sinks while the next one runs; not two of them.
        while self.uncommitted.len() > 1
            || self.uncommitted.front().is_some_and(|first| self.is_written(first))
        {
            let Some(mut first) = self.uncommitted.pop_front() else { break };
            self.await_sinks(&mut first)?;
            due.push(first);
        }
        self.put_on_record(due, Some(&planned.plan))?;
        let on_record = self.monotonic();
        self.ahead = self.plan_ahead(&planned.plan)?;
        let mut executed = self.execute(planned, false)?;
        executed.facts.wal = on_record.saturating_sub(start);
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

    /// Runs a batch and tells the sinks to commit it.
    fn execute(&mut self, planned: Planned, settled: bool) -> Result<Executed, Failure> {
        let Planned { mut plan, bytes, backlogs, took: poll } = planned;
        let started = self.monotonic();
        let run = Arc::new(self.prepare(&plan, settled)?);
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
        let mut reports = self.lanes.reports()?;
        let timed_out: Vec<_> =
            reports.iter_mut().flat_map(|report| std::mem::take(&mut report.timed_out)).collect();
        if !timed_out.is_empty() {
            plan.timed_out.extend(timed_out);
            self.store.amend(&plan)?;
        }
        for sink in &self.sinks {
            sink.commit().map_err(|error| Failure::of_sink(&self.names[sink.entry], &error))?;
        }
        let ran =
            Ran { read_nothing: plan.is_empty(), now_us: plan.now_us, watermarks_us: &run.watermarks_us };
        self.timers.note(&reports, Some(&ran));
        for ((source, partition), time_us) in
            reports.iter_mut().flat_map(|report| std::mem::take(&mut report.partitions_us))
        {
            self.watermarks.see_partition(source, &partition, time_us);
        }
        let took = self.monotonic().saturating_sub(started);
        let (mut facts, letters) = self.reporter.facts(&plan, &run.watermarks_us, reports, started, took);
        (facts.poll, facts.backlogs) = (poll, backlogs);
        for source in &self.sources {
            if let Some(time_us) = facts.counts[source.entry].max_time_us {
                self.watermarks.see(source.entry, time_us);
            }
        }
        self.warn_of_null_times(&facts);
        self.rate.observe(bytes, took);
        self.batch = plan.batch;
        self.checkpointed = false;
        Ok(Executed { facts, replayed: plan.replays, letters })
    }

    /// A source whose event time is always null holds the watermark for ever: somebody should know.
    fn warn_of_null_times(&mut self, facts: &BatchFacts) {
        let clock = &*self.shared.env.clock;
        for source in self.sources.iter_mut().filter(|source| source.never_timed) {
            let counts = &facts.counts[source.entry];
            if counts.max_time_us.is_some() {
                source.never_timed = false;
            } else if counts.without_time > 0 {
                source.never_timed = false;
                let time = self.deployment.spec.sources.get(&*source.name);
                let column = time.and_then(|source| Some(source.event_time.as_ref()?.column.as_str()));
                let message = format!(
                    "the event time `{}` is null in all {} rows of the first batch: while it is, the watermark does not \
                     move and no window closes",
                    column.unwrap_or_default(),
                    counts.without_time
                );
                self.reporter.log(&self.shared.events, clock, "warn", Some(&source.name), message);
            }
        }
    }

    fn prepare(&mut self, plan: &BatchPlan, settled: bool) -> Result<Run, Failure> {
        for source in &self.sources {
            if let Some(part) = plan.sources.get(&*source.name) {
                self.watermarks.set_idle(source.entry, part.idle);
                self.watermarks.set_partitions(source.entry, &part.partitions);
            }
        }
        let mut verdicts: HashMap<usize, Verdicts> = HashMap::new();
        for verdict in &plan.timed_out {
            if let Some(entry) = self.deployment.graph.find(&verdict.step) {
                verdicts.entry(entry).or_default().add(verdict);
            }
        }
        let mut replays: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for letter in self.store.letters(&plan.replays)? {
            if let Some(entry) = self.deployment.graph.find(&letter.entry) {
                replays.entry(entry).or_default().push(letter.payload);
            }
        }
        self.tables.show(plan.batch, &plan.tables)?;
        let watermarks_us = self.watermarks.advance(&self.times);
        let ctx = BatchCtx {
            batch: plan.batch,
            now_us: plan.now_us,
            watermark_us: None,
            seed: plan.seed,
            order: 0,
        };
        Ok(Run {
            ctx,
            watermarks_us,
            splits: self.splits(plan),
            next_splits: self.ahead.as_ref().map(|next| self.splits(&next.plan)),
            replays: replays.into_iter().collect(),
            verdicts,
            settled,
        })
    }

    /// What a plan reads, in the order of the sources.
    fn splits(&self, plan: &BatchPlan) -> Vec<(usize, Split)> {
        let parts =
            self.sources.iter().filter_map(|source| Some((source.entry, plan.sources.get(&*source.name)?)));
        parts.flat_map(|(entry, part)| part.splits.iter().map(move |split| (entry, split.clone()))).collect()
    }

    /// Nothing waits, as the sources have just said.
    fn is_drained(&self) -> bool {
        self.sources.iter().all(|source| source.backlog_bytes == 0 && source.last_poll_was_empty)
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
