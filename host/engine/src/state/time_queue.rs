//! Which ids are due at a time. A time that moves on, as a timer does with each row, costs nothing:
//! the queue goes on with the earlier one and asks for the true one when that has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Never: no queue holds it.
pub const NEVER: i64 = i64::MAX;

/// Entries that are looked at in one call of `earliest` before it gives an earlier time than the true one.
const LOOKS_MAX: usize = 256;

/// Dense ids by time. The owner has each id's true time; the queue knows one that is not after it.
#[derive(Debug, Default)]
pub struct TimeQueue {
    heap: BinaryHeap<Reverse<(i64, u32)>>,
    /// By id: the earliest of its entries that count, or `NEVER`.
    queued_us: Vec<i64>,
}

impl TimeQueue {
    /// The time of an id is now `at_us`, or [`NEVER`].
    pub fn set(&mut self, id: u32, at_us: i64) {
        let id = id as usize;
        if self.queued_us.len() <= id {
            self.queued_us.resize(id + 1, NEVER);
        }
        if at_us < self.queued_us[id] {
            self.queued_us[id] = at_us;
            self.heap.push(Reverse((at_us, id as u32)));
        }
    }

    /// Takes an id whose time, given by `time_of`, is at or before `now_us`; it is not given again until its
    /// time is set.
    pub fn take_due(&mut self, now_us: i64, time_of: impl Fn(u32) -> i64) -> Option<(i64, u32)> {
        while let Some(&Reverse((at_us, id))) = self.heap.peek().filter(|first| first.0.0 <= now_us) {
            let Some(time_us) = self.look(at_us, id, &time_of) else { continue };
            if time_us <= now_us {
                self.heap.pop();
                self.queued_us[id as usize] = NEVER;
                return Some((time_us, id));
            }
        }
        None
    }

    /// The least time of all ids, or one before it when many have moved on.
    pub fn earliest(&mut self, time_of: impl Fn(u32) -> i64) -> Option<i64> {
        for _ in 0..LOOKS_MAX {
            let &Reverse((at_us, id)) = self.heap.peek()?;
            if let Some(time_us) = self.look(at_us, id, &time_of) {
                return Some(time_us);
            }
        }
        self.heap.peek().map(|first| first.0.0)
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.queued_us.clear();
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.heap.capacity() * size_of::<(i64, u32)>() + self.queued_us.capacity() * size_of::<i64>()
    }

    /// The time of the first entry if it is the true one; otherwise puts the entry right.
    fn look(&mut self, at_us: i64, id: u32, time_of: &impl Fn(u32) -> i64) -> Option<i64> {
        if self.queued_us[id as usize] == at_us {
            let time_us = time_of(id);
            if time_us == at_us {
                return Some(time_us);
            }
            self.queued_us[id as usize] = NEVER;
            self.heap.pop();
            self.set(id, time_us);
        } else {
            self.heap.pop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_that_moves_on_takes_no_memory() {
        let mut queue = TimeQueue::default();
        (0..1000).for_each(|at_us| queue.set(0, at_us));
        assert_eq!(queue.heap.len(), 1);
        assert_eq!(queue.take_due(998, |_| 999), None);
        assert_eq!(queue.take_due(999, |_| 999), Some((999, 0)));
        assert_eq!(queue.earliest(|_| NEVER), None);
    }

    proptest! {
        #[test]
        fn due_ids_are_those_of_a_plain_list(
            steps in proptest::collection::vec((0u32..6, 0i64..50, 0i64..4), 1..200)
        ) {
            let mut queue = TimeQueue::default();
            let mut times = [NEVER; 6];
            let mut now_us = 0;
            for (id, at_us, passed_us) in steps {
                times[id as usize] = if at_us == 0 { NEVER } else { now_us + at_us - 10 };
                queue.set(id, times[id as usize]);
                let least = times.iter().copied().min().filter(|least| *least < NEVER);
                prop_assert_eq!(queue.earliest(|id| times[id as usize]), least);
                now_us += passed_us;
                while let Some((time_us, id)) = queue.take_due(now_us, |id| times[id as usize]) {
                    prop_assert_eq!(time_us, times[id as usize]);
                    times[id as usize] = NEVER;
                }
                prop_assert!(times.iter().all(|time_us| *time_us > now_us));
            }
        }
    }
}
