//! What a row costs in the `state` step, in nanoseconds: `cargo bench --workspace --bench state`, after
//! `make plugins`. 100,000 keys, batches of 50,000 rows in chunks of 5,000, one worker; with the sessions
//! of the stock plugin `stats`, and with an operator that only counts, in the host, which shows what is
//! the step's own part. Prints the least of many rounds, because a shared machine only ever adds.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Array, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use millstream_engine::batch::{BatchCtx, BatchId, EventTime, timestamp_us};
use millstream_engine::steps::{
    Extent, KeyedStep, Keys, Operator, Parcel, StateParts, StatePlan, TimerClock,
};
use millstream_wasm::{
    CallClock, CallError, Level, Limits, Observer, OpenKeyed, Outcome, Runtime, RuntimeConfig, Turn,
};

const CHUNK_ROWS: i64 = 5_000;
const BATCH_ROWS: i64 = 50_000;
const KEYS: i64 = 100_000;
const ROUNDS: i64 = 30;
/// Microseconds between two rows.
const STEP_US: i64 = 10;

fn main() {
    report("counting in the host", measure(Box::new(Counts)));
    let component = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .map(|target| target.join("wasm32-wasip2/plugin/stats.wasm"))
        .and_then(|path| std::fs::read(path).ok())
        .expect("stats.wasm is there: run `make plugins`");
    let cache = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new(RuntimeConfig::new(cache.path())).expect("a runtime");
    let stats = runtime.load(&component).expect("a plugin");
    let sessions = stats.keyed(&OpenKeyed {
        operator: "sessions",
        config: r#"{"time": "at", "gap_ms": 30000}"#,
        keys: &StatePlan::key_schema(&keys()),
        input: &schema(),
        observer: Arc::new(Deaf),
        limits: Some(Limits { deadline_ms: 60_000, ..Limits::default() }),
    });
    report("stats/sessions", measure(Box::new(sessions.expect("it opens"))));
}

#[allow(clippy::print_stdout, reason = "a benchmark's figures are for people")]
fn report(name: &str, (batch, full, bytes): (Duration, Duration, u64)) {
    let ns = batch.as_nanos() as f64 / BATCH_ROWS as f64;
    println!(
        "{name:<24} {ns:7.1} ns/row {:10.0} rows/s; all of {KEYS} keys copied in {:.1} ms, {:.1} MB",
        1e9 / ns,
        full.as_secs_f64() * 1e3,
        bytes as f64 / 1e6
    );
}

/// The fastest batch, a full copy of the state and its size in memory.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(operator: Box<dyn Operator>) -> (Duration, Duration, u64) {
    let parts = StateParts {
        keys: keys(),
        input: schema(),
        timers: TimerClock::EventTime(EventTime::of_column(1)),
        ttl_us: None,
        delay_us: 0,
        operator: "stats/sessions".to_owned(),
        version: "0.1.0".to_owned(),
        memory_bytes: Limits::default().memory_bytes_max,
        initial: None,
    };
    let plan = StatePlan::new(parts).expect("the parts fit");
    let mut step = plan.build(operator, 0, 1).expect("a step");
    let mut least = Duration::MAX;
    for batch in 0..ROUNDS {
        let chunks = chunks(batch);
        let start = Instant::now();
        run(&mut *step, batch, &chunks);
        least = least.min(start.elapsed());
    }
    let start = Instant::now();
    step.snapshot(Extent::Full).expect("a copy");
    (least, start.elapsed(), step.size().bytes)
}

fn run(step: &mut dyn KeyedStep, batch: i64, chunks: &[RecordBatch]) {
    let watermark_us = Some(batch * BATCH_ROWS * STEP_US - 1_000);
    let ctx = |order| BatchCtx { batch: BatchId(batch as u64), now_us: 0, watermark_us, seed: 0, order };
    for (order, rows) in (0..).zip(chunks) {
        let late = step.accumulate(&ctx(order), 0, rows).expect("rows are good");
        assert!(late.is_empty(), "nothing is late here");
    }
    let gathered: Vec<Parcel> = step.exchange().expect("rows are good").into_iter().flatten().collect();
    step.merge(&ctx(0), &gathered).expect("rows are good");
    step.emit(&ctx(0)).expect("rows fit");
    assert!(step.refusals().rows.is_empty(), "nothing is refused here");
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("user", DataType::Utf8, true),
        Field::new("at", timestamp_us(), true),
    ]))
}

fn keys() -> Keys {
    Keys::new(&[("user".to_owned(), "\"user\"".to_owned())], &schema()).expect("a column")
}

/// The chunks of a batch. Keys are spread, so that no cache knows the next one.
fn chunks(batch: i64) -> Vec<RecordBatch> {
    let spread = |number: i64| number.wrapping_mul(-7_046_029_254_386_353_131).rem_euclid(KEYS);
    let chunk = |first: i64| {
        let numbers = first..first + CHUNK_ROWS;
        let users: StringArray =
            numbers.clone().map(|number| Some(format!("user-{}", spread(number)))).collect();
        let times: TimestampMicrosecondArray = numbers.map(|number| Some(number * STEP_US)).collect();
        RecordBatch::try_new(schema(), vec![Arc::new(users), Arc::new(times.with_timezone("UTC"))])
            .expect("columns fit the schema")
    };
    (0..BATCH_ROWS / CHUNK_ROWS).map(|i| chunk(batch * BATCH_ROWS + i * CHUNK_ROWS)).collect()
}

/// Counts the rows of a key in eight bytes.
struct Counts;

impl Operator for Counts {
    fn process(&mut self, _: &CallClock, turn: &Turn<'_>) -> Result<Outcome, CallError> {
        let states = (0..turn.states.len()).map(|key| turn.states.value(key));
        let mut counts: Vec<i64> =
            states.map(|state| state.first_chunk().map_or(0, |count| i64::from_le_bytes(*count))).collect();
        turn.row_keys.iter().for_each(|key| counts[*key as usize] += 1);
        Ok(Outcome {
            rows: RecordBatch::new_empty(schema()),
            states: BinaryArray::from_iter_values(counts.into_iter().map(i64::to_le_bytes)),
            timers: Vec::new(),
            rejected: Vec::new(),
        })
    }

    fn migrate(&mut self, _: &str, states: &BinaryArray) -> Result<BinaryArray, CallError> {
        Ok(states.clone())
    }
}

struct Deaf;

impl Observer for Deaf {
    fn log(&self, _: Level, _: &str) {}
    fn count(&self, _: &str, _: u64) {}
    fn observe(&self, _: &str, _: f64) {}
    fn dropped(&self, _: u64, _: u64) {}
}
