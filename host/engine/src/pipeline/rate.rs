//! How large the next batch may be: as much as was processed in one trigger interval lately.

use std::time::Duration;

use super::trigger::TriggerSpec;
use crate::source::Limits;

/// Without a bound of the user's: so large that what a batch costs by itself (a commit, the groups
/// it writes) is small beside its rows.
const BYTES_MAX_DEFAULT: u64 = 256 * 1024 * 1024;
/// The first batch, before any rate is known, and the least that the controller goes down to.
const BYTES_MIN: u64 = 1024 * 1024;
/// Aim below the interval, so that one slow batch does not delay the next.
const AIM: f64 = 0.8;
/// Weight of the newest batch in the rate.
const NEWEST: f64 = 0.5;

/// Keeps the processing time of a batch under the trigger interval.
#[derive(Clone, Debug)]
pub(crate) struct RateController {
    /// None: batches may take as long as they like (`available-now`).
    interval: Option<Duration>,
    rows_max: u64,
    bytes_max: u64,
    bytes_per_second: Option<f64>,
}

impl RateController {
    pub(crate) fn new(trigger: &TriggerSpec) -> Self {
        Self {
            interval: (!trigger.available_now).then_some(trigger.every.duration()),
            rows_max: trigger.max_rows.unwrap_or(u64::MAX),
            bytes_max: trigger.max_bytes.map_or(BYTES_MAX_DEFAULT, |size| size.0),
            bytes_per_second: None,
        }
    }

    /// A batch of so many bytes took so long.
    pub(crate) fn observe(&mut self, bytes: u64, took: Duration) {
        if bytes < BYTES_MIN / 4 {
            // What a small batch takes says more about commits than about rows.
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a rate is an estimate")]
        let rate = bytes as f64 / took.as_secs_f64().max(1e-4);
        self.bytes_per_second = Some(self.bytes_per_second.map_or(rate, |old| old + (rate - old) * NEWEST));
    }

    /// The bounds of the next batch, for each of `sources`.
    pub(crate) fn limits(&self, sources: usize) -> Limits {
        let bytes = match (self.interval, self.bytes_per_second) {
            (None, _) => self.bytes_max,
            (Some(_), None) => BYTES_MIN,
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped right after")]
            (Some(interval), Some(rate)) => (rate * interval.as_secs_f64() * AIM) as u64,
        };
        let bytes = bytes.max(BYTES_MIN).min(self.bytes_max);
        Limits { rows: self.rows_max, bytes: (bytes / sources.max(1) as u64).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::units::{ByteSize, Span};

    fn every(ms: u64) -> TriggerSpec {
        TriggerSpec { every: Span::from_ms(ms), ..TriggerSpec::default() }
    }

    #[test]
    fn batches_grow_to_what_fits_the_interval() {
        let mut controller = RateController::new(&every(200));
        assert_eq!(controller.limits(1).bytes, BYTES_MIN);
        controller.observe(10_000_000, Duration::from_millis(100));
        assert_eq!(controller.limits(1).bytes, 16_000_000);
        assert_eq!(controller.limits(2).bytes, 8_000_000);
    }

    #[test]
    fn a_slow_batch_makes_the_next_smaller_and_bounds_hold() {
        let mut controller = RateController::new(&every(200));
        controller.observe(10_000_000, Duration::from_millis(100));
        controller.observe(10_000_000, Duration::from_secs(100));
        assert!(controller.limits(1).bytes < 16_000_000);
        controller.observe(u64::MAX, Duration::from_millis(1));
        assert_eq!(controller.limits(1).bytes, BYTES_MAX_DEFAULT);
    }

    #[test]
    fn the_users_bounds_win() {
        let trigger = TriggerSpec { max_rows: Some(7), max_bytes: Some(ByteSize(1000)), ..every(10) };
        assert_eq!(RateController::new(&trigger).limits(1), Limits { rows: 7, bytes: 1000 });
        let drain = TriggerSpec { available_now: true, ..TriggerSpec::default() };
        assert_eq!(RateController::new(&drain).limits(1).bytes, BYTES_MAX_DEFAULT);
    }
}
