//! What is kept of keys: by dense id a state, a timer and when the key was touched.

mod cold;

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::state::{ByteStore, GroupTable, KeyCodec, KeyColumn, NEVER, StateError, TimeQueue};

/// With fewer dead keys than this nobody cleans up.
const DEAD_MIN: usize = 1024;

/// The keys of one worker. A key without state and timer is dead, and forgotten sooner or later.
pub(super) struct Store {
    codec: KeyCodec,
    key_schema: SchemaRef,
    groups: GroupTable,
    states: ByteStore,
    /// By id: when the timer is due, or `NEVER`.
    timers_us: Vec<i64>,
    /// By id: when the key was last called, on the step's clock.
    touched_us: Vec<i64>,
    timers: TimeQueue,
    expiries: TimeQueue,
    ttl_us: Option<i64>,
    live: usize,
    /// Keys that are otherwise than in the newest snapshot.
    changed: Vec<u32>,
    is_changed: Vec<bool>,
    /// Keys that have lost state and timer, since the last batch ended.
    died: Vec<u32>,
    /// States that were removed, since somebody asked.
    removed: u64,
    /// Keys that are not in memory; none where all of them must be.
    cold: Option<cold::Cold>,
}

/// What is kept of one key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    state: Option<Vec<u8>>,
    timer_us: i64,
    touched_us: i64,
}

impl Store {
    pub(super) fn new(codec: KeyCodec, key_schema: SchemaRef, ttl_us: Option<i64>) -> Self {
        Self {
            codec,
            key_schema,
            groups: GroupTable::default(),
            states: ByteStore::default(),
            timers_us: Vec::new(),
            touched_us: Vec::new(),
            timers: TimeQueue::default(),
            expiries: TimeQueue::default(),
            ttl_us,
            live: 0,
            changed: Vec::new(),
            is_changed: Vec::new(),
            died: Vec::new(),
            removed: 0,
            cold: None,
        }
    }

    pub(super) fn codec(&self) -> &KeyCodec {
        &self.codec
    }

    /// Ids that were ever given and not forgotten.
    pub(super) fn len(&self) -> usize {
        self.timers_us.len()
    }

    /// Keys with a state or a timer, in memory or not.
    pub(super) fn live(&self) -> u64 {
        self.live as u64 + self.cold.as_ref().map_or(0, cold::Cold::keys)
    }

    /// Sets `ids` to those of keys, new ones included.
    pub(super) fn find(&mut self, keys: &KeyColumn, ids: &mut Vec<u32>) -> Result<(), StateError> {
        self.groups.groups(keys, ids)?;
        let keys = self.groups.len();
        if keys > self.len() {
            self.states.resize(keys);
            self.timers_us.resize(keys, NEVER);
            self.touched_us.resize(keys, i64::MIN);
            self.is_changed.resize(keys, false);
            if let Some(cold) = &mut self.cold {
                cold.resize(keys);
            }
        }
        Ok(())
    }

    /// The columns of keys.
    pub(super) fn keys(&self, ids: &[u32]) -> Result<RecordBatch, StateError> {
        let columns = self.key_columns(ids)?;
        let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.key_schema), columns, &options)?)
    }

    pub(super) fn key_columns(&self, ids: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        self.codec.decode(&self.groups.keys().gather(ids)?)
    }

    /// The states of keys; null where there is none.
    pub(super) fn states(&self, ids: &[u32]) -> Result<BinaryArray, StateError> {
        self.states.gather(ids)
    }

    pub(super) fn state_bytes(&self, id: u32) -> usize {
        self.states.len_of(id)
    }

    pub(super) fn timer_us(&self, id: u32) -> i64 {
        self.timers_us[id as usize]
    }

    pub(super) fn touched_us(&self, id: u32) -> i64 {
        self.touched_us[id as usize]
    }

    pub(super) fn is_live(&self, id: u32) -> bool {
        self.states.get(id).is_some() || self.timer_us(id) != NEVER
    }

    pub(super) fn set_state(&mut self, id: u32, state: Option<&[u8]>) -> Result<(), StateError> {
        let (was_live, had_state) = (self.is_live(id), self.states.get(id).is_some());
        self.states.set(id, state)?;
        self.removed += u64::from(had_state && state.is_none());
        self.note_change(id, was_live);
        Ok(())
    }

    pub(super) fn set_timer(&mut self, id: u32, at_us: i64) {
        let was_live = self.is_live(id);
        self.timers_us[id as usize] = at_us;
        self.timers.set(id, at_us);
        self.note_change(id, was_live);
    }

    /// The key was called at a time; never earlier than before.
    pub(super) fn touch(&mut self, id: u32, at_us: i64) {
        let touched_us = &mut self.touched_us[id as usize];
        *touched_us = at_us.max(*touched_us);
        if !self.is_live(id) {
            // It may stay so: all its rows may be rejected.
            self.died.push(id);
        }
        if let Some(cold) = &mut self.cold {
            cold.touch(id);
        }
        self.watch(id);
    }

    /// A copy of what is kept of a key, for `put_back`.
    pub(super) fn copy_of(&self, id: u32) -> Kept {
        Kept {
            state: self.states.get(id).map(<[u8]>::to_vec),
            timer_us: self.timer_us(id),
            touched_us: self.touched_us(id),
        }
    }

    pub(super) fn put_back(&mut self, id: u32, kept: &Kept) -> Result<(), StateError> {
        self.touched_us[id as usize] = kept.touched_us;
        self.set_timer(id, kept.timer_us);
        self.set_state(id, kept.state.as_deref())
    }

    /// Takes the timers that are due, in the order of their times and keys, and drops the states that
    /// expired: of a key whose timer is due, if that was so when its timer was due.
    pub(super) fn advance(&mut self, now_us: i64) -> Result<Vec<(i64, u32)>, StateError> {
        self.wake(now_us)?;
        let mut due = Vec::new();
        while let Some(first) = self.timers.take_due(now_us, |id| self.timers_us[id as usize]) {
            due.push(first);
        }
        let keys = self.groups.keys();
        due.sort_unstable_by(|l, r| l.0.cmp(&r.0).then_with(|| keys.get(l.1).cmp(&keys.get(r.1))));
        let ttl_us = self.ttl_us.unwrap_or(NEVER);
        let expiry = |touched_us: &[i64], id: u32| touched_us[id as usize].saturating_add(ttl_us);
        while let Some((at_us, id)) = self.expiries.take_due(now_us, |id| expiry(&self.touched_us, id)) {
            if at_us <= self.timer_us(id) && self.states.get(id).is_some() {
                self.set_state(id, None)?;
            }
        }
        due.iter().for_each(|(_, id)| self.set_timer(*id, NEVER));
        Ok(due)
    }

    /// Sees to it that the key expires; needed again for keys whose timer was due.
    pub(super) fn watch(&mut self, id: u32) {
        if let Some(ttl_us) = self.ttl_us {
            self.expiries.set(id, self.touched_us[id as usize].saturating_add(ttl_us));
        }
    }

    /// The earliest timer, or a time before it.
    pub(super) fn earliest_timer_us(&mut self) -> Option<i64> {
        let cold_us = self.cold.as_ref().and_then(cold::Cold::earliest_timer_us);
        let hot_us = self.timers.earliest(|id| self.timers_us[id as usize]);
        hot_us.into_iter().chain(cold_us).min()
    }

    /// States removed since the last call.
    pub(super) fn take_removed(&mut self) -> u64 {
        std::mem::take(&mut self.removed)
    }

    /// Keys that are otherwise than in the newest snapshot.
    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// A snapshot has everything.
    pub(super) fn saved(&mut self) {
        for id in self.changed.drain(..) {
            self.is_changed[id as usize] = false;
        }
    }

    /// Ends a batch: of a dead key not even its time is known, or it would live otherwise again than after a
    /// restart.
    pub(super) fn bury(&mut self) {
        for id in std::mem::take(&mut self.died) {
            if !self.is_live(id) {
                self.touched_us[id as usize] = i64::MIN;
            }
        }
    }

    /// Once more keys are dead than live, forgets those that no snapshot has to tell of.
    pub(super) fn compact(&mut self) -> Result<(), StateError> {
        let dead = self.len() - self.live;
        if dead < DEAD_MIN || dead <= self.live {
            return Ok(());
        }
        let all = 0..self.len() as u32;
        let (kept, gone): (Vec<u32>, Vec<u32>) =
            all.partition(|id| self.is_live(*id) || self.is_changed[*id as usize]);
        if kept.len() * 2 > self.len() {
            return Ok(());
        }
        self.forget_filed(&gone)?;
        self.keep(&kept)
    }

    /// These ids, which ascend, become 0, 1 and so on; the others are forgotten.
    fn keep(&mut self, kept: &[u32]) -> Result<(), StateError> {
        let keys = KeyColumn::Bytes(self.groups.keys().gather(kept)?);
        let mut ids = Vec::new();
        self.groups = GroupTable::default();
        self.groups.groups(&keys, &mut ids)?;
        self.states = self.states.keep(kept);
        self.timers_us = kept.iter().map(|id| self.timers_us[*id as usize]).collect();
        self.touched_us = kept.iter().map(|id| self.touched_us[*id as usize]).collect();
        self.is_changed = kept.iter().map(|id| self.is_changed[*id as usize]).collect();
        let renamed = |id: &u32| kept.binary_search(id).ok().map(|id| id as u32);
        self.changed = self.changed.iter().filter_map(renamed).collect();
        self.timers.clear();
        self.expiries.clear();
        for id in 0..kept.len() as u32 {
            self.timers.set(id, self.timer_us(id));
            self.watch(id);
        }
        if let Some(cold) = &mut self.cold {
            cold.keep(kept);
        }
        Ok(())
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let lists = self.timers_us.capacity() + self.touched_us.capacity();
        self.groups.bytes()
            + self.states.bytes()
            + self.timers.bytes()
            + self.expiries.bytes()
            + lists * size_of::<i64>()
            + self.changed.capacity() * size_of::<u32>()
            + self.is_changed.capacity()
            + self.cold.as_ref().map_or(0, cold::Cold::bytes)
    }

    fn note_change(&mut self, id: u32, was_live: bool) {
        match (was_live, self.is_live(id)) {
            (false, true) => self.live += 1,
            (true, false) => {
                self.live -= 1;
                self.died.push(id);
            }
            _ => {}
        }
        if !std::mem::replace(&mut self.is_changed[id as usize], true) {
            self.changed.push(id);
        }
    }
}
