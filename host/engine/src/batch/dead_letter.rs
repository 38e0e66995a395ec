//! Records that a pipeline could not use: kept with their bytes, their origin and the reason.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One record that a batch could not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The entry (source or step) that could not use the record.
    pub entry: Arc<str>,
    /// What went wrong.
    pub kind: DeadLetterKind,
    /// Why, in words that say what to do.
    pub reason: String,
    /// Where the record came from, for a person.
    pub origin: String,
    /// The record.
    pub payload: Payload,
}

/// What went wrong with a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterKind {
    /// The source's bytes are no record of its format.
    Malformed,
    /// An operator answered that it cannot take the row.
    Rejected,
    /// The row came after its window was closed.
    Late,
    /// The row makes the plugin trap.
    Trapped,
    /// The row makes the plugin exceed its time.
    TimedOut,
    /// The row makes the plugin exceed its memory.
    OutOfMemory,
    /// The row makes the plugin return an invalid batch.
    InvalidOutput,
}

impl fmt::Display for DeadLetterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::Rejected => "rejected",
            Self::Late => "late",
            Self::Trapped => "trapped",
            Self::TimedOut => "timed-out",
            Self::OutOfMemory => "out-of-memory",
            Self::InvalidOutput => "invalid-output",
        })
    }
}

/// The bytes of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// As the source received it; to replay it, the source's format reads it again.
    Raw(Vec<u8>),
    /// A row that came to the entry.
    Row {
        /// By which of the entry's inputs.
        input: usize,
        /// The row as a JSON object; binary values are in hexadecimal.
        text: String,
    },
}

/// An input row that a step could not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Row of the input.
    pub row: u32,
    /// What went wrong.
    pub kind: DeadLetterKind,
    /// Why, in words that say what to do.
    pub reason: String,
}
