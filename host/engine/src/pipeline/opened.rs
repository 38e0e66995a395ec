//! Opens what a deployment has planned: sources with their journals, sinks on their threads, lanes
//! with their copies of the steps.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use millstream_wasm::{Level, Observer};

use super::attempt::Shared;
use super::connect::{OpenSource, SinkCtx, SourceCtx};
use super::deployment::Deployment;
use super::entry::What;
use super::failure::Failure;
use super::graph::{Feed, Role};
use super::kinds::FaultPolicy;
use super::lane::{Lane, LaneEntry, LaneWhat, LateRows, Report, SourceTime};
use super::lanes::{Lanes, answer_queue};
use super::sink_thread::SinkThread;
use super::spec::Delivery;
use super::status::{LogLine, MetricValue, PluginMetric, SharedEvents};
use super::units::{ByteSize, Span};
use super::watermark::TimeNode;
use crate::clock::SharedClock;
use crate::journal::{Inbox, Journal, JournalOptions, JournalSource};
use crate::source::{Poll, Source};
use crate::state::cold::{MemoryBudget, Spill};
use crate::steps::{Filter, KeyedPlan, Select, Split, Step, StepError, Wasm};

/// A source at work.
pub(crate) struct OpenedSource {
    pub(crate) entry: usize,
    pub(crate) name: Arc<str>,
    /// Ends receiving when dropped; before the journal goes.
    _receiving: Option<Box<dyn Send>>,
    pub(crate) source: Box<dyn Source>,
    idle_us: Option<i64>,
    max_future_us: Option<i64>,
    /// Every row so far had no event time, and nobody was told yet.
    pub(crate) never_timed: bool,
    last_rows_us: Option<i64>,
    /// By partition: when rows came from it last, or when it was heard of.
    partitions_us: BTreeMap<String, i64>,
    pub(crate) backlog_bytes: u64,
    pub(crate) last_poll_was_empty: bool,
}

impl OpenedSource {
    /// Remembers what a poll gave; answers whether the source is idle now, and which of its partitions are.
    pub(crate) fn note_poll(&mut self, poll: &Poll, now_us: i64) -> (bool, BTreeMap<String, bool>) {
        self.backlog_bytes = poll.backlog_bytes;
        self.last_poll_was_empty = poll.splits.is_empty();
        let last_rows_us = self.last_rows_us.get_or_insert(now_us);
        if !poll.splits.is_empty() {
            *last_rows_us = now_us;
        }
        let is_idle = self.idle_us.is_some_and(|idle_us| now_us - *last_rows_us >= idle_us);
        (is_idle, self.note_partitions(poll, now_us))
    }

    fn note_partitions(&mut self, poll: &Poll, now_us: i64) -> BTreeMap<String, bool> {
        let there = self.source.partitions();
        let reader = self.source.reader();
        let read: Vec<String> = poll.splits.iter().filter_map(|split| reader.partition(split)).collect();
        if !there.is_empty() {
            // Those that are gone do not hold the watermark back any more.
            self.partitions_us.retain(|name, _| there.contains(name) || read.contains(name));
        }
        self.know(there, now_us);
        for name in read {
            self.partitions_us.insert(name, now_us);
        }
        let is_idle = |last_us: i64| self.idle_us.is_some_and(|idle_us| now_us - last_us >= idle_us);
        self.partitions_us.iter().map(|(name, last_us)| (name.clone(), is_idle(*last_us))).collect()
    }

    /// There are these partitions; those that were not known are taken for having had rows now.
    pub(crate) fn know(&mut self, partitions: impl IntoIterator<Item = String>, now_us: i64) {
        for name in partitions {
            self.partitions_us.entry(name).or_insert(now_us);
        }
    }
}

pub(crate) fn open_sources(
    shared: &Shared,
    deployment: &mut Deployment,
) -> Result<Vec<OpenedSource>, Failure> {
    let mut opened = Vec::new();
    for (i, node) in deployment.graph.nodes.iter().enumerate() {
        let entry = &mut deployment.entries[i];
        let What::Source { event_time, .. } = &entry.what else { continue };
        let idle_us = event_time.as_ref().and_then(|time| time.idle).map(Span::us);
        let max_future_us = event_time.as_ref().and_then(|time| time.max_future).map(Span::us);
        let never_timed = event_time.is_some();
        let (delivery, now) = (deployment.spec.delivery, deployment.spec.trigger.available_now);
        // Planning is over: the plan itself is used up by opening.
        let What::Source { plan, .. } = std::mem::replace(&mut entry.what, What::Union) else { continue };
        let ctx = SourceCtx {
            pipeline: deployment.spec.name.clone(),
            entry: node.name.to_string(),
            clock: Arc::clone(&shared.env.clock),
            available_now: now,
            wake: shared.controls.wake(),
            warn: super::status::warner(&shared.events, &shared.env.clock, &node.name),
        };
        let fail = |error| Failure::of_source(&node.name, &error);
        let (source, receiving): (Box<dyn Source>, _) = match plan.open(ctx).map_err(fail)? {
            OpenSource::Pull(source) => (source, None),
            OpenSource::Push { journal_bytes_max, decoder, receive } => {
                let options = JournalOptions {
                    durable: delivery != Delivery::AtMostOnce,
                    bytes_max: journal_bytes_max,
                    wake: shared.controls.wake(),
                };
                let journal = Arc::new(Journal::open(&shared.dir, &node.name, options)?);
                let receiving = receive(Arc::clone(&journal) as Arc<dyn Inbox>).map_err(fail)?;
                (Box::new(JournalSource::new(journal, decoder, &node.name, now)), Some(receiving))
            }
        };
        opened.push(OpenedSource {
            entry: i,
            name: Arc::clone(&node.name),
            _receiving: receiving,
            source,
            idle_us,
            max_future_us,
            never_timed,
            last_rows_us: None,
            partitions_us: BTreeMap::new(),
            backlog_bytes: 0,
            last_poll_was_empty: false,
        });
    }
    Ok(opened)
}

pub(crate) fn open_sinks(
    shared: &Shared,
    deployment: &mut Deployment,
    pipeline_id: &str,
    durable: bool,
) -> Result<Vec<SinkThread>, Failure> {
    let mut opened = Vec::new();
    for (i, node) in deployment.graph.nodes.iter().enumerate() {
        let entry = &mut deployment.entries[i];
        if node.role != Role::Sink {
            continue;
        }
        let What::Sink(plan) = std::mem::replace(&mut entry.what, What::Union) else { continue };
        let ctx = SinkCtx {
            pipeline: deployment.spec.name.clone(),
            pipeline_id: pipeline_id.to_owned(),
            entry: node.name.to_string(),
            schema: Arc::clone(&entry.outlets[0].schema),
            durable,
            dir: shared.dir.join("sinks").join(&*node.name),
        };
        let fail = |error| Failure::of_sink(&node.name, &error);
        let mut sink = plan.open(ctx).map_err(fail)?;
        let committed = sink.committed().map_err(fail)?;
        let thread = SinkThread::start(i, &node.name, sink, committed, Arc::clone(&shared.env.clock));
        opened.push(thread.map_err(|error| Failure::of_thread(&error))?);
    }
    Ok(opened)
}

pub(crate) fn start_lanes(
    shared: &Shared,
    deployment: &Deployment,
    sources: &[OpenedSource],
) -> Result<Lanes, Failure> {
    let lanes = workers(deployment);
    let spills = Spills::of(shared, deployment)?;
    let mut built = Vec::with_capacity(lanes as usize);
    for number in 0..lanes {
        let (answers, receiver) = answer_queue();
        let lane = Lane {
            number,
            lanes,
            entries: lane_entries(shared, deployment, sources, spills.as_ref(), (number, lanes))?,
            taps: Arc::clone(&shared.taps),
            clock: Arc::clone(&shared.env.clock),
            answers,
            report: Report::default(),
            run: None,
            ahead: None,
        };
        built.push((lane, receiver));
    }
    Lanes::start(&deployment.spec.name, built).map_err(|error| Failure::of_thread(&error))
}

/// Where state goes that memory has no room for.
struct Spills {
    dir: PathBuf,
    budget: Arc<MemoryBudget>,
}

impl Spills {
    /// None without a budget. What an earlier attempt left is deleted: nothing in it counts.
    fn of(shared: &Shared, deployment: &Deployment) -> Result<Option<Self>, Failure> {
        let dir = shared.dir.join("cold");
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::of_dir(&dir, &error));
            }
            _ => {}
        }
        let Some(ByteSize(limit)) = deployment.spec.memory else { return Ok(None) };
        Ok(Some(Self { dir, budget: Arc::new(MemoryBudget::new(limit)) }))
    }

    /// The file of a step on a worker.
    fn at(&self, step: &str, worker: u32) -> Spill {
        Spill { path: self.dir.join(format!("{step}-{worker}.db")), budget: Arc::clone(&self.budget) }
    }
}

/// Worker threads of a pipeline.
fn workers(deployment: &Deployment) -> u32 {
    let machine =
        || std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    deployment.spec.parallelism.unwrap_or_else(machine).clamp(1, crate::state::KEY_GROUPS)
}

fn lane_entries(
    shared: &Shared,
    deployment: &Deployment,
    sources: &[OpenedSource],
    spills: Option<&Spills>,
    (number, lanes): (u32, u32),
) -> Result<Vec<LaneEntry>, Failure> {
    let mut entries = Vec::with_capacity(deployment.entries.len());
    for (i, node) in deployment.graph.nodes.iter().enumerate() {
        let entry = &deployment.entries[i];
        let failed = |message: String| Failure::permanent(format!("{}: {message}", node.name));
        let (mut on_fault, mut late) = (FaultPolicy::default(), LateRows::default());
        let keyed = |plan: &dyn KeyedPlan| {
            let observer: Arc<dyn Observer> = observer(shared, &node.name);
            let mut step = plan.build_heard(number, lanes, &observer)?;
            if let Some(spills) = spills.filter(|_| plan.can_spill()) {
                step.spill_to(spills.at(&node.name, number))?;
            }
            Ok::<_, StepError>(step)
        };
        let what = match (&entry.what, node.role) {
            (_, Role::Sink) => LaneWhat::Sink,
            (_, Role::Source) => {
                let Some(source) = sources.iter().find(|source| source.entry == i) else { continue };
                let max_future_us = source.max_future_us;
                let time = entry.outlets[0].event_time;
                let time = time.map(|time| SourceTime { column: time.column, max_future_us });
                LaneWhat::Source { reader: source.source.reader(), time }
            }
            (What::Filter(predicate), _) => {
                step(Filter::new(predicate.clone(), Arc::clone(&entry.outlets[0].schema)))
            }
            (What::Select(projection), _) => step(Select::new(projection.clone())),
            (What::Split(branches), _) => LaneWhat::Split(Split::new(branches.clone())),
            (What::Wasm(wasm), _) => {
                on_fault = wasm.on_fault;
                let observer = observer(shared, &node.name);
                let transform = wasm.open(observer).map_err(|error| failed(error.to_string()))?;
                step(Wasm::new(transform, wasm.operator.clone()))
            }
            (What::Keyed { plan, late: late_policy, on_fault: fault_policy }, _) => {
                (late, on_fault) = (*late_policy, *fault_policy);
                LaneWhat::Keyed(keyed(&**plan).map_err(|error| failed(error.to_string()))?)
            }
            (What::State(state), _) => {
                (on_fault, late) = (state.on_fault, state.late);
                LaneWhat::Keyed(keyed(state).map_err(|error| failed(error.to_string()))?)
            }
            (What::TableJoin(join), _) => step(join.build().map_err(|error| failed(error.to_string()))?),
            // A table's rows do not pass: steps look at them through its view.
            (What::Table(_), _) => LaneWhat::Union,
            (What::Union | What::Source { .. } | What::Sink(_), Role::Step | Role::Table) => LaneWhat::Union,
        };
        entries.push(LaneEntry {
            name: Arc::clone(&node.name),
            outputs: node.outputs.clone(),
            inputs: input_schemas(deployment, i),
            on_fault,
            late,
            what,
        });
    }
    Ok(entries)
}

fn observer(shared: &Shared, entry: &str) -> Arc<dyn Observer> {
    Arc::new(StepObserver {
        entry: entry.to_owned(),
        events: Arc::clone(&shared.events),
        clock: Arc::clone(&shared.env.clock),
    })
}

fn step(step: impl Step + 'static) -> LaneWhat {
    LaneWhat::Step(Box::new(step))
}

/// The rows that come in by each input; for a source, those that it reads.
fn input_schemas(deployment: &Deployment, i: usize) -> Vec<SchemaRef> {
    let node = &deployment.graph.nodes[i];
    let schema = |feed: &Feed| Arc::clone(&deployment.entries[feed.entry].outlets[feed.port].schema);
    if node.role == Role::Source {
        return vec![schema(&Feed { entry: i, port: 0 })];
    }
    node.inputs.iter().map(schema).collect()
}

/// The entries as their watermarks depend on them.
pub(crate) fn time_nodes(deployment: &Deployment) -> Vec<TimeNode> {
    let pairs = deployment.graph.nodes.iter().zip(&deployment.entries);
    pairs
        .map(|(node, entry)| {
            // Tables are outside of time.
            let is_stream = |entry: &usize| !matches!(deployment.entries[*entry].what, What::Table(_));
            let inputs = node.inputs.iter().map(|feed| feed.entry).filter(is_stream).collect();
            match &entry.what {
                What::Source { event_time: Some(time), .. } => TimeNode::Source { delay_us: time.delay.us() },
                What::Source { event_time: None, .. } | What::Table(_) => TimeNode::Timeless,
                what => match what.keyed().and_then(|plan| plan.holds_back_us()) {
                    Some(back_us) => TimeNode::Holds { inputs, back_us },
                    None => TimeNode::Through { inputs },
                },
            }
        })
        .collect()
}

/// The keyed steps, each after those it depends on.
pub(crate) fn keyed_entries(deployment: &Deployment) -> Vec<usize> {
    let entries = deployment.entries.iter().enumerate();
    entries.filter(|(_, entry)| entry.what.keyed().is_some()).map(|(i, _)| i).collect()
}

/// What a plugin says goes to the pipeline's log and metrics.
struct StepObserver {
    entry: String,
    events: SharedEvents,
    clock: SharedClock,
}

impl StepObserver {
    fn line(&self, level: &str, message: String) {
        self.events.log(LogLine {
            time_us: self.clock.now_us(),
            level: level.to_owned(),
            entry: Some(self.entry.clone()),
            message,
        });
    }

    fn metric(&self, name: &str, value: MetricValue) {
        self.events.metric(PluginMetric { entry: self.entry.clone(), name: name.to_owned(), value });
    }
}

impl Observer for StepObserver {
    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.line(level, message.to_owned());
    }

    fn count(&self, name: &str, by: u64) {
        self.metric(name, MetricValue::Count(by));
    }

    fn observe(&self, name: &str, value: f64) {
        self.metric(name, MetricValue::Observation(value));
    }

    fn dropped(&self, log_lines: u64, metrics: u64) {
        self.line(
            "warn",
            format!("too much to say in one call: {log_lines} lines and {metrics} metrics were dropped"),
        );
    }
}

#[cfg(test)]
mod tests;
