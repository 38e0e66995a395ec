//! A chunk: the rows that go through all fused steps at once, small enough for the second-level cache.

use arrow_array::RecordBatch;

/// Rows read from a source, with the records that could not be read.
#[derive(Debug)]
pub struct Chunk {
    /// The good rows, in the source's schema and order.
    pub rows: RecordBatch,
    /// Records that are no rows; they go to the dead letters.
    pub bad: Vec<BadRecord>,
}

impl Chunk {
    /// Rows a chunk should hold: about what fits the second-level cache with all columns of a
    /// typical line; measured in docs/benchmarks.md.
    pub const ROWS_TARGET: usize = 4096;
    /// Bytes of payload a chunk should hold, whatever the number of rows.
    pub const BYTES_TARGET: usize = 256 * 1024;
}

/// A record that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Where the record stands, for a person: `books/a.txt, byte 1024`.
    pub position: String,
    /// The record as it was received, cut at the connector's limit.
    pub bytes: Vec<u8>,
    /// Why it is no row, and what would make it one.
    pub reason: String,
}
