//! A journal as a source: offsets are positions in it.

use std::sync::Arc;

use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use serde::{Deserialize, Serialize};

use super::Decoder;
use super::file::{Journal, Shared};
use super::index::Entry;
use crate::batch::Chunk;
use crate::source::{ChunkStream, Limits, Poll, Position, Source, SourceError, Split, SplitReader};

/// Plans what a journal holds.
pub struct JournalSource {
    journal: Arc<Journal>,
    decoder: Arc<dyn Decoder>,
    name: Arc<str>,
    /// The first offset that is in no plan yet.
    next: u64,
    available_now: bool,
}

/// Entries `[from, to)`.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Range {
    from: u64,
    to: u64,
}

impl Range {
    fn of(split: &Split) -> Result<Self, SourceError> {
        Self::deserialize(&split.0)
            .map_err(|error| SourceError::Permanent(format!("a plan's split is no journal range ({error})")))
    }
}

impl JournalSource {
    /// A source over `journal`, named as in the pipeline.
    #[must_use]
    pub fn new(journal: Arc<Journal>, decoder: Arc<dyn Decoder>, name: &str, available_now: bool) -> Self {
        Self { journal, decoder, name: name.into(), next: 1, available_now }
    }

    fn move_to(&mut self, offset: u64) {
        self.next = offset;
        self.journal.shared.index().skip_to(offset);
    }
}

impl Source for JournalSource {
    fn restore(&mut self, position: Option<&Position>) -> Result<(), SourceError> {
        let Some(position) = position else { return Ok(()) };
        let next = u64::deserialize(&position.0).map_err(|error| {
            SourceError::Permanent(format!("the checkpoint's position is no journal offset ({error})"))
        })?;
        self.move_to(next);
        Ok(())
    }

    fn advance(&mut self, splits: &[Split]) -> Result<(), SourceError> {
        for split in splits {
            let range = Range::of(split)?;
            self.move_to(range.to);
        }
        Ok(())
    }

    fn poll(&mut self, limits: Limits) -> Result<Poll, SourceError> {
        let mut index = self.journal.shared.index();
        let (ranges, bytes) = index.plan(limits);
        let backlog_bytes = index.waiting_bytes();
        drop(index);
        if let Some((_, to)) = ranges.last() {
            self.next = *to;
        }
        let splits = ranges
            .into_iter()
            .map(|(from, to)| Split(serde_json::json!(Range { from, to })))
            .collect::<Vec<_>>();
        let finished = self.available_now && splits.is_empty();
        Ok(Poll { splits, bytes, finished, backlog_bytes })
    }

    fn position(&self) -> Position {
        Position(self.next.into())
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        Arc::new(JournalReader {
            shared: Arc::clone(&self.journal.shared),
            decoder: Arc::clone(&self.decoder),
            name: Arc::clone(&self.name),
        })
    }

    fn release(&mut self, position: &Position) -> Result<(), SourceError> {
        if let Some(offset) = position.0.as_u64() {
            self.journal.release(offset);
        }
        Ok(())
    }
}

impl Drop for JournalSource {
    fn drop(&mut self) {
        self.journal.close();
    }
}

struct JournalReader {
    shared: Arc<Shared>,
    decoder: Arc<dyn Decoder>,
    name: Arc<str>,
}

impl SplitReader for JournalReader {
    fn schema(&self) -> SchemaRef {
        self.decoder.schema()
    }

    fn open(&self, split: &Split) -> Result<Box<dyn ChunkStream>, SourceError> {
        let range = Range::of(split)?;
        let entries = self.shared.read(range.from, range.to).map_err(SourceError::Permanent)?;
        if self.shared.path.is_none() {
            let freed = self.shared.index().forget_before(range.to);
            self.shared.held_bytes.fetch_sub(freed, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(Box::new(JournalStream {
            entries: entries.into_iter(),
            decoder: Arc::clone(&self.decoder),
            name: Arc::clone(&self.name),
            current: None,
        }))
    }

    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError> {
        self.decoder.decode(records)
    }
}

struct JournalStream {
    entries: std::vec::IntoIter<Entry>,
    decoder: Arc<dyn Decoder>,
    name: Arc<str>,
    current: Option<Box<dyn ChunkStream>>,
}

impl JournalStream {
    fn next_piece(&mut self) -> Result<Option<Chunk>, SourceError> {
        loop {
            if let Some(current) = &mut self.current
                && let Some(chunk) = current.next()?
            {
                return Ok(Some(chunk));
            }
            let Some(entry) = self.entries.next() else { return Ok(None) };
            let origin = format!("{}, offset {}", self.name, entry.offset);
            self.current = Some(Arc::clone(&self.decoder).chunks(entry.bytes, &origin)?);
        }
    }
}

impl ChunkStream for JournalStream {
    /// Many small offers make one chunk: steps are called a chunk at a time.
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        let Some(first) = self.next_piece()? else { return Ok(None) };
        let mut rows = first.rows.num_rows();
        let (mut batches, mut bad) = (vec![first.rows], first.bad);
        while rows < Chunk::ROWS_TARGET
            && let Some(piece) = self.next_piece()?
        {
            rows += piece.rows.num_rows();
            batches.push(piece.rows);
            bad.extend(piece.bad);
        }
        let rows = match batches.as_slice() {
            [only] => only.clone(),
            _ => concat_batches(&self.decoder.schema(), &batches)
                .map_err(|error: ArrowError| SourceError::Permanent(error.to_string()))?,
        };
        Ok(Some(Chunk { rows, bad }))
    }
}
