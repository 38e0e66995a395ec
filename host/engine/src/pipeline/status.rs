//! What state a pipeline is in, and what it tells whoever watches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use super::connect::Warn;
use super::progress::Progress;
use super::spec::Delivery;
use crate::batch::BatchId;
use crate::clock::SharedClock;

/// A pipeline's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum PipelineState {
    /// Recovering: batches since the newest checkpoint run again.
    Starting,
    /// Batches run as data comes.
    Running,
    /// Something failed that may pass: the pipeline goes back to its checkpoint and tries again.
    Retrying {
        /// What failed.
        reason: String,
        /// How often in a row.
        attempt: u32,
    },
    /// What is there is finished, then the pipeline stops.
    Draining,
    /// Stopped by request; it can be started again where it was.
    Stopped,
    /// `available-now` has read everything.
    Finished,
    /// Something needs a person.
    Failed {
        /// What happened and what to do.
        reason: String,
    },
}

impl PipelineState {
    /// No thread works for the pipeline any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Stopped | Self::Finished | Self::Failed { .. })
    }
}

/// What a sink gets, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarantee {
    /// The sink.
    pub sink: String,
    /// The most it could have.
    pub possible: Delivery,
    /// What it gets: what was asked for.
    pub delivery: Delivery,
    /// Why: each part of the way from source to sink with its share.
    pub reasons: Vec<String>,
}

/// Rows that passed an entry, for a live tap. Rows of a batch that is run again come again.
#[derive(Clone, Debug)]
pub struct TapRows {
    /// The batch.
    pub batch: BatchId,
    /// The rows.
    pub rows: RecordBatch,
}

/// Told what happens in a pipeline; implemented by whoever runs it. Calls must not block.
pub trait Events: Send + Sync {
    /// The state changed.
    fn state(&self, state: &PipelineState);
    /// A batch was committed.
    fn progress(&self, progress: &Progress);
    /// A line for the pipeline's log.
    fn log(&self, line: LogLine);
    /// A plugin counted or observed something.
    fn metric(&self, metric: PluginMetric);
}

/// Events that can be shared.
pub type SharedEvents = Arc<dyn Events>;

/// Warnings of one entry of a pipeline.
pub(crate) fn warner(events: &SharedEvents, clock: &SharedClock, entry: &str) -> Warn {
    let (events, clock, entry) = (Arc::clone(events), Arc::clone(clock), entry.to_owned());
    Arc::new(move |message| {
        let level = "warn".to_owned();
        events.log(LogLine { time_us: clock.now_us(), level, entry: Some(entry.clone()), message });
    })
}

/// A line of a pipeline's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Microseconds since the Unix epoch.
    pub time_us: i64,
    /// trace, debug, info, warn or error.
    pub level: String,
    /// The entry it is about, if it is about one.
    pub entry: Option<String>,
    /// The line.
    pub message: String,
}

/// A number that a plugin reported.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginMetric {
    /// The step.
    pub entry: String,
    /// The plugin's name for it.
    pub name: String,
    /// What it is.
    pub value: MetricValue,
}

/// A count or an observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricValue {
    /// So many more.
    Count(u64),
    /// One value of a distribution.
    Observation(f64),
}
