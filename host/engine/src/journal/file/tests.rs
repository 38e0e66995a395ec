use std::sync::mpsc;

use bytes::Bytes;

use super::*;
use crate::journal::Receipt;
use crate::source::Limits;

const ALL: Limits = Limits { rows: u64::MAX, bytes: u64::MAX };

fn open(dir: &Path, durable: bool, bytes_max: u64) -> Journal {
    Journal::open(dir, "orders", JournalOptions { durable, bytes_max, wake: Arc::new(|| {}) }).unwrap()
}

fn offer(journal: &Journal, text: &str, key: Option<&str>) -> Result<Receipt, Refused> {
    let (sender, receiver) = mpsc::channel();
    let received = Received {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        records: 1,
        idempotency_key: key.map(str::to_owned),
    };
    journal.offer(received, Box::new(move |answer| sender.send(answer).unwrap()));
    receiver.recv().unwrap()
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), true, 1000);
    assert_eq!(offer(&journal, "a", None), Ok(Receipt { offset: 1, duplicate: false }));
    assert_eq!(offer(&journal, "b", None), Ok(Receipt { offset: 2, duplicate: false }));
    drop(journal);
    let journal = open(dir.path(), true, 1000);
    assert_eq!(journal.shared.index().plan(ALL), (vec![(1, 3)], 2));
    let texts: Vec<_> = journal.shared.read(1, 3).unwrap().into_iter().map(|entry| entry.bytes).collect();
    assert_eq!(texts, ["a", "b"]);
    assert_eq!(offer(&journal, "c", None).unwrap().offset, 3);
}

#[test]
fn a_known_key_is_answered_with_its_first_receipt_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), true, 1000);
    assert_eq!(offer(&journal, "a", Some("k")), Ok(Receipt { offset: 1, duplicate: false }));
    assert_eq!(offer(&journal, "a", Some("k")), Ok(Receipt { offset: 1, duplicate: true }));
    assert_eq!(offer(&journal, "other", Some("k")), Err(Refused::KeyReused));
    drop(journal);
    let journal = open(dir.path(), true, 1000);
    assert_eq!(offer(&journal, "a", Some("k")), Ok(Receipt { offset: 1, duplicate: true }));
    assert_eq!(journal.shared.index().plan(ALL).0, vec![(1, 2)]);
}

#[test]
fn a_full_journal_refuses_until_it_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), true, 4);
    offer(&journal, "1234", None).unwrap();
    assert_eq!(offer(&journal, "5", None), Err(Refused::Full));
    assert!(!journal.has_room());
    journal.release(2);
    while !journal.has_room() {
        std::thread::yield_now();
    }
    assert_eq!(offer(&journal, "5", None).unwrap().offset, 2);
}

#[test]
fn offsets_go_on_after_everything_was_released() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), true, 100);
    offer(&journal, "a", None).unwrap();
    journal.release(2);
    drop(journal);
    assert_eq!(offer(&open(dir.path(), true, 100), "b", None).unwrap().offset, 2);
}

#[test]
fn without_durability_keys_still_work_and_no_file_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), false, 100);
    assert!(!offer(&journal, "a", Some("k")).unwrap().duplicate);
    assert!(offer(&journal, "a", Some("k")).unwrap().duplicate);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_closed_journal_takes_nothing_from_receivers_that_outlive_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), true, 100);
    offer(&journal, "a", None).unwrap();
    journal.close();
    assert_eq!(offer(&journal, "late", None), Err(Refused::Closed));
    assert!(!journal.has_room());
    assert_eq!(offer(&open(dir.path(), true, 100), "b", None).unwrap().offset, 2);
}
