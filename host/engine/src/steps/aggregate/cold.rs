//! Groups that memory has no room for. Each pane may have some of its groups in the scratch file: those
//! that no batch has touched for longest. A group is in memory before anything is done to it, so a value
//! in memory is always a whole one, and newer than what the file may still have of the group.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;

use super::config::{Emit, Plan};
use super::early;
use super::table::Table;
use super::{Aggregate, PIECE_ROWS, Tables, runs, snapshot};
use crate::state::cold::{ColdLog, ColdParts, ColdRows, Copied, Cursor, Payload, Recent, Spill};
use crate::state::{KeyColumn, StateError};
use crate::steps::{Extent, StateChunk, StepError};
use crate::windows::Window;

/// The states of an aggregation's functions, as they are in the file.
pub(super) fn payload(plan: &Plan) -> Result<Payload, StateError> {
    // The first two are the window and the key.
    Payload::new(plan.partial.fields().iter().skip(2).map(AsRef::as_ref))
}

impl Aggregate {
    /// From now on groups may leave memory.
    pub(super) fn set_spill(&mut self, spill: Spill) -> Result<(), StepError> {
        let payload = payload(&self.plan).map_err(stored)?;
        self.cold = Some(ColdParts::new(payload, spill));
        if matches!(self.plan.config.emit, Emit::Early(_)) {
            // Keys and nothing else.
            self.untold = Some(ColdLog::new(Arc::new(Payload::new([]).map_err(stored)?)));
        }
        Ok(())
    }

    /// Whether rows go straight into the state: not where groups may have to be brought back first, which is
    /// done for a batch's keys at once. It does not depend on whether any is cold now, because the last bits
    /// of a sum of floating-point numbers depend on it, and a batch that is run again must have the same.
    pub(super) fn is_direct(&self) -> bool {
        self.plan.config.workers == 1 && self.cold.is_none()
    }

    /// Brings the groups of gathered rows into memory, those of all workers at once: a page of the file that
    /// is read serves the more of them.
    pub(super) fn bring_all(&mut self, gathered: &[&RecordBatch]) -> Result<(), StateError> {
        if !self.cold.as_ref().is_some_and(ColdParts::is_in_use) {
            return Ok(());
        }
        let mut panes: BTreeMap<i64, Vec<ArrayRef>> = BTreeMap::new();
        for rows in gathered.iter().filter(|rows| rows.num_rows() > 0) {
            for (start_us, run) in runs(rows) {
                panes.entry(start_us.unwrap_or(0)).or_default().push(Arc::clone(run.column(1)));
            }
        }
        for (start_us, keys) in panes {
            let keys: Vec<&dyn Array> = keys.iter().map(AsRef::as_ref).collect();
            self.bring(start_us, &KeyColumn::Bytes(concat(&keys)?.as_binary::<i32>().clone()))?;
        }
        Ok(())
    }

    /// Brings groups of a pane into memory that are about to be touched.
    pub(super) fn bring(&mut self, start_us: i64, keys: &KeyColumn) -> Result<(), StateError> {
        let (Some(cold), Some(table)) = (&mut self.cold, self.state.get_mut(&start_us)) else {
            return Ok(());
        };
        cold.bring(start_us, keys, table.groups())?.map_or(Ok(()), |rows| table.add(&rows))
    }

    /// Brings groups into memory that are to go on early: those that have not since a batch touched them.
    pub(super) fn bring_untold(&mut self) -> Result<(), StateError> {
        let (Some(cold), Some(untold)) = (&mut self.cold, &mut self.untold) else { return Ok(()) };
        let mut panes = Vec::new();
        for (entry, start_us) in untold.entries().to_vec().into_iter().enumerate() {
            panes.extend(cold.store().entry(untold, entry)?.map(|rows| (start_us, rows.keys)));
        }
        cold.store().clear(untold)?;
        panes.into_iter().try_for_each(|(start_us, keys)| self.bring(start_us, &KeyColumn::Bytes(keys)))
    }

    /// When the state is over the budget: lets groups leave memory, those first that no batch touched for
    /// longest.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let hot = bytes(&self.state);
        let Some(goal) = cold.goal(hot) else { return Ok(()) };
        self.spare.clear();
        let groups: usize = self.state.values().map(Table::len).sum();
        let keep = (groups as u128 * u128::from(goal) / u128::from(hot.max(1))) as usize;
        let mut recent = Recent::new(self.state.values().flat_map(Table::ages), keep);
        for (&start_us, table) in &mut self.state {
            let (mut kept, mut gone) = (Vec::new(), Vec::new());
            for (id, age) in (0u32..).zip(table.ages()) {
                if recent.keeps(age) { kept.push(id) } else { gone.push(id) }
            }
            for ids in gone.chunks(PIECE_ROWS) {
                let (keys, states) = table.copy(ids)?;
                let changed: BooleanArray = ids.iter().map(|id| Some(table.is_changed(*id))).collect();
                cold.take(start_us, &keys, &states, &changed)?;
                if let Some(untold) = &mut self.untold {
                    let told_us = self.rhythm.last_us.unwrap_or(i64::MIN);
                    let keys = early::touched_after(told_us, &keys, &states)?;
                    cold.store().append(untold, start_us, &keys, &[])?;
                }
            }
            if !gone.is_empty() {
                *table = table.part(&self.plan, &kept)?;
            }
        }
        // What is left is over the budget only where that is smaller than what knows of cold groups.
        cold.goal(bytes(&self.state));
        Ok(())
    }

    /// The final results of a pane that has groups in the file, in the order of their keys.
    pub(super) fn cold_finals(&mut self, window: Window) -> Result<Vec<RecordBatch>, StepError> {
        let mut results = Vec::new();
        let mut keys = Vec::new();
        let mut cursor = Cursor::default();
        let hot = self.state.get(&window.start_us);
        if let Some(table) = hot {
            let ids = table.sorted();
            for ids in ids.chunks(PIECE_ROWS) {
                keys.push(table.groups().keys().gather(ids).map_err(stored)?);
                results.push(table.results(&self.plan, &self.codec, Some(window), ids)?);
            }
        }
        let Some(cold) = &mut self.cold else { return Ok(results) };
        while let Some(rows) =
            cold.scan(window.start_us, hot.map(Table::groups), &mut cursor).map_err(stored)?
        {
            let table = Table::of(&self.plan, &rows).map_err(stored)?;
            let all: Vec<u32> = (0..table.len() as u32).collect();
            results.push(table.results(&self.plan, &self.codec, Some(window), &all)?);
            keys.push(rows.keys);
        }
        in_order(&self.plan, &keys, &results).map_err(stored)
    }

    /// Adds the groups of a pane that are in the file to `merged`: all, or those of these keys.
    pub(super) fn add_cold(
        &mut self,
        start_us: i64,
        merged: &mut Table,
        only: Option<&KeyColumn>,
    ) -> Result<(), StateError> {
        if !self.cold.as_ref().is_some_and(|cold| cold.has(start_us)) {
            return Ok(());
        }
        if let Some(keys) = only {
            // They are read again for each window that has the pane: better in memory.
            return self.bring(start_us, keys);
        }
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let mut cursor = Cursor::default();
        let hot = self.state.get(&start_us).map(Table::groups);
        while let Some(rows) = cold.scan(start_us, hot, &mut cursor)? {
            merged.add(&rows)?;
        }
        Ok(())
    }

    /// The first piece of a snapshot.
    pub(super) fn copy_first(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        match (&mut self.cold, extent) {
            (None, _) => {}
            (Some(cold), Extent::Full) => cold.begin_full().map_err(stored)?,
            (Some(cold), Extent::Delta) => {
                cold.begin_delta();
                return Ok(Vec::new());
            }
        }
        snapshot::copy(self, extent)
    }

    /// The next piece of a snapshot.
    pub(super) fn copy_next(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        let Some(cold) = &mut self.cold else { return Ok(None) };
        match cold.copy(|start_us| self.state.get(&start_us).map(Table::groups)).map_err(stored)? {
            Copied::Rows(start_us, rows) => self.copy_rows(start_us, &rows).map(Some),
            Copied::Memory => snapshot::copy(self, Extent::Delta).map(Some),
            Copied::End => Ok(None),
        }
    }

    /// Rows of the file as chunks of a snapshot.
    fn copy_rows(&mut self, start_us: i64, rows: &ColdRows) -> Result<Vec<StateChunk>, StepError> {
        if self.plan.distinct.iter().all(Option::is_none) {
            return snapshot::chunk_of(self, start_us, rows).map(|chunk| vec![chunk]).map_err(stored);
        }
        // Distinct values are chunks of their own: the rows are taken as if they were in memory.
        let table = Table::of(&self.plan, rows).map_err(stored)?;
        let hot = std::mem::replace(&mut self.state, Tables::from([(start_us, table)]));
        let copied = snapshot::copy_tables(self, true);
        self.state = hot;
        copied
    }
}

fn bytes(tables: &Tables) -> u64 {
    tables.values().map(|table| table.bytes() as u64).sum()
}

/// Results in the order of their keys.
fn in_order(
    plan: &Plan,
    keys: &[BinaryArray],
    results: &[RecordBatch],
) -> Result<Vec<RecordBatch>, StateError> {
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(keys.iter().map(Array::len).sum());
    for (batch, keys) in keys.iter().enumerate() {
        order.extend((0..keys.len()).map(|row| (batch, row)));
    }
    let key = |(batch, row): (usize, usize)| keys[batch].is_valid(row).then(|| keys[batch].value(row));
    order.sort_unstable_by(|left, right| key(*left).cmp(&key(*right)));
    let piece = |rows: &[(usize, usize)]| {
        let column = |column: usize| {
            let values: Vec<&dyn Array> = results.iter().map(|batch| batch.column(column).as_ref()).collect();
            interleave(&values, rows)
        };
        let columns = (0..plan.output.fields().len()).map(column).collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&plan.output), columns)?)
    };
    order.chunks(PIECE_ROWS).map(piece).collect()
}

/// The batch cannot go on; a scratch file that fails may be better at the next attempt.
pub(super) fn stored(error: StateError) -> StepError {
    StepError::of_state(error)
}
