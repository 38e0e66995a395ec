//! The rows of each key that were counted, and the values of functions over pieces of windows.

use std::collections::VecDeque;

use arrow_array::ArrayRef;

use crate::batch::RejectedRow;
use crate::state::accumulators::Accumulator;
use crate::state::{GroupTable, KeyColumn, StateError};
use crate::steps::aggregate::config::{FunctionConfig, deal};

/// Slots may be dead in this number besides half of all, before the table is made anew.
const DEAD_MAX: usize = 4096;

/// How rows are cut into windows: into panes, which no window cuts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) size: u64,
    pub(super) every: u64,
    pub(super) pane: u64,
}

/// A key's rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter {
    /// All that ever came.
    pub(super) rows: u64,
    /// Where the functions have the values of the panes that windows still need; the last one may grow.
    pub(super) slots: VecDeque<u32>,
}

/// A window that is full.
pub(super) struct Full {
    pub(super) group: u32,
    /// Which of its key's windows it is, from zero.
    pub(super) number: u64,
    /// One a pane.
    slots: Vec<u32>,
}

/// Counters by key. A slot is never used twice: what is dead goes when the table is made anew.
pub(super) struct Table {
    groups: GroupTable,
    counters: Vec<Counter>,
    accumulators: Vec<Box<dyn Accumulator>>,
    slots: usize,
    /// Keys that changed since the last snapshot.
    changed: Vec<u32>,
    is_changed: Vec<bool>,
    /// Keys that the current batch touched, in the order of first touch.
    touched: Vec<u32>,
    is_touched: Vec<bool>,
    ids: Vec<u32>,
}

/// Makes the accumulators of a new table.
pub(super) type Make<'a> = &'a dyn Fn() -> Result<Vec<Box<dyn Accumulator>>, StateError>;

/// What became of rows.
pub(super) enum Taken {
    /// The windows that they filled, in the order in which they did.
    All(Vec<Full>),
    /// The first function that refuses some, and which.
    Refused(usize, Vec<RejectedRow>),
}

impl Table {
    pub(super) fn new(make: Make<'_>) -> Result<Self, StateError> {
        Ok(Self {
            groups: GroupTable::default(),
            counters: Vec::new(),
            accumulators: make()?,
            slots: 0,
            changed: Vec::new(),
            is_changed: Vec::new(),
            touched: Vec::new(),
            is_touched: Vec::new(),
            ids: Vec::new(),
        })
    }

    pub(super) fn groups(&self) -> &GroupTable {
        &self.groups
    }

    pub(super) fn counters(&self) -> &[Counter] {
        &self.counters
    }

    pub(super) fn accumulators(&self) -> &[Box<dyn Accumulator>] {
        &self.accumulators
    }

    pub(super) fn touched(&self) -> &[u32] {
        &self.touched
    }

    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// Whether a key changed since the last snapshot.
    pub(super) fn is_changed(&self, group: u32) -> bool {
        self.is_changed[group as usize]
    }

    /// A table with these keys alone, which ascend and become 0, 1 and so on, between batches.
    pub(super) fn part(&self, groups: &[u32], make: Make<'_>) -> Result<Self, StateError> {
        let mut part = Self::new(make)?;
        part.find(&KeyColumn::Bytes(self.groups.keys().gather(groups)?))?;
        let of_group = |group: &u32| self.counters[*group as usize].slots.iter().copied();
        let from: Vec<u32> = groups.iter().flat_map(of_group).collect();
        part.slots = from.len();
        let to: Vec<u32> = (0..from.len() as u32).collect();
        for (new, old) in part.accumulators.iter_mut().zip(&self.accumulators) {
            new.resize(from.len());
            new.merge(&to, &old.state(&from)?)?;
        }
        let mut next = 0u32..;
        for (new, group) in (0u32..).zip(groups) {
            let old = &self.counters[*group as usize];
            let slots = next.by_ref().take(old.slots.len()).collect();
            part.counters[new as usize] = Counter { rows: old.rows, slots };
            if self.is_changed(*group) {
                part.is_changed[new as usize] = true;
                part.changed.push(new);
            }
        }
        Ok(part)
    }

    /// Sets `ids` to the keys' groups.
    fn find(&mut self, keys: &KeyColumn) -> Result<(), StateError> {
        self.groups.groups(keys, &mut self.ids)?;
        let groups = self.groups.len();
        self.counters.resize_with(groups, Counter::default);
        self.is_changed.resize(groups, false);
        self.is_touched.resize(groups, false);
        Ok(())
    }

    fn new_slot(&mut self) -> Result<u32, StateError> {
        let slot = u32::try_from(self.slots);
        self.slots += 1;
        slot.map_err(|_| StateError::TooLarge("there are more windows than slots".into()))
    }

    /// Takes rows in their order.
    pub(super) fn take(
        &mut self,
        cut: Cut,
        keys: &KeyColumn,
        functions: &[FunctionConfig],
        arguments: &[ArrayRef],
    ) -> Result<Taken, StateError> {
        self.find(keys)?;
        let ids = std::mem::take(&mut self.ids);
        let mut slots = Vec::with_capacity(ids.len());
        let mut full = Vec::new();
        for &group in &ids {
            if self.counters[group as usize].rows.is_multiple_of(cut.pane) {
                let slot = self.new_slot()?;
                self.counters[group as usize].slots.push_back(slot);
            }
            let counter = &mut self.counters[group as usize];
            slots.extend(counter.slots.back());
            counter.rows += 1;
            if counter.rows >= cut.size && (counter.rows - cut.size).is_multiple_of(cut.every) {
                let number = (counter.rows - cut.size) / cut.every;
                full.push(Full { group, number, slots: counter.slots.iter().copied().collect() });
                counter.slots.drain(..(cut.every / cut.pane) as usize);
            }
            if !std::mem::replace(&mut self.is_touched[group as usize], true) {
                self.touched.push(group);
            }
        }
        self.ids = ids;
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.resize(self.slots));
        for (number, (accumulator, own)) in
            self.accumulators.iter_mut().zip(deal(functions, arguments)).enumerate()
        {
            let refused = accumulator.refusals(&slots, own)?;
            if !refused.is_empty() {
                return Ok(Taken::Refused(number, refused));
            }
        }
        for (accumulator, own) in self.accumulators.iter_mut().zip(deal(functions, arguments)) {
            accumulator.update(&slots, own)?;
        }
        Ok(Taken::All(full))
    }

    /// For each key the window that will be full next, as far as it is.
    pub(super) fn open_windows(&self, cut: Cut) -> Vec<Full> {
        let open = (0u32..).zip(&self.counters).filter(|(_, counter)| !counter.slots.is_empty());
        let open = open.map(|(group, counter)| {
            let number = counter.rows.checked_sub(cut.size).map_or(0, |behind| behind / cut.every + 1);
            Full { group, number, slots: counter.slots.iter().copied().collect() }
        });
        open.collect()
    }

    /// One slot for each window, with the values of all its panes.
    pub(super) fn merged(&mut self, windows: &[Full]) -> Result<Vec<u32>, StateError> {
        let panes = windows.iter().map(|window| window.slots.len()).max().unwrap_or(0);
        if panes == 1 {
            return Ok(windows.iter().map(|window| window.slots[0]).collect());
        }
        let slots = windows.iter().map(|_| self.new_slot()).collect::<Result<Vec<_>, _>>()?;
        for accumulator in &mut self.accumulators {
            accumulator.resize(self.slots);
            for pane in 0..panes {
                let pairs = windows.iter().zip(&slots).filter(|(window, _)| window.slots.len() > pane);
                let (from, to): (Vec<u32>, Vec<u32>) =
                    pairs.map(|(window, slot)| (window.slots[pane], *slot)).unzip();
                let states = accumulator.state(&from)?;
                accumulator.merge(&to, &states)?;
            }
        }
        Ok(slots)
    }

    /// Ends the batch: what it touched has changed for the next snapshot, and dead slots may go.
    pub(super) fn settle(&mut self, make: Make<'_>) -> Result<(), StateError> {
        for group in std::mem::take(&mut self.touched) {
            self.is_touched[group as usize] = false;
            if !std::mem::replace(&mut self.is_changed[group as usize], true) {
                self.changed.push(group);
            }
        }
        let live: usize = self.counters.iter().map(|counter| counter.slots.len()).sum();
        if self.slots < 2 * live + DEAD_MAX {
            return Ok(());
        }
        let kept: Vec<u32> = self.counters.iter().flat_map(|counter| counter.slots.iter().copied()).collect();
        let new: Vec<u32> = (0..live as u32).collect();
        let mut accumulators = make()?;
        for (new_one, old) in accumulators.iter_mut().zip(&self.accumulators) {
            new_one.resize(live);
            new_one.merge(&new, &old.state(&kept)?)?;
        }
        let mut next = 0u32..;
        for slot in self.counters.iter_mut().flat_map(|counter| &mut counter.slots) {
            *slot = next.next().unwrap_or(*slot);
        }
        (self.accumulators, self.slots) = (accumulators, live);
        Ok(())
    }

    pub(super) fn mark_copied(&mut self) {
        for group in std::mem::take(&mut self.changed) {
            self.is_changed[group as usize] = false;
        }
    }

    /// Sets how many rows of keys came; their panes follow.
    pub(super) fn restore_counts(&mut self, keys: &KeyColumn, rows: &[i64]) -> Result<(), StateError> {
        self.find(keys)?;
        for (group, rows) in self.ids.iter().zip(rows) {
            let rows = u64::try_from(*rows)
                .map_err(|_| StateError::Mismatch("a count of rows is negative".into()))?;
            self.counters[*group as usize] = Counter { rows, slots: VecDeque::new() };
        }
        Ok(())
    }

    /// Takes back the panes of keys, those of a key in their order.
    pub(super) fn restore_panes(&mut self, keys: &KeyColumn, states: &[ArrayRef]) -> Result<(), StateError> {
        self.find(keys)?;
        let ids = std::mem::take(&mut self.ids);
        let mut slots = Vec::with_capacity(ids.len());
        for &group in &ids {
            let slot = self.new_slot()?;
            self.counters[group as usize].slots.push_back(slot);
            slots.push(slot);
        }
        self.ids = ids;
        let mut rest = states;
        for accumulator in &mut self.accumulators {
            accumulator.resize(self.slots);
            let (own, others) = rest.split_at(accumulator.state_fields().len());
            accumulator.merge(&slots, own)?;
            rest = others;
        }
        Ok(())
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let values: usize = self.accumulators.iter().map(|accumulator| accumulator.bytes()).sum();
        let slots: usize = self.counters.iter().map(|counter| counter.slots.capacity()).sum();
        self.groups.bytes()
            + values
            + self.counters.capacity() * size_of::<Counter>()
            + (slots + self.changed.capacity() + self.touched.capacity()) * size_of::<u32>()
            + self.is_changed.capacity()
            + self.is_touched.capacity()
    }
}
