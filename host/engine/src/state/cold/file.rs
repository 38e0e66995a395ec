//! The scratch file: tables of numbered blobs in SQLite, without a journal and without syncs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement, params};

use crate::sqlite::{StoreError, explain};
use crate::state::StateError;

/// Bytes of SQLite's pages: the blobs of most of our pages fit one or two of them, and need no long chain.
const PAGE_BYTES: u32 = 16384;

/// KiB of pages that SQLite keeps in memory. What is read is mostly not read again soon, and the
/// system's own cache is behind it.
const CACHE_KIB: i32 = 2048;

/// An open scratch file; deleted when dropped.
#[derive(Debug)]
pub(super) struct ScratchFile {
    db: Connection,
    path: PathBuf,
}

impl ScratchFile {
    /// Makes the file anew.
    pub(super) fn create(path: &Path) -> Result<Self, StateError> {
        let open = || {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        open().map_err(|error| of_system(path, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let prepare = || {
            let db = Connection::open_with_flags(path, flags)?;
            db.pragma_update(None, "page_size", PAGE_BYTES)?;
            db.pragma_update(None, "journal_mode", "OFF")?;
            db.pragma_update(None, "synchronous", "OFF")?;
            db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            db.pragma_update(None, "cache_size", -CACHE_KIB)?;
            Ok(db)
        };
        let db = prepare().map_err(|cause| of_sqlite(path, cause))?;
        Ok(Self { db, path: path.to_owned() })
    }

    pub(super) fn create_table(&self, table: u64) -> Result<(), StateError> {
        self.run(|db| {
            db.execute_batch(&format!("CREATE TABLE t{table} (id INTEGER PRIMARY KEY, data BLOB NOT NULL)"))
        })
    }

    pub(super) fn drop_table(&self, table: u64) -> Result<(), StateError> {
        self.run(|db| db.execute_batch(&format!("DROP TABLE t{table}")))
    }

    /// Writes blobs until `next` has no more of them; ids best ascend.
    pub(super) fn insert(
        &self,
        table: u64,
        next: &mut dyn FnMut(&mut Vec<u8>) -> Option<i64>,
    ) -> Result<(), StateError> {
        self.run(|db| {
            db.execute_batch("BEGIN")?;
            let mut insert = db.prepare(&format!("INSERT INTO t{table} (id, data) VALUES (?1, ?2)"))?;
            let mut data = Vec::new();
            while let Some(id) = next(&mut data) {
                insert.execute(params![id, data])?;
                data.clear();
            }
            drop(insert);
            db.execute_batch("COMMIT")
        })
    }

    /// Reads blobs of a table.
    pub(super) fn reader(&self, table: u64) -> Result<Reader<'_>, StateError> {
        let text = format!("SELECT data FROM t{table} WHERE id BETWEEN ?1 AND ?2 ORDER BY id");
        self.run(|db| Ok(Reader { select: db.prepare(&text)?, path: &self.path }))
    }

    /// Puts one blob in the place of a range of ids, for each of these.
    pub(super) fn replace(&self, table: u64, pages: &[((i64, i64), Vec<u8>)]) -> Result<(), StateError> {
        self.run(|db| {
            db.execute_batch("BEGIN")?;
            {
                let mut delete = db.prepare(&format!("DELETE FROM t{table} WHERE id BETWEEN ?1 AND ?2"))?;
                let mut insert = db.prepare(&format!("INSERT INTO t{table} (id, data) VALUES (?1, ?2)"))?;
                for ((first, last), data) in pages {
                    delete.execute([first, last])?;
                    insert.execute(params![first, data])?;
                }
            }
            db.execute_batch("COMMIT")
        })
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    fn run<'a, T>(
        &'a self,
        run: impl FnOnce(&'a Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, StateError> {
        run(&self.db).map_err(|cause| of_sqlite(&self.path, cause))
    }
}

/// Reads blobs of one table.
pub(super) struct Reader<'a> {
    select: Statement<'a>,
    path: &'a Path,
}

impl Reader<'_> {
    /// Appends the blobs of a range of ids, in their order.
    pub(super) fn read(&mut self, (first, last): (i64, i64), bytes: &mut Vec<u8>) -> Result<(), StateError> {
        let mut read = || {
            let mut rows = self.select.query([first, last])?;
            while let Some(row) = rows.next()? {
                bytes.extend_from_slice(row.get_ref(0)?.as_blob()?);
            }
            Ok(())
        };
        read().map_err(|cause| of_sqlite(self.path, cause))
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // Where it cannot be deleted, the next attempt does it.
        let _ = fs::remove_file(&self.path);
    }
}

fn of_sqlite(path: &Path, cause: rusqlite::Error) -> StateError {
    of_store(&explain(path, cause))
}

fn of_store(error: &StoreError) -> StateError {
    StateError::Scratch {
        reason: format!("state that memory has no room for goes to a scratch file: {error}"),
        full: error.is_full(),
    }
}

fn of_system(path: &Path, error: &io::Error) -> StateError {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let reason = format!("the scratch file {} for state cannot be made: {error}", path.display());
    StateError::Scratch { reason, full }
}
