//! The rows that keys begin with: those of a table, given to the operator once, before all rows of the stream.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::SchemaRef;

use crate::batch::type_name;
use crate::steps::StepError;
use crate::steps::filter::failed;
use crate::table::TableView;

/// A table as rows of a step's input.
#[derive(Clone, Debug)]
pub struct Initial {
    table: TableView,
    input: SchemaRef,
    /// By column of the input: the table's column, or nulls.
    columns: Vec<Option<usize>>,
}

impl Initial {
    /// Takes the columns that the input has; those that the table does not have are null.
    ///
    /// # Errors
    /// When a column is of another type, or cannot be null.
    pub fn new(table: TableView, input: SchemaRef) -> Result<Self, String> {
        let known = Arc::clone(table.schema());
        let column = |wanted: &arrow_schema::FieldRef| {
            let name = wanted.name();
            let Some((column, found)) = known.column_with_name(name) else {
                return if wanted.is_nullable() {
                    Ok(None)
                } else {
                    Err(format!(
                        "the table has no column `{name}`, which is never null in the rows of this step"
                    ))
                };
            };
            let (is, should) = (found.data_type(), wanted.data_type());
            if is != should {
                return Err(format!(
                    "the table's `{name}` is {}, and in the rows of this step it is {}: they must be alike",
                    type_name(is),
                    type_name(should)
                ));
            }
            if found.is_nullable() && !wanted.is_nullable() {
                return Err(format!(
                    "the table's `{name}` may be null, and in the rows of this step it never is: they must be alike"
                ));
            }
            Ok(Some(column))
        };
        let columns = input.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        if columns.iter().all(Option::is_none) {
            return Err("the table has no column of the rows of this step".to_owned());
        }
        Ok(Self { table, input, columns })
    }

    /// The rows, as the batch sees them.
    pub(super) fn rows(&self) -> Result<RecordBatch, StepError> {
        let rows = &self.table.version().rows;
        let column = |(column, field): (&Option<usize>, &arrow_schema::FieldRef)| -> ArrayRef {
            match column {
                Some(column) => Arc::clone(rows.column(*column)),
                None => new_null_array(field.data_type(), rows.num_rows()),
            }
        };
        let columns = self.columns.iter().zip(self.input.fields()).map(column).collect();
        RecordBatch::try_new(Arc::clone(&self.input), columns).map_err(failed)
    }
}
