//! Bringing an attempt to where the pipeline was: the newest checkpoint, then the plans since then.

use std::collections::BTreeMap;

use super::planning::Planned;
use super::{Attempt, Failure};
use crate::checkpoint::{BatchPlan, Checkpoint, StateStore};
use crate::pipeline::spec::Delivery;
use crate::pipeline::watermark::{SavedMark, Watermarks};

/// Chunks of state that wait in memory for the lanes, while the next one is read.
const CHUNKS_AHEAD: u32 = 2;

impl Attempt<'_> {
    /// State and positions of the newest checkpoint, then the batches planned since then, again.
    pub(super) fn recover(&mut self) -> Result<(), Failure> {
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
        let now_us = self.shared.env.clock.now_us();
        for source in &mut self.sources {
            source.know(self.watermarks.partitions(source.entry), now_us);
        }
        Ok(())
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        (self.batch, self.epoch) = (checkpoint.batch, checkpoint.epoch);
        let saved: BTreeMap<String, SavedMark> = serde_json::from_value(checkpoint.watermark.clone())
            .map_err(|error| {
                Failure::permanent(format!("the checkpoint's watermarks cannot be read ({error})"))
            })?;
        self.watermarks = Watermarks::load(&saved, &self.names, self.deployment.spec.watermark);
        if self.keyed.is_empty() {
            return Ok(());
        }
        let state = StateStore::open(&self.state_file, self.durability)?;
        let mut failure = None;
        let mut waiting = 0;
        let lanes = &self.lanes;
        let read = state.read(checkpoint.base, checkpoint.epoch, |chunk| {
            lanes.restore(chunk);
            waiting += 1;
            // The next chunks are read and unpacked while the lanes take these.
            if waiting < CHUNKS_AHEAD {
                return Ok(());
            }
            waiting -= 1;
            lanes.restored().map_err(|error| {
                failure = Some(Failure::from(error));
                "the state was not taken back".to_owned()
            })
        });
        failure.map_or(Ok(()), Err)?;
        read?;
        (0..waiting).try_for_each(|_| lanes.restored()).map_err(Failure::from)
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
        let settled = committed || self.sinks.iter().any(|sink| sink.has(plan.batch));
        let mut executed = self.execute(Planned::again(plan), settled)?;
        self.await_sinks(&mut executed)?;
        if committed {
            return Ok(());
        }
        self.put_on_record(vec![executed], None)
    }
}
