//! `checkpoint.db`: plans, commits, progress and dead letters, and which checkpoints are complete.
//! The driver is its only writer; one transaction a batch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::Value;

use super::letters::{self, StoredLetter};
use super::plan::BatchPlan;
use crate::batch::{BatchId, DeadLetter};
use crate::source::Position;
use crate::sqlite::{Durability, StoreError, explain, open_database};

/// `MSck`, in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x4d53_636b;
pub(crate) const VERSION: u32 = 1;
pub(crate) const FILE: &str = "checkpoint.db";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, plan TEXT NOT NULL, planned_at_us INTEGER NOT NULL,
    committed_at_us INTEGER, progress TEXT) STRICT;
CREATE TABLE IF NOT EXISTS checkpoints (
    epoch INTEGER PRIMARY KEY, batch INTEGER NOT NULL, kind TEXT NOT NULL, bytes INTEGER NOT NULL,
    duration_us INTEGER NOT NULL, completed_at_us INTEGER NOT NULL, position TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, batch INTEGER NOT NULL, entry TEXT NOT NULL, kind TEXT NOT NULL,
    reason TEXT NOT NULL, origin TEXT NOT NULL, input INTEGER, payload BLOB NOT NULL,
    time_us INTEGER NOT NULL, replayed_in INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS dead_letters_entry ON dead_letters (entry, id);
";

/// Batches whose plan and progress are kept for people after a checkpoint covers them.
const BATCHES_KEPT: u64 = 1000;

/// A pipeline's `checkpoint.db`.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
}

/// A checkpoint: state and positions after one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Number of the checkpoint; its chunks in `state.db` bear it.
    pub epoch: u64,
    /// The state is that after this batch.
    pub batch: BatchId,
    /// The epoch of the newest full copy of the state, on which this one builds (or is).
    pub base: u64,
    /// `full` or `delta`.
    pub kind: String,
    /// Bytes written.
    pub bytes: u64,
    /// Microseconds from the copy to the disk.
    pub duration_us: i64,
    /// Where each source stands.
    pub positions: BTreeMap<String, Position>,
    /// What the watermark follows from.
    pub watermark: Value,
}

/// What a batch leaves behind when it is committed.
#[derive(Clone, Debug)]
pub struct CommitRow {
    /// The batch.
    pub batch: BatchId,
    /// Its progress document.
    pub progress: String,
    /// Records it could not use.
    pub letters: Vec<DeadLetter>,
    /// Dead letters it has replayed.
    pub replayed: Vec<u64>,
}

/// What recovery has to run again.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// The plan.
    pub plan: BatchPlan,
    /// Its commit is on record: its dead letters and progress are there.
    pub committed: bool,
}

/// What recovery reads: a full copy, and the deltas after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Epoch of the full copy.
    pub base: u64,
    /// Its bytes.
    pub full_bytes: u64,
    /// Deltas.
    pub deltas: u32,
    /// Their bytes.
    pub delta_bytes: u64,
}

impl Store {
    /// Opens or creates the store in `dir`.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let db = open_database(&path, APPLICATION_ID, VERSION, SCHEMA, durability)?;
        Ok(Self { db, path })
    }

    fn explain(&self) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        |cause| explain(&self.path, cause)
    }

    /// A value that is made once and then stays: the pipeline's id, its seed.
    ///
    /// # Errors
    /// When the file fails.
    pub fn fixed(&self, key: &str, make: impl FnOnce() -> String) -> Result<String, StoreError> {
        let found = self
            .db
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(self.explain())?;
        if let Some(value) = found {
            return Ok(value);
        }
        let value = make();
        self.db
            .execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, value])
            .map_err(self.explain())?;
        Ok(value)
    }

    /// The newest complete checkpoint.
    ///
    /// # Errors
    /// When the file fails or holds something else.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let row = self
            .db
            .query_row(
                "SELECT epoch, batch, kind, bytes, duration_us, position,
                    (SELECT coalesce(max(epoch), 0) FROM checkpoints WHERE kind = 'full')
                 FROM checkpoints ORDER BY epoch DESC LIMIT 1",
                [],
                |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, i64>(3)?,
                        row.get::<_, i64>(4)?,
                        row.get::<_, String>(5)?,
                        row.get::<_, i64>(6)?,
                    ))
                },
            )
            .optional()
            .map_err(self.explain())?;
        let Some((epoch, batch, kind, bytes, duration_us, position, base)) = row else { return Ok(None) };
        let (positions, watermark) =
            serde_json::from_str(&position).map_err(|error| self.foreign("checkpoint", &error))?;
        Ok(Some(Checkpoint {
            epoch: epoch.cast_unsigned(),
            batch: BatchId(batch.cast_unsigned()),
            base: base.cast_unsigned(),
            kind,
            bytes: bytes.cast_unsigned(),
            duration_us,
            positions,
            watermark,
        }))
    }

    /// The newest full copy and the deltas since then; none when there is no full copy.
    ///
    /// # Errors
    /// When the file fails.
    pub fn chain(&self) -> Result<Option<Chain>, StoreError> {
        self.db
            .query_row(
                "SELECT full.epoch, full.bytes, count(delta.epoch), coalesce(sum(delta.bytes), 0)
                 FROM (SELECT epoch, bytes FROM checkpoints WHERE kind = 'full' ORDER BY epoch DESC LIMIT 1) AS full
                 LEFT JOIN checkpoints AS delta ON delta.epoch > full.epoch
                 GROUP BY full.epoch",
                [],
                |row| {
                    Ok(Chain {
                        base: row.get::<_, i64>(0)?.cast_unsigned(),
                        full_bytes: row.get::<_, i64>(1)?.cast_unsigned(),
                        deltas: row.get(2)?,
                        delta_bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                    })
                },
            )
            .optional()
            .map_err(self.explain())
    }

    fn foreign(&self, what: &str, error: &serde_json::Error) -> StoreError {
        StoreError::Foreign { path: self.path.clone(), why: format!("a {what} cannot be read ({error})") }
    }

    /// Plans after `batch`, in order: what recovery runs again.
    ///
    /// # Errors
    /// When the file fails or holds something else.
    pub fn plans_after(&self, batch: BatchId) -> Result<Vec<Unfinished>, StoreError> {
        let mut statement = self
            .db
            .prepare("SELECT plan, committed_at_us IS NOT NULL FROM batches WHERE id > ?1 ORDER BY id")
            .map_err(self.explain())?;
        let rows = statement
            .query_map([batch.0.cast_signed()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(self.explain())?;
        rows.into_iter()
            .map(|(text, committed)| {
                let plan = serde_json::from_str(&text).map_err(|error| self.foreign("plan", &error))?;
                Ok(Unfinished { plan, committed })
            })
            .collect()
    }

    /// One transaction: batches that are committed, and the plan of the next.
    ///
    /// # Errors
    /// When it did not become durable.
    pub fn advance(
        &mut self,
        commits: &[CommitRow],
        plan: Option<&BatchPlan>,
        now_us: i64,
    ) -> Result<(), StoreError> {
        if commits.is_empty() && plan.is_none() {
            return Ok(());
        }
        let path = self.path.clone();
        let run = |db: &mut Connection| {
            let transaction = db.transaction()?;
            for commit in commits {
                commit_batch(&transaction, commit, now_us)?;
            }
            if let Some(plan) = plan {
                insert_plan(&transaction, plan)?;
            }
            transaction.commit()
        };
        run(&mut self.db).map_err(|cause| explain(&path, cause))
    }

    /// Replaces the plan of a batch that has run by one that knows more of it.
    ///
    /// # Errors
    /// When it did not become durable.
    pub fn amend(&self, plan: &BatchPlan) -> Result<(), StoreError> {
        self.db
            .execute(
                "UPDATE batches SET plan = ?2 WHERE id = ?1",
                params![plan.batch.0.cast_signed(), text_of(plan)],
            )
            .map_err(self.explain())?;
        Ok(())
    }

    /// The checkpoint is complete: its chunks are in `state.db` and its batch is committed. Plans
    /// that nobody needs any more are removed.
    ///
    /// # Errors
    /// When it did not become durable.
    pub fn complete(&mut self, checkpoint: &Checkpoint, now_us: i64) -> Result<(), StoreError> {
        let path = self.path.clone();
        let position = serde_json::to_string(&(&checkpoint.positions, &checkpoint.watermark))
            .expect("positions are JSON already");
        let run = |db: &mut Connection| {
            let transaction = db.transaction()?;
            transaction.execute(
                "INSERT INTO checkpoints (epoch, batch, kind, bytes, duration_us, completed_at_us, position)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    checkpoint.epoch.cast_signed(),
                    checkpoint.batch.0.cast_signed(),
                    checkpoint.kind,
                    checkpoint.bytes.cast_signed(),
                    checkpoint.duration_us,
                    now_us,
                    position
                ],
            )?;
            let oldest_kept = checkpoint.batch.0.saturating_sub(BATCHES_KEPT).cast_signed();
            transaction.execute("DELETE FROM batches WHERE id <= ?1", [oldest_kept])?;
            transaction.execute(
                "DELETE FROM checkpoints WHERE epoch <= ?1",
                [checkpoint.epoch.saturating_sub(BATCHES_KEPT).cast_signed()],
            )?;
            transaction.commit()
        };
        run(&mut self.db).map_err(|cause| explain(&path, cause))
    }

    /// Those of `ids` that no committed batch has replayed.
    ///
    /// # Errors
    /// When the file fails.
    pub fn unreplayed(&self, ids: &[u64]) -> Result<Vec<u64>, StoreError> {
        letters::unreplayed(&self.db, ids).map_err(self.explain())
    }

    /// Dead letters by id, in the order of their ids.
    ///
    /// # Errors
    /// When the file fails.
    pub fn letters(&self, ids: &[u64]) -> Result<Vec<StoredLetter>, StoreError> {
        letters::by_ids(&self.db, ids).map_err(self.explain())
    }
}

fn insert_plan(transaction: &Transaction<'_>, plan: &BatchPlan) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("INSERT INTO batches (id, plan, planned_at_us) VALUES (?1, ?2, ?3)")?
        .execute(params![plan.batch.0.cast_signed(), text_of(plan), plan.now_us])?;
    Ok(())
}

fn text_of(plan: &BatchPlan) -> String {
    serde_json::to_string(plan).expect("a plan has only string keys")
}

fn commit_batch(
    transaction: &Transaction<'_>,
    commit: &CommitRow,
    now_us: i64,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("UPDATE batches SET committed_at_us = ?2, progress = ?3 WHERE id = ?1")?
        .execute(params![commit.batch.0.cast_signed(), now_us, commit.progress])?;
    letters::insert(transaction, commit.batch, &commit.letters, now_us)?;
    letters::mark_replayed(transaction, commit.batch, &commit.replayed)
}

#[cfg(test)]
mod tests;
