//! The batch an operator is given: buffers as they crossed the boundary, read through typed keys.

use std::rc::Rc;

use crate::columns::ColumnType;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::rows::Row;
use crate::schema::{Key, Schema};

/// The buffers of one column, as the contract lays them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// One bit a row, least significant first, 0 for null; empty when nothing is null.
    pub validity: Vec<u8>,
    /// rows + 1 little-endian values of 32 bits; empty for types of fixed width.
    pub offsets: Vec<u8>,
    /// The values; booleans are one bit a row.
    pub values: Vec<u8>,
}

/// What is the same however often this micro-batch is run again: the only clock to compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The number of the micro-batch.
    pub batch_id: u64,
    /// The micro-batch's own time, in microseconds since the Unix epoch.
    pub now: i64,
    /// No row with an earlier event time is expected; in microseconds since the Unix epoch.
    pub watermark: Option<i64>,
}

/// A batch of input rows.
#[derive(Clone, Debug)]
pub struct Batch {
    schema: Rc<Schema>,
    clock: Clock,
    rows: usize,
    columns: Vec<Buffers>,
}

impl Batch {
    /// A batch of `rows` rows.
    ///
    /// # Errors
    /// When there are not as many columns as the schema has.
    pub fn new(schema: Rc<Schema>, clock: Clock, rows: usize, columns: Vec<Buffers>) -> Result<Self> {
        if columns.len() == schema.fields().len() {
            return Ok(Self { schema, clock, rows, columns });
        }
        Err(Error::new(format!(
            "the batch has {} columns, its schema {}",
            columns.len(),
            schema.fields().len()
        )))
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Its columns' names and types.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The clock of this micro-batch.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A typed view of a column, borrowed from the batch.
    ///
    /// # Errors
    /// When the buffers are not as the contract says.
    pub fn read<T: ColumnType>(&self, key: Key<T>) -> Result<T::View<'_>> {
        let index = key.index();
        let column = self.columns.get(index).ok_or_else(|| {
            Error::new(format!("the batch has no column {index}: the key is of another schema"))
        })?;
        T::view(column, self.rows, Place::column(index)).map_err(|error| error.within(self.name(index)))
    }

    /// The rows one by one, for code where a few nanoseconds a value do not matter.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.rows).map(|row| {
            Place::NOWHERE.reads(row);
            Row::new(self, row)
        })
    }

    /// A column as it came, by its place in the schema.
    #[must_use]
    pub fn buffers(&self, index: usize) -> Option<&Buffers> {
        self.columns.get(index)
    }

    pub(crate) fn into_columns(self) -> Vec<Buffers> {
        self.columns
    }

    fn name(&self, index: usize) -> String {
        self.schema.fields().get(index).map_or_else(String::new, |field| format!("column `{}`", field.name()))
    }
}
