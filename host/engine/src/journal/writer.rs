//! The journal's thread: takes all offers that wait, writes them in one transaction, answers them.

use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use xxhash_rust::xxh3::xxh3_128;

use super::file::Shared;
use super::index::Entry;
use super::{Done, Receipt, Received, Refused};
use crate::sqlite::is_full;

/// Bytes that one transaction takes at most, so that an answer never waits for a long one.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Idempotency keys are known for so many entries after their own.
const KEYS_KEPT_ENTRIES: u64 = 1_000_000;

/// What the writer is asked.
pub(crate) enum Command {
    /// Write this down.
    Offer(Received, Done),
    /// Everything before this offset may go.
    Release(u64),
}

/// Runs until all senders are gone.
pub(crate) fn run(mut db: Connection, receiver: &Receiver<Command>, shared: &Shared) {
    while let Ok(first) = receiver.recv() {
        let mut offers = Vec::new();
        let mut release = None;
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Offer(received, done) => {
                    bytes += received.bytes.len();
                    offers.push((received, done));
                }
                Command::Release(offset) => release = Some(offset),
            }
            next = if bytes < GROUP_BYTES_MAX { receiver.try_recv().ok() } else { None };
        }
        if !offers.is_empty() {
            write_group(&mut db, shared, offers);
        }
        if let Some(offset) = release {
            forget(&db, shared, offset);
        }
    }
}

fn write_group(db: &mut Connection, shared: &Shared, offers: Vec<(Received, Done)>) {
    let next = shared.index().next();
    let first_try = take_all(db, shared, next, &offers);
    match first_try {
        Ok((answers, entries)) => {
            let bytes: u64 = entries.iter().map(|entry| entry.bytes.len() as u64).sum();
            shared.held_bytes.fetch_add(bytes, Ordering::Relaxed);
            {
                let mut index = shared.index();
                entries.into_iter().for_each(|entry| index.add(entry));
            }
            (shared.options.wake)();
            offers.into_iter().zip(answers).for_each(|((_, done), answer)| done(answer));
        }
        Err(cause) => {
            let why = match &shared.path {
                Some(path) => format!("{}: {cause}", path.display()),
                None => cause.to_string(),
            };
            let refused = if is_full(&cause) { Refused::NoRoom } else { Refused::Failed };
            tracing::warn!(%why, "the journal could not be written");
            offers.into_iter().for_each(|(_, done)| done(Err(refused(why.clone()))));
        }
    }
}

type Taken = (Vec<Result<Receipt, Refused>>, Vec<Entry>);

/// One transaction for all offers: after an error nothing of it is there.
fn take_all(
    db: &mut Connection,
    shared: &Shared,
    mut offset: u64,
    offers: &[(Received, Done)],
) -> Result<Taken, rusqlite::Error> {
    let transaction = db.transaction()?;
    let mut answers = Vec::with_capacity(offers.len());
    let mut entries = Vec::with_capacity(offers.len());
    for (received, _) in offers {
        if let Some(known) = known_key(&transaction, received)? {
            answers.push(known);
            continue;
        }
        if shared.path.is_some() {
            transaction
                .prepare_cached("INSERT INTO entries (offset, records, data) VALUES (?1, ?2, ?3)")?
                .execute(params![
                    offset.cast_signed(),
                    received.records.cast_signed(),
                    &received.bytes[..]
                ])?;
        }
        remember_key(&transaction, received, offset)?;
        answers.push(Ok(Receipt { offset, duplicate: false }));
        entries.push(Entry { offset, records: received.records, bytes: received.bytes.clone() });
        offset += 1;
    }
    transaction.commit()?;
    Ok((answers, entries))
}

fn known_key(
    transaction: &Transaction<'_>,
    received: &Received,
) -> Result<Option<Result<Receipt, Refused>>, rusqlite::Error> {
    let Some(key) = &received.idempotency_key else { return Ok(None) };
    let found: Option<(Vec<u8>, i64)> = transaction
        .prepare_cached("SELECT digest, offset FROM keys WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(digest, offset)| {
        if digest == digest_of(received) {
            Ok(Receipt { offset: offset.cast_unsigned(), duplicate: true })
        } else {
            Err(Refused::KeyReused)
        }
    }))
}

fn remember_key(
    transaction: &Transaction<'_>,
    received: &Received,
    offset: u64,
) -> Result<(), rusqlite::Error> {
    let Some(key) = &received.idempotency_key else { return Ok(()) };
    transaction
        .prepare_cached("INSERT INTO keys (key, digest, offset) VALUES (?1, ?2, ?3)")?
        .execute(params![key, digest_of(received), offset.cast_signed()])?;
    Ok(())
}

/// Tells a retry from other bytes; against mistakes, not against attackers, who can send what they like.
fn digest_of(received: &Received) -> Vec<u8> {
    xxh3_128(&received.bytes).to_le_bytes().to_vec()
}

fn forget(db: &Connection, shared: &Shared, offset: u64) {
    let freed_in_memory = shared.index().forget_before(offset);
    let freed = if shared.path.is_some() { delete(db, offset) } else { Ok(freed_in_memory) };
    match freed {
        Ok(freed) => {
            shared.held_bytes.fetch_sub(freed, Ordering::Relaxed);
        }
        Err(error) => tracing::warn!(%error, "old journal entries stay until the next checkpoint"),
    }
}

fn delete(db: &Connection, offset: u64) -> Result<u64, rusqlite::Error> {
    let freed: i64 = db.query_row(
        "SELECT coalesce(sum(length(data)), 0) FROM entries WHERE offset < ?1",
        [offset.cast_signed()],
        |row| row.get(0),
    )?;
    db.execute("DELETE FROM entries WHERE offset < ?1", [offset.cast_signed()])?;
    let oldest_key = offset.saturating_sub(KEYS_KEPT_ENTRIES);
    db.execute("DELETE FROM keys WHERE offset < ?1", [oldest_key.cast_signed()])?;
    Ok(freed.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::sync::{Arc, Mutex, mpsc};

    use super::super::index::Index;
    use super::super::{JournalOptions, Receipt};
    use super::*;

    fn answer_of(db: &mut Connection, shared: &Shared, bytes: Vec<u8>) -> Result<Receipt, Refused> {
        let (sender, receiver) = mpsc::channel();
        let received = Received { bytes: bytes.into(), records: 1, idempotency_key: None };
        write_group(db, shared, vec![(received, Box::new(move |answer| sender.send(answer).unwrap()))]);
        receiver.recv().unwrap()
    }

    #[test]
    fn a_full_disk_is_told_apart_from_other_failures_and_takes_nothing() {
        let mut db = Connection::open_in_memory().unwrap();
        let schema = "CREATE TABLE entries (offset INTEGER PRIMARY KEY, records INTEGER, data BLOB);
            PRAGMA max_page_count = 4";
        db.execute_batch(schema).unwrap();
        let options = JournalOptions { durable: true, bytes_max: 1 << 30, wake: Arc::new(|| {}) };
        let shared = Shared {
            path: Some("/data/journal-in.db".into()),
            index: Mutex::new(Index::over_file(1)),
            held_bytes: AtomicU64::new(0),
            options,
        };
        let Err(Refused::NoRoom(why)) = answer_of(&mut db, &shared, vec![0; 100_000]) else {
            panic!("there is no room")
        };
        assert!(why.contains("/data/journal-in.db") && why.contains("full"), "{why}");
        assert_eq!(shared.held_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(answer_of(&mut db, &shared, vec![0; 10]), Ok(Receipt { offset: 1, duplicate: false }));
        db.execute_batch("DROP TABLE entries").unwrap();
        assert!(matches!(answer_of(&mut db, &shared, vec![0; 10]), Err(Refused::Failed(_))));
    }
}
