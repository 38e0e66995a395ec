use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::batch::{DeadLetterKind, Payload};
use crate::checkpoint::{BatchPlan, DeadLetterFilter, Records, SourcePart, TimedOut};
use crate::source::Split;

fn plan(batch: u64) -> BatchPlan {
    let part =
        SourcePart { splits: vec![Split(json!({ "file": "a", "from": batch }))], ..SourcePart::default() };
    BatchPlan {
        batch: BatchId(batch),
        now_us: 7,
        seed: 8,
        sources: BTreeMap::from([("lines".to_owned(), part)]),
        plugins: BTreeMap::new(),
        tables: BTreeMap::from([("cities".to_owned(), batch)]),
        replays: Vec::new(),
        timed_out: Vec::new(),
    }
}

fn commit(batch: u64) -> CommitRow {
    let letter = DeadLetter {
        entry: "words".into(),
        kind: DeadLetterKind::Rejected,
        reason: "no".into(),
        origin: "a".into(),
        payload: Payload::Raw(vec![0xff]),
    };
    CommitRow { batch: BatchId(batch), progress: "{}".into(), letters: vec![letter], replayed: Vec::new() }
}

fn checkpoint(epoch: u64, batch: u64) -> Checkpoint {
    Checkpoint {
        epoch,
        batch: BatchId(batch),
        base: epoch,
        kind: "full".into(),
        bytes: 3,
        duration_us: 4,
        positions: BTreeMap::from([("lines".to_owned(), Position(json!(5)))]),
        watermark: Value::Null,
    }
}

#[test]
fn what_a_clock_decided_stays_with_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Power).unwrap();
    store.advance(&[], Some(&plan(1)), 1).unwrap();
    let row = TimedOut { step: "s".into(), row: "{\"n\":1}".into(), reason: "took longer than 1 s".into() };
    let amended = BatchPlan { timed_out: vec![row], ..plan(1) };
    store.amend(&amended).unwrap();
    drop(store);
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    assert_eq!(store.plans_after(BatchId::ZERO).unwrap(), [Unfinished { plan: amended, committed: false }]);
}

#[test]
fn plans_and_commits_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Power).unwrap();
    store.advance(&[], Some(&plan(1)), 1).unwrap();
    store.advance(&[commit(1)], Some(&plan(2)), 2).unwrap();
    drop(store);
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    let found = store.plans_after(BatchId::ZERO).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], Unfinished { plan: plan(1), committed: true });
    assert_eq!(found[1], Unfinished { plan: plan(2), committed: false });
}

#[test]
fn the_newest_checkpoint_is_found_with_its_positions() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Process).unwrap();
    assert_eq!(store.checkpoint().unwrap(), None);
    store.complete(&checkpoint(1, 3), 0).unwrap();
    store.complete(&checkpoint(2, 9), 0).unwrap();
    assert_eq!(store.checkpoint().unwrap(), Some(checkpoint(2, 9)));
}

#[test]
fn deltas_go_on_from_the_newest_full_copy() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Process).unwrap();
    let delta = |epoch, bytes| Checkpoint { kind: "delta".into(), bytes, ..checkpoint(epoch, epoch) };
    store.complete(&delta(1, 7), 0).unwrap();
    assert_eq!(store.chain().unwrap(), None);
    store.complete(&checkpoint(2, 2), 0).unwrap();
    assert_eq!(store.chain().unwrap(), Some(Chain { base: 2, full_bytes: 3, deltas: 0, delta_bytes: 0 }));
    store.complete(&delta(3, 10), 0).unwrap();
    store.complete(&delta(4, 5), 0).unwrap();
    assert_eq!(store.chain().unwrap(), Some(Chain { base: 2, full_bytes: 3, deltas: 2, delta_bytes: 15 }));
}

#[test]
fn dead_letters_are_listed_and_marked_when_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Process).unwrap();
    store.advance(&[], Some(&plan(1)), 1).unwrap();
    store.advance(&[commit(1)], None, 2).unwrap();
    let records = Records::open(dir.path()).unwrap().unwrap();
    let all = DeadLetterFilter::default();
    let found = records.dead_letters(&all, 0, 10).unwrap();
    assert_eq!((found.len(), found[0].hex.as_deref()), (1, Some("ff")));
    assert_eq!(records.replayable(&all).unwrap(), vec![1]);
    assert_eq!(store.letters(&[1]).unwrap()[0].payload, Payload::Raw(vec![0xff]));
    store.advance(&[], Some(&plan(2)), 3).unwrap();
    store.advance(&[CommitRow { replayed: vec![1], letters: Vec::new(), ..commit(2) }], None, 3).unwrap();
    assert_eq!(records.replayable(&all).unwrap(), Vec::<u64>::new());
    assert_eq!(store.unreplayed(&[1, 7]).unwrap(), Vec::<u64>::new());
    assert_eq!(records.dead_letter(1).unwrap().unwrap().replayed_in, Some(2));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    fs::write(&path, vec![b'x'; 4096]).unwrap();
    let error = Store::open(dir.path(), Durability::Power).unwrap_err().to_string();
    assert!(error.contains("no SQLite database") && error.contains("backup"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), vec![b'x'; 4096]);
}

#[test]
fn another_programs_database_and_a_newer_format_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE t (x)").unwrap();
    let error = Store::open(dir.path(), Durability::Power).unwrap_err().to_string();
    assert!(error.contains("another program's"), "{error}");
    db.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    db.pragma_update(None, "user_version", VERSION + 1).unwrap();
    let error = Store::open(dir.path(), Durability::Power).unwrap_err().to_string();
    assert!(error.contains("has format 2"), "{error}");
}

#[test]
fn a_truncated_file_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Durability::Power).unwrap();
    for batch in 1..200 {
        store.advance(&[], Some(&plan(batch)), 1).unwrap();
        store.advance(&[commit(batch)], None, 1).unwrap();
    }
    drop(store);
    let path = dir.path().join(FILE);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    let error = Store::open(dir.path(), Durability::Power)
        .and_then(|store| store.plans_after(BatchId::ZERO).map(drop))
        .unwrap_err()
        .to_string();
    assert!(error.contains("checkpoint.db") && error.contains("damaged"), "{error}");
}

#[test]
fn a_fixed_value_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Durability::Power).unwrap();
    assert_eq!(store.fixed("id", || "first".into()).unwrap(), "first");
    assert_eq!(store.fixed("id", || "second".into()).unwrap(), "first");
}

/// Progress asked for right after a deployment was answered with `no such table: batches`.
#[test]
fn records_that_are_being_made_are_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Records::open(dir.path()).unwrap().is_none());
    std::fs::write(dir.path().join("checkpoint.db"), "").unwrap();
    assert!(Records::open(dir.path()).unwrap().is_none());
    let _store = Store::open(dir.path(), Durability::Process).unwrap();
    assert!(Records::open(dir.path()).unwrap().unwrap().batches(1).unwrap().is_empty());
}
