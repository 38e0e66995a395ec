//! A plugin's transform operator as a step.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use millstream_wasm::{CallClock, CallError, Fault, Transform};

use super::poison::Search;
use super::{Applied, Step, StepError};
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
        let clock = clock(ctx);
        let mut outputs = Vec::new();
        let mut search = Search::new(&self.operator);
        search.run(0, input.num_rows(), &mut |from, rows| {
            let output = self.transform.process(&clock, &input.slice(from, rows))?;
            outputs.push(output.rows);
            Ok(output.rejected)
        })?;
        let rejected = search.finish();
        let rows = if outputs.len() == 1 {
            outputs.swap_remove(0)
        } else {
            concat_batches(&self.transform.output_schema(), &outputs)
                .map_err(|error| StepError::Failed(error.to_string()))?
        };
        Ok(Applied { rows, rejected })
    }
}

/// What time it is in a call of this batch.
pub(super) fn clock(ctx: &BatchCtx) -> CallClock {
    CallClock {
        batch_id: ctx.batch.0,
        chunk: 0,
        now_us: ctx.now_us,
        watermark_us: ctx.watermark_us,
        seed: ctx.seed,
    }
}

/// Why a row cannot be taken, in words that name the operator: what a kit answers does that already.
pub(super) fn reason(operator: &str, error: &CallError) -> String {
    match error {
        CallError::Broken(fault) => format!("{operator}: {fault}"),
        _ => error.to_string(),
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
