//! What a lane is asked, and what it answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;

use crate::batch::{BatchCtx, DeadLetter, Payload};
use crate::checkpoint::{StoredChunk, TimedOut};
use crate::pipeline::failure::Persistence;
use crate::pipeline::verdict::Verdicts;
use crate::source::Split;
use crate::steps::{Extent, Parcel, StateSize};

/// What a lane is asked to do.
pub(crate) enum Job {
    /// Read and run the splits that are this lane's.
    Run(Arc<Run>),
    /// Give what was gathered at a keyed step.
    Exchange(usize),
    /// Take what the lanes gathered for this one, and let the keyed step emit.
    Merge { entry: usize, gathered: Vec<Parcel> },
    /// Tell what happened since the last report.
    Report,
    /// Copy the state, in pieces.
    Snapshot(Extent),
    /// Take a chunk of state back.
    Restore(Arc<StoredChunk>),
}

/// One batch, the same for all lanes.
pub(crate) struct Run {
    pub(crate) ctx: BatchCtx,
    /// By entry.
    pub(crate) watermarks_us: Vec<Option<i64>>,
    /// Entry of the source and what is read, in the order of their numbers; split i is lane i mod n's.
    pub(crate) splits: Vec<(usize, Split)>,
    /// What the next batch reads, where it is planned already; lanes begin with it when they would wait.
    pub(crate) next_splits: Option<Vec<(usize, Split)>>,
    /// Dead letters that go through their entry again, on the first lane, after its splits.
    pub(crate) replays: Vec<(usize, Vec<Payload>)>,
    /// By step: rows that exceeded their time when the batch ran first.
    pub(crate) verdicts: HashMap<usize, Verdicts>,
    /// Sinks may have the batch from an earlier run: what passed then has to pass now.
    pub(crate) settled: bool,
}

/// What a lane answers.
pub(crate) enum Answer {
    /// Rows for the sink at this entry.
    Rows {
        entry: usize,
        rows: RecordBatch,
    },
    /// This split is done; rows after this are the next one's.
    SplitDone,
    /// Everything that the job meant is done.
    JobDone,
    /// For each lane, what was gathered for it.
    Gathered(Vec<Vec<Parcel>>),
    Report(Box<Report>),
    /// A piece of the state; more follow until the job is done.
    State(Vec<StoredChunk>),
    Failed(LaneFailure),
}

/// Why a lane cannot go on with the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LaneFailure {
    pub(crate) entry: String,
    pub(crate) message: String,
    /// Whether to try the batch again.
    pub(crate) persistence: Persistence,
}

/// What happened in a lane during a batch.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) letters: Vec<DeadLetter>,
    /// By entry.
    pub(crate) counts: Vec<Counts>,
    /// By entry; only keyed steps have a size.
    pub(crate) sizes: Vec<Option<StateSize>>,
    /// By entry: when its earliest timer is due, or a time before that.
    pub(crate) timers_us: Vec<Option<i64>>,
    /// By source and partition: the greatest event time, in microseconds.
    pub(crate) partitions_us: BTreeMap<(usize, String), i64>,
    /// Rows that exceeded their time.
    pub(crate) timed_out: Vec<TimedOut>,
}

/// What passed an entry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows_in: u64,
    pub(crate) rows_out: u64,
    pub(crate) calls: u64,
    pub(crate) busy: Duration,
    pub(crate) late: u64,
    /// Refused rows that the step's policy drops.
    pub(crate) dropped: u64,
    /// Rows of a source that have no event time.
    pub(crate) without_time: u64,
    /// Greatest event time that a source saw, in microseconds.
    pub(crate) max_time_us: Option<i64>,
}
