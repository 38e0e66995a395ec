//! `split`: rows go the way of the first predicate that is true of them, the others go by `rest`.

use arrow_arith::boolean::{and, not, or};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;

use super::filter::{failed, rejected};
use super::{RejectedRow, StepError};
use crate::expr::Predicate;

/// A `split` step on one worker.
pub struct Split {
    branches: Vec<Predicate>,
}

impl Split {
    /// The output behind the branches: rows of which no predicate is true.
    pub const REST: &str = "rest";

    /// A step with an output for each branch, in their order, and one more for the rest.
    #[must_use]
    pub fn new(branches: Vec<Predicate>) -> Self {
        Self { branches }
    }

    /// The rows of each output, and those of which a predicate cannot be computed.
    ///
    /// # Errors
    /// When the columns are not those that the predicates were made for.
    pub fn apply(&self, input: &RecordBatch) -> Result<(Vec<RecordBatch>, Vec<RejectedRow>), StepError> {
        // `mask` has no nulls: null is not true.
        let mut open = BooleanArray::from(vec![true; input.num_rows()]);
        let mut outputs = Vec::with_capacity(self.branches.len() + 1);
        let mut refused: Vec<RejectedRow> = Vec::new();
        for branch in &self.branches {
            let (mask, faults) = branch.mask(input).map_err(failed)?;
            // A row that an earlier branch took is no business of this one.
            let faults: Vec<RejectedRow> =
                rejected(faults).into_iter().filter(|row| open.value(row.row as usize)).collect();
            let faulty: BooleanArray = bits(input.num_rows(), &faults);
            let taken = and(&open, &mask).map_err(failed)?;
            outputs.push(filter_record_batch(input, &taken).map_err(failed)?);
            open =
                and(&open, &not(&or(&taken, &faulty).map_err(failed)?).map_err(failed)?).map_err(failed)?;
            refused.extend(faults);
        }
        outputs.push(filter_record_batch(input, &open).map_err(failed)?);
        refused.sort_by_key(|row| row.row);
        Ok((outputs, refused))
    }
}

fn bits(rows: usize, set: &[RejectedRow]) -> BooleanArray {
    let mut bits = vec![false; rows];
    set.iter().for_each(|row| bits[row.row as usize] = true);
    BooleanArray::from(bits)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn split(predicates: &[&str], numbers: &[Option<i64>]) -> (Vec<Vec<Option<i64>>>, Vec<RejectedRow>) {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let compile = |text: &&str| Predicate::new(text, &schema).unwrap();
        let split = Split::new(predicates.iter().map(compile).collect());
        let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(numbers.to_vec()))]);
        let (outputs, refused) = split.apply(&rows.unwrap()).unwrap();
        let numbers = |rows: &RecordBatch| rows.column(0).as_primitive::<Int64Type>().iter().collect();
        (outputs.iter().map(numbers).collect(), refused)
    }

    #[test]
    fn the_first_true_predicate_takes_a_row_and_the_rest_is_left() {
        let (outputs, refused) = split(&["n > 10", "n > 5"], &[Some(11), Some(6), Some(1), None, Some(12)]);
        assert_eq!(outputs, [vec![Some(11), Some(12)], vec![Some(6)], vec![Some(1), None]]);
        assert_eq!(refused, []);
    }

    #[test]
    fn a_row_whose_predicate_cannot_be_computed_is_refused_once() {
        let (outputs, refused) = split(&["n = 1", "10 / n > 3", "10 / n > 1"], &[Some(1), Some(0), Some(2)]);
        assert_eq!(outputs, [vec![Some(1)], vec![Some(2)], vec![], vec![]]);
        assert_eq!(refused.iter().map(|row| row.row).collect::<Vec<_>>(), [1]);
    }
}
