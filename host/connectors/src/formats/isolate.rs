//! Decodes many records at once, and finds the bad ones by halving when that fails: good chunks pay
//! nothing, and one bad record costs about one more pass.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use millstream_engine::batch::{BadRecord, Chunk};

use super::bad_record;
use super::cut::{Cut, Span};

/// Decodes records that have already been told apart.
pub(crate) trait Decode {
    /// The schema of the rows.
    fn schema(&self) -> &SchemaRef;

    /// All records, one row each; answers another number of rows when a record is not exactly one.
    ///
    /// # Errors
    /// When one of them is bad.
    fn decode(&self, bytes: &[u8], spans: &[Span]) -> Result<RecordBatch, ArrowError>;

    /// Why a record is bad: column, value, what was expected. None when it looks right.
    fn explain(&self, record: &[u8]) -> Option<String>;
}

/// The rows of a cut, with the bad records apart.
pub(crate) fn rows(format: &impl Decode, cut: &Cut<'_>, origin: &str) -> Result<Chunk, ArrowError> {
    let mut halves = Halves { format, cut, origin, good: Vec::new(), bad: Vec::new() };
    halves.decode(cut.spans);
    let rows = match halves.good.len() {
        0 => RecordBatch::new_empty(Arc::clone(format.schema())),
        1 => halves.good.remove(0),
        _ => concat_batches(format.schema(), &halves.good)?,
    };
    Ok(Chunk { rows, bad: halves.bad })
}

struct Halves<'a, D> {
    format: &'a D,
    cut: &'a Cut<'a>,
    origin: &'a str,
    good: Vec<RecordBatch>,
    bad: Vec<BadRecord>,
}

impl<D: Decode> Halves<'_, D> {
    /// Recursion ends at single records: as deep as the logarithm of a chunk's rows.
    fn decode(&mut self, spans: &[Span]) {
        if spans.is_empty() {
            return;
        }
        let error = match self.format.decode(self.cut.bytes, spans) {
            Ok(rows) if rows.num_rows() == spans.len() => return self.good.push(rows),
            Ok(rows) => format!("the record is {} rows instead of one", rows.num_rows()),
            Err(error) => error.to_string(),
        };
        if let [span] = spans {
            return self.reject(*span, error);
        }
        let (left, right) = spans.split_at(spans.len() / 2);
        self.decode(left);
        self.decode(right);
    }

    fn reject(&mut self, span: Span, error: String) {
        let record = &self.cut.bytes[span.start..span.end];
        let position = format!("{}, byte {}", self.origin, self.cut.at + span.start as u64);
        let reason = self.format.explain(record).unwrap_or(error);
        self.bad.push(bad_record(position, record, reason));
    }
}

/// Runs of records that follow each other without anything between.
pub(crate) fn runs<'a>(bytes: &'a [u8], spans: &'a [Span]) -> impl Iterator<Item = &'a [u8]> {
    spans.chunk_by(|one, other| one.next == other.start).filter_map(move |run| {
        let (first, last) = (run.first()?, run.last()?);
        Some(&bytes[first.start..last.next])
    })
}
