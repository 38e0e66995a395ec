//! The groups of one window (or of all rows, without windows) and their values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow_cast::display::array_value_to_string;

use super::PIECE_ROWS;
use super::config::{FunctionConfig, Plan, deal, result_columns};
use crate::state::accumulators::Accumulator;
use crate::state::cold::ColdRows;
use crate::state::{GroupTable, KeyCodec, KeyColumn, StateError};
use crate::steps::on_time::show;
use crate::steps::{RejectedRow, StepError};
use crate::windows::Window;

/// Groups and their values, and which of them changed.
pub(super) struct Table {
    groups: GroupTable,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// The last batch that touched each group, as a number that `settle` counts up.
    stamps: Vec<u32>,
    stamp: u32,
    touched: Vec<u32>,
    /// Chunks of rows that were added.
    additions: u64,
    /// Groups touched since the last snapshot.
    changed: Vec<u32>,
    is_changed: Vec<bool>,
}

impl Table {
    pub(super) fn new(plan: &Plan) -> Result<Self, StateError> {
        Ok(Self {
            groups: GroupTable::default(),
            accumulators: plan.accumulators()?,
            stamps: Vec::new(),
            stamp: 1,
            touched: Vec::new(),
            additions: 0,
            changed: Vec::new(),
            is_changed: Vec::new(),
        })
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn groups(&self) -> &GroupTable {
        &self.groups
    }

    pub(super) fn accumulators(&self) -> &[Box<dyn Accumulator>] {
        &self.accumulators
    }

    pub(super) fn accumulators_mut(&mut self) -> &mut [Box<dyn Accumulator>] {
        &mut self.accumulators
    }

    /// Groups that the current batch touched, in the order of first touch.
    pub(super) fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// Groups that changed since the last snapshot.
    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// Sets `ids` to the groups of keys, and makes room for those that are new.
    pub(super) fn find(&mut self, keys: &KeyColumn, ids: &mut Vec<u32>) -> Result<(), StateError> {
        let before = self.groups.len();
        self.groups.groups(keys, ids)?;
        let after = self.groups.len();
        if after > before {
            self.accumulators.iter_mut().for_each(|accumulator| accumulator.resize(after));
            self.stamps.resize(after, 0);
            self.is_changed.resize(after, false);
        }
        Ok(())
    }

    /// Takes the arguments of rows, those of all functions one after the other.
    pub(super) fn update(
        &mut self,
        ids: &[u32],
        functions: &[FunctionConfig],
        arguments: &[ArrayRef],
    ) -> Result<(), StateError> {
        for (accumulator, own) in self.accumulators.iter_mut().zip(deal(functions, arguments)) {
            accumulator.update(ids, own)?;
        }
        // What is behind the functions has no arguments.
        self.accumulators[functions.len()..].iter_mut().try_for_each(|other| other.update(ids, &[]))
    }

    /// Groups that batches after `since_us` have touched, by encoded key.
    pub(super) fn touched_after(&self, since_us: i64) -> Result<Vec<u32>, StateError> {
        let all = self.sorted();
        let Some(last) = self.accumulators.last() else { return Ok(Vec::new()) };
        let times = last.finish(&all)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        Ok(all.into_iter().zip(times.values()).filter(|(_, at)| **at > since_us).map(|(id, _)| id).collect())
    }

    /// The first function that cannot take all of these rows, and those that it cannot take.
    pub(super) fn refusals(
        &mut self,
        ids: &[u32],
        functions: &[FunctionConfig],
        arguments: &[ArrayRef],
    ) -> Result<Option<(usize, Vec<RejectedRow>)>, StateError> {
        let own = deal(functions, arguments);
        for (number, (accumulator, own)) in self.accumulators.iter_mut().zip(own).enumerate() {
            let refused = accumulator.refusals(ids, own)?;
            if !refused.is_empty() {
                return Ok(Some((number, refused)));
            }
        }
        Ok(None)
    }

    /// Forgets the groups from this one on, which no row has come to.
    pub(super) fn truncate(&mut self, groups: usize) -> Result<(), StateError> {
        self.groups.truncate(groups)?;
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.resize(groups));
        self.stamps.truncate(groups);
        self.is_changed.truncate(groups);
        Ok(())
    }

    /// Takes the states of functions, one after the other.
    pub(super) fn merge(&mut self, ids: &[u32], mut states: &[ArrayRef]) -> Result<(), StateError> {
        for accumulator in &mut self.accumulators {
            let (own, rest) = states.split_at_checked(accumulator.state_fields().len()).ok_or_else(|| {
                StateError::Mismatch("gathered rows have fewer columns than the functions have states".into())
            })?;
            accumulator.merge(ids, own)?;
            states = rest;
        }
        Ok(())
    }

    /// A number that is another one once rows were added.
    pub(super) fn additions(&self) -> u64 {
        self.additions
    }

    /// Notes that the current batch touched these groups.
    pub(super) fn touch(&mut self, ids: &[u32]) {
        self.additions += 1;
        let mut count = self.touched.len();
        self.touched.resize(count + ids.len(), 0);
        let (touched, stamps, stamp) = (self.touched.as_mut_slice(), self.stamps.as_mut_slice(), self.stamp);
        for &id in ids {
            // Written always and counted if new: a branch would be guessed wrong too often.
            touched[count] = id;
            let last = &mut stamps[id as usize];
            count += usize::from(*last != stamp);
            *last = stamp;
        }
        self.touched.truncate(count);
    }

    /// Ends the batch: what it touched has changed for the next snapshot.
    pub(super) fn settle(&mut self) {
        for &id in &self.touched {
            if !std::mem::replace(&mut self.is_changed[id as usize], true) {
                self.changed.push(id);
            }
        }
        self.touched.clear();
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.stamps.fill(0);
            self.stamp = 1;
        }
    }

    /// Notes that a snapshot holds everything.
    pub(super) fn mark_copied(&mut self) {
        for &id in &self.changed {
            self.is_changed[id as usize] = false;
        }
        self.changed.clear();
        self.accumulators
            .iter_mut()
            .filter_map(|accumulator| accumulator.pairs())
            .for_each(|pairs| pairs.mark_copied());
    }

    /// The ids of all groups.
    pub(super) fn all(&self) -> Vec<u32> {
        (0..self.len() as u32).collect()
    }

    /// How many batches ago each group was touched.
    pub(super) fn ages(&self) -> impl Iterator<Item = u32> {
        self.stamps.iter().map(|stamp| self.stamp.wrapping_sub(*stamp))
    }

    /// Whether a group changed since the last snapshot.
    pub(super) fn is_changed(&self, id: u32) -> bool {
        self.is_changed[id as usize]
    }

    /// The encoded keys of groups, and the states of all functions.
    pub(super) fn copy(&self, ids: &[u32]) -> Result<(BinaryArray, Vec<ArrayRef>), StateError> {
        let mut states = Vec::new();
        for accumulator in &self.accumulators {
            states.extend(accumulator.state(ids)?);
        }
        Ok((self.groups.keys().gather(ids)?, states))
    }

    /// A table of these groups alone.
    pub(super) fn of(plan: &Plan, rows: &ColdRows) -> Result<Self, StateError> {
        let mut table = Self::new(plan)?;
        table.add(rows)?;
        Ok(table)
    }

    /// Takes groups with the states of their functions.
    pub(super) fn add(&mut self, rows: &ColdRows) -> Result<(), StateError> {
        let mut ids = Vec::new();
        self.groups.reserve(rows.keys.len());
        self.find(&KeyColumn::Bytes(rows.keys.clone()), &mut ids)?;
        self.merge(&ids, &rows.payload)
    }

    /// A table with these groups of this one, between batches.
    pub(super) fn part(&self, plan: &Plan, kept: &[u32]) -> Result<Self, StateError> {
        let mut part = Self::new(plan)?;
        for ids in kept.chunks(PIECE_ROWS) {
            let (keys, payload) = self.copy(ids)?;
            part.add(&ColdRows { keys, payload })?;
        }
        part.stamp = self.stamp;
        part.stamps = kept.iter().map(|id| self.stamps[*id as usize]).collect();
        part.is_changed = kept.iter().map(|id| self.is_changed[*id as usize]).collect();
        part.changed =
            (0..).zip(&part.is_changed).filter(|(_, changed)| **changed).map(|(id, _)| id).collect();
        Ok(part)
    }

    /// All groups by encoded key, so that the order says nothing of what came first.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = (0..self.len() as u32).collect();
        let keys = self.groups.keys();
        ids.sort_unstable_by(|&left, &right| keys.get(left).cmp(&keys.get(right)));
        ids
    }

    /// The results of groups as rows of the output.
    pub(super) fn results(
        &self,
        plan: &Plan,
        codec: &KeyCodec,
        window: Option<Window>,
        ids: &[u32],
    ) -> Result<RecordBatch, StepError> {
        let mut columns = Vec::with_capacity(plan.output.fields().len());
        if let Some(window) = window {
            columns.push(times(window.start_us, ids.len()));
            columns.push(times(window.end_us, ids.len()));
        }
        columns.extend(self.keys(codec, ids).map_err(failed)?);
        for (accumulator, function) in self.accumulators.iter().zip(&plan.config.functions) {
            let column = accumulator.finish(ids);
            let column = column
                .map_err(|error| self.of_group(plan, codec, window, &format!("`{}`", function.name), error));
            columns.extend(result_columns(column?));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
        RecordBatch::try_new_with_options(Arc::clone(&plan.output), columns, &options).map_err(failed)
    }

    /// The key columns of groups.
    pub(super) fn keys(&self, codec: &KeyCodec, ids: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        codec.decode(&self.groups.keys().gather(ids)?)
    }

    /// Forgets all groups and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.clear());
        self.stamps.clear();
        self.touched.clear();
        self.changed.clear();
        self.is_changed.clear();
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let lists = self.stamps.capacity() + self.touched.capacity() + self.changed.capacity();
        self.groups.bytes()
            + self.accumulators.iter().map(|accumulator| accumulator.bytes()).sum::<usize>()
            + lists * size_of::<u32>()
            + self.is_changed.capacity()
    }

    /// An error, with the keys of the group that it is about.
    pub(super) fn of_group(
        &self,
        plan: &Plan,
        codec: &KeyCodec,
        window: Option<Window>,
        function: &str,
        error: StateError,
    ) -> StepError {
        let StateError::Overflow { group, reason } = error else { return StepError::of_state(error) };
        StepError::Failed(format!("{function} of {}: {reason}", self.describe(plan, codec, window, group)))
    }

    /// A group by its keys and window.
    pub(super) fn describe(
        &self,
        plan: &Plan,
        codec: &KeyCodec,
        window: Option<Window>,
        group: u32,
    ) -> String {
        let keys = self.keys(codec, &[group]).unwrap_or_default();
        let window = window.map(|window| format!(" in the window from {}", show(window.start_us)));
        format!("{}{}", describe_keys(plan, &keys), window.unwrap_or_default())
    }
}

/// The keys of a group, each a column of one row, by their names.
pub(super) fn describe_keys(plan: &Plan, keys: &[ArrayRef]) -> String {
    let named = plan.config.keys.iter().zip(keys).map(|(name, key)| {
        let key =
            if key.is_null(0) { "null".into() } else { array_value_to_string(key, 0).unwrap_or_default() };
        format!("{} = {key}", name.name)
    });
    format!("({})", named.collect::<Vec<_>>().join(", "))
}

/// A column that has one time in all rows.
pub(super) fn times(time_us: i64, rows: usize) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(time_us, rows).with_timezone("UTC"))
}

/// The batch cannot go on.
pub(super) fn failed(error: impl ToString) -> StepError {
    StepError::Failed(error.to_string())
}
