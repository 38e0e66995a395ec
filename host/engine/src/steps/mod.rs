//! Steps: what happens to rows between sources and sinks. The two traits and their laws; one file a kind.

pub mod aggregate;
mod dedup;
mod filter;
mod grouped;
mod join;
mod keyed;
mod keys;
mod on_time;
mod poison;
mod select;
mod shuffle;
mod split;
pub mod sql;
pub mod top;
mod wasm;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use millstream_wasm::{Observer, Plugin};

pub use crate::batch::RejectedRow;
use crate::batch::{BatchCtx, DeadLetterKind};
use crate::state::StateError;
use crate::state::cold::Spill;

pub use dedup::DedupPlan;
pub use filter::Filter;
pub use grouped::{Computed, GroupedError, GroupedParts, GroupedPlan};
pub use join::{
    JoinError, JoinInput, JoinKey, JoinKind, JoinParts, JoinPlan, TableJoin, TableJoinParts, TableJoinPlan,
    WindowJoinParts, WindowJoinPlan,
};
pub use keyed::{Initial, Operator, StateParts, StatePlan, TimerClock};
pub use keys::Keys;
pub use select::Select;
pub use split::Split;
pub use wasm::Wasm;

/// A step that remembers nothing: rows in, rows out. One instance a worker.
///
/// The law: the output depends on the configuration, the context and the input alone.
pub trait Step: Send {
    /// The schema of what `apply` gives.
    fn schema(&self) -> SchemaRef;

    /// Called for each chunk, in order.
    ///
    /// # Errors
    /// When the batch cannot go on; rows that cannot be taken are part of the outcome instead.
    fn apply(&mut self, ctx: &BatchCtx, input: &RecordBatch) -> Result<Applied, StepError>;
}

/// What a step makes of a chunk.
#[derive(Debug)]
pub struct Applied {
    /// What goes on.
    pub rows: RecordBatch,
    /// Input rows that could not be taken, in the order of their numbers.
    pub rejected: Vec<RejectedRow>,
}

/// What a keyed step does, checked against its inputs; makes the step for each worker.
pub trait KeyedPlan: Send + Sync {
    /// The schema of what the step emits.
    fn schema(&self) -> &SchemaRef;

    /// For a step that keeps rows back: what it emits in a batch was due at the watermark of the batch
    /// before, less so many microseconds, and those downstream live by that. None: rows go on at once.
    fn holds_back_us(&self) -> Option<i64>;

    /// Whether the step's state may leave memory: then `spill_to` is called on what `build` makes, if there
    /// is a budget.
    fn can_spill(&self) -> bool {
        false
    }

    /// Whether it remembers anything from one batch to the next; if not, there is nothing to look at.
    fn keeps_state(&self) -> bool {
        true
    }

    /// The step on worker `worker` of `workers`.
    ///
    /// # Errors
    /// When there are too many workers, or a plugin does not open.
    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError>;

    /// The same for a step that calls plugins: what they say goes to `observer`.
    ///
    /// # Errors
    /// As [`KeyedPlan::build`].
    fn build_heard(
        &self,
        worker: u32,
        workers: u32,
        observer: &Arc<dyn Observer>,
    ) -> Result<Box<dyn KeyedStep>, StepError> {
        let _ = observer;
        self.build(worker, workers)
    }

    /// Whether the step has something to do at times of the plan's clock, even if no row comes.
    fn has_timers(&self) -> bool {
        false
    }

    /// The plugins that the step calls, each with its place below the step, such as `compute.m`.
    fn plugins(&self) -> Vec<(String, &Plugin)> {
        Vec::new()
    }
}

/// Rows on their way from one worker to another.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The input that they came by, where a step has several.
    pub port: usize,
    /// Parcels are taken in this order, whoever sent them: rows keep the order of their source.
    pub order: u64,
    /// The rows, or partial results over them.
    pub rows: RecordBatch,
}

/// A step that keeps state by key. One instance a worker; each owns the key groups that
/// [`crate::state::owner`] gives it.
///
/// In each batch, in order of life: `accumulate` for the chunks that this worker has; `exchange`
/// once; `merge` once, for what every worker's `exchange` had for this one; `emit` once. The law:
/// what all workers emit together depends on the rows alone, not on how they were cut into chunks and
/// workers; floating-point sums may differ in their last bits when the number of workers changes.
pub trait KeyedStep: Send {
    /// Called once, before anything else, where the pipeline has a budget of memory and the plan says that
    /// state may leave memory.
    ///
    /// # Errors
    /// When it may not.
    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        Err(StepError::Failed(format!("state cannot go to {}: it stays in memory", spill.path.display())))
    }

    /// Takes rows of the current batch that came by input `port`; answers with those that cannot be
    /// taken (late, or without an event time).
    ///
    /// # Errors
    /// When the batch cannot go on.
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError>;

    /// What this worker gathered for each worker, itself included, by worker number.
    ///
    /// # Errors
    /// When the batch cannot go on.
    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError>;

    /// Takes what the workers gathered for this one, sorted by `order`, those of equal order by
    /// worker.
    ///
    /// # Errors
    /// When the batch cannot go on.
    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError>;

    /// What the batch changes for those downstream, and closes what the watermark has passed.
    ///
    /// # Errors
    /// When the batch cannot go on.
    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError>;

    /// What the step found out after `accumulate` that it cannot take; asked once, after `emit`. Steps that
    /// refuse rows only when they come have nothing to say.
    fn refusals(&mut self) -> Refusals {
        Refusals::default()
    }

    /// Before `merge`: what exceeded its time when the batch ran first, with what was said of it. Rows
    /// among that do not come to the step; timers have to be left alone. Steps without timers need not listen.
    fn forewarn(&mut self, _timed_out: &HashMap<String, String>) {}

    /// When the earliest timer is due, or a time before that; asked after each batch and after recovery.
    fn earliest_timer_us(&mut self) -> Option<i64> {
        None
    }

    /// The state of this worker's keys: all of it, or what changed since the last call. Deltas
    /// applied in order after the full copy give the state. Called between batches.
    ///
    /// # Errors
    /// When the state cannot be copied.
    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError>;

    /// More of the last snapshot, where it is too large for one answer; none at its end. Asked for after
    /// each `snapshot` until then, with no batch in between.
    ///
    /// # Errors
    /// As for `snapshot`.
    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        Ok(None)
    }

    /// Takes back what `snapshot` gave, from any worker and any number of workers, in order; keeps
    /// only the keys that this worker owns. What was taken back has not changed: deltas go on from it.
    ///
    /// # Errors
    /// When the chunk is not of this step's making.
    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError>;

    /// The state for people: keys with their present values. The tables of a kind of step are always the
    /// same, with rows or without. For a step that was restored to be looked at, and runs no batch.
    ///
    /// # Errors
    /// When a value does not fit its type.
    fn look(&mut self) -> Result<Vec<StateChunk>, StepError>;

    /// Keys in memory and about how many bytes they take.
    fn size(&self) -> StateSize;
}

/// What a keyed step could not take, though it had come on time.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// Rows, piece by piece.
    pub rows: Vec<RefusedRows>,
    /// Timers.
    pub timers: Vec<LostTimer>,
}

/// Rows of a keyed step's input of which some were refused.
#[derive(Clone, Debug)]
pub struct RefusedRows {
    /// The input by which they came.
    pub port: usize,
    /// The rows.
    pub rows: RecordBatch,
    /// Which of them, and why.
    pub refused: Vec<RejectedRow>,
}

/// A timer that breaks the operator and is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostTimer {
    /// Its time and its key, as JSON.
    pub text: String,
    /// What went wrong.
    pub kind: DeadLetterKind,
    /// Why, in words that say what becomes of the key.
    pub reason: String,
}

/// How much of the state a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Full,
    /// What changed since the last snapshot.
    Delta,
}

/// A piece of state as columns.
#[derive(Clone, Debug)]
pub struct StateChunk {
    /// What the rows are, where a step has several tables of state.
    pub table: String,
    /// The rows.
    pub rows: RecordBatch,
}

/// How large a step's state is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Groups (keys, or keys and windows).
    pub keys: u64,
    /// About so many bytes of memory.
    pub bytes: u64,
    /// Groups that the last batch touched.
    pub updated: u64,
    /// Groups that were closed by the last batch.
    pub removed: u64,
    /// Those of the groups that are not in memory.
    pub keys_cold: u64,
    /// Bytes of the scratch file that they are in.
    pub bytes_cold: u64,
}

/// Why a batch cannot go on at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// The operator answered an error for the whole batch, or the step's policy is `fail`.
    Failed(String),
    /// The state that was restored is not of this step's making.
    State(String),
    /// The scratch file for state that memory has no room for cannot be used; the cause may pass.
    Scratch {
        /// Which file, and why.
        reason: String,
        /// The disk is full: it passes once a person makes room.
        full: bool,
    },
}

impl StepError {
    /// An error of state, in the middle of a batch.
    pub(crate) fn of_state(error: StateError) -> Self {
        match error {
            StateError::Scratch { reason, full } => Self::Scratch { reason, full },
            other => Self::Failed(other.to_string()),
        }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::State(message) | Self::Scratch { reason: message, .. } => {
                f.write_str(message)
            }
        }
    }
}

impl std::error::Error for StepError {}
