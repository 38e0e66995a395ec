//! Results that go on early, every so often by the plan's clock, of the groups that have changed since the
//! last time; the final ones follow.
//!
//! When a group was touched last is one more function over it. So it is merged, copied and restored as
//! the values are, and the same groups go on when batches run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, BinaryArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field};
use arrow_select::filter::filter;

use crate::batch::timestamp_us;
use crate::state::StateError;
use crate::state::accumulators::{Accumulator, PairSet};

/// The name of the function in schemas of state; no output column is called so.
pub(super) const NAME: &str = " touched";

/// What a group has that no batch has touched.
const NEVER: i64 = i64::MIN;

/// The time of the current batch, for all tables of a step on one worker.
#[derive(Clone, Debug)]
pub(super) struct BatchTime(Arc<AtomicI64>);

impl Default for BatchTime {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(NEVER)))
    }
}

impl BatchTime {
    pub(super) fn set(&self, now_us: i64) {
        self.0.store(now_us, Ordering::Relaxed);
    }

    pub(super) fn accumulator(&self) -> Box<dyn Accumulator> {
        Box::new(Touched { now: self.clone(), times_us: Vec::new() })
    }
}

/// The time of the batch that touched each group last.
struct Touched {
    now: BatchTime,
    times_us: Vec<i64>,
}

impl Accumulator for Touched {
    fn data_type(&self) -> DataType {
        timestamp_us()
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("at", timestamp_us(), false)]
    }

    fn resize(&mut self, groups: usize) {
        self.times_us.resize(groups, NEVER);
    }

    fn update(&mut self, groups: &[u32], _: &[ArrayRef]) -> Result<(), StateError> {
        let now_us = self.now.0.load(Ordering::Relaxed);
        groups.iter().for_each(|&group| self.times_us[group as usize] = now_us);
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let column = state.first().and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let column = column.ok_or_else(|| StateError::Mismatch("the time of a group is no time".into()))?;
        for (&group, &time_us) in groups.iter().zip(column.values()) {
            let known = &mut self.times_us[group as usize];
            *known = time_us.max(*known);
        }
        Ok(())
    }

    fn reset(&mut self, groups: &[u32]) {
        groups.iter().for_each(|&group| self.times_us[group as usize] = NEVER);
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        Ok(vec![self.finish(groups)?])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let times = groups.iter().map(|&group| self.times_us[group as usize]);
        Ok(Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.times_us.clear();
    }

    fn bytes(&self) -> usize {
        self.times_us.capacity() * size_of::<i64>()
    }
}

/// Those of the keys that batches after `since_us` have touched, by the states of all functions.
pub(super) fn touched_after(
    since_us: i64,
    keys: &BinaryArray,
    states: &[ArrayRef],
) -> Result<BinaryArray, StateError> {
    let times = states.last().and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| StateError::Mismatch("the time of a group is no time".into()))?;
    let touched = times.values().iter().map(|at| Some(*at > since_us)).collect();
    Ok(filter(keys, &touched)?.as_binary().clone())
}

/// When results went on early.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rhythm {
    /// The last time; the first batch's, when they never did.
    pub(super) last_us: Option<i64>,
    pub(super) copied_us: Option<i64>,
    /// Groups may have changed since then.
    pub(super) pending: bool,
}

impl Rhythm {
    /// Ends a batch at `now_us`; if it is time, the groups that changed after what is returned go on. Whether
    /// any did makes no difference: other workers have other groups and the same rhythm.
    pub(super) fn beat(&mut self, every_us: i64, now_us: i64, touched: bool) -> Option<i64> {
        self.pending |= touched;
        // What the first batch brings has changed after it was not there.
        let last_us = *self.last_us.get_or_insert(now_us.saturating_sub(1));
        if now_us.saturating_sub(last_us) < every_us {
            return None;
        }
        (self.last_us, self.pending) = (Some(now_us), false);
        Some(last_us)
    }

    /// When the next results are due, if there may be any.
    pub(super) fn due_us(&self, every_us: i64) -> Option<i64> {
        self.last_us.filter(|_| self.pending).map(|last_us| last_us.saturating_add(every_us))
    }
}
