//! A sink on a thread of its own: writing and committing one batch overlaps with running the next.

use std::thread::JoinHandle;
use std::time::Duration;

use arrow_array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::batch::BatchId;
use crate::clock::SharedClock;
use crate::sink::{Sink, SinkError};

/// Rows that may wait for the sink, in chunks; then whoever runs the batch waits.
const QUEUE_CHUNKS: usize = 16;

enum Job {
    Begin(BatchId),
    Write(RecordBatch),
    Commit,
}

/// A batch is safe in the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) batch: BatchId,
    pub(crate) rows: u64,
    /// When it was, on the monotonic clock.
    pub(crate) at: Duration,
}

/// The sink's thread, seen from the driver.
pub(crate) struct SinkThread {
    /// The sink's place in the graph.
    pub(crate) entry: usize,
    /// What the sink had at its start.
    committed: Option<BatchId>,
    jobs: Option<Sender<Job>>,
    done: Receiver<Result<Written, SinkError>>,
    thread: Option<JoinHandle<()>>,
}

impl SinkThread {
    /// Starts a thread for `sink`, which has all batches up to `committed`.
    pub(crate) fn start(
        entry: usize,
        name: &str,
        sink: Box<dyn Sink>,
        committed: Option<BatchId>,
        clock: SharedClock,
    ) -> Result<Self, std::io::Error> {
        let (jobs, job_receiver) = bounded(QUEUE_CHUNKS);
        let (done_sender, done) = bounded(QUEUE_CHUNKS);
        let thread = std::thread::Builder::new().name(format!("sink-{name}")).spawn(move || {
            Worker { sink, committed, clock, batch: BatchId::ZERO, rows: 0 }.run(&job_receiver, &done_sender)
        })?;
        Ok(Self { entry, committed, jobs: Some(jobs), done, thread: Some(thread) })
    }

    /// The sink had this batch when it was opened.
    pub(crate) fn has(&self, batch: BatchId) -> bool {
        self.committed.is_some_and(|committed| batch <= committed)
    }

    pub(crate) fn begin(&self, batch: BatchId) -> Result<(), SinkError> {
        self.send(Job::Begin(batch))
    }

    pub(crate) fn write(&self, rows: RecordBatch) -> Result<(), SinkError> {
        self.send(Job::Write(rows))
    }

    pub(crate) fn commit(&self) -> Result<(), SinkError> {
        self.send(Job::Commit)
    }

    /// Waits until the oldest batch that was told to commit is safe.
    pub(crate) fn wait(&self) -> Result<Written, SinkError> {
        self.done.recv().unwrap_or_else(|_| Err(died()))
    }

    /// Whether `wait` would answer at once.
    pub(crate) fn is_ready(&self) -> bool {
        !self.done.is_empty()
    }

    fn send(&self, job: Job) -> Result<(), SinkError> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent {
            return Ok(());
        }
        // The thread has ended: the last thing it said is why.
        Err(self.done.iter().find_map(Result::err).unwrap_or_else(died))
    }
}

fn died() -> SinkError {
    SinkError::Transient("the sink's thread ended unexpectedly".to_owned())
}

impl Drop for SinkThread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Worker {
    sink: Box<dyn Sink>,
    committed: Option<BatchId>,
    clock: SharedClock,
    batch: BatchId,
    rows: u64,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>, done: &Sender<Result<Written, SinkError>>) {
        while let Ok(job) = jobs.recv() {
            match self.job(job) {
                Ok(None) => {}
                Ok(Some(written)) => {
                    if done.send(Ok(written)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    self.sink.abort();
                    let _ = done.send(Err(error));
                    return;
                }
            }
        }
        // Nobody asks any more: what was begun and not committed must leave nothing behind.
        self.sink.abort();
    }

    fn job(&mut self, job: Job) -> Result<Option<Written>, SinkError> {
        match job {
            Job::Begin(batch) => {
                (self.batch, self.rows) = (batch, 0);
                if !self.has_batch() {
                    self.sink.begin(batch)?;
                }
            }
            Job::Write(rows) => {
                self.rows += rows.num_rows() as u64;
                if !self.has_batch() {
                    self.sink.write(&rows)?;
                }
            }
            Job::Commit => {
                if !self.has_batch() {
                    self.sink.commit()?;
                }
                return Ok(Some(Written { batch: self.batch, rows: self.rows, at: self.clock.monotonic() }));
            }
        }
        Ok(None)
    }

    /// The batch is run again and the sink has kept it from the first time.
    fn has_batch(&self) -> bool {
        self.committed.is_some_and(|committed| self.batch <= committed)
    }
}
