//! The one place that asks the machine for the time.

use std::time::{Duration, Instant};

/// Now.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks again every `pause` until there is an answer; none after `longest`.
pub(crate) fn poll<T>(pause: Duration, longest: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + longest;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if now() > end {
            return None;
        }
        std::thread::sleep(pause);
    }
}

/// The middle value; the upper of two middles. 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The value that a share of all values does not pass. 0 of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_are_values_that_were_measured() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[]), 0.0);
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            (quantile(&sorted, 0.5), quantile(&sorted, 0.99), quantile(&sorted, 1.0)),
            (50.0, 99.0, 100.0)
        );
        assert_eq!(quantile(&[], 0.99), 0.0);
    }
}
