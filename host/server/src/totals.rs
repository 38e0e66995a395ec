//! What a plugin counts or observes under one name, added up.

use millstream_engine::pipeline::MetricValue;
use serde::Serialize;
use utoipa::ToSchema;

/// A counter, or a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Totals {
    /// The sum of counts, or how many observations there were.
    pub count: u64,
    /// Mean of the observations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The newest observation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<f64>,
    #[serde(skip)]
    sum: f64,
}

impl Totals {
    pub(crate) fn add(&mut self, value: MetricValue) {
        match value {
            MetricValue::Count(more) => self.count = self.count.saturating_add(more),
            MetricValue::Observation(value) => {
                self.count += 1;
                self.sum += value;
                self.mean = Some(self.sum / self.count as f64);
                self.last = Some(value);
            }
        }
    }
}
