//! What a pipeline tells of each batch, with the field names that Spark's progress documents have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One batch, after its commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The pipeline's random id, the same for its whole life.
    pub id: String,
    /// Random id of this run of it.
    pub run_id: String,
    /// The pipeline's name.
    pub name: String,
    /// The batch.
    pub batch_id: u64,
    /// When the batch was planned: RFC 3339, UTC.
    pub timestamp: String,
    /// Rows read.
    pub num_input_rows: u64,
    /// Rows read a second, since the batch before.
    pub input_rows_per_second: f64,
    /// Rows read a second of processing.
    pub processed_rows_per_second: f64,
    /// Milliseconds by phase: latestOffset, walCommit (plan), addBatch (run), commitBatch (sinks), triggerExecution (all).
    pub duration_ms: BTreeMap<String, f64>,
    /// watermark, max (RFC 3339), when there is event time.
    pub event_time: BTreeMap<String, String>,
    /// Each keyed step.
    pub state_operators: Vec<StateProgress>,
    /// Each source.
    pub sources: Vec<SourceProgress>,
    /// Each sink.
    pub sinks: Vec<SinkProgress>,
    /// Each step: rows in and out, calls, time.
    pub steps: Vec<StepProgress>,
    /// Dead letters of this batch, by kind.
    pub dead_letters: BTreeMap<String, u64>,
}

/// A keyed step's part of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProgress {
    /// The step.
    pub operator_name: String,
    /// Groups in state.
    pub num_rows_total: u64,
    /// Groups that the batch touched.
    pub num_rows_updated: u64,
    /// Groups that the batch closed.
    pub num_rows_removed: u64,
    /// About so much memory.
    pub memory_used_bytes: u64,
    /// Groups that are not in memory.
    #[serde(default)]
    pub num_rows_cold: u64,
    /// Bytes of the files that they are in.
    #[serde(default)]
    pub cold_bytes: u64,
    /// Rows that came after their window was closed.
    pub num_rows_dropped_by_watermark: u64,
}

/// A source's part of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProgress {
    /// The source.
    pub name: String,
    /// Its type.
    pub description: String,
    /// Splits that the batch read.
    pub splits: u64,
    /// First split.
    pub start_offset: Value,
    /// Last split.
    pub end_offset: Value,
    /// Rows read.
    pub num_input_rows: u64,
    /// Bytes known to wait behind them.
    pub backlog_bytes: u64,
    /// The source has been without rows for its idle time.
    pub idle: bool,
}

/// A sink's part of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkProgress {
    /// The sink.
    pub name: String,
    /// Its type.
    pub description: String,
    /// Rows written.
    pub num_output_rows: u64,
}

/// A step's part of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepProgress {
    /// The step.
    pub name: String,
    /// Rows in.
    pub num_input_rows: u64,
    /// Rows out.
    pub num_output_rows: u64,
    /// Chunks it was called for.
    pub calls: u64,
    /// Time in it, all workers together.
    pub busy_ms: f64,
}
