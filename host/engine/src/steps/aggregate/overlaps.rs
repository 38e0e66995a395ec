//! The groups of windows that overlap: those of their panes, merged. From one window to the next almost all groups
//! stay, so they keep their ids here: a group of a pane is looked up once, however many windows have the
//! pane, and the order of keys is kept too.

use std::collections::BTreeMap;

use arrow_array::ArrayRef;

use super::config::Plan;
use super::table::Table;
use super::{StateError, Tables};
use crate::state::KeyColumn;
use crate::state::accumulators::Accumulator;
use crate::windows::Window;

/// Groups from which on it is worth to forget those that no pane has any more.
const FORGET_MIN: usize = 4096;

/// The groups of one window after the other.
pub(super) struct Overlaps {
    table: Table,
    /// By pane: the group here of each group there.
    panes: BTreeMap<i64, Vec<u32>>,
    /// Whether any function retracts.
    retracts: bool,
    /// What functions that retract hold: the panes, with the times each had been added to.
    held: BTreeMap<i64, u64>,
    /// All groups by key.
    order: Vec<u32>,
    /// By group: the last window that had it, counted from one.
    seen: Vec<u32>,
    window: u32,
}

impl Overlaps {
    pub(super) fn new(plan: &Plan) -> Result<Self, StateError> {
        let table = Table::new(plan)?;
        Ok(Self {
            retracts: table.accumulators().iter().any(|function| function.retracts()),
            table,
            panes: BTreeMap::new(),
            held: BTreeMap::new(),
            order: Vec::new(),
            seen: Vec::new(),
            window: 0,
        })
    }

    /// The groups; those of the window are [`Self::ids`].
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The groups of the window, by key.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.order.iter().copied().filter(|id| self.seen[*id as usize] == self.window).collect()
    }

    /// Makes the groups those of a window.
    pub(super) fn show(&mut self, window: Window, tables: &Tables) -> Result<(), StateError> {
        let range = window.start_us..window.end_us;
        let gone: Vec<i64> =
            self.panes.keys().copied().filter(|start_us| !range.contains(start_us)).collect();
        for start_us in gone {
            self.leave(start_us, tables.get(&start_us))?;
        }
        for (start_us, pane) in tables.range(range) {
            self.name(*start_us, pane)?;
        }
        self.see();
        self.forget_strangers(tables)?;
        self.add_up(tables)
    }

    /// No window has this pane any more.
    pub(super) fn leave(&mut self, start_us: i64, pane: Option<&Table>) -> Result<(), StateError> {
        let ids = self.panes.remove(&start_us).unwrap_or_default();
        let Some(held) = self.held.remove(&start_us) else { return Ok(()) };
        match pane.filter(|pane| pane.additions() == held) {
            Some(pane) => self.for_retracting(pane, |function, state| function.retract(&ids, state)),
            None => {
                // What it was when it was merged nobody knows any more.
                self.held.clear();
                Ok(())
            }
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let ids = self.panes.values().map(Vec::capacity).sum::<usize>();
        self.table.bytes() + (ids + self.order.capacity() + self.seen.capacity()) * size_of::<u32>()
    }

    /// Looks up the groups that a pane has got since the last time.
    fn name(&mut self, start_us: i64, pane: &Table) -> Result<(), StateError> {
        let ids = self.panes.entry(start_us).or_default();
        let new: Vec<u32> = (ids.len() as u32..pane.len() as u32).collect();
        if new.is_empty() {
            return Ok(());
        }
        let known = self.table.len() as u32;
        let mut found = Vec::new();
        self.table.find(&KeyColumn::Bytes(pane.groups().keys().gather(&new)?), &mut found)?;
        ids.extend(found);
        if self.table.len() as u32 > known {
            self.seen.resize(self.table.len(), 0);
            self.order.extend(known..self.table.len() as u32);
            let keys = self.table.groups().keys();
            // Stable, because that is fast on what is sorted for the most part.
            self.order.sort_by(|&left, &right| keys.get(left).cmp(&keys.get(right)));
        }
        Ok(())
    }

    /// Notes which groups the window has.
    fn see(&mut self) {
        self.window += 1;
        for id in self.panes.values().flatten() {
            self.seen[*id as usize] = self.window;
        }
    }

    /// Once most groups are in no pane, begins anew.
    fn forget_strangers(&mut self, tables: &Tables) -> Result<(), StateError> {
        let seen = self.seen.iter().filter(|seen| **seen == self.window).count();
        if self.table.len() < FORGET_MIN || seen * 2 > self.table.len() {
            return Ok(());
        }
        self.table.clear();
        self.held.clear();
        self.order.clear();
        self.seen.clear();
        for start_us in std::mem::take(&mut self.panes).into_keys() {
            if let Some(pane) = tables.get(&start_us) {
                self.name(start_us, pane)?;
            }
        }
        self.see();
        Ok(())
    }

    /// Merges panes: those that are new into functions that retract, all of them into the others.
    fn add_up(&mut self, tables: &Tables) -> Result<(), StateError> {
        let groups = self.table.len();
        for (number, function) in self.table.accumulators_mut().iter_mut().enumerate() {
            if function.retracts() {
                continue;
            }
            function.clear();
            function.resize(groups);
            for (start_us, ids) in &self.panes {
                if let Some(pane) = tables.get(start_us) {
                    function.merge(ids, &pane.accumulators()[number].state(&pane.all())?)?;
                }
            }
        }
        if self.retracts { self.add_new(tables) } else { Ok(()) }
    }

    /// Merges panes into functions that retract.
    fn add_new(&mut self, tables: &Tables) -> Result<(), StateError> {
        let additions = |start_us: &i64| tables.get(start_us).map(Table::additions);
        if self.held.iter().any(|(start_us, held)| additions(start_us) != Some(*held)) {
            self.held.clear();
        }
        let is_stranger = |id: &u32| self.held.is_empty() || self.seen[*id as usize] != self.window;
        let strangers: Vec<u32> = (0..self.table.len() as u32).filter(is_stranger).collect();
        let functions = self.table.accumulators_mut().iter_mut();
        functions.filter(|function| function.retracts()).for_each(|function| function.reset(&strangers));
        let panes = std::mem::take(&mut self.panes);
        for (start_us, ids) in &panes {
            if let (Some(pane), false) = (tables.get(start_us), self.held.contains_key(start_us)) {
                self.for_retracting(pane, |function, state| function.merge(ids, state))?;
                self.held.insert(*start_us, pane.additions());
            }
        }
        self.panes = panes;
        Ok(())
    }

    /// Calls each function that retracts with a pane's states.
    fn for_retracting(
        &mut self,
        pane: &Table,
        mut call: impl FnMut(&mut dyn Accumulator, &[ArrayRef]) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let functions = self.table.accumulators_mut().iter_mut().zip(pane.accumulators());
        for (function, own) in functions.filter(|(function, _)| function.retracts()) {
            call(&mut **function, &own.state(&pane.all())?)?;
        }
        Ok(())
    }
}
