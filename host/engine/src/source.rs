//! What a source is to the engine. Planning (one thread, never blocks for data) and reading
//! (worker threads, in parallel) are two traits, because a plan is durable before it is read.

use std::fmt;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::batch::Chunk;

/// A part of a source's data that one worker reads from its start to its end. Written into the
/// plan; only the source that made it looks inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Split(pub Value);

/// Where a source stands: everything before it is in plans. Only its source looks inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub Value);

/// How much one plan may take from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most so many rows; a source that cannot count rows before it reads them uses `bytes`.
    pub rows: u64,
    /// About so many bytes; one record may exceed it, so that a plan is never stuck.
    pub bytes: u64,
}

/// What a source has for the next batch.
#[derive(Clone, Debug, Default)]
pub struct Poll {
    /// What to read, in order; empty when nothing is there yet. Many splits of a few MB let
    /// workers share them.
    pub splits: Vec<Split>,
    /// About so many bytes are in these splits.
    pub bytes: u64,
    /// Nothing more will ever come (or, under `available-now`, nothing more was there at start).
    pub finished: bool,
    /// What is known to wait behind these splits, in bytes; 0 when nothing does.
    pub backlog_bytes: u64,
}

/// Plans what is read. Owned by the pipeline's driver thread.
///
/// The law: a split read again gives the same chunks with the same cuts, until `release`. The
/// positions of a source that has polled are the same as those of one that was restored and has
/// advanced over the same splits.
pub trait Source: Send {
    /// Called once, before anything else, with the position of the newest checkpoint; without one,
    /// the source starts where its configuration says.
    ///
    /// # Errors
    /// When the data at the position is not there any more.
    fn restore(&mut self, position: Option<&Position>) -> Result<(), SourceError>;

    /// Called in recovery for every plan after that checkpoint, in order: moves behind its splits.
    ///
    /// # Errors
    /// When the data of the splits is not there any more.
    fn advance(&mut self, splits: &[Split]) -> Result<(), SourceError>;

    /// Called for each new plan: what is there now, at most `limits`; moves behind it. Looks, but
    /// does not wait for data.
    ///
    /// # Errors
    /// When the source cannot say; the call is tried again with backoff if the error allows.
    fn poll(&mut self, limits: Limits) -> Result<Poll, SourceError>;

    /// Where the source stands after all that was polled or advanced. Asked at each checkpoint.
    fn position(&self) -> Position;

    /// The partitions that there are now, where the source reads several side by side: one that no split has
    /// come from yet holds the watermark back as well.
    fn partitions(&self) -> Vec<String> {
        Vec::new()
    }

    /// Opens splits; shared by all workers.
    fn reader(&self) -> Arc<dyn SplitReader>;

    /// A checkpoint covers everything before `position`: it will not be read again and may be
    /// deleted. Called after the checkpoint is durable.
    ///
    /// # Errors
    /// When cleaning up failed; it is logged and tried again at the next checkpoint.
    fn release(&mut self, position: &Position) -> Result<(), SourceError>;
}

/// Opens the splits of a source, from any worker thread.
pub trait SplitReader: Send + Sync {
    /// The schema of every chunk.
    fn schema(&self) -> SchemaRef;

    /// The partition that a split is part of, where the source reads several side by side. Rows of one follow
    /// one another in time, as far as `delay` says; one partition may be far behind another, so each holds the
    /// watermark back. None: all splits follow one another.
    fn partition(&self, split: &Split) -> Option<String> {
        let _ = split;
        None
    }

    /// Starts reading a split; may block on files, never on a peer.
    ///
    /// # Errors
    /// When the data of the split cannot be read.
    fn open(&self, split: &Split) -> Result<Box<dyn ChunkStream>, SourceError>;

    /// Reads records that were dead letters again, each as the source received it.
    ///
    /// # Errors
    /// When the format cannot be read at all; single bad records come back as `Chunk::bad`.
    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError>;
}

/// The chunks of one split.
pub trait ChunkStream: Send {
    /// The next chunk of about [`Chunk::ROWS_TARGET`] rows or [`Chunk::BYTES_TARGET`] bytes; none
    /// at the end of the split.
    ///
    /// # Errors
    /// When the data cannot be read; bad records are no error but part of the chunk.
    fn next(&mut self) -> Result<Option<Chunk>, SourceError>;
}

/// Why a source cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// The cause may pass: try again.
    Transient(String),
    /// Nothing will change until a person acts; the message says what to do.
    Permanent(String),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transient(message) | Self::Permanent(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for SourceError {}
