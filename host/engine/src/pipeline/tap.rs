//! Live taps: whoever watches an entry sees the rows that pass it. Costs a flag a chunk while nobody does.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow_array::RecordBatch;

use super::status::TapRows;
use crate::batch::BatchId;

/// Is given rows until it answers false; must not block.
pub type TapFn = Box<dyn Fn(TapRows) -> bool + Send + Sync>;

/// The taps of each entry, by its place in the graph.
pub(crate) struct Taps {
    entries: Vec<Taps1>,
}

#[derive(Default)]
struct Taps1 {
    any: AtomicBool,
    /// Guards the list; held while rows are given.
    list: Mutex<Vec<(usize, TapFn)>>,
}

impl Taps {
    pub(crate) fn new(entries: usize) -> Self {
        Self { entries: (0..entries).map(|_| Taps1::default()).collect() }
    }

    /// Watches one of an entry's outputs.
    pub(crate) fn add(&self, entry: usize, port: usize, tap: TapFn) {
        let entry = &self.entries[entry];
        entry.list.lock().unwrap_or_else(PoisonError::into_inner).push((port, tap));
        entry.any.store(true, Ordering::Release);
    }

    pub(crate) fn give(&self, entry: usize, port: usize, batch: BatchId, rows: &RecordBatch) {
        let entry = &self.entries[entry];
        if !entry.any.load(Ordering::Acquire) {
            return;
        }
        let mut list = entry.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(watched, tap)| *watched != port || tap(TapRows { batch, rows: rows.clone() }));
        entry.any.store(!list.is_empty(), Ordering::Release);
    }
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taps").field("entries", &self.entries.len()).finish()
    }
}
