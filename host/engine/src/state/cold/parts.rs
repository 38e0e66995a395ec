//! The cold state of a step on one worker: its parts (windows, buckets of time, or one for all), what changed
//! before it left memory, and copies of both in pieces.
//!
//! A key is brought back before anything is done to it. So what memory has of a key is newer than what the
//! file may still have of it, and the file's rows are skipped where memory has the key.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray};
use arrow_select::filter::filter;

use super::{ColdLog, ColdRows, ColdSpace, ColdStore, Cursor, Payload, Share, Spill};
use crate::state::{GroupTable, KeyColumn, StateError};

/// Rows that come back from the file at a time when all of a part's do: pieces of a copy wait in queues.
const SCAN_ROWS: usize = 1 << 14;

/// State of one step on one worker that is not in memory.
#[derive(Debug)]
pub struct ColdParts {
    share: Share,
    store: ColdStore,
    payload: Arc<Payload>,
    parts: BTreeMap<i64, Part>,
    /// Rows that left memory after the last copy and had changed before; newer ones come later.
    changed: ColdLog,
    copying: Option<Copying>,
}

#[derive(Debug)]
struct Part {
    space: ColdSpace,
    /// Keys that are in the file and not in memory.
    keys: u64,
}

/// How far a copy is.
#[derive(Debug)]
enum Copying {
    /// The next entry of what changed. What is in memory comes behind: it is newer.
    Changed(usize),
    /// The parts that are left of a full copy, the next one last, and how far that is.
    Parts(Vec<i64>, Cursor),
}

/// A piece of a copy.
#[derive(Debug)]
pub enum Copied {
    /// Rows of a part.
    Rows(i64, ColdRows),
    /// Now comes what changed in memory.
    Memory,
    /// That was all.
    End,
}

impl ColdParts {
    /// Nothing is cold yet.
    #[must_use]
    pub fn new(payload: Payload, spill: Spill) -> Self {
        let payload = Arc::new(payload);
        Self {
            share: Share::new(spill.budget),
            store: ColdStore::new(spill.path),
            changed: ColdLog::new(Arc::clone(&payload)),
            payload,
            parts: BTreeMap::new(),
            copying: None,
        }
    }

    /// Whether any key may be in the file.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether keys of this part may be in the file.
    #[must_use]
    pub fn has(&self, part: i64) -> bool {
        self.parts.contains_key(&part)
    }

    /// The parts of which keys may be in the file.
    #[must_use]
    pub fn parts(&self) -> Vec<i64> {
        self.parts.keys().copied().collect()
    }

    /// Keys that are not in memory.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.parts.values().map(|part| part.keys).sum()
    }

    /// Bytes of memory that know of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.values().map(|part| part.space.bytes() as u64).sum()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.store.file_bytes()
    }

    /// Takes note that what is in memory takes so many bytes. If that is too much, the answer is how many
    /// it should take.
    pub fn goal(&mut self, bytes: u64) -> Option<u64> {
        let known = self.bytes();
        Some(self.share.uses(bytes + known)?.saturating_sub(known))
    }

    /// The rows of those keys that are in the file and not in `hot`; they count as in memory from now on.
    ///
    /// # Errors
    /// When the file fails.
    pub fn bring(
        &mut self,
        part: i64,
        keys: &KeyColumn,
        hot: &GroupTable,
    ) -> Result<Option<ColdRows>, StateError> {
        let Some(part) = self.parts.get_mut(&part).filter(|part| part.keys > 0) else { return Ok(None) };
        let absent = without(keys, &hot.find(keys));
        let rows = self.store.find(&mut part.space, &KeyColumn::Bytes(absent))?;
        part.keys = part.keys.saturating_sub(rows.keys.len() as u64);
        Ok(Some(rows))
    }

    /// The same in pieces of a bounded size, so that rows may be long.
    ///
    /// # Errors
    /// When the file fails.
    pub fn bring_all(
        &mut self,
        part: i64,
        keys: &KeyColumn,
        hot: &GroupTable,
    ) -> Result<Vec<ColdRows>, StateError> {
        let Some(part) = self.parts.get_mut(&part).filter(|part| part.keys > 0) else {
            return Ok(Vec::new());
        };
        let absent = without(keys, &hot.find(keys));
        let pieces = self.store.find_all(&mut part.space, &KeyColumn::Bytes(absent))?;
        let found: usize = pieces.iter().map(|rows| rows.keys.len()).sum();
        part.keys = part.keys.saturating_sub(found as u64);
        Ok(pieces)
    }

    /// Writes rows that are about to leave memory; `changed` are those that changed since the last copy.
    ///
    /// # Errors
    /// When the disk is full or the file fails.
    pub fn take(
        &mut self,
        part: i64,
        keys: &BinaryArray,
        payload: &[ArrayRef],
        changed: &BooleanArray,
    ) -> Result<(), StateError> {
        let own = &self.payload;
        let (number, part) = (
            part,
            self.parts
                .entry(part)
                .or_insert_with(|| Part { space: ColdSpace::new(Arc::clone(own)), keys: 0 }),
        );
        self.store.put(&mut part.space, keys, payload)?;
        part.keys += keys.len() as u64;
        if changed.true_count() > 0 {
            let payload =
                payload.iter().map(|column| filter(column, changed)).collect::<Result<Vec<_>, _>>()?;
            let keys = filter(keys, changed)?;
            self.store.append(&mut self.changed, number, keys.as_binary(), &payload)?;
        }
        Ok(())
    }

    /// Takes note of what became of keys since the last copy that are in memory no more and not in the file.
    ///
    /// # Errors
    /// When the disk is full or the file fails.
    pub fn note(&mut self, part: i64, keys: &BinaryArray, payload: &[ArrayRef]) -> Result<(), StateError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.store.append(&mut self.changed, part, keys, payload)
    }

    /// Lets keys go that are in memory, of which the file may have older rows.
    ///
    /// # Errors
    /// When the disk is full or the file fails.
    pub fn forget(&mut self, part: i64, keys: &BinaryArray) -> Result<(), StateError> {
        match self.parts.get_mut(&part).filter(|_| !keys.is_empty()) {
            Some(part) => self.store.forget(&mut part.space, keys),
            None => Ok(()),
        }
    }

    /// The file, for more than the parts.
    pub fn store(&mut self) -> &mut ColdStore {
        &mut self.store
    }

    /// Forgets a part; answers how many keys of it were not in memory.
    ///
    /// # Errors
    /// When the file fails.
    pub fn close(&mut self, part: i64) -> Result<u64, StateError> {
        let Some(part) = self.parts.remove(&part) else { return Ok(0) };
        self.store.remove(&part.space)?;
        Ok(part.keys)
    }

    /// The next rows of a part whose keys are not in `hot`; none at its end.
    ///
    /// # Errors
    /// When the file fails.
    pub fn scan(
        &mut self,
        part: i64,
        hot: Option<&GroupTable>,
        cursor: &mut Cursor,
    ) -> Result<Option<ColdRows>, StateError> {
        let Some(part) = self.parts.get(&part) else { return Ok(None) };
        let Some(rows) = self.store.scan(&part.space, cursor, SCAN_ROWS)? else { return Ok(None) };
        let Some(hot) = hot.filter(|hot| !hot.is_empty()) else { return Ok(Some(rows)) };
        let found = hot.find(&KeyColumn::Bytes(rows.keys.clone()));
        let absent: BooleanArray = found.into_iter().map(|group| Some(group.is_none())).collect();
        let payload = rows.payload.iter().map(|column| filter(column, &absent)).collect::<Result<_, _>>()?;
        Ok(Some(ColdRows { keys: filter(&rows.keys, &absent)?.as_binary().clone(), payload }))
    }

    /// Begins a copy of everything. What is in memory is copied first, by the caller.
    ///
    /// # Errors
    /// When the file fails.
    pub fn begin_full(&mut self) -> Result<(), StateError> {
        self.store.clear(&mut self.changed)?;
        self.copying = Some(Copying::Parts(self.parts.keys().copied().collect(), Cursor::default()));
        Ok(())
    }

    /// Begins a copy of what changed. [`Copied::Memory`] says when it is time for what is in memory.
    pub fn begin_delta(&mut self) {
        self.copying = Some(Copying::Changed(0));
    }

    /// The next piece of a copy; `hot` gives what memory has of a part, none if the part is gone.
    ///
    /// # Errors
    /// When the file fails.
    pub fn copy<'a>(&mut self, hot: impl Fn(i64) -> Option<&'a GroupTable>) -> Result<Copied, StateError> {
        loop {
            match self.copying.take() {
                None => return Ok(Copied::End),
                Some(Copying::Changed(entry)) => {
                    let Some(&part) = self.changed.entries().get(entry) else {
                        self.store.clear(&mut self.changed)?;
                        return Ok(Copied::Memory);
                    };
                    self.copying = Some(Copying::Changed(entry + 1));
                    if hot(part).is_some()
                        && let Some(rows) = self.store.entry(&self.changed, entry)?
                    {
                        return Ok(Copied::Rows(part, rows));
                    }
                }
                Some(Copying::Parts(mut parts, mut cursor)) => {
                    let Some(&part) = parts.last() else { return Ok(Copied::End) };
                    let rows = self.scan(part, hot(part), &mut cursor)?;
                    if rows.is_none() {
                        parts.pop();
                        cursor = Cursor::default();
                    }
                    self.copying = Some(Copying::Parts(parts, cursor));
                    if let Some(rows) = rows {
                        return Ok(Copied::Rows(part, rows));
                    }
                }
            }
        }
    }
}

/// Those of the keys that were not found.
fn without(keys: &KeyColumn, found: &[Option<u32>]) -> BinaryArray {
    let mut absent = BinaryBuilder::new();
    let mut found = found.iter();
    keys.for_each(|key| {
        if found.next().is_some_and(Option::is_none) {
            absent.append_option(key);
        }
    });
    absent.finish()
}
