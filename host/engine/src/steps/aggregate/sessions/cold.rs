//! Keys whose sessions memory has no room for: those of which no batch had rows for longest are in the scratch
//! file, each with all of its sessions as one list a column. A key is brought back before rows of it are taken,
//! and when the first of its sessions is closed; a queue in the file knows when that is.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray, Int64Array, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};

use super::step::{SESSIONS, Sessions, bounds};
use super::table::Values;
use crate::state::cold::{
    ColdParts, ColdQueue, ColdRows, Copied, Payload, Recent, Spill, Unlisted, list_field, lists,
};
use crate::state::{KeyColumn, NEVER, StateError};
use crate::steps::{Extent, StateChunk, StepError};

/// All keys are in one part of the file.
const ALL: i64 = 0;

/// Sessions that are written at a time.
const PIECE_SESSIONS: usize = 1 << 14;

/// The keys of one worker that are not in memory, and what memory knows of those that were not.
pub(super) struct Cold {
    parts: ColdParts,
    /// Keys by the end of their first session.
    queue: ColdQueue,
    /// By group of the table in memory.
    notes: Vec<Note>,
    /// Sessions that are not in memory.
    sessions: u64,
    batch: u32,
}

#[derive(Clone, Copy)]
struct Note {
    /// The entry of the queue that counts, or `NEVER`.
    queued_us: i64,
    /// The batch that had rows of the key last.
    batch: u32,
    /// The file may have an older row of it.
    is_filed: bool,
}

impl Cold {
    /// Sessions that are not in memory.
    pub(super) fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        self.own_bytes() + self.parts.bytes()
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.parts.file_bytes()
    }

    fn own_bytes(&self) -> u64 {
        (self.queue.bytes() + self.notes.capacity() * size_of::<Note>()) as u64
    }
}

impl Sessions {
    /// From now on keys may leave memory.
    pub(super) fn set_spill(&mut self, spill: Spill) -> Result<(), StateError> {
        let queued = Field::new("queued", DataType::Int64, false);
        let columns: Vec<Field> = self.fields().iter().map(list_field).chain([queued]).collect();
        self.cold = Some(Cold {
            parts: ColdParts::new(Payload::new(&columns)?, spill),
            queue: ColdQueue::new()?,
            notes: Vec::new(),
            sessions: 0,
            batch: 0,
        });
        Ok(())
    }

    /// Takes sessions that workers have gathered; those of their keys are brought into memory first.
    pub(super) fn take_gathered(&mut self, gathered: &[&RecordBatch]) -> Result<(), StateError> {
        let keys = |rows: &RecordBatch| KeyColumn::Bytes(rows.column(2).as_binary::<i32>().clone());
        self.bring(&gathered.iter().map(|rows| keys(rows)).collect::<Vec<_>>())?;
        for rows in gathered {
            let time =
                |column: usize| rows.column(column).as_primitive::<TimestampMicrosecondType>().values();
            let states = Values::States(&rows.columns()[3..]);
            self.state.take(&keys(rows), time(0), time(1), &states)?;
            self.note_touched();
        }
        Ok(())
    }

    /// Brings keys into memory whose sessions are about to be looked at.
    pub(super) fn bring(&mut self, keys: &[KeyColumn]) -> Result<(), StateError> {
        let Some(cold) = self.cold.as_mut().filter(|cold| cold.parts.is_in_use()) else { return Ok(()) };
        let mut all = BinaryBuilder::new();
        keys.iter().for_each(|keys| keys.for_each(|key| all.append_option(key)));
        let pieces = cold.parts.bring_all(ALL, &KeyColumn::Bytes(all.finish()), self.state.groups())?;
        pieces.iter().try_for_each(|rows| self.take_in(rows))
    }

    /// Brings keys into memory of which a session ends at a time or before.
    pub(super) fn wake(&mut self, until_us: i64) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let mut due = Vec::new();
        cold.queue.take_due(cold.parts.store(), until_us, &mut due)?;
        let keys: Vec<KeyColumn> = due.iter().map(|due| KeyColumn::Bytes(due.keys.clone())).collect();
        self.bring(&keys)?;
        let Some(cold) = &mut self.cold else { return Ok(()) };
        for (keys, due) in keys.iter().zip(&due) {
            for (group, time_us) in self.state.groups().find(keys).into_iter().zip(due.times_us.values()) {
                let queued_us = group.map(|group| &mut cold.notes[group as usize].queued_us);
                if let Some(queued_us) = queued_us.filter(|queued_us| *queued_us == time_us) {
                    *queued_us = NEVER;
                }
            }
        }
        Ok(())
    }

    /// The batch had rows of the keys that the table took last.
    pub(super) fn note_touched(&mut self) {
        let Some(cold) = &mut self.cold else { return };
        let new = Note { queued_us: NEVER, batch: cold.batch, is_filed: false };
        cold.notes.resize(self.state.groups().len(), new);
        self.state.taken().iter().for_each(|group| cold.notes[*group as usize].batch = cold.batch);
    }

    /// When most of the table is dead: makes it anew.
    pub(super) fn shrink(&mut self) -> Result<(), StateError> {
        if self.state.is_wasteful() { self.keep(&self.state.occupied()) } else { Ok(()) }
    }

    /// When the state is over the budget: lets keys leave memory, those first of which no batch had rows for
    /// longest.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        let hot = self.hot_bytes();
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let goal = cold.parts.goal(hot);
        let batch = cold.batch;
        cold.batch += 1;
        let Some(goal) = goal else { return Ok(()) };
        let keep = (cold.notes.len() as u128 * u128::from(goal) / u128::from(hot.max(1))) as usize;
        if keep >= cold.notes.len() {
            return Ok(());
        }
        let ages = || cold.notes.iter().map(|note| batch - note.batch);
        let mut recent = Recent::new(ages(), keep);
        let stays: Vec<bool> = ages().map(|age| recent.keeps(age)).collect();
        let (kept, gone): (Vec<u32>, Vec<u32>) =
            self.state.occupied().into_iter().partition(|group| stays[*group as usize]);
        let mut rest = gone.as_slice();
        while !rest.is_empty() {
            let mut sessions = 0;
            let is_room = |group: &&u32| {
                sessions += self.state.of_group(**group).len();
                sessions <= PIECE_SESSIONS
            };
            let count = rest.iter().take_while(is_room).count().max(1);
            let (piece, others) = rest.split_at(count);
            self.let_go(piece)?;
            rest = others;
        }
        self.keep(&kept)?;
        // What is left is over the budget only where that is smaller than what knows of cold keys.
        let hot = self.hot_bytes();
        self.cold.as_mut().map(|cold| cold.parts.goal(hot));
        Ok(())
    }

    /// The first piece of a snapshot.
    pub(super) fn copy_first(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        match (&mut self.cold, extent) {
            (None, _) => {}
            (Some(cold), Extent::Full) => cold.parts.begin_full().map_err(StepError::of_state)?,
            (Some(cold), Extent::Delta) => {
                cold.parts.begin_delta();
                return Ok(Vec::new());
            }
        }
        self.copy_memory(extent)
    }

    /// The next piece of a snapshot.
    pub(super) fn copy_next(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        let Some(cold) = &mut self.cold else { return Ok(None) };
        match cold.parts.copy(|_| Some(self.state.groups())).map_err(StepError::of_state)? {
            Copied::Rows(_, rows) => {
                self.cold_chunk(&rows).map(|chunk| Some(vec![chunk])).map_err(StepError::of_state)
            }
            Copied::Memory => self.copy_memory(Extent::Delta).map(Some),
            Copied::End => Ok(None),
        }
    }

    /// Start, end and the states of functions.
    fn fields(&self) -> Vec<Field> {
        let keys = 2..2 + self.plan.config.keys.len();
        let fields = self.state_schema.fields().iter().enumerate();
        fields.filter(|(number, _)| !keys.contains(number)).map(|(_, field)| field.as_ref().clone()).collect()
    }

    fn hot_bytes(&self) -> u64 {
        let own = self.cold.as_ref().map_or(0, Cold::own_bytes);
        (self.state.bytes() + self.gathered.bytes()) as u64 + own
    }

    /// Takes keys of the file into memory. They have not changed by that.
    fn take_in(&mut self, rows: &ColdRows) -> Result<(), StateError> {
        let Unlisted { keys, columns, .. } = rows.unlisted()?;
        let times = |column: usize| columns[column].as_primitive::<TimestampMicrosecondType>().values();
        self.state.take_back(&KeyColumn::Bytes(keys), times(0), times(1), &columns[2..])?;
        self.note_touched();
        let Some(cold) = &mut self.cold else { return Ok(()) };
        cold.sessions = cold.sessions.saturating_sub(columns[0].len() as u64);
        let queued = rows.payload[columns.len()].as_primitive::<Int64Type>();
        let found = self.state.groups().find(&KeyColumn::Bytes(rows.keys.clone()));
        for (group, queued_us) in found.into_iter().zip(queued.values()) {
            if let Some(group) = group {
                let note = Note { queued_us: *queued_us, batch: cold.batch, is_filed: true };
                cold.notes[group as usize] = note;
            }
        }
        Ok(())
    }

    /// Writes keys that leave memory, each with at least one session.
    fn let_go(&mut self, groups: &[u32]) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let keys = self.state.groups().keys();
        let first_us = |group: u32| self.state.of_group(group).first().map_or(NEVER, |first| first.end_us);
        let new: Vec<u32> = groups
            .iter()
            .copied()
            .filter(|group| first_us(*group) < cold.notes[*group as usize].queued_us)
            .collect();
        let times_us: Vec<i64> = new.iter().map(|group| first_us(*group)).collect();
        cold.queue.put(cold.parts.store(), &keys.gather(&new)?, &times_us)?;
        new.iter().zip(times_us).for_each(|(group, us)| cold.notes[*group as usize].queued_us = us);

        let sessions = self.state.of_groups(groups);
        let slots: Vec<u32> = sessions.iter().map(|(_, session)| session.slot).collect();
        let mut columns = bounds(&sessions);
        for accumulator in self.state.accumulators() {
            columns.extend(accumulator.state(&slots)?);
        }
        let lengths = groups.iter().map(|group| self.state.of_group(*group).len());
        let ends = OffsetBuffer::<i32>::from_lengths(lengths);
        let lists =
            self.fields().into_iter().zip(columns).map(|(field, column)| lists(&field, &ends, column));
        let mut payload = lists.collect::<Result<Vec<_>, StateError>>()?;
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let queued = groups.iter().map(|group| cold.notes[*group as usize].queued_us);
        payload.push(Arc::new(Int64Array::from_iter_values(queued)));
        let changed =
            |group: &u32| self.state.of_group(*group).iter().any(|session| self.state.is_changed(session));
        let changed: BooleanArray = groups.iter().map(|group| Some(changed(group))).collect();
        cold.parts.take(ALL, &keys.gather(groups)?, &payload, &changed)?;
        cold.sessions += sessions.len() as u64;
        Ok(())
    }

    /// Makes the table anew with these keys, which ascend and have sessions.
    fn keep(&mut self, kept: &[u32]) -> Result<(), StateError> {
        if let Some(cold) = &mut self.cold {
            let is_dead = |group: &u32| self.state.of_group(*group).is_empty();
            let filed = (0u32..).zip(&cold.notes).filter(|(_, note)| note.is_filed).map(|(group, _)| group);
            let dead: Vec<u32> = filed.filter(is_dead).collect();
            cold.parts.forget(ALL, &self.state.groups().keys().gather(&dead)?)?;
            cold.notes = kept.iter().map(|group| cold.notes[*group as usize]).collect();
        }
        self.state = self.state.part(kept, &|| self.plan.accumulators())?;
        Ok(())
    }

    /// Rows of the file as a chunk of a snapshot.
    fn cold_chunk(&self, rows: &ColdRows) -> Result<StateChunk, StateError> {
        let Unlisted { keys, mut columns, .. } = rows.unlisted()?;
        let states = columns.split_off(2);
        columns.extend(self.codec.decode(&keys)?);
        columns.extend(states);
        let rows = RecordBatch::try_new(Arc::clone(&self.state_schema), columns)?;
        Ok(StateChunk { table: SESSIONS.into(), rows })
    }
}
