//! A batch's plan: all that could differ if the batch ran again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::batch::BatchId;
use crate::source::Split;

/// Made durable before the batch runs; a batch is a function of its plan and of the state before it.
///
/// The watermark is not in it: it follows from the event times of the batches before and from
/// which sources their plans call idle, so it is the same again when they are run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchPlan {
    /// The batch.
    pub batch: BatchId,
    /// The batch's own time, in microseconds since the Unix epoch.
    pub now_us: i64,
    /// Seed of everything random.
    pub seed: u64,
    /// What is read from each source, by name.
    pub sources: BTreeMap<String, SourcePart>,
    /// SHA-256 of each plugin that is called: by step, or by `step.column`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, String>,
    /// Which version of each table the batch sees, by table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, u64>,
    /// Dead letters that go through their entry again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<u64>,
    /// Rows that exceeded their time when the batch ran first; known only then, and made durable
    /// before a sink commits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timed_out: Vec<TimedOut>,
}

/// A row that exceeded its time in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedOut {
    /// The step.
    pub step: String,
    /// The row of the step's input, as a JSON object; or a timer of the step.
    pub row: String,
    /// What was said of it.
    pub reason: String,
}

/// A source's part of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourcePart {
    /// What is read, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
    /// The partitions that are read side by side, and whether each was without rows for its idle time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partitions: BTreeMap<String, bool>,
    /// The source had no rows for its idle time: it does not hold the watermark back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
}

impl BatchPlan {
    /// Nothing is read: the batch only lets time pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replays.is_empty() && self.sources.values().all(|part| part.splits.is_empty())
    }
}
