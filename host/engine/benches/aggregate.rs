//! What a row costs in the built-in aggregation, in nanoseconds: `cargo bench -p millstream-engine
//! --bench aggregate`. A batch is 256 chunks and one `emit`, both included. With one worker a figure is
//! the sum of each chunk's best time over several rounds, so that a busy machine disturbs it least; with
//! two it is the wall time of the best round and needs two idle cores.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{Field, Schema, SchemaRef};
use millstream_engine::batch::{BatchCtx, BatchId, EventTime};
use millstream_engine::steps::aggregate::{
    Aggregate, AggregateConfig, Emit, FunctionCall, FunctionConfig, KeyConfig, WindowConfig, WindowKind,
};
use millstream_engine::windows::Tumbling;

const CHUNK_ROWS: usize = 4096;
const CHUNKS: usize = 256;
const KEYS: u64 = 50_000;
const ROUNDS: usize = 40;

fn main() {
    let input = chunks();
    let rows = (CHUNK_ROWS * CHUNKS) as f64;
    let single = |name: &str, keys: &[usize], windowed: bool, functions: &[(&str, Option<usize>, bool)]| {
        let mut step = step(&input[0].schema(), keys, windowed, functions, 0, 1);
        let ns = best(|batch, lap| run_alone(&mut step, &input, batch, lap));
        report(name, ns / rows);
    };
    let count: &[(&str, Option<usize>, bool)] = &[("count", None, false)];
    single("count by string", &[0], false, count);
    single("count by int64", &[1], false, count);
    single("count by string and int64", &[0, 2], false, count);
    single("count by two strings", &[0, 4], false, count);
    single("count by two long strings", &[0, 5], false, count);
    single("count by two int64", &[1, 2], false, count);
    single("count by string, windowed", &[0], true, count);
    single("count by nothing", &[], false, count);
    single(
        "sum, min, avg by string",
        &[0],
        false,
        &[("sum", Some(1), false), ("min", Some(1), false), ("avg", Some(1), false)],
    );
    single("count distinct int64 by string", &[0], false, &[("count", Some(2), true)]);
    let ns = two_workers_in_turn(&input);
    report("count by string, windowed, 2 workers in turn (CPU time)", ns / rows);
    let ns = two_workers(&input);
    report("count by string, windowed, 2 workers (wall time a row of both)", ns / rows);
}

#[allow(clippy::print_stdout, reason = "a benchmark's figures are for people")]
fn report(name: &str, ns: f64) {
    println!("{name:<64} {ns:7.2} ns/row");
}

/// Nanoseconds since `start`.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn lap(start: &mut Instant) -> f64 {
    let now = Instant::now();
    let lap = now - std::mem::replace(start, now);
    lap.as_nanos() as f64
}

/// The sum of the best laps that each part of a round took.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn best(mut round: impl FnMut(u64, &mut dyn FnMut())) -> f64 {
    let mut least = Vec::new();
    for batch in 0..ROUNDS as u64 {
        let mut laps = Vec::new();
        let mut start = Instant::now();
        round(batch + 1, &mut || laps.push(lap(&mut start)));
        least.resize(laps.len(), f64::INFINITY);
        least.iter_mut().zip(laps).for_each(|(least, lap)| *least = least.min(lap));
    }
    least.iter().sum()
}

fn context(batch: u64) -> BatchCtx {
    BatchCtx { batch: BatchId(batch), now_us: 0, watermark_us: None, seed: 0, order: 0 }
}

fn run_alone(step: &mut Aggregate, input: &[RecordBatch], batch: u64, lap: &mut dyn FnMut()) {
    let context = context(batch);
    for chunk in input {
        step.accumulate(&context, chunk).expect("rows are good");
        lap();
    }
    step.emit(&context).expect("results fit");
    lap();
}

/// Two workers on one thread: what they cost together, whatever else the machine does.
fn two_workers_in_turn(input: &[RecordBatch]) -> f64 {
    let count: &[(&str, Option<usize>, bool)] = &[("count", None, false)];
    let mut steps: Vec<Aggregate> =
        (0..2).map(|worker| step(&input[0].schema(), &[0], true, count, worker, 2)).collect();
    best(|batch, lap| {
        let context = context(batch);
        let mut gathered = Vec::new();
        for (step, chunks) in steps.iter_mut().zip(input.chunks(input.len() / 2)) {
            for chunk in chunks {
                step.accumulate(&context, chunk).expect("rows are good");
                lap();
            }
            gathered.push(step.exchange().expect("states fit"));
            lap();
        }
        for (worker, step) in steps.iter_mut().enumerate() {
            for from in &gathered {
                step.merge(&context, &from[worker]).expect("states are good");
                lap();
            }
            step.emit(&context).expect("results fit");
            lap();
        }
    })
}

/// Two workers, each with half of the chunks, that meet twice a batch as the driver's do.
fn two_workers(input: &[RecordBatch]) -> f64 {
    let count: &[(&str, Option<usize>, bool)] = &[("count", None, false)];
    let mut steps: Vec<Aggregate> =
        (0..2).map(|worker| step(&input[0].schema(), &[0], true, count, worker, 2)).collect();
    best(|batch, lap| {
        let context = context(batch);
        let (left, right) = input.split_at(input.len() / 2);
        let gathered: Vec<Vec<RecordBatch>> = std::thread::scope(|scope| {
            let workers = steps.iter_mut().zip([left, right]).map(|(step, chunks)| {
                scope.spawn(move || {
                    for chunk in chunks {
                        step.accumulate(&context, chunk).expect("rows are good");
                    }
                    step.exchange().expect("states fit")
                })
            });
            let workers: Vec<_> = workers.collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
        });
        std::thread::scope(|scope| {
            for (worker, step) in steps.iter_mut().enumerate() {
                let gathered = &gathered;
                scope.spawn(move || {
                    for from in gathered {
                        step.merge(&context, &from[worker]).expect("states are good");
                    }
                    step.emit(&context).expect("results fit");
                });
            }
        });
        lap();
    })
}

fn step(
    schema: &SchemaRef,
    keys: &[usize],
    windowed: bool,
    functions: &[(&str, Option<usize>, bool)],
    worker: u32,
    workers: u32,
) -> Aggregate {
    let key = |&column: &usize| KeyConfig { name: schema.field(column).name().clone(), column };
    let function = |(number, (function, argument, distinct)): (usize, &(&str, Option<usize>, bool))| {
        let name = format!("result_{number}");
        let arguments = argument.iter().copied().collect();
        let call =
            FunctionCall::BuiltIn { function: (*function).to_owned(), numbers: vec![], distinct: *distinct };
        FunctionConfig { name, call, arguments }
    };
    let tumbling = Tumbling::new(10_000_000, 0).expect("a window of ten seconds");
    Aggregate::new(AggregateConfig {
        input: Arc::clone(schema),
        keys: keys.iter().map(key).collect(),
        window: windowed.then_some(WindowConfig {
            kind: WindowKind::Fixed(tumbling.into()),
            time: EventTime::of_column(3),
            lateness_us: 0,
        }),
        functions: functions.iter().enumerate().map(function).collect(),
        emit: Emit::Update,
        worker,
        workers,
    })
    .expect("the configuration is good")
}

/// Chunks of (word, id, small id, event time, kind, page): words of 3 to 12 bytes, all equally frequent,
/// which is worse than any text; one kind and one page of 40 bytes a small id.
fn chunks() -> Vec<RecordBatch> {
    let mut random = 42u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let words: Vec<String> = (0..KEYS)
        .map(|number| {
            let padding = "aeiourst".repeat(2);
            format!("{number:x}{}", &padding[..(next() % 8) as usize])
        })
        .map(|word| if word.len() < 3 { format!("{word}xy") } else { word })
        .collect();
    (0..CHUNKS)
        .map(|_| {
            let picks: Vec<u64> = (0..CHUNK_ROWS).map(|_| next() % KEYS).collect();
            let small: Vec<usize> = picks.iter().map(|_| (next() % 4) as usize).collect();
            let named = |names: [&str; 4]| -> ArrayRef {
                Arc::new(StringArray::from_iter_values(small.iter().map(|&small| names[small])))
            };
            let columns: Vec<(&str, ArrayRef)> = vec![
                (
                    "word",
                    Arc::new(StringArray::from_iter_values(picks.iter().map(|&pick| &words[pick as usize]))),
                ),
                ("id", Arc::new(picks.iter().map(|&pick| (pick * 7919) as i64).collect::<Int64Array>())),
                ("small", Arc::new(small.iter().map(|&small| small as i64).collect::<Int64Array>())),
                (
                    "time",
                    Arc::new(
                        (0..CHUNK_ROWS as i64)
                            .map(Some)
                            .collect::<TimestampMicrosecondArray>()
                            .with_timezone("UTC"),
                    ),
                ),
                ("kind", named(["view", "search", "order", "return"])),
                (
                    "page",
                    named([
                        "/shop/en/books/new-and-noteworthy?page=1",
                        "/shop/en/books/new-and-noteworthy?page=2",
                        "/shop/de/music/records-and-compact-discs",
                        "/shop/de/films/all-of-this-weeks-offers1",
                    ]),
                ),
            ];
            let fields: Vec<Field> = columns
                .iter()
                .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
                .collect();
            let columns = columns.into_iter().map(|(_, column)| column).collect();
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns fit the schema")
        })
        .collect()
}
