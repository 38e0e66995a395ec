//! What push sources receive: written down before it is acknowledged, read back by batches.

mod file;
mod index;
mod source;
mod writer;

use std::fmt;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use bytes::Bytes;

use crate::batch::Chunk;
use crate::source::{ChunkStream, SourceError};

pub use file::{Journal, JournalOptions};
pub use source::JournalSource;

/// Where a push source puts what it receives.
pub trait Inbox: Send + Sync {
    /// Takes whole records; `done` is called, from the journal's thread, once they are durable
    /// (under at-most-once: once they are queued) or refused. Never blocks.
    fn offer(&self, received: Received, done: Done);

    /// Whether more is welcome; when not, a source with back pressure stops reading.
    fn has_room(&self) -> bool;
}

/// What is called when an offer is decided.
pub type Done = Box<dyn FnOnce(Result<Receipt, Refused>) + Send>;

/// Whole records as they came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The records, in the source's format.
    pub bytes: Bytes,
    /// How many they are, as far as the receiver can tell cheaply (lines); for limits and progress.
    pub records: u64,
    /// The client's key: the same key again is answered with the first receipt and not taken again.
    pub idempotency_key: Option<String>,
}

/// Records are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Position in the journal.
    pub offset: u64,
    /// The key was known: nothing was taken.
    pub duplicate: bool,
}

/// Why records were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The journal is at its limit: come back later.
    Full,
    /// The key was used before for other bytes.
    KeyReused,
    /// The pipeline is stopping.
    Closed,
    /// The journal's disk is full: it passes once a person has made room.
    NoRoom(String),
    /// The journal could not be written.
    Failed(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => {
                f.write_str("the journal is at its limit: try again when the pipeline has caught up")
            }
            Self::KeyReused => {
                f.write_str("this Idempotency-Key was used for another body: use a new key for new data")
            }
            Self::Closed => f.write_str("the pipeline is stopping"),
            Self::NoRoom(why) => {
                write!(f, "the journal's disk is full: make room, then send it again: {why}")
            }
            Self::Failed(why) => write!(f, "the journal could not be written: {why}"),
        }
    }
}

impl std::error::Error for Refused {}

/// Reads records of a format; shared by all workers.
pub trait Decoder: Send + Sync {
    /// The schema of every chunk.
    fn schema(&self) -> SchemaRef;

    /// The rows of whole records; `origin` (`orders, offset 17`) begins the position of bad ones.
    ///
    /// # Errors
    /// When the bytes cannot be read at all; bad records are part of the chunks.
    fn chunks(self: Arc<Self>, bytes: Bytes, origin: &str) -> Result<Box<dyn ChunkStream>, SourceError>;

    /// Single records again, each as it was received.
    ///
    /// # Errors
    /// As `chunks`.
    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError>;
}
