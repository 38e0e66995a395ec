//! Keeps the rows for which an SQL condition is true.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{Applied, RejectedRow, Step, StepError};
use crate::batch::{BatchCtx, DeadLetterKind};
use crate::expr::{Predicate, RowFault};

/// A `filter` step.
#[derive(Clone, Debug)]
pub struct Filter {
    predicate: Predicate,
    schema: SchemaRef,
}

impl Filter {
    /// Keeps what meets `predicate`, which was compiled against `schema`.
    #[must_use]
    pub fn new(predicate: Predicate, schema: SchemaRef) -> Self {
        Self { predicate, schema }
    }
}

impl Step for Filter {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn apply(&mut self, _: &BatchCtx, input: &RecordBatch) -> Result<Applied, StepError> {
        let filtered = self.predicate.filter(input).map_err(failed)?;
        Ok(Applied { rows: filtered.rows, rejected: rejected(filtered.faults) })
    }
}

pub(super) fn failed(error: impl ToString) -> StepError {
    StepError::Failed(error.to_string())
}

pub(super) fn rejected(faults: Vec<RowFault>) -> Vec<RejectedRow> {
    faults
        .into_iter()
        .map(|fault| RejectedRow {
            row: fault.row,
            kind: DeadLetterKind::Rejected,
            reason: fault.to_string(),
        })
        .collect()
}
