//! Plans: what the next batch reads, fixed before it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Attempt, Failure};
use crate::batch::{BatchId, Payload};
use crate::checkpoint::{BatchPlan, SourcePart};
use crate::pipeline::graph::Role;
use crate::source::Limits;

/// A plan, and how the sources stood when it was made.
pub(super) struct Planned {
    pub(super) plan: BatchPlan,
    /// About so many bytes are read.
    pub(super) bytes: u64,
    /// Bytes that wait behind the batch, by source.
    pub(super) backlogs: BTreeMap<String, u64>,
    /// Asking the sources took so long.
    pub(super) took: Duration,
}

impl Planned {
    /// A plan from an earlier life.
    pub(super) fn again(plan: BatchPlan) -> Self {
        Self { plan, bytes: 0, backlogs: BTreeMap::new(), took: Duration::ZERO }
    }
}

impl Attempt<'_> {
    /// Asks the sources; what the next batch does if there is anything to do, and whether all
    /// sources have ended.
    pub(super) fn plan(&mut self) -> Result<(Option<Planned>, bool), Failure> {
        let started = self.monotonic();
        let replays = self.due_replays()?;
        let (planned, finished) = self.ask_sources(self.batch.next(), replays)?;
        let time_passes = !self.keyed.is_empty() && self.would_advance(&planned.plan);
        let timers_are_due = self.timers.are_due(planned.plan.now_us, |entry| self.watermarks.of(entry));
        if planned.plan.is_empty() && !time_passes && !timers_are_due {
            return Ok((None, finished));
        }
        self.last_start = Some(started);
        Ok((Some(planned), false))
    }

    /// Whether watermarks would move with this plan.
    fn would_advance(&self, plan: &BatchPlan) -> bool {
        // On a copy: a plan that is not run leaves no trace, as it does not when batches run again.
        let mut marks = self.watermarks.clone();
        for source in &self.sources {
            if let Some(part) = plan.sources.get(&*source.name) {
                marks.set_partitions(source.entry, &part.partitions);
            }
        }
        marks.would_advance(&self.times)
    }

    /// The batch after `running`, before that one runs: only when data waits for it, so that nothing
    /// is planned earlier than its trigger, and not when a checkpoint is due between the two, whose
    /// positions are those of the sources.
    pub(super) fn plan_ahead(&mut self, running: &BatchPlan) -> Result<Option<Planned>, Failure> {
        let waits = self.sources.iter().any(|source| source.backlog_bytes > 0);
        if !waits || self.is_checkpoint_due() || self.shared.controls.is_stopping() {
            return Ok(None);
        }
        let (planned, _) = self.ask_sources(running.batch.next(), Vec::new())?;
        Ok(Some(planned).filter(|planned| !planned.plan.is_empty()))
    }

    fn ask_sources(&mut self, batch: BatchId, replays: Vec<u64>) -> Result<(Planned, bool), Failure> {
        let started = self.monotonic();
        let limits: Limits = self.rate.limits(self.sources.len());
        let now_us = self.shared.env.clock.now_us();
        let (mut parts, mut backlogs) = (BTreeMap::new(), BTreeMap::new());
        let (mut bytes, mut finished) = (0, true);
        for source in &mut self.sources {
            let poll =
                source.source.poll(limits).map_err(|error| Failure::of_source(&source.name, &error))?;
            finished &= poll.finished;
            bytes += poll.bytes;
            let (idle, partitions) = source.note_poll(&poll, now_us);
            self.watermarks.set_idle(source.entry, idle);
            backlogs.insert(source.name.to_string(), poll.backlog_bytes);
            parts.insert(source.name.to_string(), SourcePart { splits: poll.splits, partitions, idle });
        }
        let plan = BatchPlan {
            batch,
            now_us,
            seed: self.seed ^ batch.0.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            sources: parts,
            plugins: self.deployment.plugin_digests(),
            tables: self.tables.newest(),
            replays,
            timed_out: Vec::new(),
        };
        let took = self.monotonic().saturating_sub(started);
        Ok((Planned { plan, bytes, backlogs, took }, finished))
    }

    /// Dead letters that were asked for and are in no batch yet: asking twice replays once.
    fn due_replays(&mut self) -> Result<Vec<u64>, Failure> {
        let mut ids = std::mem::take(&mut self.replays);
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| !self.uncommitted.iter().any(|executed| executed.replayed.contains(id)));
        let mut due = Vec::with_capacity(ids.len());
        for letter in self.store.letters(&self.store.unreplayed(&ids)?)? {
            let entry = self.deployment.graph.find(&letter.entry);
            let is_row = matches!(letter.payload, Payload::Row { .. });
            let is_source = |entry: usize| self.deployment.graph.nodes[entry].role == Role::Source;
            let why = match entry {
                None => "the pipeline has no such entry any more",
                Some(entry) if !is_row && !is_source(entry) => "it is a timer, which cannot be run again",
                Some(_) => {
                    due.push(letter.id);
                    continue;
                }
            };
            let message = format!("dead letter {} stays: {why}", letter.id);
            let (events, clock) = (&self.shared.events, &*self.shared.env.clock);
            self.reporter.log(events, clock, "warn", Some(&letter.entry), message);
        }
        Ok(due)
    }
}
