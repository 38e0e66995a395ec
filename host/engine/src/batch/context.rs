//! What is the same for every row of one micro-batch, and the same again when the batch is run again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of a micro-batch within its pipeline; the first is 1, and none is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub u64);

impl BatchId {
    /// The batch before the first.
    pub const ZERO: Self = Self(0);

    /// The batch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The part of a batch's plan that steps may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchCtx {
    /// The batch.
    pub batch: BatchId,
    /// The batch's own time, in microseconds since the Unix epoch.
    pub now_us: i64,
    /// The watermark as of the end of the batch before, in microseconds since the Unix epoch.
    pub watermark_us: Option<i64>,
    /// Seed of everything random in this batch.
    pub seed: u64,
    /// Where a chunk of rows stands among the chunks of the batch, whoever runs it.
    pub order: u64,
}
