//! Writes state in the background: the lanes copy what changed, a thread compresses and writes it,
//! and the driver declares the checkpoint complete once its batch is committed.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::checkpoint::{Chain, Checkpoint, StateFile, StateStore, StoredChunk};
use crate::clock::SharedClock;
use crate::sqlite::{Durability, StoreError};
use crate::steps::Extent;

/// After so many deltas the next copy is a full one, whatever their size: recovery reads them all.
const DELTAS_MAX: u32 = 64;

/// Pieces of state that wait to be written, where memory has a budget: then the lanes wait. Without one
/// they never do.
const PIECES_MAX: usize = 8;

/// The parts of a checkpoint, in their order.
enum Job {
    Begin {
        checkpoint: Checkpoint,
        extent: Extent,
        /// Nobody needs older epochs.
        remove_before: u64,
    },
    Take(Vec<StoredChunk>),
    End {
        started: Duration,
    },
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
    /// `chain` is what was recovered: deltas go on from it.
    pub(crate) fn start(
        pipeline: &str,
        file: StateFile,
        durability: Durability,
        clock: SharedClock,
        has_budget: bool,
        chain: Option<Chain>,
    ) -> Result<Self, std::io::Error> {
        let (jobs, job_receiver) = if has_budget { bounded(PIECES_MAX) } else { unbounded() };
        let (done_sender, done) = bounded(1);
        let thread = std::thread::Builder::new().name(format!("{pipeline}-state")).spawn(move || {
            let mut store = None;
            while let Ok(job) = job_receiver.recv() {
                let Job::Begin { checkpoint, extent, remove_before } = job else { continue };
                let written = open(&mut store, &file, durability).and_then(|store| {
                    store.remove_before(remove_before)?;
                    write(store, checkpoint, extent, &job_receiver, &clock)
                });
                // None: the attempt is over before the checkpoint's end.
                let Some(result) = written.transpose() else { return };
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
            complete_base: chain.map_or(0, |chain| chain.base),
            full_bytes: chain.map(|chain| chain.full_bytes),
            delta_bytes: chain.map_or(0, |chain| chain.delta_bytes),
            deltas: chain.map_or(0, |chain| chain.deltas),
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

    /// Starts a checkpoint: what the lanes copy is taken until it ends.
    pub(crate) fn begin(&mut self, checkpoint: Checkpoint, extent: Extent) {
        self.ask(Job::Begin { checkpoint, extent, remove_before: self.complete_base });
        self.under_way = true;
    }

    /// Writes a piece of what the lanes copy.
    pub(crate) fn take(&self, chunks: Vec<StoredChunk>) {
        if !chunks.is_empty() {
            self.ask(Job::Take(chunks));
        }
    }

    /// That was all of a checkpoint that was begun at `started`.
    pub(crate) fn end(&self, started: Duration) {
        self.ask(Job::End { started });
    }

    fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // A thread that is gone shows when its result is awaited.
            let _ = jobs.send(job);
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

fn open<'a>(
    store: &'a mut Option<StateStore>,
    file: &StateFile,
    durability: Durability,
) -> Result<&'a mut StateStore, StoreError> {
    match store {
        Some(store) => Ok(store),
        None => Ok(store.insert(StateStore::open(file, durability)?)),
    }
}

/// Writes the pieces of a checkpoint as they come; none when nobody ends it.
fn write(
    store: &mut StateStore,
    mut checkpoint: Checkpoint,
    extent: Extent,
    jobs: &Receiver<Job>,
    clock: &SharedClock,
) -> Result<Option<Checkpoint>, StoreError> {
    let mut writing = store.begin(checkpoint.epoch)?;
    loop {
        match jobs.recv() {
            Ok(Job::Take(chunks)) => writing.append(&chunks)?,
            Ok(Job::End { started }) => {
                checkpoint.kind = if extent == Extent::Full { FULL } else { DELTA }.to_owned();
                checkpoint.bytes = writing.commit()?;
                let took = clock.monotonic().saturating_sub(started);
                checkpoint.duration_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
                return Ok(Some(checkpoint));
            }
            Ok(Job::Begin { .. }) | Err(_) => return Ok(None),
        }
    }
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
