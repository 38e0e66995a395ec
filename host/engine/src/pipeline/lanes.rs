//! All lanes of a pipeline: started together, driven in a fixed order, gone together.

use std::sync::Arc;
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::failure::Persistence;
use super::lane::{Answer, Job, Lane, LaneFailure, Report, Run};
use crate::checkpoint::StoredChunk;
use crate::steps::{Extent, Parcel};

/// Answers that may wait in a lane's queue, mostly chunks of rows; then the lane waits.
const QUEUE_ANSWERS: usize = 16;

/// The lanes, seen from the driver.
pub(crate) struct Lanes {
    lanes: Vec<Handle>,
}

struct Handle {
    jobs: Option<Sender<Job>>,
    answers: Option<Receiver<Answer>>,
    thread: Option<JoinHandle<()>>,
}

/// A queue for a lane's answers, made before the lane itself.
pub(crate) fn answer_queue() -> (Sender<Answer>, Receiver<Answer>) {
    bounded(QUEUE_ANSWERS)
}

impl Lanes {
    /// Starts a thread for each lane.
    pub(crate) fn start(
        pipeline: &str,
        lanes: Vec<(Lane, Receiver<Answer>)>,
    ) -> Result<Self, std::io::Error> {
        let mut started = Self { lanes: Vec::with_capacity(lanes.len()) };
        for (lane, answers) in lanes {
            let (jobs, job_receiver) = unbounded();
            let name = format!("{pipeline}-{}", lane.number);
            let thread = std::thread::Builder::new().name(name).spawn(move || lane.work(&job_receiver))?;
            started.lanes.push(Handle { jobs: Some(jobs), answers: Some(answers), thread: Some(thread) });
        }
        Ok(started)
    }

    /// Runs the splits of a batch; rows for sinks come to `take` in the order of the splits.
    pub(crate) fn run<E: From<LaneFailure>>(
        &self,
        run: &Arc<Run>,
        take: &mut impl FnMut(usize, RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        for lane in &self.lanes {
            lane.ask(Job::Run(Arc::clone(run)));
        }
        for split in 0..run.splits.len() {
            let lane = &self.lanes[split % self.lanes.len()];
            while let Some((entry, rows)) = lane.rows_until(|answer| matches!(answer, Answer::SplitDone))? {
                take(entry, rows)?;
            }
        }
        self.finish_jobs(take)
    }

    /// Exchanges and merges what was gathered at a keyed step.
    pub(crate) fn merge<E: From<LaneFailure>>(
        &self,
        entry: usize,
        take: &mut impl FnMut(usize, RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut gathered: Vec<Vec<Parcel>> = vec![Vec::new(); self.lanes.len()];
        for lane in &self.lanes {
            lane.ask(Job::Exchange(entry));
        }
        for lane in &self.lanes {
            if let Answer::Gathered(parts) = lane.answer()? {
                parts.into_iter().zip(&mut gathered).for_each(|(part, to)| to.extend(part));
            }
        }
        for (lane, gathered) in self.lanes.iter().zip(gathered) {
            lane.ask(Job::Merge { entry, gathered });
        }
        self.finish_jobs(take)
    }

    /// What happened since the last report, lane by lane.
    pub(crate) fn reports(&self) -> Result<Vec<Report>, LaneFailure> {
        self.lanes.iter().for_each(|lane| lane.ask(Job::Report));
        let mut reports = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            if let Answer::Report(report) = lane.answer()? {
                reports.push(*report);
            }
        }
        Ok(reports)
    }

    /// Copies all state; the pieces come to `take`.
    pub(crate) fn snapshot(
        &self,
        extent: Extent,
        take: &mut impl FnMut(Vec<StoredChunk>),
    ) -> Result<(), LaneFailure> {
        self.lanes.iter().for_each(|lane| lane.ask(Job::Snapshot(extent)));
        for lane in &self.lanes {
            while let Answer::State(chunks) = lane.answer()? {
                take(chunks);
            }
        }
        Ok(())
    }

    /// Gives a chunk of state back to whichever lanes its keys belong to; `restored` waits for them.
    pub(crate) fn restore(&self, chunk: StoredChunk) {
        let chunk = Arc::new(chunk);
        self.lanes.iter().for_each(|lane| lane.ask(Job::Restore(Arc::clone(&chunk))));
    }

    /// Waits until the lanes have taken the oldest chunk that `restore` gave them.
    pub(crate) fn restored(&self) -> Result<(), LaneFailure> {
        self.lanes.iter().try_for_each(|lane| lane.answer().map(drop))
    }

    fn finish_jobs<E: From<LaneFailure>>(
        &self,
        take: &mut impl FnMut(usize, RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        for lane in &self.lanes {
            while let Some((entry, rows)) = lane.rows_until(|answer| matches!(answer, Answer::JobDone))? {
                take(entry, rows)?;
            }
        }
        Ok(())
    }
}

impl Handle {
    /// A lane that is gone shows when its answer is awaited.
    fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    fn answer(&self) -> Result<Answer, LaneFailure> {
        match self.answers.as_ref().and_then(|answers| answers.recv().ok()) {
            Some(Answer::Failed(failure)) => Err(failure),
            Some(answer) => Ok(answer),
            None => Err(LaneFailure {
                entry: String::new(),
                message: "a worker thread ended unexpectedly".to_owned(),
                persistence: Persistence::Passing,
            }),
        }
    }

    /// The next rows, or none when the answer comes that `is_end` knows.
    fn rows_until(
        &self,
        is_end: impl Fn(&Answer) -> bool,
    ) -> Result<Option<(usize, RecordBatch)>, LaneFailure> {
        loop {
            match self.answer()? {
                Answer::Rows { entry, rows } => return Ok(Some((entry, rows))),
                answer if is_end(&answer) => return Ok(None),
                _ => {}
            }
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // A lane ends when nobody asks or nobody listens; both ends go first, so that none waits.
        for lane in &mut self.lanes {
            lane.jobs = None;
            lane.answers = None;
        }
        for lane in &mut self.lanes {
            if let Some(thread) = lane.thread.take() {
                // A panic in the thread was reported where it happened.
                let _ = thread.join();
            }
        }
    }
}
