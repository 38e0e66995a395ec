use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use millstream_engine::batch::{BatchId, timestamp_us};
use millstream_engine::pipeline::{SinkPlan, SpecError};
use millstream_engine::sink::{Sink, SinkError, SinkPromise};
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;
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
fn null_keys_are_replaced_too() {
    let dir = dir();
    let mut sink = open(dir.path(), keyed()).unwrap();
    put(&mut sink, 1, &counts(&[(None, 1), (Some(""), 2), (None, 3)])).unwrap();
    put(&mut sink, 2, &counts(&[(None, 4), (Some("a"), 5)])).unwrap();
    assert_eq!(rows(dir.path()), [(None, 4), row("", 2), row("a", 5)]);
}

#[test]
fn key_may_be_all_there_is() {
    let dir = dir();
    let mut sink = open(dir.path(), json!({ "key": ["n", "word"] })).unwrap();
    put(&mut sink, 1, &counts(&[(None, 1), (Some("a"), 1), (None, 1), (Some("a"), 1)])).unwrap();
    put(&mut sink, 2, &counts(&[(None, 1), (Some("a"), 2)])).unwrap();
    assert_eq!(rows(dir.path()), [(None, 1), row("a", 1), row("a", 2)]);
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
fn every_type_is_stored_as_documented() {
    let dir = dir();
    let batch = all_types();
    for more in [json!({}), json!({ "key": ["s", "at", "x"] })] {
        let mut sink = open_as("p1", dir.path(), more.clone(), batch.schema()).unwrap();
        put(&mut sink, 1, &batch).unwrap();
        put(&mut sink, 2, &batch).unwrap();
        drop(sink);
        open_as("p1", dir.path(), more.clone(), batch.schema()).unwrap();
        let db = db(dir.path());
        let text = |text: &str| Sql::Text(text.into());
        let expected = [
            vec![Sql::Null; 9],
            vec![
                Sql::Integer(0),
                Sql::Integer(i64::from(i32::MAX)),
                Sql::Integer(i64::MAX),
                Sql::Real(f64::from(f32::MAX)),
                Sql::Real(f64::NEG_INFINITY),
                text("ü😀\0\"'"),
                Sql::Blob(vec![0, 255]),
                text("-5877641-06-23"),
                text("-290308-12-21T19:59:05.224192Z"),
            ],
            vec![
                Sql::Integer(1),
                Sql::Integer(i64::from(i32::MIN)),
                Sql::Integer(i64::MIN),
                Sql::Real(0.5),
                Sql::Null,
                text(""),
                Sql::Blob(vec![]),
                text("1970-01-01"),
                text("1970-01-01T00:00:00.000000Z"),
            ],
        ];
        let mut statement = db.prepare("SELECT DISTINCT * FROM counts ORDER BY l").unwrap();
        let stored: Vec<Vec<Sql>> = statement
            .query_map([], |row| (0..9).map(|column| row.get(column)).collect())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(stored[0], expected[0]);
        assert_eq!(stored[1], expected[2]);
        assert_eq!(stored[2], expected[1]);
        let count: i64 = db.query_row("SELECT count(*) FROM counts", [], |row| row.get(0)).unwrap();
        assert_eq!(count, if more == json!({}) { 6 } else { 3 });
        let year: String = db
            .query_row("SELECT strftime('%Y', at) FROM counts WHERE l = ?1", [i64::MIN], |row| row.get(0))
            .unwrap();
        assert_eq!(year, "1970");
        drop(statement);
        db.execute_batch("DROP TABLE counts; DROP TABLE _millstream_commits").unwrap();
    }
}

#[test]
fn nan_in_a_key_is_a_null_in_a_key() {
    let dir = dir();
    let schema = Arc::new(Schema::new(vec![
        Field::new("k", DataType::Float64, false),
        Field::new("n", DataType::Int64, false),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![f64::NAN, 0.0, -0.0, -1.5, f64::NAN])),
        Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5])),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let mut sink = open_as("p1", dir.path(), json!({ "key": ["k"] }), schema).unwrap();
    put(&mut sink, 1, &batch).unwrap();
    put(&mut sink, 2, &batch).unwrap();
    let mut found: Vec<i64> = Vec::new();
    let db = db(dir.path());
    let mut statement = db.prepare("SELECT n FROM counts ORDER BY k").unwrap();
    found.extend(statement.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(Result::unwrap));
    assert_eq!(found, [5, 4, 3]);
}

#[test]
fn key_without_nulls_makes_a_table_without_rowid() {
    let dir = dir();
    let schema = Arc::new(Schema::new(vec![
        Field::new("at", timestamp_us(), false),
        Field::new("word", DataType::Utf8, false),
        Field::new("n", DataType::Int64, true),
    ]));
    let times = TimestampMicrosecondArray::from(vec![0, 1_000_000, 0]).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times),
        Arc::new(StringArray::from(vec!["a", "a", "a"])),
        Arc::new(Int64Array::from(vec![1, 2, 3])),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let mut sink = open_as("p1", dir.path(), json!({ "key": ["at", "word"] }), schema).unwrap();
    put(&mut sink, 1, &batch).unwrap();
    let db = db(dir.path());
    let declared: String =
        db.query_row("SELECT sql FROM sqlite_schema WHERE name = 'counts'", [], |row| row.get(0)).unwrap();
    assert!(declared.ends_with("STRICT, WITHOUT ROWID"), "{declared}");
    let sum: (i64, i64) = db
        .query_row("SELECT count(*), sum(n) FROM counts", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(sum, (2, 5));
}

#[test]
fn tables_of_others_are_used_when_they_fit() {
    for table in [
        "CREATE TABLE counts (word TEXT PRIMARY KEY, n INTEGER)",
        "CREATE TABLE counts (n BIGINT, word VARCHAR(20) NOT NULL UNIQUE, extra TEXT DEFAULT 'x' NOT NULL)",
        "CREATE TABLE counts (word, n, note, PRIMARY KEY (word)) WITHOUT ROWID",
        "CREATE TABLE counts (id INTEGER PRIMARY KEY, WORD TEXT, N INT); CREATE UNIQUE INDEX i ON counts (Word)",
    ] {
        let dir = dir();
        db(dir.path()).execute_batch(table).unwrap();
        let mut sink = open(dir.path(), keyed()).unwrap_or_else(|error| panic!("{table}: {error}"));
        put(&mut sink, 1, &counts(&[(Some("a"), 1), (Some("b"), 1), (Some("a"), 2)])).unwrap();
        put(&mut sink, 2, &counts(&[(Some("b"), 3)])).unwrap();
        assert_eq!(rows(dir.path()), [row("a", 2), row("b", 3)], "{table}");
    }
}

#[test]
fn upsert_leaves_other_columns_and_dependents_alone() {
    let dir = dir();
    db(dir.path())
        .execute_batch(
            "CREATE TABLE counts (word TEXT NOT NULL, n INTEGER, note TEXT, PRIMARY KEY (word)) WITHOUT ROWID;
             INSERT INTO counts VALUES ('a', 1, 'kept');",
        )
        .unwrap();
    let mut sink = open(dir.path(), keyed()).unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 2)])).unwrap();
    let note: String = db(dir.path()).query_row("SELECT note FROM counts", [], |row| row.get(0)).unwrap();
    assert_eq!(note, "kept");

    let dir = super::tests::dir();
    db(dir.path())
        .execute_batch(
            "CREATE TABLE counts (word TEXT NOT NULL PRIMARY KEY, n INTEGER) WITHOUT ROWID;
             CREATE TABLE child (word TEXT REFERENCES counts ON DELETE CASCADE);
             INSERT INTO counts VALUES ('a', 1); INSERT INTO child VALUES ('a');",
        )
        .unwrap();
    let mut sink = open(dir.path(), keyed()).unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 2)])).unwrap();
    let children: i64 = db(dir.path()).query_row("SELECT count(*) FROM child", [], |row| row.get(0)).unwrap();
    assert_eq!((children, rows(dir.path())), (1, vec![row("a", 2)]));
}

#[test]
fn tables_that_do_not_fit_are_refused_with_the_remedy() {
    for (table, more, expected) in [
        (
            "CREATE TABLE counts (word TEXT)",
            json!({}),
            "has no column `n` (int64): ALTER TABLE \"counts\" ADD COLUMN \"n\" INTEGER",
        ),
        (
            "CREATE TABLE counts (word INTEGER, n INTEGER)",
            json!({}),
            "column `word` of table `counts` is INTEGER, but the rows have utf8, which needs TEXT",
        ),
        (
            "CREATE TABLE counts (word TEXT, n REAL)",
            json!({}),
            "column `n` of table `counts` is REAL, but the rows have int64",
        ),
        (
            "CREATE TABLE counts (word TEXT, n INTEGER)",
            keyed(),
            "CREATE UNIQUE INDEX \"counts_key\" ON \"counts\" (\"word\")",
        ),
        (
            "CREATE TABLE counts (word TEXT, n INTEGER, UNIQUE (word, n))",
            keyed(),
            "no unique index on its key",
        ),
        ("CREATE TABLE counts (word TEXT COLLATE NOCASE UNIQUE, n INTEGER)", keyed(), "compared as NOCASE"),
        (
            "CREATE TABLE counts (word TEXT, n INTEGER, x TEXT NOT NULL)",
            json!({}),
            "needs a value in column `x`",
        ),
        (
            "CREATE TABLE counts (word TEXT, n INTEGER AS (1))",
            json!({}),
            "column `n` of table `counts` is computed",
        ),
        ("CREATE VIEW counts AS SELECT 'a' AS word, 1 AS n", json!({}), "`counts` is a view"),
    ] {
        let dir = dir();
        db(dir.path()).execute_batch(table).unwrap();
        let Err(SinkError::Permanent(message)) = open(dir.path(), more) else {
            panic!("{table} does not fit")
        };
        assert!(message.contains(expected), "{table}: {message}");
    }
}

#[test]
fn null_key_that_the_table_forbids_is_final() {
    for table in [
        "CREATE TABLE counts (word TEXT NOT NULL PRIMARY KEY, n INTEGER)",
        "CREATE TABLE counts (word TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID",
    ] {
        let dir = dir();
        db(dir.path()).execute_batch(table).unwrap();
        let mut sink = open(dir.path(), keyed()).unwrap();
        let error = put(&mut sink, 1, &counts(&[(Some("a"), 1), (None, 1)])).unwrap_err();
        assert!(
            matches!(&error, SinkError::Permanent(m) if m.contains("a row has a null in its key")),
            "{error}"
        );
        assert_eq!(rows(dir.path()), []);
    }
}

#[test]
fn rowid_key_takes_integers_and_refuses_nulls() {
    let dir = dir();
    db(dir.path()).execute_batch("CREATE TABLE counts (id INTEGER PRIMARY KEY, n INTEGER)").unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("n", DataType::Int64, true),
    ]));
    let batch = |id: Option<i64>| {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![id])), Arc::new(Int64Array::from(vec![1]))];
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    let mut sink = open_as("p1", dir.path(), json!({ "key": ["id"] }), schema.clone()).unwrap();
    put(&mut sink, 1, &batch(Some(i64::MIN))).unwrap();
    put(&mut sink, 2, &batch(Some(i64::MIN))).unwrap();
    assert!(matches!(put(&mut sink, 3, &batch(None)), Err(SinkError::Permanent(_))));
    let count: i64 = db(dir.path()).query_row("SELECT count(*) FROM counts", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn nothing_is_made_when_create_is_false() {
    let dir = dir();
    let Err(SinkError::Permanent(message)) = open(dir.path(), json!({ "create": false })) else {
        panic!("refused")
    };
    assert!(message.contains("does not exist"), "{message}");
    assert!(!dir.path().join("out.db").exists());
    db(dir.path()).execute_batch("CREATE TABLE other (a)").unwrap();
    let Err(SinkError::Permanent(message)) = open(dir.path(), json!({ "create": false })) else {
        panic!("refused")
    };
    assert!(message.contains("there is no table `counts`"), "{message}");
    db(dir.path()).execute_batch("CREATE TABLE counts (word TEXT, n INTEGER)").unwrap();
    put(&mut open(dir.path(), json!({ "create": false })).unwrap(), 1, &counts(&[(None, 1)])).unwrap();
    assert_eq!(rows(dir.path()), [(None, 1)]);
}

#[test]
fn odd_names_are_quoted() {
    let dir = dir();
    let schema = Arc::new(Schema::new(vec![
        Field::new("se\"lect; --", DataType::Utf8, true),
        Field::new("größe 😀", DataType::Utf8, true),
    ]));
    let words: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let batch = RecordBatch::try_new(schema.clone(), vec![words.clone(), words]).unwrap();
    let more = json!({ "table": "dro\"p'", "key": ["se\"lect; --"] });
    let mut sink = open_as("p1", dir.path(), more.clone(), schema.clone()).unwrap();
    put(&mut sink, 1, &batch).unwrap();
    put(&mut sink, 2, &batch).unwrap();
    let sum: i64 =
        db(dir.path()).query_row("SELECT count(*) FROM \"dro\"\"p'\"", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 1);
    open_as("p1", dir.path(), more, schema).unwrap();
}

#[test]
fn file_that_is_no_database_is_refused() {
    let dir = dir();
    std::fs::write(dir.path().join("out.db"), "this is a plain text file, and quite a long one at that")
        .unwrap();
    let Err(SinkError::Permanent(message)) = open(dir.path(), json!({})) else { panic!("no database") };
    assert!(message.contains("is no sound SQLite database"), "{message}");
}

#[test]
fn full_disk_is_transient_and_the_batch_works_later() {
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
    assert!(matches!(&error, SinkError::Transient(m) if m.contains("out.db")), "{error}");
    assert_eq!(rows(path), [row("a", 1)]);
    if disk.is_some() {
        let error = put(&mut sink, 2, &counts(&many)).unwrap_err();
        assert!(matches!(error, SinkError::Transient(_)), "{error}");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes, the table is a map from key to the last value.
    #[test]
    fn upsert_is_a_map(batches in prop::collection::vec(
        prop::collection::vec((prop::option::of("[ab\u{e9}\u{0}]{0,3}"), any::<i64>()), 0..60), 1..5,
    )) {
        let dir = dir();
        let mut sink = open(dir.path(), keyed()).unwrap();
        let mut model = std::collections::BTreeMap::new();
        for (id, batch) in (1..).zip(&batches) {
            let rows: Vec<(Option<&str>, i64)> = batch.iter().map(|(word, n)| (word.as_deref(), *n)).collect();
            model.extend(batch.iter().cloned());
            sink.begin(BatchId(id)).unwrap();
            let (first, second) = rows.split_at(rows.len() / 2);
            sink.write(&counts(first)).unwrap();
            sink.write(&counts(second)).unwrap();
            sink.commit().unwrap();
        }
        prop_assert_eq!(rows(dir.path()), model.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn order_is_by_key_then_by_arrival() {
    let parts =
        [counts(&[(Some("b"), 1), (None, 2), (Some("a"), 3)]), counts(&[(Some("b"), 4), (Some("a"), 5)])];
    let order = super::order::by_key(&parts, &[0]);
    let n = |rows: &[super::order::RowRef]| -> Vec<i64> {
        use arrow_array::cast::AsArray;
        use arrow_array::types::Int64Type;
        rows.iter()
            .map(|at| parts[at.part as usize].column(1).as_primitive::<Int64Type>().value(at.row as usize))
            .collect()
    };
    assert_eq!(n(&order.sorted), [3, 5, 1, 4]);
    assert_eq!(n(&order.with_nulls), [2]);
    assert_eq!(parts[0].column(0).null_count(), 1);
}
