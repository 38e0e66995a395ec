//! What a table is to the engine: rows that stay while streams pass, read as a whole and kept in
//! numbered versions. A batch's plan says which version it sees, so a replay sees the same rows.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use crate::source::SourceError;

/// Reads a table; implemented by connectors.
///
/// The law: content that is the same is read as the same rows in the same order.
pub trait TableReader: Send + Sync {
    /// The schema of its rows.
    fn schema(&self) -> SchemaRef;

    /// Called at the start of a pipeline with no stamp, and again at each refresh with the stamp of the
    /// last read: the whole table, or none when it is surely what it was then. May take its time: no
    /// batch waits for a refresh.
    ///
    /// # Errors
    /// When it cannot be read, holds something else than its schema says, or is larger than `bounds`.
    fn read(&self, seen: Option<&str>, bounds: TableBounds) -> Result<Option<TableRead>, SourceError>;
}

/// A table as it was read.
#[derive(Clone, Debug)]
pub struct TableRead {
    /// All rows, in the table's order.
    pub rows: RecordBatch,
    /// Differs when the table may have changed: times and sizes of files. Only the reader looks inside.
    pub stamp: String,
}

/// How large a table may be, which is held in memory as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableBounds {
    /// At most so many rows.
    pub rows: u64,
    /// At most so many bytes of memory.
    pub bytes: u64,
}

/// The rows of a table while they are read: stops as soon as there are too many.
#[derive(Debug)]
pub struct TableRows {
    schema: SchemaRef,
    bounds: TableBounds,
    parts: Vec<RecordBatch>,
    rows: u64,
    bytes: u64,
}

impl TableRows {
    /// No rows yet.
    #[must_use]
    pub fn new(schema: SchemaRef, bounds: TableBounds) -> Self {
        Self { schema, bounds, parts: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When there are too many.
    pub fn push(&mut self, rows: RecordBatch) -> Result<(), SourceError> {
        self.rows += rows.num_rows() as u64;
        self.bytes += rows.get_array_memory_size() as u64;
        let TableBounds { rows: rows_max, bytes: bytes_max } = self.bounds;
        if self.rows > rows_max {
            let message = format!(
                "the table has more than {rows_max} rows, and is held in memory as a whole: raise its `max_rows` if \
                 there is room, or leave rows out"
            );
            return Err(SourceError::Permanent(message));
        }
        if self.bytes > bytes_max {
            let message = format!(
                "the table takes more than {bytes_max} bytes of memory, in which it is held as a whole: raise its \
                 `max_bytes` if there is room, or leave columns or rows out"
            );
            return Err(SourceError::Permanent(message));
        }
        self.parts.push(rows);
        Ok(())
    }

    /// All rows in one piece.
    ///
    /// # Errors
    /// When a column of text is larger than 2 GiB.
    pub fn finish(self) -> Result<RecordBatch, SourceError> {
        concat_batches(&self.schema, &self.parts)
            .map_err(|error| SourceError::Permanent(format!("the table is too large: {error}")))
    }
}

/// One version of a table, as every worker shares it.
#[derive(Debug)]
pub struct TableVersion {
    /// Counts up from 1 with each change; 0 before the first batch.
    pub number: u64,
    /// All rows, in the table's order.
    pub rows: RecordBatch,
}

/// A table as steps see it: in each batch, the version that the batch's plan says.
#[derive(Clone)]
pub struct TableView {
    name: Arc<str>,
    schema: SchemaRef,
    /// Guards the version of the current batch; set between batches, held for moments only.
    shown: Arc<Mutex<Arc<TableVersion>>>,
}

impl TableView {
    /// A table that no batch has seen: its version has the number 0 and no rows.
    #[must_use]
    pub fn new(name: &str, schema: SchemaRef) -> Self {
        let nothing = TableVersion { number: 0, rows: RecordBatch::new_empty(Arc::clone(&schema)) };
        Self { name: name.into(), schema, shown: Arc::new(Mutex::new(Arc::new(nothing))) }
    }

    /// Its name in the pipeline.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema of its rows.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The version that the current batch sees. A step asks once a chunk.
    #[must_use]
    pub fn version(&self) -> Arc<TableVersion> {
        Arc::clone(&self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the version that batches see from now on. Called between batches, by whoever runs them.
    pub fn show(&self, version: Arc<TableVersion>) {
        debug_assert_eq!(version.rows.schema_ref(), &self.schema, "a version has the table's columns");
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }
}

impl fmt::Debug for TableView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableView").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn rows(values: Vec<i64>) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(values))]).unwrap()
    }

    #[test]
    fn a_table_beyond_its_bounds_is_refused_with_the_key_to_raise() {
        let mut table = TableRows::new(rows(vec![]).schema(), TableBounds { rows: 2, bytes: 1 << 20 });
        table.push(rows(vec![1, 2])).unwrap();
        let error = table.push(rows(vec![3])).unwrap_err();
        assert!(error.to_string().contains("more than 2 rows") && error.to_string().contains("`max_rows`"));
        let mut table = TableRows::new(rows(vec![]).schema(), TableBounds { rows: 9, bytes: 64 });
        let error = table.push(rows((0..9).collect())).unwrap_err();
        assert!(error.to_string().contains("more than 64 bytes"), "{error}");
    }

    #[test]
    fn all_who_see_a_table_see_the_version_that_is_shown() {
        let view = TableView::new("t", rows(vec![]).schema());
        let other = view.clone();
        assert_eq!((other.version().number, other.version().rows.num_rows()), (0, 0));
        view.show(Arc::new(TableVersion { number: 3, rows: rows(vec![7]) }));
        assert_eq!((other.version().number, other.version().rows.num_rows()), (3, 1));
    }
}
