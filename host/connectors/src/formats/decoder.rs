//! Streams of chunks: what a file source's reader and a journal's decoder have in common.

use std::io;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use millstream_engine::batch::Chunk;
use millstream_engine::journal::Decoder;
use millstream_engine::source::{ChunkStream, SourceError};

use super::{Cut, Cutter, CutterConfig, Format, Layout, Tail};

/// The chunks of records that a cutter finds.
pub(crate) struct RecordStream {
    format: Arc<Format>,
    cutter: Cutter,
    layout: Option<Layout>,
    origin: String,
}

impl RecordStream {
    /// Reads what `cutter` cuts; `layout` is of the header that was cut before.
    pub(crate) fn new(format: Arc<Format>, cutter: Cutter, layout: Option<Layout>, origin: String) -> Self {
        Self { format, cutter, layout, origin }
    }
}

impl ChunkStream for RecordStream {
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        let cut = self.cutter.next(Chunk::ROWS_TARGET).map_err(|error| io_error(&self.origin, &error))?;
        let Some(cut) = cut else { return Ok(None) };
        let chunk = self.format.rows(&cut, self.layout.as_ref(), &self.origin);
        chunk.map(Some).map_err(|error| SourceError::Permanent(format!("{}: {error}", self.origin)))
    }
}

/// What an error of the file system means for a source.
pub(crate) fn io_error(origin: &str, error: &io::Error) -> SourceError {
    match error.kind() {
        io::ErrorKind::NotFound => SourceError::Permanent(format!(
            "{origin}: the file is gone before all of it was read: put it back, or start the pipeline afresh"
        )),
        io::ErrorKind::PermissionDenied => SourceError::Permanent(format!(
            "{origin}: permission denied: make it readable for the user that runs millstream"
        )),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            SourceError::Permanent(format!("{origin}: the data is damaged: {error}"))
        }
        io::ErrorKind::UnexpectedEof => {
            SourceError::Transient(format!("{origin}: the compressed data is not complete (yet): {error}"))
        }
        _ => SourceError::Transient(format!("{origin}: {error}")),
    }
}

/// Reads journal entries: whole records as they were received.
#[derive(Debug)]
pub(crate) struct RecordDecoder {
    format: Arc<Format>,
    start: EntryStart,
}

/// What the first bytes of a journal entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryStart {
    /// Of a document: a byte order mark is skipped, CSV has its header.
    Document,
    /// Somewhere in a stream.
    Stream,
}

impl RecordDecoder {
    /// A decoder of `format`.
    pub(crate) fn new(format: Arc<Format>, start: EntryStart) -> Self {
        Self { format, start }
    }
}

impl Decoder for RecordDecoder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.format.schema())
    }

    fn chunks(self: Arc<Self>, bytes: Bytes, origin: &str) -> Result<Box<dyn ChunkStream>, SourceError> {
        let config = CutterConfig {
            framing: self.format.framing(),
            max_record_bytes: self.format.max_record_bytes(),
            tail: Tail::Record,
            at: 0,
            skip_bom: self.start == EntryStart::Document,
        };
        let mut cutter = Cutter::new(Box::new(io::Cursor::new(bytes)), config);
        let layout = if self.format.has_header() { header(&self.format, &mut cutter, origin)? } else { None };
        Ok(Box::new(RecordStream::new(Arc::clone(&self.format), cutter, layout, origin.to_owned())))
    }

    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError> {
        self.format.single_records(records).map_err(|error| SourceError::Permanent(error.to_string()))
    }
}

/// Cuts off the header and finds the columns; none when the input is empty.
pub(crate) fn header(
    format: &Format,
    cutter: &mut Cutter,
    origin: &str,
) -> Result<Option<Layout>, SourceError> {
    let cut = cutter.next(1).map_err(|error| io_error(origin, &error))?;
    let Some(cut) = cut else { return Ok(None) };
    header_of(format, &cut, origin).map(Some)
}

/// Finds the columns in the first record of a cut.
pub(crate) fn header_of(format: &Format, cut: &Cut<'_>, origin: &str) -> Result<Layout, SourceError> {
    let Some(span) = cut.first() else {
        let message =
            format!("{origin}: the first record is no header: it is too long or its quotes are wrong");
        return Err(SourceError::Permanent(message));
    };
    let layout = format.layout(&cut.bytes[span.start..span.end]);
    layout.map_err(|why| SourceError::Permanent(format!("{origin}: {why}")))
}
