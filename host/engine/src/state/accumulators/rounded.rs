//! Numbers rounded to eight significant bits, and how often each came: percentiles with a bound on
//! their relative error, after the idea of C. Masson, J. Rim, H. Lee, "DDSketch: A Fast and
//! Fully-Mergeable Quantile Sketch with Relative-Error Guarantees" (2019). Buckets are a float's leading
//! bits instead of logarithms: rounding is a shift, the same on every machine, and whole numbers up to
//! 256 are exact. Unlike t-digests, the sketch does not depend on the order and the cut of the rows.

use super::sketches::Sketch;
use super::sum::canonical;

/// Bits of a float64's fraction that are dropped; 7 of 52 stay, so a value moves by 2^-8 of itself at
/// most, 0.4 %.
const DROPPED_BITS: u32 = 45;
/// The code of infinity: the exponent that follows the greatest.
const INFINITE: u64 = 0x7ff << (52 - DROPPED_BITS);
/// Bytes of a written number with its count.
const WRITTEN: usize = 12;

/// Counts of rounded numbers, in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounded {
    counts: Vec<(i32, u64)>,
}

impl Rounded {
    /// Takes a value.
    #[inline]
    pub(super) fn insert(&mut self, value: f64) {
        self.add(code(value), 1);
    }

    fn add(&mut self, code: i32, count: u64) {
        match self.counts.binary_search_by_key(&code, |(code, _)| *code) {
            Ok(place) => self.counts[place].1 = self.counts[place].1.saturating_add(count),
            Err(place) => self.counts.insert(place, (code, count)),
        }
    }

    /// The least value that a share of all values, between 0 and 1, is not above; none without values.
    pub(super) fn percentile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.counts.iter().map(|(_, count)| count).sum();
        let rank = rank(share, all);
        let mut below = 0;
        let found = self.counts.iter().find(|(_, count)| {
            below += count;
            below >= rank
        });
        found.map(|(code, _)| value(*code))
    }
}

/// The place from 1 of the value that a share of `all` values is not above.
fn rank(share: f64, all: u64) -> u64 {
    // 0.07 * 100 is a little more than 7 in floating point, and must not become 8.
    ((share * all as f64 * (1.0 - 1e-12)).ceil() as u64).max(1)
}

/// A number's leading bits, in the order of numbers; NaN is the greatest.
fn code(value: f64) -> i32 {
    let bits = canonical(value).abs().to_bits();
    let rounded = (bits + (1 << (DROPPED_BITS - 1))) >> DROPPED_BITS;
    let rounded = if value.is_finite() { rounded.min(INFINITE - 1) } else { rounded };
    if value < 0.0 { -(rounded as i32) } else { rounded as i32 }
}

fn value(code: i32) -> f64 {
    let magnitude = f64::from_bits(u64::from(code.unsigned_abs()) << DROPPED_BITS);
    if code < 0 { -magnitude } else { magnitude }
}

impl Sketch for Rounded {
    fn write(&self, out: &mut Vec<u8>) {
        for (code, count) in &self.counts {
            out.extend_from_slice(&code.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    fn merge(&mut self, written: &[u8]) -> bool {
        let (entries, odd) = written.as_chunks::<WRITTEN>();
        for entry in entries {
            let [c0, c1, c2, c3, n0, n1, n2, n3, n4, n5, n6, n7] = *entry;
            let code = i32::from_le_bytes([c0, c1, c2, c3]);
            self.add(code, u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]));
        }
        odd.is_empty()
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<(i32, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_to_256_and_the_ends_of_the_range_are_themselves() {
        let exact = [f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.5, -0.375];
        for number in (-256..=256).map(f64::from).chain(exact) {
            assert_eq!(value(code(number)), number);
        }
        assert!(value(code(f64::NAN)).is_nan() && value(code(-f64::NAN)).is_nan());
        assert!(value(code(f64::MAX)).is_finite());
        assert_eq!(code(-0.0), code(0.0));
    }

    #[test]
    fn shares_that_are_not_exact_in_floating_point_have_the_rank_that_one_expects() {
        for percent in 1..=100 {
            assert_eq!(rank(f64::from(percent) / 100.0, 100), u64::from(percent as u32));
        }
        assert_eq!((rank(0.0, 5), rank(1.0, 5), rank(0.5, 5), rank(0.5, 4)), (1, 5, 3, 2));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(!Rounded::default().merge(&[1, 2, 3]));
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_four_thousandths_of_the_exact_one(
            values in proptest::collection::vec(-1e12f64..1e12, 1..200),
            scale in -200i32..200,
            share in 0.0f64..=1.0,
        ) {
            let mut values: Vec<f64> = values.iter().map(|value| value * 2f64.powi(scale)).collect();
            let mut sketch = Rounded::default();
            values.iter().for_each(|value| sketch.insert(*value));
            values.sort_by(f64::total_cmp);
            let exact = values[rank(share, values.len() as u64) as usize - 1];
            let found = sketch.percentile(share).unwrap();
            prop_assert!((found - exact).abs() <= exact.abs() * 0.004, "{found} for {exact}");
        }
    }
}
