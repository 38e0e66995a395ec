//! `state.db`: chunks of state as compressed Arrow IPC, by epoch. Written in the background; a chunk
//! counts once its epoch is complete in `checkpoint.db`.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use rusqlite::{Connection, OpenFlags, params};

use crate::sqlite::{BUSY_TIMEOUT, Durability, StoreError, explain, open_database};

/// `MSst`, in ASCII.
const APPLICATION_ID: i32 = 0x4d53_7374;
const VERSION: u32 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, step TEXT NOT NULL, worker INTEGER NOT NULL,
    state_table TEXT NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS chunks_epoch ON chunks (epoch);
";

/// Where state is kept.
#[derive(Clone, Debug)]
pub struct StateFile(PathBuf);

impl StateFile {
    /// The file in a pipeline's folder.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self(dir.join("state.db"))
    }

    /// It was made.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.0.exists()
    }
}

/// An open `state.db`.
#[derive(Debug)]
pub struct StateStore {
    db: Connection,
    path: PathBuf,
}

/// A chunk of a step's state.
#[derive(Clone, Debug)]
pub struct StoredChunk {
    /// The step.
    pub step: String,
    /// The worker that wrote it.
    pub worker: u32,
    /// What the rows are.
    pub table: String,
    /// The rows.
    pub rows: RecordBatch,
}

impl StateStore {
    /// Opens or creates the store.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(file: &StateFile, durability: Durability) -> Result<Self, StoreError> {
        let db = open_database(&file.0, APPLICATION_ID, VERSION, SCHEMA, durability)?;
        Ok(Self { db, path: file.0.clone() })
    }

    /// Opens the store to look at it as it is at this moment, whatever is written meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open_to_look(file: &StateFile) -> Result<Self, StoreError> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&file.0, flags)?;
            db.busy_timeout(BUSY_TIMEOUT)?;
            // The first look fixes what the others see.
            db.execute_batch("BEGIN; SELECT 1 FROM chunks LIMIT 1")?;
            Ok(db)
        };
        let db = open().map_err(|cause| explain(&file.0, cause))?;
        Ok(Self { db, path: file.0.clone() })
    }

    /// Begins to write the chunks of an epoch; what an unfinished attempt left is replaced.
    ///
    /// # Errors
    /// When the file fails.
    pub fn begin(&mut self, epoch: u64) -> Result<Writing<'_>, StoreError> {
        let begin = |db: &mut Connection| {
            db.execute_batch("BEGIN IMMEDIATE")?;
            db.execute("DELETE FROM chunks WHERE epoch >= ?1", [epoch.cast_signed()]).map(drop)
        };
        begin(&mut self.db).map_err(|cause| explain(&self.path, cause))?;
        Ok(Writing { store: self, epoch, bytes: 0, is_committed: false })
    }

    /// Writes the chunks of an epoch, all or none. Answers with the bytes written.
    ///
    /// # Errors
    /// When it did not become durable.
    pub fn write(&mut self, epoch: u64, chunks: &[StoredChunk]) -> Result<u64, StoreError> {
        let mut writing = self.begin(epoch)?;
        writing.append(chunks)?;
        writing.commit()
    }

    /// Removes what epochs before `epoch` wrote: a newer full copy is complete.
    ///
    /// # Errors
    /// When the file fails.
    pub fn remove_before(&mut self, epoch: u64) -> Result<(), StoreError> {
        self.db
            .execute("DELETE FROM chunks WHERE epoch < ?1", [epoch.cast_signed()])
            .map(drop)
            .map_err(|cause| explain(&self.path, cause))
    }

    /// Gives every chunk of the epochs `base` to `epoch`, oldest first, to `take`.
    ///
    /// # Errors
    /// When the file fails, is damaged, or `take` refuses.
    pub fn read(
        &self,
        base: u64,
        epoch: u64,
        mut take: impl FnMut(StoredChunk) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        let fail = |cause| explain(&self.path, cause);
        let mut statement = self
            .db
            .prepare(
                "SELECT step, worker, state_table, data FROM chunks WHERE epoch BETWEEN ?1 AND ?2 ORDER BY epoch, id",
            )
            .map_err(fail)?;
        let mut rows = statement.query([base.cast_signed(), epoch.cast_signed()]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let read = || -> Result<_, rusqlite::Error> {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Vec<u8>>(3)?))
            };
            let (step, worker, table, data) = read().map_err(fail)?;
            for rows in self.decode(&data)? {
                let chunk = StoredChunk { step: step.clone(), worker, table: Clone::clone(&table), rows };
                take(chunk).map_err(|why| StoreError::Foreign { path: self.path.clone(), why })?;
            }
        }
        Ok(())
    }

    fn encode(&self, rows: &RecordBatch) -> Result<Vec<u8>, StoreError> {
        let write = || {
            let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
            let mut writer = StreamWriter::try_new_with_options(Vec::new(), &rows.schema(), options)?;
            writer.write(rows)?;
            writer.into_inner()
        };
        write().map_err(|error| self.damaged(&error))
    }

    fn decode(&self, data: &[u8]) -> Result<Vec<RecordBatch>, StoreError> {
        let read = || StreamReader::try_new(Cursor::new(data), None)?.collect::<Result<Vec<_>, _>>();
        read().map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &arrow_schema::ArrowError) -> StoreError {
        StoreError::Foreign { path: self.path.clone(), why: format!("a chunk of state is damaged ({error})") }
    }
}

/// An epoch that is being written; nothing of it stays unless it is committed.
#[derive(Debug)]
pub struct Writing<'a> {
    store: &'a mut StateStore,
    epoch: u64,
    bytes: u64,
    is_committed: bool,
}

impl Writing<'_> {
    /// Writes some of the epoch's chunks.
    ///
    /// # Errors
    /// When the file fails.
    pub fn append(&mut self, chunks: &[StoredChunk]) -> Result<(), StoreError> {
        for chunk in chunks {
            let data = self.store.encode(&chunk.rows)?;
            let insert =
                |db: &Connection| {
                    db.prepare_cached(
                    "INSERT INTO chunks (epoch, step, worker, state_table, data) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![self.epoch.cast_signed(), chunk.step, chunk.worker, chunk.table, data])
                };
            insert(&self.store.db).map_err(|cause| explain(&self.store.path, cause))?;
            self.bytes += data.len() as u64;
        }
        Ok(())
    }

    /// Makes the epoch durable; answers with the bytes written.
    ///
    /// # Errors
    /// When it did not become durable.
    pub fn commit(mut self) -> Result<u64, StoreError> {
        self.store.db.execute_batch("COMMIT").map_err(|cause| explain(&self.store.path, cause))?;
        self.is_committed = true;
        Ok(self.bytes)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.is_committed {
            // Where even this fails, the connection is not used again: the attempt is over.
            let _ = self.store.db.execute_batch("ROLLBACK");
        }
    }
}
