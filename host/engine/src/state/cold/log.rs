//! Rows in a scratch file in the order in which they went there, read once and forgotten.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray};

use super::file::ScratchFile;
use super::page::{self, Rows};
use super::{ColdRows, Payload, space};
use crate::state::StateError;

/// Rows of an entry: as many as are in memory when it is read.
const ENTRY_ROWS: usize = 1 << 14;

/// A list of rows in a [`super::ColdStore`], in entries that belong to a number each: a window's start, say.
#[derive(Debug)]
pub struct ColdLog {
    payload: Arc<Payload>,
    table: Option<u64>,
    /// What each entry belongs to.
    about: Vec<i64>,
}

impl ColdLog {
    /// A log without entries, whose rows have this payload.
    #[must_use]
    pub const fn new(payload: Arc<Payload>) -> Self {
        Self { payload, table: None, about: Vec::new() }
    }

    /// What each entry belongs to, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[i64] {
        &self.about
    }

    pub(super) fn append(
        &mut self,
        file: &ScratchFile,
        tables: &mut u64,
        about: i64,
        keys: &BinaryArray,
        payload: &[ArrayRef],
    ) -> Result<(), StateError> {
        let readers = self.payload.readers(payload)?;
        let table = match self.table {
            Some(table) => table,
            None => *self.table.insert(space::next_table(file, tables)?),
        };
        let mut keys = keys.iter().enumerate().peekable();
        file.insert(table, &mut |blob| {
            keys.peek()?;
            let mut rows = Rows::default();
            for (row, key) in keys.by_ref().take(ENTRY_ROWS) {
                rows.push(key, |bytes| readers.iter().for_each(|column| column.write(row, bytes)));
            }
            (0..rows.len()).for_each(|row| page::write(rows.hashes[row], rows.row(row), blob));
            self.about.push(about);
            Some(self.about.len() as i64)
        })
    }

    pub(super) fn read(&self, file: &ScratchFile, entry: usize) -> Result<Option<ColdRows>, StateError> {
        let Some(table) = self.table.filter(|_| entry < self.about.len()) else { return Ok(None) };
        let mut bytes = Vec::new();
        let id = entry as i64 + 1;
        file.reader(table)?.read((id, id), &mut bytes)?;
        let mut rows = Rows::default();
        page::read(&bytes).for_each(|(hash, row)| rows.push_encoded(hash, row));
        space::decode(&self.payload, &rows).map(Some)
    }

    pub(super) fn take_table(&mut self) -> Option<u64> {
        self.about.clear();
        self.table.take()
    }
}
