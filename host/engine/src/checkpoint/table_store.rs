//! `tables.db`: the versions of tables that batches have seen, as compressed Arrow IPC, until the
//! checkpoint that no longer needs them is complete. What a plan names is here before the plan is.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::ArrowError;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use xxhash_rust::xxh3::Xxh3;

use crate::sqlite::{BUSY_TIMEOUT, Durability, StoreError, explain, open_database};

/// `MStb`, in ASCII.
const APPLICATION_ID: i32 = 0x4d53_7462;
const VERSION: u32 = 1;
const FILE: &str = "tables.db";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS versions (
    name TEXT NOT NULL, number INTEGER NOT NULL, origin TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (name, number)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS chunks_version ON chunks (name, number);
";

/// Rows and bytes of one chunk at most, so that a chunk is far from what SQLite takes as one value.
const CHUNK_ROWS: usize = 65_536;
const CHUNK_BYTES: usize = 64 * 1024 * 1024;

/// An open `tables.db`.
#[derive(Debug)]
pub struct TableStore {
    db: Connection,
    path: PathBuf,
}

/// A version that is kept, without its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTable {
    /// The version.
    pub number: u64,
    /// What was read, from where: a table whose spec has changed is another table.
    pub origin: String,
    /// Differs when the rows do.
    pub digest: String,
}

/// A table as it is written down.
#[derive(Debug)]
pub struct EncodedTable {
    /// Differs when the rows do.
    pub digest: String,
    chunks: Vec<Vec<u8>>,
}

impl EncodedTable {
    /// Compresses a table; takes no lock and touches no file.
    ///
    /// # Errors
    /// When arrow cannot write a column.
    pub fn new(rows: &RecordBatch) -> Result<Self, ArrowError> {
        let row_bytes = rows.get_array_memory_size() / rows.num_rows().max(1) + 1;
        let size = (CHUNK_BYTES / row_bytes).clamp(1, CHUNK_ROWS);
        let mut hasher = Xxh3::new();
        let mut chunks = Vec::new();
        let mut from = 0;
        // One chunk even of no rows: it has the columns.
        while from == 0 || from < rows.num_rows() {
            let chunk = encode(&rows.slice(from, size.min(rows.num_rows() - from)))?;
            hasher.update(&chunk);
            chunks.push(chunk);
            from += size;
        }
        Ok(Self { digest: format!("{:032x}", hasher.digest128()), chunks })
    }
}

impl TableStore {
    /// Opens or creates the store in a pipeline's folder.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let db = open_database(&path, APPLICATION_ID, VERSION, SCHEMA, durability)?;
        Ok(Self { db, path })
    }

    /// Opens the store to look at it; none while the pipeline has not made it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open_to_look(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&path, flags)?;
            db.busy_timeout(BUSY_TIMEOUT)?;
            // A version that is found is there to be read, too.
            db.execute_batch("BEGIN; SELECT 1 FROM versions LIMIT 1")?;
            Ok(db)
        };
        let db = open().map_err(|cause| explain(&path, cause))?;
        Ok(Some(Self { db, path }))
    }

    /// The newest version of a table.
    ///
    /// # Errors
    /// When the file fails.
    pub fn newest(&self, name: &str) -> Result<Option<KeptTable>, StoreError> {
        self.db
            .query_row(
                "SELECT number, origin, digest FROM versions WHERE name = ?1 ORDER BY number DESC LIMIT 1",
                [name],
                |row| {
                    let number = row.get::<_, i64>(0)?.cast_unsigned();
                    Ok(KeptTable { number, origin: row.get(1)?, digest: row.get(2)? })
                },
            )
            .optional()
            .map_err(|cause| explain(&self.path, cause))
    }

    /// Writes a version, all or nothing.
    ///
    /// # Errors
    /// When it did not become durable.
    pub fn write(&mut self, name: &str, kept: &KeptTable, table: &EncodedTable) -> Result<(), StoreError> {
        let number = kept.number.cast_signed();
        let run = |db: &mut Connection| {
            let transaction = db.transaction()?;
            transaction.execute(
                "INSERT INTO versions (name, number, origin, digest) VALUES (?1, ?2, ?3, ?4)",
                params![name, number, kept.origin, kept.digest],
            )?;
            for chunk in &table.chunks {
                transaction
                    .prepare_cached("INSERT INTO chunks (name, number, data) VALUES (?1, ?2, ?3)")?
                    .execute(params![name, number, chunk])?;
            }
            transaction.commit()
        };
        run(&mut self.db).map_err(|cause| explain(&self.path, cause))
    }

    /// The rows of a version; none when it is not kept.
    ///
    /// # Errors
    /// When the file fails or is damaged.
    pub fn read(&self, name: &str, number: u64) -> Result<Option<RecordBatch>, StoreError> {
        let fail = |cause| explain(&self.path, cause);
        let mut statement = self
            .db
            .prepare("SELECT data FROM chunks WHERE name = ?1 AND number = ?2 ORDER BY id")
            .map_err(fail)?;
        let mut rows = statement.query(params![name, number.cast_signed()]).map_err(fail)?;
        let mut parts = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            let data: Vec<u8> = row.get(0).map_err(fail)?;
            parts.extend(decode(&data).map_err(|error| self.damaged(name, number, &error))?);
        }
        let Some(first) = parts.first() else { return Ok(None) };
        let all = arrow_select::concat::concat_batches(first.schema_ref(), &parts);
        all.map(Some).map_err(|error| self.damaged(name, number, &error))
    }

    /// Removes the versions of a table before `number`: nothing is run again that saw them.
    ///
    /// # Errors
    /// When the file fails.
    pub fn forget_before(&mut self, name: &str, number: u64) -> Result<(), StoreError> {
        let run = |db: &mut Connection| {
            let transaction = db.transaction()?;
            for table in ["versions", "chunks"] {
                let delete = format!("DELETE FROM {table} WHERE name = ?1 AND number < ?2");
                transaction.execute(&delete, params![name, number.cast_signed()])?;
            }
            transaction.commit()
        };
        run(&mut self.db).map_err(|cause| explain(&self.path, cause))
    }

    fn damaged(&self, name: &str, number: u64, error: &ArrowError) -> StoreError {
        let why = format!("version {number} of table {name} is damaged ({error})");
        StoreError::Foreign { path: self.path.clone(), why }
    }
}

fn encode(rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), rows.schema_ref(), options)?;
    writer.write(rows)?;
    writer.into_inner()
}

fn decode(data: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    StreamReader::try_new(Cursor::new(data), None)?.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringArray;
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn rows(values: &[&str]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("word", DataType::Utf8, true)]));
        RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(values.to_vec()))]).unwrap()
    }

    fn write(store: &mut TableStore, name: &str, number: u64, rows: &RecordBatch) -> KeptTable {
        let encoded = EncodedTable::new(rows).unwrap();
        let kept = KeptTable { number, origin: "here".into(), digest: encoded.digest.clone() };
        store.write(name, &kept, &encoded).unwrap();
        kept
    }

    #[test]
    fn versions_come_back_as_they_were_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = TableStore::open(dir.path(), Durability::Process).unwrap();
        assert_eq!(store.newest("a").unwrap(), None);
        let many: Vec<String> = (0..CHUNK_ROWS + 3).map(|i| i.to_string()).collect();
        let many = rows(&many.iter().map(String::as_str).collect::<Vec<_>>());
        write(&mut store, "a", 1, &rows(&[]));
        write(&mut store, "b", 1, &rows(&["other"]));
        let second = write(&mut store, "a", 2, &many);
        drop(store);
        let mut store = TableStore::open(dir.path(), Durability::Process).unwrap();
        assert_eq!(store.newest("a").unwrap(), Some(second));
        assert_eq!(store.read("a", 1).unwrap(), Some(rows(&[])));
        assert_eq!(store.read("a", 2).unwrap(), Some(many));
        assert_eq!(store.read("a", 3).unwrap(), None);
        store.forget_before("a", 2).unwrap();
        assert_eq!(store.read("a", 1).unwrap(), None);
        assert_eq!(store.read("b", 1).unwrap(), Some(rows(&["other"])));
    }

    #[test]
    fn digests_differ_when_rows_do() {
        let digest = |values: &[&str]| EncodedTable::new(&rows(values)).unwrap().digest;
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
        assert_ne!(digest(&[]), digest(&[""]));
    }
}
