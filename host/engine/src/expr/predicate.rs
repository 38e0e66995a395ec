//! A boolean expression that rows must meet, for `filter`.

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::error::{EvalError, ExprError, Problem, RowFault};
use super::evaluate::{broken, truth};
use super::tree::Expr;
use crate::batch::type_name;

/// A condition on rows.
#[derive(Clone, Debug)]
pub struct Predicate {
    expr: Expr,
}

/// What a predicate makes of a batch.
#[derive(Clone, Debug)]
pub struct Filtered {
    /// The rows where the condition is TRUE, in order.
    pub rows: RecordBatch,
    /// The rows for which it could not be computed, in order; none of them is in `rows`.
    pub faults: Vec<RowFault>,
}

impl Predicate {
    /// Compiles a condition.
    ///
    /// # Errors
    /// When the expression is wrong, or is not boolean.
    pub fn new(text: &str, schema: &Schema) -> Result<Self, ExprError> {
        let expr = Expr::compile(text, schema)?;
        if *expr.data_type() != DataType::Boolean {
            let found = type_name(expr.data_type());
            let message = format!("a condition is boolean, and this is {found}; compare it with something");
            return Err(ExprError::new(Problem::Type(message), None, &expr.text));
        }
        Ok(Self { expr })
    }

    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Which rows meet the condition: no NULL among them, and FALSE for rows at fault.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn mask(&self, batch: &RecordBatch) -> Result<(BooleanArray, Vec<RowFault>), EvalError> {
        let evaluated = self.expr.evaluate(batch)?;
        let mask = truth(evaluated.array.as_boolean());
        Ok((BooleanArray::new(mask, None), evaluated.faults))
    }

    /// Keeps the rows where the condition is TRUE. When all are, nothing is copied.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn filter(&self, batch: &RecordBatch) -> Result<Filtered, EvalError> {
        let (mask, faults) = self.mask(batch)?;
        if mask.true_count() == batch.num_rows() {
            return Ok(Filtered { rows: batch.clone(), faults });
        }
        let rows = arrow_select::filter::filter_record_batch(batch, &mask)
            .map_err(|error| broken(&self.expr.text, &error))?;
        Ok(Filtered { rows, faults })
    }
}
