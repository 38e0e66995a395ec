//! What a lane reads: the chunks of its splits, in order, some of them before they are wanted.
//! While a lane would wait (for the other lanes, for the disk, for the next plan), it decodes what
//! the next batch begins with.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::lane::{LaneEntry, LaneWhat};
use crate::batch::{BatchId, Chunk};
use crate::clock::Clock;
use crate::source::{ChunkStream, SourceError, Split, SplitReader};

/// A lane reads so many chunks ahead at most, and no more once they hold so many bytes: enough to
/// bridge a commit, little beside the batch itself.
const CHUNKS_MAX: usize = 16;
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The splits of one batch that are one lane's.
pub(crate) struct Reading {
    pub(crate) batch: BatchId,
    unopened: VecDeque<LaneSplit>,
    open: Option<OpenSplit>,
    ready: VecDeque<Read>,
    ready_bytes: usize,
}

struct LaneSplit {
    number: usize,
    entry: usize,
    split: Split,
    reader: Arc<dyn SplitReader>,
}

struct OpenSplit {
    number: usize,
    entry: usize,
    stream: Box<dyn ChunkStream>,
    chunks: u64,
}

/// The next thing that a lane's splits give.
pub(crate) enum Read {
    Chunk {
        /// The source.
        entry: usize,
        /// The split's number in its batch.
        split: usize,
        /// The chunk's number in its split.
        number: u64,
        chunk: Chunk,
        took: Duration,
    },
    /// A split is at its end.
    End,
    Failed {
        entry: usize,
        error: SourceError,
    },
}

impl Reading {
    /// Those of a batch's splits that `lane` of `lanes` reads.
    pub(crate) fn new(
        batch: BatchId,
        splits: &[(usize, Split)],
        entries: &[LaneEntry],
        lane: u32,
        lanes: u32,
    ) -> Self {
        let own = splits.iter().enumerate().skip(lane as usize).step_by(lanes as usize);
        let unopened = own.filter_map(|(number, (entry, split))| match &entries[*entry].what {
            LaneWhat::Source { reader, .. } => {
                Some(LaneSplit { number, entry: *entry, split: split.clone(), reader: Arc::clone(reader) })
            }
            _ => None,
        });
        Self { batch, unopened: unopened.collect(), open: None, ready: VecDeque::new(), ready_bytes: 0 }
    }

    /// The next thing; none after the last split's end.
    pub(crate) fn next(&mut self, clock: &dyn Clock) -> Option<Read> {
        let next = self.ready.pop_front().or_else(|| self.read(clock))?;
        self.ready_bytes = self.ready_bytes.saturating_sub(next.bytes());
        Some(next)
    }

    /// Reads one thing before it is wanted; false when it is enough.
    pub(crate) fn read_ahead(&mut self, clock: &dyn Clock) -> bool {
        if self.ready.len() >= CHUNKS_MAX || self.ready_bytes >= BYTES_MAX {
            return false;
        }
        let Some(read) = self.read(clock) else { return false };
        self.ready_bytes += read.bytes();
        self.ready.push_back(read);
        true
    }

    fn read(&mut self, clock: &dyn Clock) -> Option<Read> {
        let start = clock.monotonic();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let LaneSplit { number, entry, split, reader } = self.unopened.pop_front()?;
                match reader.open(&split) {
                    Ok(stream) => OpenSplit { number, entry, stream, chunks: 0 },
                    Err(error) => return Some(Read::Failed { entry, error }),
                }
            }
        };
        let (entry, split, number) = (open.entry, open.number, open.chunks);
        match open.stream.next() {
            Ok(Some(chunk)) => {
                open.chunks += 1;
                self.open = Some(open);
                Some(Read::Chunk {
                    entry,
                    split,
                    number,
                    chunk,
                    took: clock.monotonic().saturating_sub(start),
                })
            }
            Ok(None) => Some(Read::End),
            Err(error) => Some(Read::Failed { entry, error }),
        }
    }
}

impl Read {
    fn bytes(&self) -> usize {
        match self {
            Self::Chunk { chunk, .. } => chunk.rows.get_array_memory_size(),
            Self::End | Self::Failed { .. } => 0,
        }
    }
}
