//! Tables: those the sink makes, and those that were there.

use super::*;

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

    let dir = super::dir();
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
