//! Time cut into stretches, each with something of its own: as long as is right for what there is, and never
//! over each other.

use std::collections::BTreeMap;

/// With more of them, new ones are longer.
const STRETCHES_MAX: usize = 24;

/// How many there are to be of what comes first.
const STRETCHES_WANTED: u64 = 8;

/// Stretches of time that something is in.
#[derive(Debug)]
pub(super) struct Stretches<T> {
    /// By start: the last microsecond, and what there is.
    all: BTreeMap<i64, (i64, T)>,
    /// New ones last two to this power of microseconds.
    bits: u32,
}

impl<T> Stretches<T> {
    pub(super) const fn new() -> Self {
        Self { all: BTreeMap::new(), bits: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// So many.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them in the order of time.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.all.values().map(|(_, value)| value)
    }

    /// Where they begin.
    pub(super) fn starts(&self) -> Vec<i64> {
        self.all.keys().copied().collect()
    }

    /// First and last microsecond of the earliest one.
    pub(super) fn first(&self) -> Option<(i64, i64)> {
        self.all.first_key_value().map(|(start_us, (last_us, _))| (*start_us, *last_us))
    }

    /// The one that begins there, and its last microsecond.
    pub(super) fn get_mut(&mut self, start_us: i64) -> Option<(i64, &mut T)> {
        self.all.get_mut(&start_us).map(|(last_us, value)| (*last_us, value))
    }

    pub(super) fn remove(&mut self, start_us: i64) -> Option<T> {
        self.all.remove(&start_us).map(|(_, value)| value)
    }

    /// Makes new ones as long as is right for times that are so far apart, or for those that there are.
    pub(super) fn suit(&mut self, spread_us: u64) {
        let wanted = |spread_us: u64| u64::BITS - (spread_us / STRETCHES_WANTED).leading_zeros();
        match (self.all.first_key_value(), self.all.last_key_value()) {
            (Some((first_us, _)), Some((last_us, _))) if self.all.len() > STRETCHES_MAX => {
                self.bits = self.bits.max(wanted(last_us.abs_diff(*first_us)));
            }
            (None, None) => self.bits = wanted(spread_us),
            _ => {}
        }
    }

    /// Where the one begins that a time is in, or is to be in.
    pub(super) fn start_of(&self, time_us: i64) -> i64 {
        self.around(time_us).0
    }

    /// The one that begins there, as [`Stretches::start_of`] said of this time.
    pub(super) fn at(&mut self, time_us: i64, new: impl FnOnce() -> T) -> &mut T {
        let (start_us, last_us) = self.around(time_us);
        &mut self.all.entry(start_us).or_insert_with(|| (last_us, new())).1
    }

    fn around(&self, time_us: i64) -> (i64, i64) {
        let before =
            self.all.range(..=time_us).next_back().map(|(start_us, (last_us, _))| (*start_us, *last_us));
        if let Some(found) = before.filter(|(_, last_us)| *last_us >= time_us) {
            return found;
        }
        let after_us = self.all.range(time_us..).next().map(|(start_us, _)| *start_us);
        let mut bits = self.bits.min(u64::BITS - 2);
        loop {
            let start_us = time_us >> bits << bits;
            let last_us = start_us | ((1 << bits) - 1);
            let is_free = before.is_none_or(|(_, last)| last < start_us)
                && after_us.is_none_or(|after| after > last_us);
            if is_free || bits == 0 {
                return (start_us, last_us);
            }
            bits -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_time_is_in_one_stretch_whatever_their_lengths(
            rounds in proptest::collection::vec((any::<u64>(), 0u32..64, proptest::collection::vec(
                prop_oneof![-1000i64..1000, any::<i64>()], 1..30)), 1..10),
        ) {
            let mut stretches = Stretches::new();
            for (spread_us, shift, times_us) in rounds {
                stretches.suit(spread_us >> shift);
                for time_us in times_us {
                    let start_us = stretches.start_of(time_us);
                    stretches.at(time_us, Vec::new).push(time_us);
                    prop_assert_eq!(stretches.start_of(time_us), start_us);
                    let (last_us, inside) = stretches.get_mut(start_us).unwrap();
                    prop_assert!(start_us <= time_us && time_us <= last_us);
                    prop_assert!(inside.iter().all(|time_us| (start_us..=last_us).contains(time_us)));
                }
            }
            let starts = stretches.starts();
            for pair in starts.windows(2) {
                prop_assert!(stretches.get_mut(pair[0]).unwrap().0 < pair[1]);
            }
        }
    }

    #[test]
    fn times_an_hour_apart_make_about_eight_stretches() {
        let mut stretches = Stretches::new();
        let hour_us = 3_600_000_000i64;
        stretches.suit(hour_us.unsigned_abs());
        (0..1000i64).for_each(|n| *stretches.at(n * 3_600_000, || 0) += 1);
        assert!((4..=17).contains(&stretches.len()), "{}", stretches.len());
        // Ten days more, with room made for each hour.
        for n in 1..240i64 {
            stretches.suit(hour_us.unsigned_abs());
            *stretches.at(n * hour_us, || 0) += 1;
        }
        assert!(stretches.len() < 64, "{}", stretches.len());
    }
}
