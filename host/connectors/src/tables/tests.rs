//! Tables out of real files and databases.

use std::fs;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_cast::display::array_value_to_string;
use millstream_engine::source::SourceError;
use millstream_engine::table::TableBounds;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::*;

const BOUNDS: TableBounds = TableBounds { rows: 1000, bytes: 1 << 20 };

fn table(kind: &str, keys: Value) -> Arc<dyn TableReader> {
    plan(kind, keys.as_object().unwrap().clone()).unwrap()
}

fn refused(kind: &str, keys: Value) -> String {
    plan(kind, keys.as_object().unwrap().clone()).err().unwrap().to_string()
}

fn read(table: &dyn TableReader) -> Result<RecordBatch, SourceError> {
    Ok(table.read(None, BOUNDS)?.expect("without a stamp it is read").rows)
}

fn shown(rows: &RecordBatch) -> Vec<String> {
    let cell = |row: usize| move |column: &arrow_array::ArrayRef| array_value_to_string(column, row).unwrap();
    (0..rows.num_rows())
        .map(|row| rows.columns().iter().map(cell(row)).collect::<Vec<_>>().join(" "))
        .collect()
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

#[test]
fn files_of_every_format_are_tables() {
    let dir = tempfile::tempdir().unwrap();
    let csv = path(dir.path(), "a.csv");
    fs::write(&csv, "name,id\nBern,1\n\"Zürich, city\",2\n").unwrap();
    let schema = json!({ "id": "int64", "name": "utf8" });
    let cities = table("file", json!({ "path": csv, "format": "csv", "schema": schema }));
    assert_eq!(shown(&read(&*cities).unwrap()), ["1 Bern", "2 Zürich, city"]);
    let lines = path(dir.path(), "b.ndjson.gz");
    let mut gz =
        flate2::write::GzEncoder::new(fs::File::create(&lines).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, b"{\"id\":3,\"name\":\"Uri\"}\n{\"id\":4}").unwrap();
    gz.finish().unwrap();
    let cities = table("file", json!({ "path": lines, "format": "ndjson", "schema": schema }));
    assert_eq!(shown(&read(&*cities).unwrap()), ["3 Uri", "4 "]);
    let text = path(dir.path(), "c.txt");
    fs::write(&text, "the\nof\n").unwrap();
    assert_eq!(
        shown(&read(&*table("file", json!({ "path": text, "format": "text" }))).unwrap()),
        ["the", "of"]
    );
}

#[test]
fn a_parquet_file_is_a_table_and_several_files_are_one_in_the_order_of_their_paths() {
    let dir = tempfile::tempdir().unwrap();
    for (name, rows) in [("2.csv", "id\n3\n"), ("1.csv", "id\n1\n2\n")] {
        fs::write(dir.path().join(name), rows).unwrap();
    }
    let pattern = path(dir.path(), "*.csv");
    let numbers = table("file", json!({ "path": pattern, "format": "csv", "schema": { "id": "int64" } }));
    let rows = read(&*numbers).unwrap();
    assert_eq!(shown(&rows), ["1", "2", "3"]);
    let file = path(dir.path(), "n.parquet");
    let settings =
        parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let out = fs::File::create(&file).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(out, rows.schema(), Some(settings)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let numbers = table("file", json!({ "path": file, "format": "parquet", "schema": { "id": "int64" } }));
    assert_eq!(read(&*numbers).unwrap(), rows);
}

#[test]
fn a_file_is_read_again_only_when_it_may_have_changed() {
    let dir = tempfile::tempdir().unwrap();
    let csv = path(dir.path(), "a.csv");
    fs::write(&csv, "id\n1\n").unwrap();
    let numbers = table("file", json!({ "path": csv, "format": "csv", "schema": { "id": "int64" } }));
    let first = numbers.read(None, BOUNDS).unwrap().unwrap();
    assert!(numbers.read(Some(&first.stamp), BOUNDS).unwrap().is_none());
    fs::write(path(dir.path(), "new"), "id\n7\n").unwrap();
    fs::rename(path(dir.path(), "new"), &csv).unwrap();
    let second = numbers.read(Some(&first.stamp), BOUNDS).unwrap().unwrap();
    assert_eq!(shown(&second.rows), ["7"]);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let csv = path(dir.path(), "a.csv");
    let numbers = table("file", json!({ "path": csv, "format": "csv", "schema": { "id": "int64" } }));
    let missing = read(&*numbers).unwrap_err();
    assert!(matches!(missing, SourceError::Permanent(_)));
    assert!(missing.to_string().contains("is no file") && missing.to_string().contains("put the file there"));
    fs::write(&csv, "id\n1\ntwo\n").unwrap();
    let bad = read(&*numbers).unwrap_err().to_string();
    assert!(bad.contains("a.csv") && bad.contains("two") && bad.contains("mend the record"), "{bad}");
    let many = numbers.read(None, TableBounds { rows: 0, ..BOUNDS });
    fs::write(&csv, "id\n1\n2\n").unwrap();
    assert!(many.is_err());
    let many = numbers.read(None, TableBounds { rows: 1, ..BOUNDS }).unwrap_err().to_string();
    assert!(many.contains("more than 1 rows"), "{many}");
    assert!(refused("file", json!({ "path": "x", "format": "csv" })).starts_with("schema: format csv needs"));
    let unknown = refused("file", json!({ "path": "x", "format": "text", "watch": true }));
    assert!(unknown.starts_with("unknown key `watch`"), "{unknown}");
}

#[test]
fn a_table_of_sqlite_has_the_types_of_the_spec() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(dir.path(), "ref.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(
        "CREATE TABLE cities (name TEXT, people INTEGER, area, since TEXT, seen INTEGER, big INTEGER);
         INSERT INTO cities VALUES ('Bern', 134591, 51.62, '1191-01-01', 1700000000000, 1),
             ('Uri', NULL, 1, '1291-08-01', NULL, 0);",
    )
    .unwrap();
    let schema = json!({ "big": "boolean", "name": { "type": "utf8", "nullable": false }, "people": "int32",
        "area": "float64", "since": "date", "seen": "timestamp_ms" });
    let cities = table("sqlite", json!({ "path": file, "table": "cities", "schema": schema }));
    let first = cities.read(None, BOUNDS).unwrap().unwrap();
    assert_eq!(
        shown(&first.rows),
        ["true Bern 134591 51.62 1191-01-01 2023-11-14T22:13:20Z", "false Uri  1.0 1291-08-01 "]
    );
    assert!(cities.read(Some(&first.stamp), BOUNDS).unwrap().is_none());
    db.execute("UPDATE cities SET people = 5 WHERE name = 'Uri'", []).unwrap();
    assert!(cities.read(Some(&first.stamp), BOUNDS).unwrap().is_some());
    let query = "SELECT upper(name) AS name, people * 2 AS twice FROM cities ORDER BY people";
    let schema = json!({ "twice": "int64", "name": "utf8" });
    let twice = table("sqlite", json!({ "path": file, "query": query, "schema": schema }));
    assert_eq!(shown(&read(&*twice).unwrap()), ["10 URI", "269182 BERN"]);
}

#[test]
fn values_that_do_not_fit_and_columns_that_are_not_there_are_told_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(dir.path(), "ref.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch("CREATE TABLE t (n, m); INSERT INTO t VALUES (1, 1), ('many', NULL);").unwrap();
    let said = |keys: Value| {
        let mut keys = keys;
        keys["path"] = json!(file);
        read(&*table("sqlite", keys)).unwrap_err().to_string()
    };
    let wrong = said(json!({ "table": "t", "schema": { "n": "int64" } }));
    let expected = "table `t`, row 2: column `n` is the text 'many', expected a whole number (int64)";
    assert!(wrong.ends_with(expected), "{wrong}");
    let null = said(json!({ "table": "t", "schema": { "m": { "type": "int64", "nullable": false } } }));
    assert!(null.ends_with("row 2: column `m` is null, and is `nullable: false`"), "{null}");
    let missing = said(json!({ "table": "t", "schema": { "x": "int64" } }));
    assert!(missing.contains("table `t`: no such column: t.x"), "{missing}");
    let missing = said(json!({ "query": "SELECT n, m FROM t", "schema": { "x": "int64" } }));
    assert!(missing.ends_with("the query has no column `x`; there are: n, m"), "{missing}");
    let changes = said(json!({ "query": "DELETE FROM t RETURNING n", "schema": { "n": "int64" } }));
    assert!(
        changes.ends_with("`query` is to be a SELECT, which gives rows and changes nothing"),
        "{changes}"
    );
    let nowhere =
        table("sqlite", json!({ "path": "/nowhere/x.db", "table": "t", "schema": { "n": "int64" } }));
    assert!(read(&*nowhere).unwrap_err().to_string().contains("there is no such file"));
    assert!(refused("sqlite", json!({ "path": "x", "table": "t" })).contains("does not say of what type"));
    let both = json!({ "path": "x", "table": "t", "query": "SELECT 1", "schema": { "n": "int64" } });
    assert!(refused("sqlite", both).contains("either `table`"));
}
