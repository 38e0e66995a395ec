//! The sessions of each key and the values of functions over them.

use arrow_array::ArrayRef;

use crate::batch::RejectedRow;
use crate::state::accumulators::Accumulator;
use crate::state::{GroupTable, KeyColumn, StateError};
use crate::steps::aggregate::config::{FunctionConfig, deal};

/// Slots may be dead in this number besides half of all, before the table is made anew.
const DEAD_MAX: usize = 4096;

/// A stretch of time of one key in which no gap was as long as the step's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) start_us: i64,
    /// The greatest event time, and its gap.
    pub(super) end_us: i64,
    /// Where the functions have its values.
    pub(super) slot: u32,
}

/// Sessions by key. A slot is never used twice: what is dead goes when the table is made anew.
pub(super) struct Table {
    groups: GroupTable,
    /// By group, by start; they do not touch each other.
    sessions: Vec<Vec<Session>>,
    accumulators: Vec<Box<dyn Accumulator>>,
    slots: usize,
    live: usize,
    /// By slot: changed since the last snapshot.
    changed: Vec<bool>,
    ids: Vec<u32>,
}

/// Makes the accumulators of a new table.
pub(super) type Make<'a> = &'a dyn Fn() -> Result<Vec<Box<dyn Accumulator>>, StateError>;

/// What the rows of a session bring.
pub(super) enum Values<'a> {
    /// The arguments of functions, one after the other.
    Arguments(&'a [FunctionConfig], &'a [ArrayRef]),
    /// The states of functions.
    States(&'a [ArrayRef]),
}

/// Rows that a function cannot take.
pub(super) struct Refused {
    pub(super) function: usize,
    pub(super) rows: Vec<RejectedRow>,
}

impl Table {
    pub(super) fn new(make: Make<'_>) -> Result<Self, StateError> {
        Ok(Self {
            groups: GroupTable::default(),
            sessions: Vec::new(),
            accumulators: make()?,
            slots: 0,
            live: 0,
            changed: Vec::new(),
            ids: Vec::new(),
        })
    }

    /// Number of sessions.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn groups(&self) -> &GroupTable {
        &self.groups
    }

    pub(super) fn accumulators(&self) -> &[Box<dyn Accumulator>] {
        &self.accumulators
    }

    /// The sessions of a group, by start.
    pub(super) fn of_group(&self, group: u32) -> &[Session] {
        &self.sessions[group as usize]
    }

    /// The sessions of groups, each with its own.
    pub(super) fn of_groups(&self, groups: &[u32]) -> Vec<(u32, Session)> {
        let with_group = |group: u32| self.of_group(group).iter().map(move |session| (group, *session));
        groups.iter().flat_map(|group| with_group(*group)).collect()
    }

    /// The groups that have sessions.
    pub(super) fn occupied(&self) -> Vec<u32> {
        (0u32..).zip(&self.sessions).filter(|(_, list)| !list.is_empty()).map(|(group, _)| group).collect()
    }

    /// The groups of the rows that were taken last.
    pub(super) fn taken(&self) -> &[u32] {
        &self.ids
    }

    /// Whether a session changed since `mark_copied`.
    pub(super) fn is_changed(&self, session: &Session) -> bool {
        self.changed[session.slot as usize]
    }

    /// Every session with its group, by group and start.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, Session)> {
        (0u32..)
            .zip(&self.sessions)
            .flat_map(|(group, list)| list.iter().map(move |session| (group, *session)))
    }

    /// Those that changed since `mark_copied`.
    pub(super) fn changed(&self) -> impl Iterator<Item = (u32, Session)> {
        self.all().filter(|(_, session)| self.is_changed(session))
    }

    pub(super) fn mark_copied(&mut self) {
        self.changed.fill(false);
    }

    /// Takes rows that last from `starts` to `ends`; sessions that they connect become one. Where a function
    /// refuses rows, they are the answer, and the table is of no use any more.
    pub(super) fn take(
        &mut self,
        keys: &KeyColumn,
        starts_us: &[i64],
        ends_us: &[i64],
        values: &Values<'_>,
    ) -> Result<Option<Refused>, StateError> {
        let mut groups = std::mem::take(&mut self.ids);
        self.groups.groups(keys, &mut groups)?;
        self.sessions.resize(self.groups.len(), Vec::new());
        let mut merges: Vec<(u32, u32)> = Vec::new();
        let mut slots = Vec::with_capacity(groups.len());
        for ((group, start_us), end_us) in groups.iter().zip(starts_us).zip(ends_us) {
            slots.push(self.place(*group, *start_us, *end_us, &mut merges)?);
        }
        self.ids = groups;
        for accumulator in &mut self.accumulators {
            accumulator.resize(self.slots);
        }
        self.changed.resize(self.slots, false);
        if !merges.is_empty() {
            self.connect(&merges)?;
            let into: std::collections::HashMap<u32, u32> = merges.into_iter().collect();
            slots.iter_mut().for_each(|slot| *slot = last(&into, *slot));
        }
        slots.iter().for_each(|slot| self.changed[*slot as usize] = true);
        match values {
            Values::Arguments(functions, arguments) => {
                let own = deal(functions, arguments);
                for (function, (accumulator, own)) in self.accumulators.iter_mut().zip(own).enumerate() {
                    let rows = accumulator.refusals(&slots, own)?;
                    if !rows.is_empty() {
                        return Ok(Some(Refused { function, rows }));
                    }
                }
                for (accumulator, own) in self.accumulators.iter_mut().zip(deal(functions, arguments)) {
                    accumulator.update(&slots, own)?;
                }
            }
            Values::States(states) => {
                let mut rest = *states;
                for accumulator in &mut self.accumulators {
                    let (own, others) = rest.split_at(accumulator.state_fields().len());
                    accumulator.merge(&slots, own)?;
                    rest = others;
                }
            }
        }
        Ok(None)
    }

    /// Takes sessions of groups that have none here, and that have not changed.
    pub(super) fn take_back(
        &mut self,
        keys: &KeyColumn,
        starts_us: &[i64],
        ends_us: &[i64],
        states: &[ArrayRef],
    ) -> Result<(), StateError> {
        let first = self.slots;
        self.take(keys, starts_us, ends_us, &Values::States(states))?;
        self.changed[first..].fill(false);
        Ok(())
    }

    /// Adds all of its sessions to those of another table.
    pub(super) fn pour(&self, into: &mut Self) -> Result<(), StateError> {
        self.pour_those(&self.all().collect::<Vec<_>>(), into)
    }

    fn pour_those(&self, sessions: &[(u32, Session)], into: &mut Self) -> Result<(), StateError> {
        let groups: Vec<u32> = sessions.iter().map(|(group, _)| *group).collect();
        let slots: Vec<u32> = sessions.iter().map(|(_, session)| session.slot).collect();
        let keys = KeyColumn::Bytes(self.groups.keys().gather(&groups)?);
        let mut states = Vec::new();
        for accumulator in &self.accumulators {
            states.extend(accumulator.state(&slots)?);
        }
        let starts: Vec<i64> = sessions.iter().map(|(_, session)| session.start_us).collect();
        let ends: Vec<i64> = sessions.iter().map(|(_, session)| session.end_us).collect();
        into.take(&keys, &starts, &ends, &Values::States(&states)).map(drop)
    }

    /// The slot of the session that a row belongs to; `merges` are the slots that went into others.
    fn place(
        &mut self,
        group: u32,
        start_us: i64,
        end_us: i64,
        merges: &mut Vec<(u32, u32)>,
    ) -> Result<u32, StateError> {
        let list = &mut self.sessions[group as usize];
        let first = list.partition_point(|session| session.end_us < start_us);
        let touching = list[first..].iter().take_while(|session| session.start_us <= end_us).count();
        if touching == 0 {
            let slot = u32::try_from(self.slots)
                .map_err(|_| StateError::TooLarge("there are more sessions than slots".into()))?;
            self.slots += 1;
            self.live += 1;
            list.insert(first, Session { start_us, end_us, slot });
            return Ok(slot);
        }
        let kept = list[first].slot;
        merges.extend(list[first + 1..first + touching].iter().map(|session| (session.slot, kept)));
        let end_us = end_us.max(list[first + touching - 1].end_us);
        let start_us = start_us.min(list[first].start_us);
        list[first] = Session { start_us, end_us, slot: kept };
        list.drain(first + 1..first + touching);
        self.live -= touching - 1;
        Ok(kept)
    }

    /// Adds the values of slots to those that they went into. A slot may go on into a third.
    fn connect(&mut self, merges: &[(u32, u32)]) -> Result<(), StateError> {
        let into: std::collections::HashMap<u32, u32> = merges.iter().copied().collect();
        let from: Vec<u32> = merges.iter().map(|(from, _)| *from).collect();
        let to: Vec<u32> = from.iter().map(|slot| last(&into, *slot)).collect();
        for accumulator in &mut self.accumulators {
            let states = accumulator.state(&from)?;
            accumulator.merge(&to, &states)?;
        }
        Ok(())
    }

    /// Replaces the sessions that these touch: they are newer versions of them.
    pub(super) fn replace(
        &mut self,
        keys: &KeyColumn,
        starts_us: &[i64],
        ends_us: &[i64],
        states: &[ArrayRef],
    ) -> Result<(), StateError> {
        let found = self.groups.find(keys);
        for ((group, start_us), end_us) in found.into_iter().zip(starts_us).zip(ends_us) {
            let Some(list) = group.and_then(|group| self.sessions.get_mut(group as usize)) else { continue };
            let before = list.len();
            list.retain(|session| session.end_us < *start_us || session.start_us > *end_us);
            self.live -= before - list.len();
        }
        self.take(keys, starts_us, ends_us, &Values::States(states)).map(drop)
    }

    /// Takes away the sessions that end at `until_us` or before; their slots keep their values until
    /// the next call.
    pub(super) fn close(&mut self, until_us: i64) -> Vec<(u32, Session)> {
        let mut closed = Vec::new();
        for (group, list) in (0u32..).zip(&mut self.sessions) {
            // They are in the order of their ends as well.
            let count = list.partition_point(|session| session.end_us <= until_us);
            closed.extend(list.drain(..count).map(|session| (group, session)));
        }
        self.live -= closed.len();
        closed
    }

    /// Whether most of it is dead.
    pub(super) fn is_wasteful(&self) -> bool {
        self.slots >= 2 * self.live + DEAD_MAX
    }

    /// A table with the sessions of these groups alone, which become 0, 1 and so on; each has some.
    pub(super) fn part(&self, groups: &[u32], make: Make<'_>) -> Result<Self, StateError> {
        let sessions = self.of_groups(groups);
        let mut part = Self::new(make)?;
        self.pour_those(&sessions, &mut part)?;
        // Slots were given in the order of the sessions.
        part.changed = sessions.iter().map(|(_, session)| self.is_changed(session)).collect();
        Ok(part)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let sessions: usize = self.sessions.iter().map(Vec::capacity).sum();
        let lists = self.sessions.capacity() * size_of::<Vec<Session>>() + sessions * size_of::<Session>();
        let values: usize = self.accumulators.iter().map(|accumulator| accumulator.bytes()).sum();
        self.groups.bytes() + lists + values + self.changed.capacity()
    }
}

/// Where a slot ended up.
fn last(into: &std::collections::HashMap<u32, u32>, mut slot: u32) -> u32 {
    while let Some(next) = into.get(&slot) {
        slot = *next;
    }
    slot
}
