//! Values and keys: how they are stored, ordered and replaced.

use arrow_array::Array;
use arrow_array::Float64Array;
use proptest::prelude::*;
use rusqlite::types::Value as Sql;

use super::*;
use crate::sinks::sqlite::order::{RowRef, by_key};

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
    let order = by_key(&parts, &[0]);
    let n = |rows: &[RowRef]| -> Vec<i64> {
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
