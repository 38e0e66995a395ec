//! The way across the boundary alone, for whoever wants to know what part of a call it is: a batch's buffers are copied
//! out of arrow, checked as what a guest has answered, and made a batch again. No guest takes part.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::bindings::millstream::plugin::data::{BatchResult, ColumnResult};
use crate::convert::{Lowered, lift};
use crate::error::CallError;
use crate::limits::Limits;

/// The same batch, as if a guest had given it back.
///
/// # Errors
/// When no plugin could get such a batch.
pub fn cross(batch: &RecordBatch) -> Result<RecordBatch, CallError> {
    let lowered = Lowered::new(batch)?;
    let columns = lowered.columns();
    let copied = columns.iter().map(|column| ColumnResult {
        validity: column.validity.to_vec(),
        offsets: column.offsets.to_vec(),
        values: column.values.to_vec(),
    });
    let answered = BatchResult { rows: lowered.rows(), columns: copied.collect() };
    Ok(lift(&Arc::clone(batch.schema_ref()), answered, &Limits::default())?)
}

#[cfg(test)]
mod tests {
    use arrow_array::{BooleanArray, Float64Array, StringArray};

    use super::*;

    #[test]
    fn a_batch_is_the_same_on_the_other_side() {
        let batch = RecordBatch::try_from_iter([
            ("s", Arc::new(StringArray::from(vec![Some("ä"), None, Some("")])) as _),
            ("f", Arc::new(Float64Array::from(vec![Some(0.5), Some(-1.0), None])) as _),
            ("b", Arc::new(BooleanArray::from(vec![None, Some(true), Some(false)])) as _),
        ])
        .unwrap();
        assert_eq!(cross(&batch).unwrap(), batch);
    }
}
