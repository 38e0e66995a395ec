//! A plugin's transform operator as a step, and the search for the rows that break it.
//!
//! A batch that breaks the plugin (trap, time-out, invalid output) is halved until the poison rows
//! stand alone; that is possible because a plugin remembers nothing and a call is deterministic.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use millstream_wasm::{CallClock, CallError, Fault, Transform};

use super::{Applied, RejectedRow, Step, StepError};
use crate::batch::{BatchCtx, DeadLetterKind};

/// So many rows in a row, each breaking the plugin by itself: the plugin is broken, not the rows.
pub(super) const FAULTS_IN_A_ROW_MAX: u32 = 64;
/// The same for time-outs, each of which costs a whole deadline.
pub(super) const TIMEOUTS_IN_A_ROW_MAX: u32 = 8;

/// A `wasm` step on one worker.
pub struct Wasm {
    transform: Transform,
    operator: String,
}

impl Wasm {
    /// A step around an open transform, called `operator` in messages.
    #[must_use]
    pub fn new(transform: Transform, operator: String) -> Self {
        Self { transform, operator }
    }
}

impl Step for Wasm {
    fn schema(&self) -> SchemaRef {
        self.transform.output_schema()
    }

    fn apply(&mut self, ctx: &BatchCtx, input: &RecordBatch) -> Result<Applied, StepError> {
        let clock = CallClock {
            batch_id: ctx.batch.0,
            chunk: 0,
            now_us: ctx.now_us,
            watermark_us: ctx.watermark_us,
            seed: ctx.seed,
        };
        let mut search = Search {
            step: self,
            clock,
            input,
            outputs: Vec::new(),
            rejected: Vec::new(),
            faults_in_a_row: 0,
            timeouts_in_a_row: 0,
        };
        search.run(0, input.num_rows())?;
        let Search { mut outputs, rejected, .. } = search;
        let rows = if outputs.len() == 1 {
            outputs.swap_remove(0)
        } else {
            concat_batches(&self.transform.output_schema(), &outputs)
                .map_err(|error| StepError::Failed(error.to_string()))?
        };
        Ok(Applied { rows, rejected })
    }
}

/// One chunk on its way through the plugin, as a whole or in pieces.
struct Search<'a> {
    step: &'a mut Wasm,
    clock: CallClock,
    input: &'a RecordBatch,
    outputs: Vec<RecordBatch>,
    rejected: Vec<RejectedRow>,
    faults_in_a_row: u32,
    timeouts_in_a_row: u32,
}

impl Search<'_> {
    fn run(&mut self, from: usize, rows: usize) -> Result<(), StepError> {
        match self.step.transform.process(&self.clock, &self.input.slice(from, rows)) {
            Ok(output) => {
                (self.faults_in_a_row, self.timeouts_in_a_row) = (0, 0);
                let first = row_number(from);
                self.rejected.extend(output.rejected.into_iter().map(|(row, reason)| RejectedRow {
                    row: first + row,
                    kind: DeadLetterKind::Rejected,
                    reason,
                }));
                self.outputs.push(output.rows);
                Ok(())
            }
            Err(error @ (CallError::Answered(_) | CallError::Broken(_))) if rows > 1 => {
                self.give_up_if_hopeless(&error, rows)?;
                let half = rows / 2;
                self.run(from, half)?;
                self.run(from + half, rows - half)
            }
            Err(error @ (CallError::Answered(_) | CallError::Broken(_))) if rows == 1 => {
                self.poison(from, &error)
            }
            Err(error) => Err(StepError::Failed(format!("{}: {error}", self.step.operator))),
        }
    }

    /// The row at `row` breaks the plugin by itself.
    fn poison(&mut self, row: usize, error: &CallError) -> Result<(), StepError> {
        let kind = kind(error);
        if !matches!(error, CallError::Answered(_)) {
            self.faults_in_a_row += 1;
        }
        if kind == DeadLetterKind::TimedOut {
            self.timeouts_in_a_row += 1;
        }
        self.give_up_if_hopeless(error, 1)?;
        self.rejected.push(RejectedRow { row: row_number(row), kind, reason: error.to_string() });
        Ok(())
    }

    fn give_up_if_hopeless(&self, error: &CallError, rows: usize) -> Result<(), StepError> {
        let hopeless =
            self.faults_in_a_row >= FAULTS_IN_A_ROW_MAX || self.timeouts_in_a_row >= TIMEOUTS_IN_A_ROW_MAX;
        if !hopeless {
            return Ok(());
        }
        let count = if self.timeouts_in_a_row >= TIMEOUTS_IN_A_ROW_MAX {
            self.timeouts_in_a_row
        } else {
            self.faults_in_a_row
        };
        Err(StepError::Failed(format!(
            "{}: {count} rows one after the other break the plugin, so it is the plugin that is broken, and the batch \
             of {rows} rows waits: upload a repaired version and start the pipeline again. The last fault: {error}",
            self.step.operator
        )))
    }
}

/// What is the matter with a row that gets this answer by itself.
pub(super) fn kind(error: &CallError) -> DeadLetterKind {
    match error {
        CallError::Broken(fault) => match fault {
            Fault::Trapped { .. } | Fault::StackOverflow { .. } => DeadLetterKind::Trapped,
            Fault::TimedOut { .. } => DeadLetterKind::TimedOut,
            Fault::OutOfMemory { .. } => DeadLetterKind::OutOfMemory,
            Fault::OutputTooLarge { .. }
            | Fault::InvalidBatch { .. }
            | Fault::StateTooLarge { .. }
            | Fault::InvalidRejection { .. }
            | Fault::InvalidSchema { .. }
            | Fault::NotDeterministic { .. } => DeadLetterKind::InvalidOutput,
        },
        _ => DeadLetterKind::Rejected,
    }
}

fn row_number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}
