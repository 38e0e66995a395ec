//! Dead letters on disk: written with the batch that could not use them, listed, and replayed.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Transaction, params, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::batch::{BatchId, DeadLetter, DeadLetterKind, Payload};

/// Which dead letters: all that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterFilter {
    /// This one.
    pub id: Option<u64>,
    /// Those of an entry.
    pub entry: Option<String>,
    /// Those of a kind.
    pub kind: Option<DeadLetterKind>,
}

/// A dead letter, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterRecord {
    /// Number in the pipeline.
    pub id: u64,
    /// The batch that could not use it.
    pub batch_id: u64,
    /// The entry that could not.
    pub entry: String,
    /// What went wrong.
    pub kind: DeadLetterKind,
    /// Why, and what to do.
    pub reason: String,
    /// Where it came from.
    pub origin: String,
    /// The record, where it is text.
    pub text: Option<String>,
    /// The record in hexadecimal, where it is no text.
    pub hex: Option<String>,
    /// When the batch was committed, in microseconds since the Unix epoch.
    pub time_us: i64,
    /// The batch that replayed it.
    pub replayed_in: Option<u64>,
}

/// A dead letter as a batch takes it up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// Number in the pipeline.
    pub id: u64,
    /// The entry that takes it again.
    pub entry: String,
    /// The record.
    pub payload: Payload,
}

const COLUMNS: &str = "id, batch, entry, kind, reason, origin, input, payload, time_us, replayed_in";

pub(crate) fn insert(
    transaction: &Transaction<'_>,
    batch: BatchId,
    letters: &[DeadLetter],
    now_us: i64,
) -> Result<(), rusqlite::Error> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO dead_letters (batch, entry, kind, reason, origin, input, payload, time_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for letter in letters {
        let (input, payload) = match &letter.payload {
            Payload::Raw(bytes) => (None, bytes.as_slice()),
            Payload::Row { input, text } => (Some(*input as i64), text.as_bytes()),
        };
        statement.execute(params![
            batch.0.cast_signed(),
            &*letter.entry,
            letter.kind.to_string(),
            letter.reason,
            letter.origin,
            input,
            payload,
            now_us
        ])?;
    }
    Ok(())
}

pub(crate) fn mark_replayed(
    transaction: &Transaction<'_>,
    batch: BatchId,
    ids: &[u64],
) -> Result<(), rusqlite::Error> {
    let mut statement =
        transaction.prepare_cached("UPDATE dead_letters SET replayed_in = ?2 WHERE id = ?1")?;
    for id in ids {
        statement.execute(params![id.cast_signed(), batch.0.cast_signed()])?;
    }
    Ok(())
}

/// Those of `ids` that no batch has replayed yet.
pub(crate) fn unreplayed(db: &Connection, ids: &[u64]) -> Result<Vec<u64>, rusqlite::Error> {
    let mut statement =
        db.prepare_cached("SELECT count(*) FROM dead_letters WHERE id = ?1 AND replayed_in IS NULL")?;
    let mut open = Vec::with_capacity(ids.len());
    for id in ids {
        if statement.query_row([id.cast_signed()], |row| row.get::<_, i64>(0))? == 1 {
            open.push(*id);
        }
    }
    Ok(open)
}

pub(crate) fn by_ids(db: &Connection, ids: &[u64]) -> Result<Vec<StoredLetter>, rusqlite::Error> {
    let mut statement =
        db.prepare_cached("SELECT id, entry, input, payload FROM dead_letters WHERE id = ?1")?;
    ids.iter()
        .map(|id| {
            statement.query_row([id.cast_signed()], |row| {
                let bytes: Vec<u8> = row.get(3)?;
                let payload = match row.get::<_, Option<i64>>(2)? {
                    None => Payload::Raw(bytes),
                    Some(input) => Payload::Row {
                        input: usize::try_from(input).unwrap_or_default(),
                        text: String::from_utf8_lossy(&bytes).into_owned(),
                    },
                };
                Ok(StoredLetter { id: row.get::<_, i64>(0)?.cast_unsigned(), entry: row.get(1)?, payload })
            })
        })
        .collect()
}

/// Letters after id `after`, oldest first.
pub(crate) fn list(
    db: &Connection,
    filter: &DeadLetterFilter,
    after: u64,
    limit: u32,
    open_only: bool,
) -> Result<Vec<DeadLetterRecord>, rusqlite::Error> {
    let mut conditions = vec!["id > ?".to_owned()];
    let mut values = vec![SqlValue::from(after.cast_signed())];
    let mut add = |condition: &str, value: SqlValue| {
        conditions.push(condition.to_owned());
        values.push(value);
    };
    if let Some(id) = filter.id {
        add("id = ?", id.cast_signed().into());
    }
    if let Some(entry) = &filter.entry {
        add("entry = ?", entry.clone().into());
    }
    if let Some(kind) = filter.kind {
        add("kind = ?", kind.to_string().into());
    }
    if open_only {
        conditions.push("replayed_in IS NULL".to_owned());
    }
    values.push(i64::from(limit).into());
    let sql =
        format!("SELECT {COLUMNS} FROM dead_letters WHERE {} ORDER BY id LIMIT ?", conditions.join(" AND "));
    let mut statement = db.prepare(&sql)?;
    statement.query_map(params_from_iter(values), record)?.collect()
}

fn record(row: &rusqlite::Row<'_>) -> Result<DeadLetterRecord, rusqlite::Error> {
    let kind: String = row.get(3)?;
    let payload: Vec<u8> = row.get(7)?;
    let (text, hex) = match String::from_utf8(payload) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(hexadecimal(error.as_bytes()))),
    };
    Ok(DeadLetterRecord {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        batch_id: row.get::<_, i64>(1)?.cast_unsigned(),
        entry: row.get(2)?,
        kind: serde_json::from_value(kind.into()).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, Box::new(error))
        })?,
        reason: row.get(4)?,
        origin: row.get(5)?,
        text,
        hex,
        time_us: row.get(8)?,
        replayed_in: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
