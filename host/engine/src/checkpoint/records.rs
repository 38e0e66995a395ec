//! What a pipeline has written down, for people: read beside the running pipeline, or after it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::letters::{self, DeadLetterFilter, DeadLetterRecord};
use super::store::FILE;
use crate::sqlite::{StoreError, explain};

/// Read-only view of a pipeline's `checkpoint.db`.
#[derive(Debug)]
pub struct Records {
    db: Connection,
    path: PathBuf,
}

/// A batch, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchRecord {
    /// The batch.
    pub batch_id: u64,
    /// `planned` or `committed`.
    pub state: String,
    /// In microseconds since the Unix epoch.
    pub planned_at_us: i64,
    /// In microseconds since the Unix epoch.
    pub committed_at_us: Option<i64>,
    /// What was planned.
    pub plan: Value,
}

/// A checkpoint, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// Number of the checkpoint.
    pub epoch: u64,
    /// The state is that after this batch.
    pub batch_id: u64,
    /// `full` or `delta`.
    pub kind: String,
    /// Bytes written.
    pub bytes: u64,
    /// From the copy of the state to the disk.
    pub duration_ms: f64,
    /// In microseconds since the Unix epoch.
    pub time_us: i64,
}

/// Where a look at the state begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Number of the checkpoint.
    pub epoch: u64,
    /// The state is that after this batch.
    pub batch_id: u64,
    /// The epoch of the newest full copy.
    pub base: u64,
    /// Bytes of the full copy and what was written since.
    pub bytes: u64,
}

impl Records {
    /// Opens the records of the pipeline in `dir`; none while the pipeline has not made them.
    ///
    /// # Errors
    /// When the file fails.
    pub fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).map_err(|cause| explain(&path, cause))?;
        // The version and the tables come in one transaction, a moment after the file.
        let version: u32 = db
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|cause| explain(&path, cause))?;
        Ok((version > 0).then_some(Self { db, path }))
    }

    /// Progress documents, newest first.
    ///
    /// # Errors
    /// When the file fails.
    pub fn progress(&self, limit: u32) -> Result<Vec<Value>, StoreError> {
        self.rows(
            "SELECT progress FROM batches WHERE progress IS NOT NULL ORDER BY id DESC LIMIT ?1",
            limit,
            |row| Ok(json(row.get(0)?)),
        )
    }

    /// Batches, newest first.
    ///
    /// # Errors
    /// When the file fails.
    pub fn batches(&self, limit: u32) -> Result<Vec<BatchRecord>, StoreError> {
        let sql = "SELECT id, planned_at_us, committed_at_us, plan FROM batches ORDER BY id DESC LIMIT ?1";
        self.rows(sql, limit, |row| {
            let committed_at_us: Option<i64> = row.get(2)?;
            Ok(BatchRecord {
                batch_id: row.get::<_, i64>(0)?.cast_unsigned(),
                state: if committed_at_us.is_some() { "committed" } else { "planned" }.to_owned(),
                planned_at_us: row.get(1)?,
                committed_at_us,
                plan: json(row.get(3)?),
            })
        })
    }

    /// Complete checkpoints, newest first.
    ///
    /// # Errors
    /// When the file fails.
    pub fn checkpoints(&self) -> Result<Vec<CheckpointRecord>, StoreError> {
        let sql = "SELECT epoch, batch, kind, bytes, duration_us, completed_at_us FROM checkpoints
                   ORDER BY epoch DESC LIMIT ?1";
        self.rows(sql, 100, |row| {
            Ok(CheckpointRecord {
                epoch: row.get::<_, i64>(0)?.cast_unsigned(),
                batch_id: row.get::<_, i64>(1)?.cast_unsigned(),
                kind: row.get(2)?,
                bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                #[allow(clippy::cast_precision_loss, reason = "milliseconds for people")]
                duration_ms: row.get::<_, i64>(4)? as f64 / 1000.0,
                time_us: row.get(5)?,
            })
        })
    }

    /// The newest complete checkpoint.
    ///
    /// # Errors
    /// When the file fails.
    pub fn newest_checkpoint(&self) -> Result<Option<Look>, StoreError> {
        let sql = "SELECT epoch, batch, (SELECT coalesce(max(epoch), 0) FROM checkpoints WHERE kind = 'full') AS base,
                       (SELECT sum(bytes) FROM checkpoints WHERE epoch >=
                           (SELECT coalesce(max(epoch), 0) FROM checkpoints WHERE kind = 'full'))
                   FROM checkpoints ORDER BY epoch DESC LIMIT ?1";
        let number = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let found = self.rows(sql, 1, |row| {
            Ok(Look {
                epoch: number(row, 0)?,
                batch_id: number(row, 1)?,
                base: number(row, 2)?,
                bytes: number(row, 3)?,
            })
        });
        Ok(found?.pop())
    }

    /// Dead letters after id `after`, oldest first.
    ///
    /// # Errors
    /// When the file fails.
    pub fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DeadLetterRecord>, StoreError> {
        letters::list(&self.db, filter, after, limit, false).map_err(|cause| explain(&self.path, cause))
    }

    /// Ids of those that were not replayed yet.
    ///
    /// # Errors
    /// When the file fails.
    pub fn replayable(&self, filter: &DeadLetterFilter) -> Result<Vec<u64>, StoreError> {
        let found =
            letters::list(&self.db, filter, 0, u32::MAX, true).map_err(|cause| explain(&self.path, cause))?;
        Ok(found.into_iter().map(|letter| letter.id).collect())
    }

    /// One dead letter.
    ///
    /// # Errors
    /// When the file fails.
    pub fn dead_letter(&self, id: u64) -> Result<Option<DeadLetterRecord>, StoreError> {
        let filter = DeadLetterFilter { id: Some(id), ..DeadLetterFilter::default() };
        Ok(self.dead_letters(&filter, 0, 1)?.pop())
    }

    fn rows<T>(
        &self,
        sql: &str,
        limit: u32,
        read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let run =
            || self.db.prepare(sql)?.query_map([limit], read)?.collect::<Result<Vec<T>, rusqlite::Error>>();
        run().map_err(|cause| explain(&self.path, cause))
    }
}

fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
