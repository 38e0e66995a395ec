//! What waits in a journal, in memory: sizes of all that is not planned yet, and the newest bytes,
//! so that a batch that follows at once reads no file.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::source::Limits;

/// Bytes of the newest entries that stay in memory besides the file.
const RECENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// About so many bytes make a split, so that workers share a large batch.
const SPLIT_BYTES: u64 = 1024 * 1024;

/// One offer that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) records: u64,
    pub(crate) bytes: Bytes,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    offset: u64,
    records: u64,
    bytes: u64,
}

/// Entries by offset: those that wait for a plan, and the newest with their bytes.
#[derive(Debug)]
pub(crate) struct Index {
    next: u64,
    waiting: VecDeque<Waiting>,
    recent: VecDeque<Entry>,
    recent_bytes: usize,
    recent_bytes_max: usize,
}

impl Index {
    /// An index whose recent entries are a cache of a file.
    pub(crate) fn over_file(next: u64) -> Self {
        Self {
            next,
            waiting: VecDeque::new(),
            recent: VecDeque::new(),
            recent_bytes: 0,
            recent_bytes_max: RECENT_BYTES_MAX,
        }
    }

    /// An index that is all there is: nothing is forgotten before it is taken.
    pub(crate) fn alone() -> Self {
        Self { recent_bytes_max: usize::MAX, ..Self::over_file(1) }
    }

    /// The offset the next entry gets.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// An entry that is in the file already.
    pub(crate) fn found(&mut self, offset: u64, records: u64, bytes: u64) {
        self.waiting.push_back(Waiting { offset, records, bytes });
        self.next = self.next.max(offset + 1);
    }

    /// An entry that has just become safe.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.found(entry.offset, entry.records, entry.bytes.len() as u64);
        self.recent_bytes += entry.bytes.len();
        self.recent.push_back(entry);
        while self.recent_bytes > self.recent_bytes_max {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.bytes.len();
        }
    }

    /// Takes what waits, within the limits but at least one entry: ranges of offsets `[from, to)`
    /// and their bytes.
    pub(crate) fn plan(&mut self, limits: Limits) -> (Vec<(u64, u64)>, u64) {
        let (mut rows, mut bytes, mut split_bytes) = (0, 0, 0);
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        while let Some(entry) = self.waiting.front().copied() {
            let over = rows + entry.records > limits.rows || bytes + entry.bytes > limits.bytes;
            if over && !ranges.is_empty() {
                break;
            }
            match ranges.last_mut() {
                Some((_, to)) if *to == entry.offset && split_bytes + entry.bytes <= SPLIT_BYTES => *to += 1,
                _ => {
                    ranges.push((entry.offset, entry.offset + 1));
                    split_bytes = 0;
                }
            }
            rows += entry.records;
            bytes += entry.bytes;
            split_bytes += entry.bytes;
            self.waiting.pop_front();
        }
        (ranges, bytes)
    }

    /// Everything before `offset` is planned. What comes next gets no offset before that, even when
    /// the file was moved away or the entries were never written to one.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.next = self.next.max(offset);
        while self.waiting.front().is_some_and(|entry| entry.offset < offset) {
            self.waiting.pop_front();
        }
    }

    /// Bytes that wait for a plan.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting.iter().map(|entry| entry.bytes).sum()
    }

    /// The recent entries of a range, if all of it is recent.
    pub(crate) fn recent(&self, from: u64, to: u64) -> Option<Vec<Entry>> {
        let first = self.recent.front()?.offset;
        if from < first {
            return None;
        }
        let skip = usize::try_from(from - first).ok()?;
        let take = usize::try_from(to - from).ok()?;
        let entries: Vec<Entry> = self.recent.iter().skip(skip).take(take).cloned().collect();
        (entries.len() == take).then_some(entries)
    }

    /// Everything before `offset` is not read again.
    pub(crate) fn forget_before(&mut self, offset: u64) -> u64 {
        let mut freed = 0;
        while self.recent.front().is_some_and(|entry| entry.offset < offset) {
            let Some(entry) = self.recent.pop_front() else { break };
            self.recent_bytes -= entry.bytes.len();
            freed += entry.bytes.len() as u64;
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: u64, size: usize) -> Entry {
        Entry { offset, records: 1, bytes: Bytes::from(vec![0; size]) }
    }

    #[test]
    fn a_plan_takes_at_least_one_entry_and_stays_in_its_limits() {
        let mut index = Index::over_file(1);
        for offset in 1..=5 {
            index.add(entry(offset, 10));
        }
        assert_eq!(index.plan(Limits { rows: 2, bytes: 1000 }), (vec![(1, 3)], 20));
        assert_eq!(index.plan(Limits { rows: 100, bytes: 1 }), (vec![(3, 4)], 10));
        assert_eq!(index.plan(Limits { rows: 100, bytes: 1000 }), (vec![(4, 6)], 20));
        assert_eq!(index.plan(Limits { rows: 100, bytes: 1000 }), (vec![], 0));
    }

    #[test]
    fn large_batches_are_cut_into_splits() {
        let mut index = Index::over_file(1);
        for offset in 1..=4 {
            index.add(entry(offset, 600_000));
        }
        assert_eq!(index.plan(Limits { rows: 100, bytes: u64::MAX }).0, vec![(1, 2), (2, 3), (3, 4), (4, 5)]);
    }

    #[test]
    fn nothing_new_gets_an_offset_that_a_checkpoint_covers() {
        let mut index = Index::over_file(1);
        index.skip_to(7);
        assert_eq!(index.next(), 7);
    }

    #[test]
    fn only_whole_ranges_are_answered_from_memory() {
        let mut index = Index::over_file(7);
        index.add(entry(7, 1));
        index.add(entry(8, 1));
        assert_eq!(index.recent(7, 9).unwrap().len(), 2);
        assert!(index.recent(6, 8).is_none());
        assert!(index.recent(8, 10).is_none());
        assert_eq!(index.forget_before(8), 1);
        assert!(index.recent(7, 8).is_none());
    }
}
