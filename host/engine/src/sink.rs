//! What a sink is to the engine, and what it promises.

use std::fmt;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::batch::BatchId;

/// What happens at a sink when a batch is written a second time after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkPromise {
    /// The sink stores the batch id together with the rows and recognises a batch it has.
    Transactional,
    /// Writing the same rows again changes nothing.
    Idempotent,
    /// Rows written again are there twice.
    Plain,
}

/// Writes what a pipeline computes. Owned by the pipeline's sink thread, one batch at a time:
/// `begin`, any number of `write`, then `commit` or `abort`.
///
/// The law: after `commit` has returned, the batch survives a crash of machine and process (as far
/// as the pipeline asked for a guarantee); before it, no reader sees any of it, or, for a
/// [`SinkPromise::Plain`] sink, may see it twice.
pub trait Sink: Send {
    /// The newest batch that is safely here, asked once before the first batch. None when there is
    /// none, or when the sink cannot know.
    ///
    /// # Errors
    /// When the sink cannot be reached or holds something that is not this pipeline's.
    fn committed(&mut self) -> Result<Option<BatchId>, SinkError>;

    /// A batch begins; what was begun and not committed before is forgotten.
    ///
    /// # Errors
    /// When the sink cannot take a batch now.
    fn begin(&mut self, batch: BatchId) -> Result<(), SinkError>;

    /// Rows of the batch that has begun, in their final order.
    ///
    /// # Errors
    /// When the rows cannot be taken.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError>;

    /// Makes the batch durable and visible; called once a batch, also for an empty one.
    ///
    /// # Errors
    /// When it did not become durable; the batch is begun again.
    fn commit(&mut self) -> Result<(), SinkError>;

    /// Forgets what was written since `begin`.
    fn abort(&mut self);
}

/// Why a sink cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// The cause may pass: try the batch again.
    Transient(String),
    /// There is no room where the sink writes: the batch is tried again until a person has made some.
    Full(String),
    /// Nothing will change until a person acts; the message says what to do.
    Permanent(String),
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transient(message) | Self::Full(message) | Self::Permanent(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for SinkError {}
