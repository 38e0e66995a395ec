//! Formats: how bytes become records and records become rows. One file a format; what they share
//! (cutting bytes into records, column types, isolating bad records) has files of its own.
//!
//! The law: a bad record never spoils its neighbours, and cuts depend on nothing but the data.

mod cells;
mod column;
mod csv;
mod cut;
mod cutter;
mod decoder;
mod find;
mod isolate;
mod json;
mod ndjson;
pub(crate) mod parquet;
mod spec;
mod text;

use std::borrow::Cow;

use arrow_schema::{ArrowError, SchemaRef};
use millstream_engine::batch::{BadRecord, Chunk};

pub(crate) use column::{Columns, Wire};
pub(crate) use csv::Layout;
pub(crate) use cut::{Cut, Tail};
pub(crate) use cutter::{Cutter, CutterConfig};
pub(crate) use decoder::{EntryStart, header, header_of};
pub(crate) use decoder::{RecordDecoder, RecordStream, io_error};
pub(crate) use spec::ColumnsSchema;
pub use spec::{CsvSpec, FormatKind, FormatSpec};

/// A bad record keeps at most so many of its bytes.
pub(crate) const BAD_BYTES_MAX: usize = 64 * 1024;

/// A format whose spec is sound.
#[derive(Debug)]
pub(crate) struct Format {
    kind: FormatKind,
    columns: Columns,
    max_record_bytes: usize,
    csv: csv::CsvConfig,
}

impl Format {
    /// Which format it is.
    pub(crate) fn kind(&self) -> FormatKind {
        self.kind
    }

    /// The columns of its rows.
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The schema of its rows.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.columns.schema()
    }

    /// A record may have so many bytes.
    pub(crate) fn max_record_bytes(&self) -> usize {
        self.max_record_bytes
    }

    /// The first record of a file or request names the columns.
    pub(crate) fn has_header(&self) -> bool {
        self.kind == FormatKind::Csv && self.csv.header
    }

    /// How records are found in bytes.
    pub(crate) fn framing(&self) -> cut::Framing {
        match self.kind {
            FormatKind::Csv => cut::Framing::Csv { delimiter: self.csv.delimiter, quote: self.csv.quote },
            FormatKind::Text => cut::Framing::Lines { blank: cut::Blank::Record },
            FormatKind::Ndjson | FormatKind::Parquet => cut::Framing::Lines { blank: cut::Blank::Skipped },
        }
    }

    /// Where the columns stand in records under a header.
    ///
    /// # Errors
    /// When the header lacks a column; in words for a person.
    pub(crate) fn layout(&self, header: &[u8]) -> Result<Layout, String> {
        csv::layout_of_header(&self.columns, &self.csv, header)
    }

    /// The rows of one cut; `layout` matters to CSV only, without one columns stand as in the spec.
    pub(crate) fn rows(
        &self,
        cut: &Cut<'_>,
        layout: Option<&Layout>,
        origin: &str,
    ) -> Result<Chunk, ArrowError> {
        let mut chunk = match self.kind {
            FormatKind::Text => text::rows(self.schema(), cut, origin)?,
            FormatKind::Ndjson | FormatKind::Parquet => ndjson::rows(&self.columns, cut, origin)?,
            FormatKind::Csv => {
                let layout = match layout {
                    Some(layout) => Cow::Borrowed(layout),
                    None => Cow::Owned(Layout::as_in_spec(&self.columns)),
                };
                let csv = csv::Csv { columns: &self.columns, config: &self.csv, layout: &layout };
                let mut chunk = isolate::rows(&csv, cut, origin)?;
                layout.put_before(&mut chunk.bad);
                chunk
            }
        };
        chunk.bad.extend(cut.bad.iter().map(|bad| bad.record(cut.at, self.max_record_bytes, origin)));
        Ok(chunk)
    }

    /// Rows of single records, each as a source received it.
    pub(crate) fn single_records(&self, records: &[&[u8]]) -> Result<Chunk, ArrowError> {
        if self.has_header() {
            return self.single_csv_records(records);
        }
        self.rows(&cut::joined(records).cut(), None, "dead letter")
    }

    /// A bad CSV record may bring its header along.
    fn single_csv_records(&self, records: &[&[u8]]) -> Result<Chunk, ArrowError> {
        let mut chunks = Vec::with_capacity(records.len());
        for record in records {
            let (layout, record) = self.layout_inside(record);
            chunks.push(self.rows(&cut::joined(&[record]).cut(), layout.as_ref(), "dead letter")?);
        }
        let rows =
            arrow_select::concat::concat_batches(self.schema(), chunks.iter().map(|chunk| &chunk.rows))?;
        Ok(Chunk { rows, bad: chunks.into_iter().flat_map(|chunk| chunk.bad).collect() })
    }

    fn layout_inside<'a>(&self, record: &'a [u8]) -> (Option<Layout>, &'a [u8]) {
        let Some(newline) = memchr::memchr(b'\n', record) else { return (None, record) };
        match self.layout(&record[..newline]) {
            Ok(layout) => (Some(layout), &record[newline + 1..]),
            Err(_) => (None, record),
        }
    }
}

/// A record as a dead letter keeps it.
pub(crate) fn bad_record(position: String, bytes: &[u8], reason: String) -> BadRecord {
    BadRecord { position, bytes: bytes[..bytes.len().min(BAD_BYTES_MAX)].to_vec(), reason }
}

/// A value as an error message shows it.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    const SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
