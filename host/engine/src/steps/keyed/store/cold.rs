//! Keys that memory has no room for: those that were not called for longest are in the scratch file, each with
//! state, timer and when it was called. A key is brought back before anything is done with it: when rows of it
//! come, when its timer is due, and when its state expires. For that, queues in the file know when.
//!
//! As in memory, a queue is not told when a time moves on: its entry comes too early then, and the key goes
//! into the queue again when it leaves the next time. A key knows which of its entries counts.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, Int64Array};
use arrow_schema::{DataType, Field};

use super::Store;
use crate::state::cold::{ColdParts, ColdQueue, ColdRows, Copied, Payload, Recent, Spill};
use crate::state::{KeyColumn, NEVER, StateError};

/// All keys are in one part of the file.
const ALL: i64 = 0;

/// Bounds of what is written at a time.
const PIECE_ROWS: usize = 1 << 16;
const PIECE_BYTES: usize = 16 << 20;

/// The keys of one worker that are not in memory, and what memory knows of those that were not.
pub(super) struct Cold {
    parts: ColdParts,
    timers: ColdQueue,
    expiries: ColdQueue,
    /// By id.
    notes: Vec<Note>,
    batch: u32,
}

#[derive(Clone, Copy)]
struct Note {
    /// The entries that count in the queues of timers and expiries, or `NEVER`.
    queued_us: [i64; 2],
    /// When a batch last called the key.
    batch: u32,
    /// The file may have an older row of it.
    is_filed: bool,
}

impl Cold {
    fn new(spill: Spill) -> Result<Self, StateError> {
        let number = |name: &str| Field::new(name, DataType::Int64, false);
        let state = Field::new("state", DataType::Binary, true);
        let times = ["timer", "touched", "timer-queued", "expiry-queued"].map(number);
        Ok(Self {
            parts: ColdParts::new(Payload::new(std::iter::once(&state).chain(&times))?, spill),
            timers: ColdQueue::new()?,
            expiries: ColdQueue::new()?,
            notes: Vec::new(),
            batch: 0,
        })
    }

    /// There are so many ids now.
    pub(super) fn resize(&mut self, ids: usize) {
        let new = Note { queued_us: [NEVER; 2], batch: self.batch, is_filed: false };
        self.notes.resize(ids, new);
    }

    /// A batch has called a key.
    pub(super) fn touch(&mut self, id: u32) {
        self.notes[id as usize].batch = self.batch;
    }

    /// Those ids alone are there, and become 0, 1 and so on.
    pub(super) fn keep(&mut self, ids: &[u32]) {
        self.notes = ids.iter().map(|id| self.notes[*id as usize]).collect();
    }

    /// Keys that are not in memory.
    pub(super) fn keys(&self) -> u64 {
        self.parts.keys()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.timers.bytes() + self.expiries.bytes() + self.notes.capacity() * size_of::<Note>()
    }

    /// The earliest timer, or a time before it.
    pub(super) fn earliest_timer_us(&self) -> Option<i64> {
        self.timers.earliest()
    }
}

impl Store {
    /// From now on keys may leave memory.
    pub(in crate::steps::keyed) fn set_spill(&mut self, spill: Spill) -> Result<(), StateError> {
        self.cold = Some(Cold::new(spill)?);
        Ok(())
    }

    /// Brings keys into memory that are about to be looked up, those of a whole batch at once.
    pub(in crate::steps::keyed) fn bring(&mut self, keys: &[KeyColumn]) -> Result<(), StateError> {
        if !self.cold.as_ref().is_some_and(|cold| cold.parts.is_in_use()) {
            return Ok(());
        }
        match keys {
            [only] => self.bring_keys(only),
            several => {
                let mut all = BinaryBuilder::new();
                several.iter().for_each(|keys| keys.for_each(|key| all.append_option(key)));
                self.bring_keys(&KeyColumn::Bytes(all.finish()))
            }
        }
    }

    /// Brings back what is due at a time.
    pub(super) fn wake(&mut self, now_us: i64) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let mut due = [Vec::new(), Vec::new()];
        for (queue, due) in [&mut cold.timers, &mut cold.expiries].into_iter().zip(&mut due) {
            queue.take_due(cold.parts.store(), now_us, due)?;
        }
        let keys: Vec<KeyColumn> =
            due.iter().flatten().map(|due| KeyColumn::Bytes(due.keys.clone())).collect();
        if keys.is_empty() {
            return Ok(());
        }
        self.bring(&keys)?;
        let Some(cold) = &mut self.cold else { return Ok(()) };
        for (kind, due) in due.iter().enumerate() {
            for due in due {
                let found = self.groups.find(&KeyColumn::Bytes(due.keys.clone()));
                for (id, time_us) in found.into_iter().zip(due.times_us.values()) {
                    let queued_us = id.map(|id| &mut cold.notes[id as usize].queued_us[kind]);
                    if let Some(queued_us) = queued_us.filter(|queued_us| *queued_us == time_us) {
                        *queued_us = NEVER;
                    }
                }
            }
        }
        Ok(())
    }

    /// When the state is over the budget: lets keys leave memory, those first that no batch called for longest.
    pub(in crate::steps::keyed) fn make_room(&mut self) -> Result<(), StateError> {
        let hot = self.bytes() as u64;
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let goal = cold.parts.goal(hot);
        let batch = cold.batch;
        cold.batch += 1;
        let Some(goal) = goal else { return Ok(()) };
        let keep = (cold.notes.len() as u128 * u128::from(goal) / u128::from(hot.max(1))) as usize;
        let ages = || cold.notes.iter().map(|note| batch - note.batch);
        let mut recent = Recent::new(ages(), keep);
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for (id, age) in (0u32..).zip(ages()) {
            if recent.keeps(age) { kept.push(id) } else { gone.push(id) }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let (live, dead): (Vec<u32>, Vec<u32>) = gone.into_iter().partition(|id| self.is_live(*id));
        let mut rest = live.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let is_room = |id: &&u32| {
                bytes += self.state_bytes(**id);
                bytes <= PIECE_BYTES
            };
            let count = rest.iter().take(PIECE_ROWS).take_while(is_room).count().max(1);
            let (piece, others) = rest.split_at(count);
            self.let_go(piece)?;
            rest = others;
        }
        // What they were is nothing that counts any more, but what they are a checkpoint has to tell.
        let changed: Vec<u32> = dead.iter().copied().filter(|id| self.is_changed[*id as usize]).collect();
        let (keys, columns) = (self.groups.keys().gather(&changed)?, self.columns(&changed)?);
        if let Some(cold) = &mut self.cold {
            cold.parts.note(ALL, &keys, &columns)?;
        }
        self.forget_filed(&dead)?;
        self.keep(&kept)?;
        // What is left is over the budget only where that is smaller than what knows of cold keys.
        let hot = self.bytes() as u64;
        self.cold.as_mut().map(|cold| cold.parts.goal(hot));
        Ok(())
    }

    /// The file does not have these keys any more, which are dead and leave memory.
    pub(super) fn forget_filed(&mut self, dead: &[u32]) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let filed: Vec<u32> = dead.iter().copied().filter(|id| cold.notes[*id as usize].is_filed).collect();
        cold.parts.forget(ALL, &self.groups.keys().gather(&filed)?)
    }

    /// Begins a copy of the state; whether there is more to copy than what is in memory, and comes first.
    pub(in crate::steps::keyed) fn begin_copy(&mut self, is_full: bool) -> Result<bool, StateError> {
        let Some(cold) = &mut self.cold else { return Ok(false) };
        if is_full {
            cold.parts.begin_full()?;
        } else {
            cold.parts.begin_delta();
        }
        Ok(!is_full)
    }

    /// The next piece of a copy.
    pub(in crate::steps::keyed) fn copy_cold(&mut self) -> Result<Copied, StateError> {
        let Some(cold) = &mut self.cold else { return Ok(Copied::End) };
        cold.parts.copy(|_| Some(&self.groups))
    }

    /// Keys that are not in memory, and bytes of their file.
    pub(in crate::steps::keyed) fn cold_size(&self) -> (u64, u64) {
        self.cold.as_ref().map_or((0, 0), |cold| (cold.keys(), cold.parts.file_bytes()))
    }

    /// Bytes of memory that know of them.
    pub(in crate::steps::keyed) fn cold_bytes(&self) -> u64 {
        self.cold.as_ref().map_or(0, |cold| cold.parts.bytes())
    }

    fn bring_keys(&mut self, keys: &KeyColumn) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let pieces = cold.parts.bring_all(ALL, keys, &self.groups)?;
        pieces.into_iter().try_for_each(|rows| self.take_in(rows))
    }

    /// Takes rows of the file into memory. They have not changed by that.
    fn take_in(&mut self, rows: ColdRows) -> Result<(), StateError> {
        let mut ids = Vec::new();
        self.find(&KeyColumn::Bytes(rows.keys), &mut ids)?;
        let states = rows.payload[0].as_binary::<i32>();
        let [timers, touched, timer_queued, expiry_queued] =
            [1, 2, 3, 4].map(|column: usize| rows.payload[column].as_primitive::<Int64Type>().values());
        for (row, id) in ids.into_iter().enumerate() {
            self.states.set(id, states.is_valid(row).then(|| states.value(row)))?;
            self.timers_us[id as usize] = timers[row];
            self.timers.set(id, timers[row]);
            self.touched_us[id as usize] = touched[row];
            self.watch(id);
            self.live += 1;
            if let Some(cold) = &mut self.cold {
                let queued_us = [timer_queued[row], expiry_queued[row]];
                cold.notes[id as usize] = Note { queued_us, batch: cold.batch, is_filed: true };
            }
        }
        Ok(())
    }

    /// Writes live keys that are about to leave memory.
    fn let_go(&mut self, ids: &[u32]) -> Result<(), StateError> {
        self.queue(ids)?;
        let (keys, columns) = (self.groups.keys().gather(ids)?, self.columns(ids)?);
        let changed: BooleanArray = ids.iter().map(|id| Some(self.is_changed[*id as usize])).collect();
        self.live -= ids.len();
        self.cold.as_mut().map_or(Ok(()), |cold| cold.parts.take(ALL, &keys, &columns, &changed))
    }

    /// Sees to it that keys come back in time.
    fn queue(&mut self, ids: &[u32]) -> Result<(), StateError> {
        let ttl_us = self.ttl_us.unwrap_or(NEVER);
        let expiry_us = |id: u32| match self.states.get(id) {
            Some(_) => self.touched_us[id as usize].saturating_add(ttl_us),
            None => NEVER,
        };
        let timer_us = |id: u32| self.timers_us[id as usize];
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let queues: [(&mut ColdQueue, &dyn Fn(u32) -> i64); 2] =
            [(&mut cold.timers, &timer_us), (&mut cold.expiries, &expiry_us)];
        for (kind, (queue, time_us)) in queues.into_iter().enumerate() {
            let is_new = |id: &u32| time_us(*id) < cold.notes[*id as usize].queued_us[kind];
            let new: Vec<u32> = ids.iter().copied().filter(is_new).collect();
            let times_us: Vec<i64> = new.iter().map(|id| time_us(*id)).collect();
            queue.put(cold.parts.store(), &self.groups.keys().gather(&new)?, &times_us)?;
            new.iter().zip(times_us).for_each(|(id, us)| cold.notes[*id as usize].queued_us[kind] = us);
        }
        Ok(())
    }

    /// What the file has of keys.
    fn columns(&self, ids: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        let number = |of: &dyn Fn(u32) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| of(*id))))
        };
        let states: BinaryArray = self.states.gather(ids)?;
        let notes = self.cold.as_ref().map_or(&[][..], |cold| &cold.notes);
        let queued =
            |kind: usize| number(&|id| notes.get(id as usize).map_or(NEVER, |note| note.queued_us[kind]));
        let (timers, touched) = (number(&|id| self.timer_us(id)), number(&|id| self.touched_us(id)));
        Ok(vec![Arc::new(states), timers, touched, queued(0), queued(1)])
    }
}
