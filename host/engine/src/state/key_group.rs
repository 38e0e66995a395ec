//! Keys belong to key groups for ever, and key groups to workers until the parallelism changes.

use xxhash_rust::xxh3::xxh3_64;

/// Number of key groups: an upper bound of a pipeline's parallelism.
pub const KEY_GROUPS: u32 = 256;

/// The hash of an encoded key: XXH3, 64 bits, without a seed. It is part of the state format:
/// it must not change while checkpoints live.
#[must_use]
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The key group of a hash: its highest bits, so that tables can use the lowest.
#[must_use]
#[inline]
pub const fn key_group(hash: u64) -> u32 {
    (hash >> 56) as u32
}

/// The worker that owns a key group: groups are dealt in contiguous ranges.
#[must_use]
#[inline]
pub const fn owner(group: u32, workers: u32) -> u32 {
    group * workers / KEY_GROUPS
}
