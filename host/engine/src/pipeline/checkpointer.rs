//! Writes state in the background: the lanes copy what changed, a thread compresses and writes it,
//! and the driver declares the checkpoint complete once its batch is committed.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::checkpoint::{Checkpoint, StateFile, StateStore, StoredChunk};
use crate::clock::SharedClock;
use crate::sqlite::{Durability, StoreError};
use crate::steps::Extent;

/// After so many deltas the next copy is a full one, whatever their size: recovery reads them all.
const DELTAS_MAX: u32 = 64;

struct Job {
    checkpoint: Checkpoint,
    extent: Extent,
    chunks: Vec<StoredChunk>,
    started: Duration,
    /// Nobody needs older epochs.
    remove_before: u64,
}

/// The thread that writes state, seen from the driver. One checkpoint is under way at a time.
pub(crate) struct Checkpointer {
    jobs: Option<Sender<Job>>,
    done: Receiver<Result<Checkpoint, StoreError>>,
    thread: Option<JoinHandle<()>>,
    under_way: bool,
    /// Written, and waiting for its batch's commit.
    written: Option<Checkpoint>,
    /// Epoch of the newest full copy that is complete.
    complete_base: u64,
    full_bytes: Option<u64>,
    delta_bytes: u64,
    deltas: u32,
}

impl Checkpointer {
    pub(crate) fn start(
        pipeline: &str,
        file: StateFile,
        durability: Durability,
        clock: SharedClock,
    ) -> Result<Self, std::io::Error> {
        let (jobs, job_receiver) = bounded::<Job>(1);
        let (done_sender, done) = bounded(1);
        let thread = std::thread::Builder::new().name(format!("{pipeline}-state")).spawn(move || {
            let mut store = None;
            while let Ok(job) = job_receiver.recv() {
                let result = write(&mut store, &file, durability, job, &clock);
                if done_sender.send(result).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            jobs: Some(jobs),
            done,
            thread: Some(thread),
            under_way: false,
            written: None,
            complete_base: 0,
            full_bytes: None,
            delta_bytes: 0,
            deltas: 0,
        })
    }

    /// A checkpoint was begun and is not complete.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way || self.written.is_some()
    }

    /// What the next snapshot must hold: everything at first and when deltas have outgrown that.
    pub(crate) fn next_extent(&self) -> Extent {
        match self.full_bytes {
            Some(full) if self.deltas < DELTAS_MAX && self.delta_bytes <= full => Extent::Delta,
            _ => Extent::Full,
        }
    }

    /// Starts to write what the lanes have copied.
    pub(crate) fn write(
        &mut self,
        checkpoint: Checkpoint,
        extent: Extent,
        chunks: Vec<StoredChunk>,
        now: Duration,
    ) {
        if let Some(jobs) = &self.jobs {
            // A thread that is gone shows when its result is awaited.
            let job = Job { checkpoint, extent, chunks, started: now, remove_before: self.complete_base };
            let _ = jobs.send(job);
            self.under_way = true;
        }
    }

    /// The checkpoint that is written, if it is; `wait` for it or only look.
    pub(crate) fn poll(&mut self, wait: bool) -> Result<Option<&Checkpoint>, StoreError> {
        if self.under_way {
            let result = if wait { self.done.recv().ok() } else { self.done.try_recv().ok() };
            if let Some(result) = result {
                self.under_way = false;
                let checkpoint = result?;
                self.count(&checkpoint);
                self.written = Some(checkpoint);
            }
        }
        Ok(self.written.as_ref())
    }

    /// The written checkpoint was declared complete.
    pub(crate) fn completed(&mut self) -> Option<Checkpoint> {
        let completed = self.written.take()?;
        if completed.kind == FULL {
            self.complete_base = completed.epoch;
        }
        Some(completed)
    }

    fn count(&mut self, checkpoint: &Checkpoint) {
        if checkpoint.kind == FULL {
            self.full_bytes = Some(checkpoint.bytes);
            (self.delta_bytes, self.deltas) = (0, 0);
        } else {
            self.delta_bytes += checkpoint.bytes;
            self.deltas += 1;
        }
    }
}

pub(crate) const FULL: &str = "full";
pub(crate) const DELTA: &str = "delta";

fn write(
    store: &mut Option<StateStore>,
    file: &StateFile,
    durability: Durability,
    job: Job,
    clock: &SharedClock,
) -> Result<Checkpoint, StoreError> {
    let store = match store {
        Some(store) => store,
        None => store.insert(StateStore::open(file, durability)?),
    };
    store.remove_before(job.remove_before)?;
    let mut checkpoint = job.checkpoint;
    checkpoint.kind = if job.extent == Extent::Full { FULL } else { DELTA }.to_owned();
    checkpoint.bytes = store.write(checkpoint.epoch, &job.chunks)?;
    let took = clock.monotonic().saturating_sub(job.started);
    checkpoint.duration_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
    Ok(checkpoint)
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}
