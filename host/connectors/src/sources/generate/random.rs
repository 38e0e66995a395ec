//! Numbers that look random and are a function of a seed and a row: SplitMix64's finalizer, which
//! needs no state, so any row can be made without those before it.

/// A seed of its own for each column.
pub(crate) fn stream(seed: u64, column: u64) -> u64 {
    mix(seed ^ mix(column.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// The number of a row.
#[inline]
pub(crate) fn number(stream: u64, row: u64) -> u64 {
    mix(stream.wrapping_add(row.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// A number below `bound`, evenly; `bound` is not 0.
#[inline]
pub(crate) fn below(number: u64, bound: u64) -> u64 {
    let product = u128::from(number) * u128::from(bound);
    u64::try_from(product >> 64).unwrap_or(0)
}

/// A number from 0 up to and without 1.
#[inline]
pub(crate) fn unit(number: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a float holds exactly")]
    let numerator = (number >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
