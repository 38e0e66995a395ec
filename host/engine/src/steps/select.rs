//! Makes new columns out of SQL expressions.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::filter::{failed, rejected};
use super::{Applied, Step, StepError};
use crate::batch::BatchCtx;
use crate::expr::Projection;

/// A `select` step.
#[derive(Clone, Debug)]
pub struct Select {
    projection: Projection,
}

impl Select {
    /// Makes the columns of `projection`.
    #[must_use]
    pub fn new(projection: Projection) -> Self {
        Self { projection }
    }
}

impl Step for Select {
    fn schema(&self) -> SchemaRef {
        self.projection.schema().clone()
    }

    fn apply(&mut self, _: &BatchCtx, input: &RecordBatch) -> Result<Applied, StepError> {
        let projected = self.projection.apply(input).map_err(failed)?;
        Ok(Applied { rows: projected.rows, rejected: rejected(projected.faults) })
    }
}
