//! The sink from its spec to its rows; every case opens a real database.

mod tables;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use millstream_engine::batch::{BatchId, timestamp_us};
use millstream_engine::pipeline::{SinkPlan, SpecError};
use millstream_engine::sink::{Sink, SinkError, SinkPromise};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::testing::{SmallDisk, all_types, counts, counts_schema, ctx, put};
use super::sink::SqliteSink;
use super::*;

fn plan(dir: &Path, more: Value) -> Result<SqlitePlan, SpecError> {
    let mut config = json!({ "path": dir.join("out.db"), "table": "counts" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut plan = SqlitePlan::new(millstream_engine::pipeline::read(config)?)?;
    plan.busy_timeout = Duration::from_millis(20);
    Ok(plan)
}

fn open(dir: &Path, more: Value) -> Result<SqliteSink, SinkError> {
    open_as("p1", dir, more, counts_schema())
}

fn open_as(
    id: &str,
    dir: &Path,
    more: Value,
    schema: arrow_schema::SchemaRef,
) -> Result<SqliteSink, SinkError> {
    let plan = plan(dir, more).unwrap();
    plan.check(&schema).unwrap();
    SqliteSink::open(plan, ctx(id, schema, dir))
}

fn db(dir: &Path) -> Connection {
    Connection::open(dir.join("out.db")).unwrap()
}

fn rows(dir: &Path) -> Vec<(Option<String>, i64)> {
    let db = db(dir);
    let mut statement = db.prepare("SELECT word, n FROM counts ORDER BY word, n").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn row(word: &str, n: i64) -> (Option<String>, i64) {
    (Some(word.into()), n)
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn keyed() -> Value {
    json!({ "key": ["word"] })
}

#[test]
fn spec_mistakes_are_named() {
    let dir = dir();
    for (more, expected) in [
        (json!({ "mode": "upsert" }), "key: upsert needs `key`"),
        (json!({ "mode": "append", "key": ["a"] }), "key: append keeps every row"),
        (json!({ "key": ["word", "Word"] }), "key: column `Word` is in the key twice"),
        (json!({ "path": ":memory:" }), "path: rows in a database in memory"),
        (json!({ "path": "file:x?mode=memory" }), "path: say a file's path"),
        (json!({ "table": "_Millstream_Commits" }), "table: this table keeps the numbers"),
        (json!({ "table": "sqlite_x" }), "table: names that begin with `sqlite_`"),
        (json!({ "mode": "upsrt" }), "mode: unknown value `upsrt`: did you mean `upsert`?"),
    ] {
        let error = plan(dir.path(), more).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn check_looks_at_the_rows() {
    let dir = dir();
    let check = |more: Value, fields: Vec<Field>| plan(dir.path(), more).unwrap().check(&Schema::new(fields));
    let word = || Field::new("word", DataType::Utf8, true);
    assert_eq!(check(json!({ "key": ["WORD"] }), vec![word()]), Ok(()));
    let error = check(json!({ "key": ["wrd"] }), vec![word()]).unwrap_err();
    assert_eq!(error.to_string(), "key: unknown column `wrd`: did you mean `word`? (known: word)");
    let error = check(json!({}), vec![word(), Field::new("Word", DataType::Int64, true)]).unwrap_err();
    assert!(error.message.contains("`Word` is there twice for SQLite"), "{error}");
    for refused in [DataType::UInt64, DataType::Timestamp(TimeUnit::Second, None)] {
        let error = check(json!({}), vec![Field::new("u", refused, true)]).unwrap_err();
        assert!(error.message.contains("cast it in a `select` step"), "{error}");
    }
    assert!(check(json!({}), vec![]).is_err());
}

#[test]
fn both_modes_promise_transactions() {
    let dir = dir();
    for more in [json!({}), keyed()] {
        let plan = plan(dir.path(), more).unwrap();
        assert_eq!(plan.promise(), SinkPromise::Transactional);
        assert!(plan.promise_reason().contains("one transaction"));
    }
}

#[test]
fn upsert_replaces_and_the_last_row_wins() {
    let dir = dir();
    let mut sink = open(dir.path(), keyed()).unwrap();
    assert_eq!(sink.committed(), Ok(None));
    sink.begin(BatchId(1)).unwrap();
    sink.write(&counts(&[(Some("b"), 1), (Some("a"), 1), (Some("b"), 2)])).unwrap();
    sink.write(&counts(&[(Some("b"), 3), (Some("c"), 1)])).unwrap();
    sink.commit().unwrap();
    assert_eq!(rows(dir.path()), [row("a", 1), row("b", 3), row("c", 1)]);
    put(&mut sink, 2, &counts(&[(Some("a"), 9)])).unwrap();
    assert_eq!(rows(dir.path()), [row("a", 9), row("b", 3), row("c", 1)]);
    assert_eq!(sink.committed(), Ok(Some(BatchId(2))));
}

#[test]
fn append_keeps_every_row_in_order() {
    let dir = dir();
    let mut sink = open(dir.path(), json!({})).unwrap();
    let many: Vec<(Option<&str>, i64)> = (0..50).map(|n| (Some("w"), 50 - n)).collect();
    put(&mut sink, 1, &counts(&many)).unwrap();
    put(&mut sink, 2, &counts(&many[..1])).unwrap();
    let stored: Vec<i64> = db(dir.path())
        .prepare("SELECT n FROM counts ORDER BY rowid")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected: Vec<i64> = many.iter().chain(&many[..1]).map(|row| row.1).collect();
    assert_eq!(stored, expected);
}

#[test]
fn crash_before_commit_leaves_nothing() {
    let dir = dir();
    for more in [json!({}), keyed()] {
        let mut sink = open(dir.path(), more.clone()).unwrap_or_else(|error| panic!("{error}"));
        sink.begin(BatchId(1)).unwrap();
        sink.write(&counts(&[(Some("a"), 1)])).unwrap();
        assert_eq!(rows(dir.path()), []);
        drop(sink);
        let mut sink = open(dir.path(), more).unwrap();
        assert_eq!(sink.committed(), Ok(None));
        sink.begin(BatchId(1)).unwrap();
        sink.commit().unwrap();
        assert_eq!(rows(dir.path()), []);
        db(dir.path()).execute_batch("DROP TABLE counts; DROP TABLE _millstream_commits").unwrap();
    }
}

#[test]
fn batch_that_is_there_is_not_written_again() {
    let dir = dir();
    let batch = counts(&[(Some("a"), 1), (Some("b"), 2)]);
    let mut sink = open(dir.path(), json!({})).unwrap();
    put(&mut sink, 7, &batch).unwrap();
    put(&mut sink, 7, &batch).unwrap();
    drop(sink);
    let mut sink = open(dir.path(), json!({})).unwrap();
    assert_eq!(sink.committed(), Ok(Some(BatchId(7))));
    put(&mut sink, 6, &batch).unwrap();
    put(&mut sink, 7, &batch).unwrap();
    assert_eq!(rows(dir.path()).len(), 2);
    put(&mut sink, 8, &counts(&[])).unwrap();
    assert_eq!(sink.committed(), Ok(Some(BatchId(8))));
}

#[test]
fn aborted_batch_is_forgotten() {
    let dir = dir();
    let mut sink = open(dir.path(), keyed()).unwrap();
    sink.begin(BatchId(1)).unwrap();
    sink.write(&counts(&[(Some("a"), 1)])).unwrap();
    sink.abort();
    put(&mut sink, 1, &counts(&[(Some("b"), 1)])).unwrap();
    sink.begin(BatchId(2)).unwrap();
    sink.write(&counts(&[(Some("x"), 1)])).unwrap();
    put(&mut sink, 2, &counts(&[(Some("c"), 1)])).unwrap();
    assert_eq!(rows(dir.path()), [row("b", 1), row("c", 1)]);
}

#[test]
fn pipelines_share_a_table() {
    let dir = dir();
    let mut one = open_as("p1", dir.path(), keyed(), counts_schema()).unwrap();
    let mut two = open_as("p2", dir.path(), keyed(), counts_schema()).unwrap();
    one.begin(BatchId(1)).unwrap();
    one.write(&counts(&[(Some("a"), 1)])).unwrap();
    put(&mut two, 1, &counts(&[(Some("a"), 2), (Some("b"), 2)])).unwrap();
    one.commit().unwrap();
    assert_eq!(rows(dir.path()), [row("a", 1), row("b", 2)]);
    put(&mut two, 2, &counts(&[(Some("a"), 3)])).unwrap();
    assert_eq!((one.committed(), two.committed()), (Ok(Some(BatchId(1))), Ok(Some(BatchId(2)))));
}

#[test]
fn reader_in_between_sees_whole_batches() {
    let dir = dir();
    let mut sink = open(dir.path(), keyed()).unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
    let reader = db(dir.path());
    reader.execute_batch("BEGIN; SELECT * FROM counts").unwrap();
    put(&mut sink, 2, &counts(&[(Some("a"), 2)])).unwrap();
    let seen: i64 = reader.query_row("SELECT n FROM counts", [], |row| row.get(0)).unwrap();
    assert_eq!((seen, rows(dir.path())), (1, vec![row("a", 2)]));
}

#[test]
fn writer_elsewhere_is_waited_for_and_then_named() {
    let dir = dir();
    let mut sink = open(dir.path(), keyed()).unwrap();
    let other = db(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let Err(SinkError::Transient(message)) = put(&mut sink, 1, &counts(&[(Some("a"), 1)])) else {
        panic!("the database is locked")
    };
    assert!(
        message.contains("out.db: another program has been writing to the database for 20 ms"),
        "{message}"
    );
    other.execute_batch("COMMIT").unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
    assert_eq!(rows(dir.path()), [row("a", 1)]);
}

#[test]
fn full_disk_is_told_as_such_and_the_batch_works_later() {
    let dir = dir();
    let disk = SmallDisk::mount(2 << 20);
    let path = disk.as_ref().map_or(dir.path(), SmallDisk::path);
    let filler = path.join("filler");
    let mut sink = open(path, json!({})).unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
    let word = "x".repeat(500);
    let many: Vec<(Option<&str>, i64)> = (0..1000).map(|n| (Some(word.as_str()), n)).collect();
    if disk.is_some() {
        std::fs::write(&filler, vec![0u8; 1_700_000]).unwrap();
    } else {
        sink.limit_pages(20);
    }
    let error = put(&mut sink, 2, &counts(&many)).unwrap_err();
    assert!(matches!(&error, SinkError::Full(m) if m.contains("out.db")), "{error}");
    assert_eq!(rows(path), [row("a", 1)]);
    if disk.is_some() {
        let error = put(&mut sink, 2, &counts(&many)).unwrap_err();
        assert!(matches!(error, SinkError::Full(_)), "{error}");
        std::fs::remove_file(&filler).unwrap();
    }
    put(&mut sink, 2, &counts(&many)).unwrap();
    assert_eq!(rows(path).len(), 1001);
    assert_eq!(sink.committed(), Ok(Some(BatchId(2))));
}

#[test]
fn wrong_schema_is_refused() {
    let dir = dir();
    let mut sink = open(dir.path(), json!({})).unwrap();
    sink.begin(BatchId(1)).unwrap();
    assert!(matches!(sink.write(&all_types()), Err(SinkError::Permanent(_))));
}
