//! Chance that can be repeated: all random choices of a test come from one printed seed.

use std::time::Duration;

/// The seed unless the environment says another.
const SEED: u64 = 0x6d69_6c6c_7374_7265;

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    /// The stream of the test `name`; prints how to repeat it.
    pub(crate) fn of(name: &str) -> Self {
        let seed = match std::env::var("MILLSTREAM_CRASH_SEED") {
            Ok(seed) => seed.parse().expect("MILLSTREAM_CRASH_SEED is a number"),
            Err(_) => SEED,
        };
        println!("{name}: MILLSTREAM_CRASH_SEED={seed}");
        Self(name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// Waits for up to `longest`. The only sleep in these tests: a condition would make the same
    /// moments of the server's work come up each time, and what is looked for are the moments nobody
    /// thought of.
    pub(crate) fn pause(&mut self, longest: Duration) {
        let longest_us = u64::try_from(longest.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(self.below(longest_us + 1)));
    }
}
