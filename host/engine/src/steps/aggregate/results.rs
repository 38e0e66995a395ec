//! What goes on of an aggregation: the results of groups and windows, and which panes are not needed
//! any more.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;

use super::cold::stored;
use super::overlaps::Overlaps;
use super::table::{Table, failed};
use super::{Aggregate, PIECE_ROWS};
use crate::batch::BatchCtx;
use crate::state::cold::ColdParts;
use crate::state::{KeyColumn, StateError};
use crate::steps::{StateSize, StepError};
use crate::windows::{Window, Windows};

/// Groups by the start of their pane.
pub(super) type Changed = BTreeMap<i64, Vec<u32>>;

impl Aggregate {
    /// Closes what the watermark has passed, before the batch's rows come: a row that is late for one of
    /// its windows is none of that window's.
    pub(super) fn begin(&mut self, ctx: &BatchCtx) -> Result<(), StepError> {
        self.plan.set_clock(ctx);
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        self.size = StateSize::default();
        let closed_us = self.closed_at(ctx.watermark_us).max(self.closed_us);
        // What a checkpoint brought back of windows that were closed after it was full: their results
        // went on then.
        let stale = self.close(self.closed_us)?;
        if self.plan.config.emit.gives_finals() {
            self.due = self.finals(closed_us)?;
        }
        let closed = self.close(closed_us)?;
        self.closed_us = closed_us;
        for table in stale.into_iter().chain(closed) {
            self.size.removed += table.len() as u64;
            self.keep(table);
        }
        Ok(())
    }

    /// The groups that the batch touched.
    pub(super) fn touched(&self) -> Changed {
        let touched = self.state.iter().filter(|(_, table)| !table.touched().is_empty());
        touched.map(|(&start_us, table)| (start_us, table.touched().to_vec())).collect()
    }

    /// The groups that batches after `since_us` have touched.
    pub(super) fn touched_after(&self, since_us: i64) -> Result<Changed, StepError> {
        let mut changed = Changed::new();
        for (&start_us, table) in &self.state {
            let ids = table.touched_after(since_us).map_err(failed)?;
            if !ids.is_empty() {
                changed.insert(start_us, ids);
            }
        }
        Ok(changed)
    }

    /// The results of groups, in every window that is open.
    pub(super) fn updates(&mut self, changed: &Changed) -> Result<Vec<RecordBatch>, StepError> {
        let mut results = Vec::new();
        if self.are_panes() {
            for (&start_us, ids) in changed {
                if let Some(table) = self.state.get(&start_us) {
                    self.results(self.pane(start_us), table, ids, &mut results)?;
                }
            }
            return Ok(results);
        }
        let windows = self.windows_of(changed.keys().copied());
        let open = |window: &Window| !window.is_closed(self.closed_us);
        for window in windows.into_iter().filter(open).collect::<Vec<_>>() {
            let merged = self.merged(window, Some(changed))?;
            let all: Vec<u32> = (0..merged.len() as u32).collect();
            self.results(Some(window), &merged, &all, &mut results)?;
            self.keep(merged);
        }
        Ok(results)
    }

    /// The results of the windows that close now.
    fn finals(&mut self, closed_us: Option<i64>) -> Result<Vec<RecordBatch>, StepError> {
        let mut results = Vec::new();
        let windows = self.windows_of(self.state.keys().copied());
        let closes = |window: &Window| window.is_closed(closed_us) && !window.is_closed(self.closed_us);
        for window in windows.into_iter().filter(closes).collect::<Vec<_>>() {
            if self.are_panes() {
                if self.cold.as_ref().is_some_and(|cold| cold.has(window.start_us)) {
                    results.extend(self.cold_finals(window)?);
                } else if let Some(table) = self.state.get(&window.start_us) {
                    self.results(Some(window), table, &table.sorted(), &mut results)?;
                }
                continue;
            }
            if self.cold.is_some() {
                let merged = self.merged(window, None)?;
                self.results(Some(window), &merged, &merged.sorted(), &mut results)?;
                self.keep(merged);
            } else {
                self.overlapping(window, &mut results)?;
            }
        }
        Ok(results)
    }

    /// The results of a window that has panes in common with others, all in memory.
    fn overlapping(&mut self, window: Window, results: &mut Vec<RecordBatch>) -> Result<(), StepError> {
        let mut overlaps = match self.overlaps.take() {
            Some(overlaps) => overlaps,
            None => Overlaps::new(&self.plan).map_err(failed)?,
        };
        let shown = overlaps.show(window, &self.state);
        let table = overlaps.table();
        shown.map_err(|error| table.of_group(&self.plan, &self.codec, Some(window), "a merge", error))?;
        self.results(Some(window), table, &overlaps.ids(), results)?;
        self.overlaps = Some(overlaps);
        Ok(())
    }

    /// Takes away the panes of which every window ends at `until_us` or before.
    fn close(&mut self, until_us: Option<i64>) -> Result<Vec<Table>, StepError> {
        let mut closed = Vec::new();
        while let Some((&start_us, _)) = self.state.first_key_value() {
            let Some(windows) = self.plan.config.windows() else { break };
            if !windows.last_of(windows.pane(start_us)).is_closed(until_us) {
                break;
            }
            let pane = self.state.remove(&start_us);
            if let Some(overlaps) = &mut self.overlaps {
                overlaps.leave(start_us, pane.as_ref()).map_err(failed)?;
            }
            closed.extend(pane);
            if let Some(cold) = &mut self.cold {
                self.size.removed += cold.close(start_us).map_err(stored)?;
            }
        }
        if self.state.is_empty() {
            self.overlaps = None;
        }
        Ok(closed)
    }

    fn are_panes(&self) -> bool {
        self.plan.config.windows().is_none_or(Windows::are_panes)
    }

    /// The windows that panes are part of.
    fn windows_of(&self, starts_us: impl Iterator<Item = i64>) -> BTreeSet<Window> {
        let Some(windows) = self.plan.config.windows() else { return BTreeSet::new() };
        starts_us.flat_map(|start_us| windows.of(windows.pane(start_us))).collect()
    }

    /// The groups of a window: those of its panes, merged; all of them, or those that have changed in any.
    fn merged(&mut self, window: Window, changed: Option<&Changed>) -> Result<Table, StepError> {
        let mut merged = match self.spare.pop() {
            Some(table) => table,
            None => Table::new(&self.plan).map_err(failed)?,
        };
        let done = self.merge_panes(window, changed, &mut merged);
        done.map_err(|error| merged.of_group(&self.plan, &self.codec, Some(window), "a merge", error))?;
        Ok(merged)
    }

    fn merge_panes(
        &mut self,
        window: Window,
        changed: Option<&Changed>,
        merged: &mut Table,
    ) -> Result<(), StateError> {
        for (start_us, ids) in
            changed.into_iter().flat_map(|changed| changed.range(window.start_us..window.end_us))
        {
            if let Some(pane) = self.state.get(start_us) {
                let keys = KeyColumn::Bytes(pane.groups().keys().gather(ids)?);
                merged.find(&keys, &mut self.ids)?;
            }
        }
        if self.cold.as_ref().is_some_and(ColdParts::is_in_use) {
            let touched = merged.groups().keys().gather(&merged.all())?;
            let touched = changed.map(|_| KeyColumn::Bytes(touched));
            let starts: Vec<i64> =
                self.state.range(window.start_us..window.end_us).map(|(start_us, _)| *start_us).collect();
            for start_us in starts {
                self.add_cold(start_us, merged, touched.as_ref())?;
            }
        }
        for (_, pane) in self.state.range(window.start_us..window.end_us) {
            let mut ids: Vec<u32> = (0..pane.len() as u32).collect();
            let mut keys = KeyColumn::Bytes(pane.groups().keys().gather(&ids)?);
            if changed.is_some() {
                let found = merged.groups().find(&keys);
                ids.retain(|id| found[*id as usize].is_some());
                keys = KeyColumn::Bytes(pane.groups().keys().gather(&ids)?);
            }
            merged.find(&keys, &mut self.ids)?;
            let mut states = Vec::new();
            for accumulator in pane.accumulators() {
                states.extend(accumulator.state(&ids)?);
            }
            merged.merge(&self.ids, &states)?;
        }
        Ok(())
    }

    pub(super) fn results(
        &self,
        window: Option<Window>,
        table: &Table,
        ids: &[u32],
        results: &mut Vec<RecordBatch>,
    ) -> Result<(), StepError> {
        for ids in ids.chunks(PIECE_ROWS) {
            results.push(table.results(&self.plan, &self.codec, window, ids)?);
        }
        Ok(())
    }
}
