//! What statements give, may not do, and are stopped at.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{Field, Schema};

use super::*;
use crate::batch::{BatchCtx, BatchId, timestamp_us, type_name};
use crate::steps::Parcel;
use crate::table::TableVersion;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("at", timestamp_us(), true),
        Field::new("price", DataType::Float64, true),
        Field::new("who", DataType::Utf8, true),
    ]))
}

fn rows(rows: &[(i64, i64, Option<f64>, &str)]) -> RecordBatch {
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1 * 1_000_000));
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.3))),
        ],
    )
    .unwrap()
}

fn people() -> TableView {
    let schema =
        Schema::new(vec![Field::new("who", DataType::Utf8, true), Field::new("age", DataType::Int32, true)]);
    TableView::new("people", Arc::new(schema))
}

fn show(view: &TableView, number: u64, ages: &[(&str, i32)]) {
    let names = StringArray::from_iter_values(ages.iter().map(|row| row.0));
    let ages = arrow_array::Int32Array::from_iter_values(ages.iter().map(|row| row.1));
    let rows =
        RecordBatch::try_new(Arc::clone(view.schema()), vec![Arc::new(names), Arc::new(ages)]).unwrap();
    view.show(Arc::new(TableVersion { number, rows }));
}

fn parts(statement: &str) -> SqlParts {
    SqlParts {
        input: schema(),
        tables: vec![SqlTable { view: people(), index: vec!["who".into()] }],
        statement: statement.into(),
        types: BTreeMap::new(),
        deadline: Duration::from_secs(60),
        elapsed: Arc::new(|| Duration::ZERO),
    }
}

fn refused(statement: &str) -> String {
    SqlPlan::new(parts(statement)).err().map(|error| error.to_string()).unwrap_or_default()
}

/// Columns and types of a statement's result.
fn types(statement: &str, given: &[(&str, DataType)]) -> String {
    let types = given.iter().map(|(name, data_type)| ((*name).to_owned(), data_type.clone())).collect();
    let plan = SqlPlan::new(SqlParts { types, ..parts(statement) }).unwrap();
    let fields = plan.schema().fields().iter();
    fields
        .map(|field| format!("{} {}", field.name(), type_name(field.data_type())))
        .collect::<Vec<_>>()
        .join(", ")
}

fn ctx(order: u64) -> BatchCtx {
    let now_us = 1_700_000_000_000_000;
    BatchCtx { batch: BatchId(1), now_us, watermark_us: None, seed: 0, order }
}

/// Runs a batch whose chunks go to the workers in turn.
fn batch(steps: &mut [Box<dyn KeyedStep>], chunks: &[RecordBatch]) -> Result<Vec<String>, StepError> {
    for (i, chunk) in chunks.iter().enumerate() {
        let at = i % steps.len();
        assert!(steps[at].accumulate(&ctx(i as u64), 0, chunk)?.is_empty());
    }
    let mut parcels: Vec<Vec<Parcel>> = vec![Vec::new(); steps.len()];
    for step in steps.iter_mut() {
        step.exchange()?.into_iter().zip(&mut parcels).for_each(|(part, to)| to.extend(part));
    }
    let mut shown = Vec::new();
    for (step, mut parcels) in steps.iter_mut().zip(parcels) {
        parcels.sort_by_key(|parcel| parcel.order);
        step.merge(&ctx(0), &parcels)?;
        for rows in step.emit(&ctx(0))? {
            let cell =
                |row| move |column: &arrow_array::ArrayRef| array_value_to_string(column, row).unwrap();
            let line = |row| rows.columns().iter().map(cell(row)).collect::<Vec<_>>().join(" ");
            shown.extend((0..rows.num_rows()).map(line));
        }
    }
    Ok(shown)
}

fn steps(parts: SqlParts, workers: u32) -> Vec<Box<dyn KeyedStep>> {
    let plan = SqlPlan::new(parts).unwrap();
    (0..workers).map(|worker| plan.build(worker, workers).unwrap()).collect()
}

fn run(statement: &str, types: &[(&str, DataType)]) -> Result<Vec<String>, StepError> {
    let types = types.iter().map(|(name, data_type)| ((*name).to_owned(), data_type.clone())).collect();
    let rows = rows(&[(1, 0, Some(2.5), "anna"), (2, 60, None, "bodo"), (3, 120, Some(f64::NAN), "carla")]);
    batch(&mut steps(SqlParts { types, ..parts(statement) }, 1), &[rows])
}

#[test]
fn columns_have_the_types_they_were_declared_with_or_are_cast_to_or_given() {
    let statement = "SELECT i.*, age, CAST(price AS INTEGER) AS whole, CAST(id AS REAL) AS real, \
                     CAST(id AS TEXT) AS text, count(*) OVER () AS n FROM input i LEFT JOIN people USING (who);";
    assert_eq!(
        types(statement, &[("n", DataType::Int64)]),
        "id int64, at timestamp, price float64, who utf8, age int32, whole int64, real float64, text utf8, n int64"
    );
    let unknown = refused("SELECT id, max(at) AS latest FROM input");
    assert!(unknown.starts_with("sql: SQLite does not say of what type column `latest` is"), "{unknown}");
    assert_eq!(types("WITH a AS (SELECT who FROM input) SELECT * FROM a -- all", &[]), "who utf8");
}

#[test]
fn statements_that_do_more_than_select_or_give_something_else_each_time_are_refused() {
    for (statement, expected) in [
        ("DELETE FROM input", "sql: it is to be a SELECT"),
        ("PRAGMA user_version", "sql: it is to be a SELECT"),
        ("ATTACH '/etc/passwd' AS p", "sql: it is to be a SELECT"),
        ("SELECT 1 AS a; SELECT 2 AS b", "sql: these are several statements"),
        ("", "sql: it is to be a SELECT"),
        ("SELECT ?1 AS a", "sql: it has parameters"),
        ("SELECT id FROM inptu", "sql: no such table: inptu; the rows of the batch are called `input`"),
        ("SELECT nr FROM input", "sql: no such column: nr"),
        ("SELECT id FROM input WHERE", "sql: incomplete input"),
        ("SELECT random() AS r FROM input", "sql: random() gives something else when a batch runs again"),
        ("SELECT load_extension('x') AS r", "sql: "),
        ("SELECT datetime(at, 'localtime') AS t FROM input", "sql: 'localtime' depends on the machine"),
        ("SELECT name FROM sqlite_master", "sql: `sqlite_master` is SQLite's own"),
        ("SELECT name FROM pragma_table_info('input')", "sql: "),
        ("SELECT id, id FROM input", "sql: two columns of the result are called `id`"),
    ] {
        let found = refused(statement);
        assert!(found.starts_with(expected), "{statement}: {found}");
    }
    let mut unknown = parts("SELECT id FROM input");
    unknown.types.insert("ID".into(), DataType::Int64);
    let found = SqlPlan::new(unknown).err().unwrap().to_string();
    assert!(found.starts_with("schema.ID: the statement gives no such column; it gives id"), "{found}");
    let mut index = parts("SELECT id FROM input");
    index.tables[0].index = vec!["name".into()];
    let found = SqlPlan::new(index).err().unwrap().to_string();
    assert!(found.starts_with("tables.people: the table has no column `name`"), "{found}");
}

#[test]
fn every_type_comes_through_and_nan_is_null() {
    let found = run("SELECT id, at, price, who FROM input ORDER BY id DESC", &[]).unwrap();
    assert_eq!(
        found,
        ["3 1970-01-01T00:02:00Z  carla", "2 1970-01-01T00:01:00Z  bodo", "1 1970-01-01T00:00:00Z 2.5 anna"]
    );
}

#[test]
fn now_is_the_batches_time() {
    let statement = "SELECT CAST(datetime('now') AS TEXT) AS a, CAST(CURRENT_TIMESTAMP AS TEXT) AS b, \
                     CAST(strftime('%Y') AS TEXT) AS c, CAST(date('NOW', '-1 day') AS TEXT) AS d, \
                     CAST(unixepoch() AS INTEGER) AS e, CAST(datetime(at, '+1 hour') AS TEXT) AS f, \
                     CAST(timediff('now', at) AS TEXT) AS g, CAST(date('nonsense') AS TEXT) AS h FROM input LIMIT 1";
    let found = run(statement, &[]).unwrap();
    assert_eq!(
        found,
        [
            "2023-11-14 22:13:20 2023-11-14 22:13:20 2023 2023-11-13 1700000000 1970-01-01 01:00:00 +0053-10-13 22:13:20.000 "
        ]
    );
    let zone = run("SELECT CAST(datetime(at, 'local' || 'time') AS TEXT) AS t FROM input", &[]);
    assert!(zone.unwrap_err().to_string().contains("depend on the machine's time zone"));
}

#[test]
fn the_result_does_not_depend_on_chunks_and_workers_and_a_batch_without_rows_gives_none() {
    let all: Vec<_> =
        (0..50).map(|id| (id, id, Some(0.5), if id % 3 == 0 { "anna" } else { "bodo" })).collect();
    let statement = "SELECT who, count(*) AS n, min(rowid) AS first FROM input GROUP BY who ORDER BY who";
    for (workers, cut) in [(1, 50), (1, 7), (2, 1), (4, 3)] {
        let given = [("n".to_owned(), DataType::Int64), ("first".to_owned(), DataType::Int64)];
        let mut steps = steps(SqlParts { types: given.into(), ..parts(statement) }, workers);
        assert_eq!(batch(&mut steps, &[]).unwrap(), Vec::<String>::new());
        let chunks: Vec<RecordBatch> = all.chunks(cut).map(rows).collect();
        for _ in 0..2 {
            assert_eq!(batch(&mut steps, &chunks).unwrap(), ["anna 17 1", "bodo 33 2"]);
        }
    }
}

#[test]
fn a_batch_sees_its_version_of_a_table() {
    let parts = parts("SELECT id, age FROM input LEFT JOIN people USING (who) ORDER BY id");
    let view = parts.tables[0].view.clone();
    let mut steps = steps(parts, 2);
    let rows = rows(&[(1, 0, None, "anna"), (2, 0, None, "bodo")]);
    assert_eq!(batch(&mut steps, std::slice::from_ref(&rows)).unwrap(), ["1 ", "2 "]);
    show(&view, 1, &[("anna", 30)]);
    assert_eq!(batch(&mut steps, std::slice::from_ref(&rows)).unwrap(), ["1 30", "2 "]);
    show(&view, 2, &[("bodo", 40), ("bodo", 41)]);
    assert_eq!(batch(&mut steps, &[rows]).unwrap(), ["1 ", "2 40", "2 41"]);
}

#[test]
fn a_value_that_does_not_fit_is_told_exactly() {
    let error =
        run("SELECT CASE id WHEN 2 THEN 'two' ELSE id END AS n FROM input", &[("n", DataType::Int64)]);
    let said = error.unwrap_err().to_string();
    let expected =
        "column `n` of the statement's row 2 is the text 'two', expected a whole number (int64): CAST it";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_statement_that_does_not_end_is_stopped_at_its_deadline() {
    let statement = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) \
                     SELECT CAST(count(*) AS INTEGER) AS n FROM c, input";
    // A second passes with each look.
    let looks = AtomicU64::new(0);
    let elapsed: Elapsed = Arc::new(move || Duration::from_secs(looks.fetch_add(1, Ordering::Relaxed)));
    let types = [("n".to_owned(), DataType::Int64)].into();
    let parts = SqlParts { types, deadline: Duration::from_secs(5), elapsed, ..parts(statement) };
    let error = batch(&mut steps(parts, 1), &[rows(&[(1, 0, None, "a")])]).unwrap_err().to_string();
    assert!(
        error.starts_with("the statement ran longer than its `deadline` of 5s over a batch of 1 rows"),
        "{error}"
    );
}
