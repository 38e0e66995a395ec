//! What a row costs in an aggregate: chunks of 4,096 rows into few groups and into many, with the
//! states of the touched groups there and back. Run with `cargo bench --workspace --bench states`;
//! prints the least of many rounds, because a shared machine only ever adds.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may stop")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Array, BinaryArray, Int64Array, RecordBatch, StringArray};
use millstream_wasm::{Limits, OpenAggregate, Plugin};

#[allow(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../tests/boundary/support.rs"]
mod support;

const ROWS: usize = 4_096;
const ROUNDS: u64 = 300;

fn now() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
    Instant::now()
}

fn main() {
    let stats = support::workspace_plugin("stats");
    println!(
        "{:>10} {:>8} {:>8} {:>12} {:>14}",
        "operator", "groups", "touched", "ns a row", "finish, ns each"
    );
    for groups in [100, 50_000] {
        let numbers = Int64Array::from_iter_values(0..ROWS as i64);
        let numbers = RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap();
        run(&stats, "mean", r#"{"column": "n"}"#, groups, &numbers);
        let words: StringArray = (0..ROWS).map(|row| Some(format!("word{}", row % 7))).collect();
        let words = RecordBatch::try_from_iter([("w", Arc::new(words) as _)]).unwrap();
        run(&stats, "top-words", r#"{"column": "w"}"#, groups, &words);
    }
}

fn run(stats: &Plugin, operator: &str, config: &str, groups: u64, input: &RecordBatch) {
    let (schema, observer) = (input.schema(), Arc::<support::Ear>::default());
    let limits = Some(Limits { deadline_ms: 60_000, ..Limits::default() });
    let open = OpenAggregate { operator, config, input: &schema, observer, limits };
    let mut aggregate = stats.aggregate(&open).unwrap();
    // Dense numbers for the groups in the order in which rows touch them.
    let mut places = std::collections::HashMap::new();
    let mixed = (0..ROWS as u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
    let groups_of_rows: Vec<u32> = mixed
        .map(|hash| {
            let next = u32::try_from(places.len()).unwrap();
            *places.entry(hash % groups).or_insert(next)
        })
        .collect();
    let new = BinaryArray::new_null(places.len());
    let mut states = aggregate.accumulate(&support::CLOCK, &new, &groups_of_rows, input).unwrap();
    let (mut least, mut finish) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let start = now();
        states = aggregate.accumulate(&support::CLOCK, &states, &groups_of_rows, input).unwrap();
        least = least.min(start.elapsed());
        let start = now();
        let rows = aggregate.finish(&support::CLOCK, &states).unwrap();
        finish = finish.min(start.elapsed());
        assert_eq!(rows.num_rows(), states.len());
    }
    let (a_row, a_group) = (nanoseconds(least, ROWS), nanoseconds(finish, places.len()));
    println!("{operator:>10} {groups:>8} {:>8} {a_row:>12.1} {a_group:>14.1}", places.len());
}

fn nanoseconds(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}
