//! What a row costs in the join of two streams, in nanoseconds: `cargo bench --workspace --bench join`.
//! Each key comes once a side, the right row up to ten seconds after the left one. A million rows a
//! second of event time, half of them of each side; a batch is 100 ms of it. State is what ten seconds
//! leave, 10 million rows: the join runs until it is full, then the mean of all rounds is shown, so that what
//! compacting costs, which is seldom and much, is in it.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use millstream_engine::batch::{BatchCtx, BatchId, EventTime, timestamp_us};
use millstream_engine::steps::{
    JoinInput, JoinKey, JoinKind, JoinParts, JoinPlan, KeyedPlan, KeyedStep, Parcel,
};

const CHUNK_ROWS: i64 = 5000;
/// Rows of a side in a batch of 100 ms.
const BATCH_ROWS: i64 = 50_000;
/// Microseconds between two rows of a side.
const STEP_US: i64 = 2;
const WITHIN_US: i64 = 10_000_000;
const BATCHES_FULL: i64 = 250;
const ROUND: i64 = 50;
const ROUNDS: i64 = 5;

fn main() {
    for workers in [1, 2] {
        for (name, kind) in [("inner", JoinKind::Inner), ("left", JoinKind::Left)] {
            let (took, pairs) = measure(kind, workers);
            let rows = (2 * BATCH_ROWS * ROUND * ROUNDS) as f64;
            report(&format!("{name}, int64 key, {workers} worker(s)"), took / rows, pairs as f64 / rows);
        }
    }
}

#[allow(clippy::print_stdout, reason = "a benchmark's figures are for people")]
fn report(name: &str, ns: f64, pairs: f64) {
    println!("{name:<40} {ns:7.1} ns/row {:9.0} rows/s, {pairs:.2} pairs a row", 1e9 / ns);
}

/// Nanoseconds of all rounds, and the pairs of them.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(kind: JoinKind, workers: u32) -> (f64, usize) {
    let plan = plan(kind);
    let mut steps: Vec<Box<dyn KeyedStep>> =
        (0..workers).map(|worker| plan.build(worker, workers).expect("a step")).collect();
    for batch in 0..BATCHES_FULL {
        run(&mut steps, batch, &chunks(batch));
    }
    let (mut took, mut pairs) = (0.0, 0);
    for round in 0..ROUNDS {
        let first = BATCHES_FULL + round * ROUND;
        let input: Vec<_> = (first..first + ROUND).map(|batch| (batch, chunks(batch))).collect();
        let start = Instant::now();
        pairs += input.iter().map(|(batch, chunks)| run(&mut steps, *batch, chunks)).sum::<usize>();
        took += start.elapsed().as_nanos() as f64;
    }
    (took, pairs)
}

/// One batch on as many threads as there are workers, that meet twice as the driver's do.
fn run(steps: &mut [Box<dyn KeyedStep>], batch: i64, chunks: &[(usize, RecordBatch)]) -> usize {
    let watermark_us = Some(batch * BATCH_ROWS * STEP_US - 1000);
    let ctx = |order: usize| BatchCtx {
        batch: BatchId(batch as u64),
        now_us: 0,
        watermark_us,
        seed: 0,
        order: order as u64,
    };
    let workers = steps.len();
    let gathered: Vec<Vec<Vec<Parcel>>> = std::thread::scope(|scope| {
        let threads = steps.iter_mut().enumerate().map(|(worker, step)| {
            scope.spawn(move || {
                let own = chunks.iter().enumerate().filter(|(i, _)| i / 2 % workers == worker);
                for (order, (port, rows)) in own {
                    let late = step.accumulate(&ctx(order), *port, rows).expect("rows are good");
                    assert!(late.is_empty(), "nothing is late here");
                }
                step.exchange().expect("rows are good")
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    std::thread::scope(|scope| {
        let threads = steps.iter_mut().enumerate().map(|(worker, step)| {
            let mut parcels: Vec<Parcel> = gathered.iter().flat_map(|from| from[worker].clone()).collect();
            scope.spawn(move || {
                parcels.sort_by_key(|parcel| parcel.order);
                step.merge(&ctx(0), &parcels).expect("rows are good");
                step.emit(&ctx(0)).expect("rows fit").iter().map(RecordBatch::num_rows).sum::<usize>()
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    })
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("at", timestamp_us(), true),
        Field::new("amount", DataType::Int64, true),
    ]))
}

fn plan(kind: JoinKind) -> JoinPlan {
    let input = || JoinInput { schema: schema(), time: EventTime::of_column(1) };
    let on = vec![JoinKey { name: "id".into(), left: "id".into(), right: "id".into() }];
    let inputs = [input(), input()];
    JoinPlan::new(JoinParts { inputs, on, kind, before_us: WITHIN_US, after_us: WITHIN_US })
        .expect("the parts fit")
}

/// The chunks of a batch, of both sides in turns. Keys are spread, so that no cache knows the next one.
fn chunks(batch: i64) -> Vec<(usize, RecordBatch)> {
    let spread = |number: i64| number.wrapping_mul(-7_046_029_254_386_353_131);
    // A right row belongs to a left one that came up to ten seconds before.
    let partner = |number: i64| number - (number * 7919).rem_euclid(61) * (WITHIN_US / STEP_US / 61);
    let chunk = |side: usize, first: i64| {
        let numbers = first..first + CHUNK_ROWS;
        let key = |number: i64| spread(if side == 0 { number } else { partner(number) });
        let keys: Int64Array = numbers.clone().map(|number| Some(key(number))).collect();
        let times: TimestampMicrosecondArray = numbers.clone().map(|number| Some(number * STEP_US)).collect();
        let amounts: Int64Array = numbers.map(Some).collect();
        let columns: Vec<arrow_array::ArrayRef> =
            vec![Arc::new(keys), Arc::new(times.with_timezone("UTC")), Arc::new(amounts)];
        (side, RecordBatch::try_new(schema(), columns).expect("columns fit the schema"))
    };
    let firsts = (0..BATCH_ROWS / CHUNK_ROWS).map(|i| batch * BATCH_ROWS + i * CHUNK_ROWS);
    firsts.flat_map(|first| [chunk(0, first), chunk(1, first)]).collect()
}
