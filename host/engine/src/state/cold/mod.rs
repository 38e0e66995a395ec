//! State that memory has no room for: rows by key in a scratch file, and what memory there is.
//!
//! A [`ColdStore`] is the file of one step on one worker; a [`ColdSpace`] is one set of keys in it (a
//! window's, say). A row is a key and a few columns of payload, whatever they are. Rows lie in pages by
//! the hash of their key, so that a sorted batch of lookups, or of rows that go out, costs one access a
//! page and not one a row; small filters in memory know most keys that are not there. A row that is
//! written again replaces the older one when its page is read, unless the space is one of lists.
//!
//! The file holds nothing that matters: it is made anew with each attempt, without a journal and without
//! syncs, and what is true is in the checkpoints.

mod budget;
mod file;
mod filter;
mod lists;
mod log;
mod page;
mod parts;
mod payload;
mod queue;
mod recency;
mod space;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray};

pub use budget::{MemoryBudget, Share};
pub use lists::{Unlisted, list_field, lists};
pub use log::ColdLog;
pub use parts::{ColdParts, Copied};
pub use payload::Payload;
pub use queue::ColdQueue;
pub use recency::Recent;
pub use space::{ColdSpace, Cursor};

use file::ScratchFile;

use super::{KeyColumn, StateError};

/// Where a step's cold state goes, and how much may stay in memory.
#[derive(Clone, Debug)]
pub struct Spill {
    /// The scratch file; what is there is deleted when it is first needed.
    pub path: PathBuf,
    /// The budget of the pipeline.
    pub budget: Arc<MemoryBudget>,
}

/// Rows that were looked up or scanned: keys, and the columns of their payload.
#[derive(Debug)]
pub struct ColdRows {
    /// The encoded keys.
    pub keys: BinaryArray,
    /// The payload, column by column.
    pub payload: Vec<ArrayRef>,
}

/// The scratch file of one step on one worker. Nothing is on disk before the first row is.
#[derive(Debug)]
pub struct ColdStore {
    path: PathBuf,
    file: Option<ScratchFile>,
    /// Tables that were ever made: their names are numbers.
    tables: u64,
}

impl ColdStore {
    /// A store in this file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, tables: 0 }
    }

    /// Writes rows; those whose keys are there already replace them.
    ///
    /// # Errors
    /// When the disk is full or the file fails, or the columns are not the space's.
    pub fn put(
        &mut self,
        space: &mut ColdSpace,
        keys: &BinaryArray,
        payload: &[ArrayRef],
    ) -> Result<(), StateError> {
        let (file, tables) = self.opened()?;
        space.put(file, tables, keys, payload)
    }

    /// Lets keys be in a space no more, which has columns of payload and one row a key.
    ///
    /// # Errors
    /// When the disk is full or the file fails.
    pub fn forget(&mut self, space: &mut ColdSpace, keys: &BinaryArray) -> Result<(), StateError> {
        if space.is_empty() {
            return Ok(());
        }
        let (file, tables) = self.opened()?;
        space.forget(file, tables, keys)
    }

    /// The rows with these keys, as far as they are there, each once, in no order that means anything but
    /// for that of the rows of one key.
    ///
    /// # Errors
    /// When the file fails.
    pub fn find(&mut self, space: &mut ColdSpace, keys: &KeyColumn) -> Result<ColdRows, StateError> {
        Ok(self.find_pieces(space, keys, usize::MAX)?.swap_remove(0))
    }

    /// The same in pieces of a bounded size, so that rows may be long.
    ///
    /// # Errors
    /// When the file fails.
    pub fn find_all(&mut self, space: &mut ColdSpace, keys: &KeyColumn) -> Result<Vec<ColdRows>, StateError> {
        self.find_pieces(space, keys, space::PIECE_BYTES)
    }

    fn find_pieces(
        &mut self,
        space: &mut ColdSpace,
        keys: &KeyColumn,
        bytes: usize,
    ) -> Result<Vec<ColdRows>, StateError> {
        if space.is_empty() {
            return Ok(vec![space.nothing()?]);
        }
        let (file, _) = self.opened()?;
        space.find(file, keys, bytes)
    }

    /// At least `rows` rows behind `cursor`, each key once, fewer at the end; none behind that.
    ///
    /// # Errors
    /// When the file fails.
    pub fn scan(
        &mut self,
        space: &ColdSpace,
        cursor: &mut Cursor,
        rows: usize,
    ) -> Result<Option<ColdRows>, StateError> {
        if space.is_empty() {
            return Ok(None);
        }
        let (file, _) = self.opened()?;
        space.scan(file, cursor, rows)
    }

    /// Appends rows to a log, as entries that belong to `about`.
    ///
    /// # Errors
    /// When the disk is full or the file fails, or the columns are not the log's.
    pub fn append(
        &mut self,
        log: &mut ColdLog,
        about: i64,
        keys: &BinaryArray,
        payload: &[ArrayRef],
    ) -> Result<(), StateError> {
        let (file, tables) = self.opened()?;
        log.append(file, tables, about, keys, payload)
    }

    /// An entry of a log, by its place; none behind the last.
    ///
    /// # Errors
    /// When the file fails.
    pub fn entry(&mut self, log: &ColdLog, place: usize) -> Result<Option<ColdRows>, StateError> {
        let (file, _) = self.opened()?;
        log.read(file, place)
    }

    /// Forgets the entries of a log.
    ///
    /// # Errors
    /// When the file fails.
    pub fn clear(&mut self, log: &mut ColdLog) -> Result<(), StateError> {
        match (log.take_table(), &self.file) {
            (Some(table), Some(file)) => file.drop_table(table),
            _ => Ok(()),
        }
    }

    /// Gives back the room of a space.
    ///
    /// # Errors
    /// When the file fails.
    pub fn remove(&mut self, space: &ColdSpace) -> Result<(), StateError> {
        match (space.table(), &self.file) {
            (Some(table), Some(file)) => file.drop_table(table),
            _ => Ok(()),
        }
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, ScratchFile::bytes)
    }

    fn opened(&mut self) -> Result<(&mut ScratchFile, &mut u64), StateError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => ScratchFile::create(&self.path)?,
        };
        Ok((self.file.insert(file), &mut self.tables))
    }
}
