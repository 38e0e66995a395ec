//! What a row costs in a join with a table and in a `sql` step, in nanoseconds:
//! `cargo bench --workspace --bench tables`. The table has 100,000 rows, and every other row of the stream is
//! found in it. A batch of the `sql` step has 100,000 rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use millstream_engine::batch::{BatchCtx, BatchId};
use millstream_engine::steps::sql::{SqlParts, SqlPlan, SqlTable};
use millstream_engine::steps::{
    JoinKey, JoinKind, KeyedPlan, KeyedStep, Step, TableJoinParts, TableJoinPlan,
};
use millstream_engine::table::{TableVersion, TableView};

const TABLE_ROWS: i64 = 100_000;
const CHUNK_ROWS: i64 = 4096;
const BATCH_ROWS: i64 = 100_000;
const CHUNKS: i64 = 2000;
const BATCHES: u32 = 10;
const ROUNDS: usize = 5;

const CTX: BatchCtx = BatchCtx { batch: BatchId(1), now_us: 0, watermark_us: None, seed: 0, order: 0 };

fn main() {
    let table = table();
    for (name, kind) in [("inner", JoinKind::Inner), ("left", JoinKind::Left), ("anti", JoinKind::Anti)] {
        report(&format!("join with a table, {name}"), join(&table, kind));
    }
    for (name, statement) in [
        ("every column", "SELECT * FROM input"),
        ("a filter", "SELECT id, who FROM input WHERE amount > 50"),
        ("left join with a table", "SELECT id, amount, name FROM input LEFT JOIN t USING (id)"),
        ("groups", "SELECT who, sum(amount) AS paid FROM input GROUP BY who"),
    ] {
        report(&format!("sql, {name}"), sql(&table, statement));
    }
}

#[allow(clippy::print_stdout, reason = "a benchmark's figures are for people")]
fn report(name: &str, ns: f64) {
    println!("{name:<40} {ns:7.1} ns/row {:9.0} rows/s", 1e9 / ns);
}

/// The median of some rounds of nanoseconds a row.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn median(rows: i64, mut round: impl FnMut()) -> f64 {
    round();
    let mut took: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / rows as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[ROUNDS / 2]
}

fn join(table: &TableView, kind: JoinKind) -> f64 {
    let on = vec![JoinKey { name: "id".into(), left: "id".into(), right: "id".into() }];
    let parts = TableJoinParts { left: schema(), right: table.clone(), on, kind };
    let mut step = TableJoinPlan::new(parts).expect("the parts fit").build().expect("a step");
    let chunks: Vec<RecordBatch> = (0..64).map(|chunk| rows(chunk * CHUNK_ROWS, CHUNK_ROWS)).collect();
    median(CHUNKS * CHUNK_ROWS, || {
        for chunk in chunks.iter().cycle().take(CHUNKS as usize) {
            std::hint::black_box(step.apply(&CTX, chunk).expect("rows are good"));
        }
    })
}

fn sql(table: &TableView, statement: &str) -> f64 {
    let parts = SqlParts {
        input: schema(),
        tables: vec![SqlTable { view: table.clone(), index: vec!["id".into()] }],
        statement: statement.into(),
        types: if statement.contains("paid") {
            BTreeMap::from([("paid".into(), DataType::Float64)])
        } else {
            BTreeMap::new()
        },
        deadline: Duration::from_secs(60),
        elapsed: Arc::new(|| Duration::ZERO),
    };
    let mut step: Box<dyn KeyedStep> = SqlPlan::new(parts).expect("it is sound").build(0, 1).expect("a step");
    let chunks = BATCH_ROWS / CHUNK_ROWS + 1;
    let chunks: Vec<RecordBatch> = (0..chunks)
        .map(|chunk| rows(chunk * CHUNK_ROWS, CHUNK_ROWS.min(BATCH_ROWS - chunk * CHUNK_ROWS)))
        .collect();
    median(i64::from(BATCHES) * BATCH_ROWS, || {
        for _ in 0..BATCHES {
            for (order, chunk) in (0..).zip(&chunks) {
                step.accumulate(&BatchCtx { order, ..CTX }, 0, chunk).expect("rows are good");
            }
            let parcels = step.exchange().expect("rows are good").remove(0);
            step.merge(&CTX, &parcels).expect("it runs");
            std::hint::black_box(step.emit(&CTX).expect("it runs"));
        }
    })
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("who", DataType::Utf8, true),
        Field::new("amount", DataType::Float64, true),
    ]))
}

/// Half of the ids are in the table.
fn rows(first: i64, count: i64) -> RecordBatch {
    let numbers = first..first + count;
    let ids = numbers.clone().map(|number| number.wrapping_mul(7919).rem_euclid(2 * TABLE_ROWS));
    let who = numbers.clone().map(|number| format!("customer-{}", number % 1000));
    let amounts = numbers.map(|number| (number % 100) as f64);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids)),
        Arc::new(StringArray::from_iter_values(who)),
        Arc::new(Float64Array::from_iter_values(amounts)),
    ];
    RecordBatch::try_new(schema(), columns).expect("columns fit the schema")
}

fn table() -> TableView {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]));
    let names = (0..TABLE_ROWS).map(|number| format!("name {number}"));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..TABLE_ROWS)),
        Arc::new(StringArray::from_iter_values(names)),
    ];
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns fit the schema");
    let view = TableView::new("t", schema);
    view.show(Arc::new(TableVersion { number: 1, rows }));
    view
}
