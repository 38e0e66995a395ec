//! Checkpoints on their way: copied by the lanes, written in the background, declared complete once
//! their batch is committed.

use super::{Attempt, Failure};
use crate::checkpoint::Checkpoint;
use crate::steps::Extent;

impl Attempt<'_> {
    pub(super) fn checkpoint_if_due(&mut self) -> Result<(), Failure> {
        self.complete_checkpoint(false)?;
        // The sources' positions are those of a checkpoint only while nothing is planned ahead.
        if self.is_checkpoint_due() && !self.checkpointed && self.ahead.is_none() {
            self.begin_checkpoint()?;
        }
        Ok(())
    }

    pub(super) fn is_checkpoint_due(&self) -> bool {
        let every = self.deployment.spec.checkpoint.every.duration();
        self.monotonic().saturating_sub(self.last_checkpoint) >= every && !self.checkpointer.is_busy()
    }

    /// Copies the state as it is after the newest batch; the rest happens in the background.
    pub(super) fn begin_checkpoint(&mut self) -> Result<(), Failure> {
        let started = self.monotonic();
        let extent: Extent = self.checkpointer.next_extent();
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
        self.checkpointer.begin(checkpoint, extent);
        if !self.keyed.is_empty() {
            let checkpointer = &self.checkpointer;
            self.lanes.snapshot(extent, &mut |chunks| checkpointer.take(chunks))?;
        }
        self.checkpointer.end(started);
        self.last_checkpoint = started;
        self.checkpointed = true;
        Ok(())
    }

    /// Declares a checkpoint complete that is written and whose batch is committed.
    pub(super) fn complete_checkpoint(&mut self, wait: bool) -> Result<(), Failure> {
        let oldest_uncommitted = self.uncommitted.front().map(|executed| executed.facts.batch);
        let Some(written) = self.checkpointer.poll(wait)? else { return Ok(()) };
        if oldest_uncommitted.is_some_and(|oldest| oldest <= written.batch) {
            return Ok(());
        }
        self.store.complete(written, self.shared.env.clock.now_us())?;
        let Some(completed) = self.checkpointer.completed() else { return Ok(()) };
        self.tables.release(completed.batch)?;
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
}
