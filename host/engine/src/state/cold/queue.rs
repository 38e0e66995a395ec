//! When keys that are not in memory have to come back: keys by time, in logs of the scratch file.
//!
//! A log holds a stretch of time: the further away it is from the clock, the longer the stretch. When the
//! clock comes to one, what is due is taken out of it and the rest goes into shorter ones. So a key is
//! written a few times however far away its time is, there are few logs, and memory knows of nothing else.
//!
//! The queue does not know what has become of a key: who takes it out looks, and may have put it in twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, BinaryArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, TimeUnit};

use super::{ColdLog, ColdStore, Payload};
use crate::state::StateError;

/// A stretch is so many bits longer than that of the level below: of each level there are 16.
const LEVEL_BITS: u32 = 4;

/// Keys by time in a [`ColdStore`].
#[derive(Debug)]
pub struct ColdQueue {
    payload: Arc<Payload>,
    /// By level and number.
    logs: BTreeMap<(u32, u64), Stretch>,
    now_us: i64,
}

#[derive(Debug)]
struct Stretch {
    log: ColdLog,
    /// No key of it is due earlier.
    min_us: i64,
}

/// Keys with their times.
#[derive(Debug)]
pub struct Due {
    /// The encoded keys.
    pub keys: BinaryArray,
    /// The time of each.
    pub times_us: TimestampMicrosecondArray,
}

impl ColdQueue {
    /// Nothing waits.
    ///
    /// # Errors
    /// Never: times can be written.
    pub fn new() -> Result<Self, StateError> {
        let time = Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), false);
        Ok(Self { payload: Arc::new(Payload::new([&time])?), logs: BTreeMap::new(), now_us: i64::MIN })
    }

    /// The earliest time at which a key waits.
    #[must_use]
    pub fn earliest(&self) -> Option<i64> {
        self.logs.values().map(|stretch| stretch.min_us).min()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entries: usize = self.logs.values().map(|stretch| stretch.log.entries().len() * 8).sum();
        entries + self.logs.len() * (size_of::<Stretch>() + size_of::<(u32, u64)>())
    }

    /// Lets keys wait until times.
    ///
    /// # Errors
    /// When the disk is full or the file fails.
    pub fn put(
        &mut self,
        store: &mut ColdStore,
        keys: &BinaryArray,
        times_us: &[i64],
    ) -> Result<(), StateError> {
        let mut logs: BTreeMap<(u32, u64), (BinaryBuilder, Vec<i64>)> = BTreeMap::new();
        for (key, time_us) in keys.iter().zip(times_us) {
            let (keys, times_us) = logs.entry(self.place_of(*time_us)).or_default();
            keys.append_option(key);
            times_us.push(*time_us);
        }
        for (place, (mut keys, times_us)) in logs {
            let min_us = times_us.iter().copied().min().unwrap_or(i64::MAX);
            let new = || Stretch { log: ColdLog::new(Arc::clone(&self.payload)), min_us };
            let stretch = self.logs.entry(place).or_insert_with(new);
            stretch.min_us = stretch.min_us.min(min_us);
            let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times_us));
            store.append(&mut stretch.log, min_us, &keys.finish(), &[times])?;
        }
        Ok(())
    }

    /// Appends to `due` what is, in pieces; each key comes as often as it was put in.
    ///
    /// # Errors
    /// When the disk is full or the file fails.
    pub fn take_due(
        &mut self,
        store: &mut ColdStore,
        now_us: i64,
        due: &mut Vec<Due>,
    ) -> Result<(), StateError> {
        self.now_us = self.now_us.max(now_us);
        let places = self.logs.iter().filter(|(_, stretch)| stretch.min_us <= now_us);
        let places: Vec<(u32, u64)> = places.map(|(place, _)| *place).collect();
        for mut stretch in places.iter().filter_map(|place| self.logs.remove(place)).collect::<Vec<_>>() {
            for entry in 0..stretch.log.entries().len() {
                let Some(rows) = store.entry(&stretch.log, entry)? else { break };
                let times = rows.payload[0].as_primitive::<TimestampMicrosecondType>();
                let (mut keys, mut times_us) = (BinaryBuilder::new(), Vec::new());
                let (mut later, mut later_us) = (BinaryBuilder::new(), Vec::new());
                for (key, time_us) in rows.keys.iter().zip(times.values()) {
                    let (keys, times_us) = match *time_us <= now_us {
                        true => (&mut keys, &mut times_us),
                        false => (&mut later, &mut later_us),
                    };
                    keys.append_option(key);
                    times_us.push(*time_us);
                }
                self.put(store, &later.finish(), &later_us)?;
                if !times_us.is_empty() {
                    due.push(Due { keys: keys.finish(), times_us: times_us.into() });
                }
            }
            store.clear(&mut stretch.log)?;
        }
        Ok(())
    }

    /// Level and number of the stretch of a time.
    fn place_of(&self, time_us: i64) -> (u32, u64) {
        // In the order of unsigned numbers.
        let [now, time] = [self.now_us, time_us.max(self.now_us)].map(|us| us.cast_unsigned() ^ (1 << 63));
        let level = (u64::BITS - (time ^ now).leading_zeros()).saturating_sub(1) / LEVEL_BITS;
        (level, time >> (level * LEVEL_BITS))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(queue: &mut ColdQueue, store: &mut ColdStore, now_us: i64) -> Vec<(Vec<u8>, i64)> {
        let mut due = Vec::new();
        queue.take_due(store, now_us, &mut due).unwrap();
        let rows = due.iter().flat_map(|due| {
            due.keys.iter().map(|key| key.unwrap().to_vec()).zip(due.times_us.values().iter().copied())
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn keys_are_due_when_those_of_a_plain_list_are(
            rounds in proptest::collection::vec((
                proptest::collection::vec((any::<u8>(), prop_oneof![
                    -50i64..500, 0i64..2_000_000, any::<i64>()]), 0..40),
                prop_oneof![0i64..5, 0i64..400, 0i64..1_000_000]), 1..20),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut store = ColdStore::new(dir.path().join("queue.db"));
            let mut queue = ColdQueue::new().unwrap();
            let mut model: Vec<(Vec<u8>, i64)> = Vec::new();
            let mut now_us = -20;
            for (keys, passed_us) in rounds {
                let times_us: Vec<i64> = keys.iter().map(|(_, time_us)| *time_us).collect();
                let keys: BinaryArray = keys.iter().map(|(key, _)| Some([*key])).collect();
                queue.put(&mut store, &keys, &times_us).unwrap();
                model.extend(keys.iter().map(|key| key.unwrap().to_vec()).zip(times_us));
                prop_assert_eq!(queue.earliest(), model.iter().map(|(_, time_us)| *time_us).min());
                now_us += passed_us;
                let (mut due, later): (Vec<_>, Vec<_>) =
                    model.into_iter().partition(|(_, time_us)| *time_us <= now_us);
                due.sort();
                prop_assert_eq!(take(&mut queue, &mut store, now_us), due);
                model = later;
            }
        }
    }

    #[test]
    fn a_key_far_away_is_written_a_few_times_and_memory_knows_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ColdStore::new(dir.path().join("queue.db"));
        let mut queue = ColdQueue::new().unwrap();
        take(&mut queue, &mut store, 1_000_000_000);
        let hour_us = 3_600_000_000;
        let keys: BinaryArray = (0..50_000i64).map(|n| Some(n.to_le_bytes())).collect();
        let times_us: Vec<i64> = (0..50_000).map(|n| 1_000_000_000 + hour_us * 10 + n * 72_000).collect();
        queue.put(&mut store, &keys, &times_us).unwrap();
        let mut seen = 0;
        for second in 0..40_000 {
            seen += take(&mut queue, &mut store, 1_000_000_000 + second * 1_000_000).len();
            assert!(queue.logs.len() < 100, "{}", queue.logs.len());
            assert!(queue.bytes() < 64 << 10, "{}", queue.bytes());
        }
        assert_eq!(seen, 50_000);
    }
}
