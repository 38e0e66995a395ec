//! A source's journal: a thread that writes what is offered, many offers a transaction, and answers
//! each once it is safe.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError, bounded};
use rusqlite::{Connection, OpenFlags, params};

use super::index::{Entry, Index};
use super::writer::{self, Command};
use super::{Done, Inbox, Received, Refused};
use crate::sqlite::{Durability, StoreError, open_database};

/// `MSjo`, in ASCII.
const APPLICATION_ID: i32 = 0x4d53_6a6f;
const VERSION: u32 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS entries (
    offset INTEGER PRIMARY KEY AUTOINCREMENT, records INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, digest BLOB NOT NULL, offset INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_offset ON keys (offset);
";

/// Offers that wait for the writer; more are refused as `Full`.
const QUEUE_MAX: usize = 4096;

/// How a journal keeps what it is given.
#[derive(Clone)]
pub struct JournalOptions {
    /// Offers are written to a file before they are answered (not under at-most-once).
    pub durable: bool,
    /// Bytes that may wait for a checkpoint; then offers are refused.
    pub bytes_max: u64,
    /// Tells the driver that something came.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

/// A source's journal.
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    /// Guards the way to the writer, which is gone once the journal is closed; held for moments.
    writer: Mutex<Option<Writer>>,
}

struct Writer {
    sender: Sender<Command>,
    thread: JoinHandle<()>,
}

/// What the writer, the receivers and the readers share.
pub(crate) struct Shared {
    pub(crate) path: Option<PathBuf>,
    /// Guards the index; held for short moments only, never while a file is read or written.
    pub(crate) index: Mutex<Index>,
    /// Bytes offered and not released yet.
    pub(crate) held_bytes: AtomicU64,
    pub(crate) options: JournalOptions,
}

impl Shared {
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries `[from, to)`: from memory if they are recent, else from the file.
    pub(crate) fn read(&self, from: u64, to: u64) -> Result<Vec<Entry>, String> {
        if let Some(entries) = self.index().recent(from, to) {
            return Ok(entries);
        }
        let Some(path) = &self.path else {
            return Err(format!("entries {from} to {to} are gone: without a journal nothing is read twice"));
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let run = || {
            let db = Connection::open_with_flags(path, flags)?;
            db.prepare("SELECT offset, records, data FROM entries WHERE offset >= ?1 AND offset < ?2 ORDER BY offset")?
                .query_map(params![from.cast_signed(), to.cast_signed()], |row| {
                    Ok(Entry {
                        offset: row.get::<_, i64>(0)?.cast_unsigned(),
                        records: row.get::<_, i64>(1)?.cast_unsigned(),
                        bytes: row.get::<_, Vec<u8>>(2)?.into(),
                    })
                })?
                .collect::<Result<Vec<_>, _>>()
        };
        let entries = run().map_err(|cause: rusqlite::Error| format!("{}: {cause}", path.display()))?;
        if entries.len() as u64 != to - from {
            return Err(format!(
                "{}: entries {from} to {to} are not all there any more: was the file replaced?",
                path.display()
            ));
        }
        Ok(entries)
    }
}

impl Journal {
    /// Opens the journal `name` in `dir`, or one without a file if nothing has to survive.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(dir: &Path, name: &str, options: JournalOptions) -> Result<Self, StoreError> {
        let path = options.durable.then(|| dir.join(format!("journal-{name}.db")));
        let (db, index, held) = match &path {
            Some(path) => {
                let db = open_database(path, APPLICATION_ID, VERSION, SCHEMA, Durability::Power)?;
                let (index, held) =
                    load(&db).map_err(|cause| StoreError::Io { path: path.clone(), cause })?;
                (db, index, held)
            }
            None => {
                let memory = Path::new(":memory:");
                (
                    open_database(memory, APPLICATION_ID, VERSION, SCHEMA, Durability::Process)?,
                    Index::alone(),
                    0,
                )
            }
        };
        let shared =
            Arc::new(Shared { path, index: Mutex::new(index), held_bytes: AtomicU64::new(held), options });
        let (sender, receiver) = bounded(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name(format!("journal-{name}"))
            .spawn({
                let shared = Arc::clone(&shared);
                move || writer::run(db, &receiver, &shared)
            })
            .map_err(|error| StoreError::Foreign {
                path: dir.to_owned(),
                why: format!("no thread for the journal ({error})"),
            })?;
        Ok(Self { shared, writer: Mutex::new(Some(Writer { sender, thread })) })
    }

    /// Everything before `offset` is covered by a checkpoint and may be deleted.
    pub(crate) fn release(&self, offset: u64) {
        if let Some(sender) = self.sender() {
            // A queue that is full of offers only delays the clean-up until the next checkpoint.
            let _ = sender.try_send(Command::Release(offset));
        }
    }

    /// Writes what was offered, then nothing more: receivers may outlive the attempt they were
    /// started for, and the next attempt must find a file that nobody writes.
    pub(crate) fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Writer { sender, thread }) = writer {
            drop(sender);
            // The writer ends when the queue is empty; a panic there was reported by its thread.
            let _ = thread.join();
        }
    }

    fn sender(&self) -> Option<Sender<Command>> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().map(|writer| writer.sender.clone())
    }

    fn is_below_limit(&self) -> bool {
        self.shared.held_bytes.load(Ordering::Relaxed) < self.shared.options.bytes_max
    }
}

impl Inbox for Journal {
    fn offer(&self, received: Received, done: Done) {
        let Some(sender) = self.sender() else { return done(Err(Refused::Closed)) };
        if !self.is_below_limit() {
            return done(Err(Refused::Full));
        }
        match sender.try_send(Command::Offer(received, done)) {
            Ok(()) => {}
            Err(TrySendError::Full(Command::Offer(_, done))) => done(Err(Refused::Full)),
            Err(TrySendError::Disconnected(Command::Offer(_, done))) => done(Err(Refused::Closed)),
            Err(_) => {}
        }
    }

    fn has_room(&self) -> bool {
        self.is_below_limit() && self.sender().is_some_and(|sender| sender.len() < QUEUE_MAX / 2)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a journal from an earlier life holds: its sizes, not its bytes.
fn load(db: &Connection) -> Result<(Index, u64), rusqlite::Error> {
    let next: Option<i64> =
        db.query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = 'entries'", [], |row| row.get(0))?;
    let mut index = Index::over_file(next.unwrap_or(0).cast_unsigned() + 1);
    let mut held = 0;
    let mut statement = db.prepare("SELECT offset, records, length(data) FROM entries ORDER BY offset")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get::<_, i64>(2)?.cast_unsigned();
        held += bytes;
        index.found(row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned(), bytes);
    }
    Ok((index, held))
}

#[cfg(test)]
mod tests;
