//! Aggregates: groups of states there and back, and all that an aggregate can do wrong.

use std::sync::Arc;

use arrow_array::{Array, BinaryArray, Int64Array, RecordBatch};
use millstream_wasm::{Aggregate, CallClock, CallError, Fault, Limits, OpenAggregate};

use crate::support::{self, CLOCK, Ear, brief, numbers, plugin};

fn open(operator: &str, config: &str) -> Aggregate {
    support::aggregate(operator, config, &numbers(&[]).schema(), brief()).unwrap()
}

fn new_groups(groups: usize) -> BinaryArray {
    BinaryArray::new_null(groups)
}

/// Sums and counts, with nulls as -1.
fn finished(aggregate: &mut Aggregate, states: &BinaryArray) -> Vec<(i64, i64)> {
    let rows = aggregate.finish(&CLOCK, states).unwrap();
    assert_eq!(rows.schema(), aggregate.output_schema());
    let column = |i: usize| rows.column(i).as_any().downcast_ref::<Int64Array>().unwrap().clone();
    column(0)
        .iter()
        .zip(column(1).iter())
        .map(|(sum, count)| (sum.unwrap_or(-1), count.unwrap_or(-1)))
        .collect()
}

#[test]
fn rows_are_added_to_their_groups() {
    let mut sum = open("sum", "");
    let states = sum.accumulate(&CLOCK, &new_groups(3), &[0, 2, 0], &numbers(&[5, 7, 6])).unwrap();
    assert!(states.is_null(1));
    let states = sum.accumulate(&CLOCK, &states, &[2], &numbers(&[1])).unwrap();
    assert_eq!(finished(&mut sum, &states), [(11, 2), (-1, 0), (8, 2)]);
    // Finishing takes nothing away.
    assert_eq!(finished(&mut sum, &states), [(11, 2), (-1, 0), (8, 2)]);
}

#[test]
fn states_that_are_a_slice_are_as_good_as_a_copy() {
    let mut sum = open("sum", "");
    let states = sum.accumulate(&CLOCK, &new_groups(4), &[0, 1, 3], &numbers(&[1, 2, 4])).unwrap();
    let slice = states.slice(1, 3);
    let states = sum.accumulate(&CLOCK, &slice, &[1, 2], &numbers(&[10, 20])).unwrap();
    assert_eq!(finished(&mut sum, &states), [(2, 1), (10, 1), (24, 2)]);
}

#[test]
fn a_merge_is_undone() {
    let mut sum = open("sum", "");
    assert!(sum.retracts());
    let states = sum.accumulate(&CLOCK, &new_groups(1), &[0, 0], &numbers(&[5, 7])).unwrap();
    let other = sum.accumulate(&CLOCK, &new_groups(1), &[0], &numbers(&[100])).unwrap();
    let both = sum.merge(&CLOCK, &states, &other).unwrap();
    assert_eq!(finished(&mut sum, &both), [(112, 3)]);
    let left = sum.retract(&CLOCK, &both, &other).unwrap();
    assert_eq!(finished(&mut sum, &left), [(12, 2)]);
}

#[test]
fn an_aggregate_that_cannot_retract_says_so() {
    let mut bad = open("bad-aggregate", "none");
    assert!(!bad.retracts());
    let error = bad.retract(&CLOCK, &new_groups(1), &new_groups(1)).unwrap_err();
    assert_eq!(error, CallError::Answered("it does not retract".into()));
}

#[test]
fn states_are_merged_pairwise() {
    let mut sum = open("sum", "");
    let left = sum.accumulate(&CLOCK, &new_groups(3), &[0, 1], &numbers(&[1, 2])).unwrap();
    let right = sum.accumulate(&CLOCK, &new_groups(3), &[1, 2], &numbers(&[10, 20])).unwrap();
    let merged = sum.merge(&CLOCK, &left, &right).unwrap();
    assert_eq!(finished(&mut sum, &merged), [(1, 1), (12, 2), (20, 1)]);
}

#[test]
fn nothing_in_gives_nothing_out() {
    let mut sum = open("sum", "");
    let none = sum.accumulate(&CLOCK, &new_groups(0), &[], &numbers(&[])).unwrap();
    assert_eq!(none.len(), 0);
    assert_eq!(sum.merge(&CLOCK, &none, &none).unwrap().len(), 0);
    assert_eq!(finished(&mut sum, &none), []);
}

#[test]
fn refused_schema_is_answered_at_open() {
    let text = RecordBatch::try_from_iter([("s", Arc::new(arrow_array::StringArray::from(vec!["a"])) as _)]);
    let error = support::aggregate("sum", "", &text.unwrap().schema(), brief()).err().unwrap();
    assert_eq!(error, CallError::Answered("the first column must be int64".into()));
}

/// What the guest is told to do wrong, the column and row to blame, and a word of why.
const INVALID: &[(&str, Option<&str>, Option<u32>, &str)] = &[
    ("few", Some("`states`"), None, "1 states for 2 groups"),
    ("many", Some("`states`"), None, "3 states for 2 groups"),
    ("fall", Some("`states`"), Some(1), "fall from 16 to 0"),
    ("beyond", Some("`states`"), Some(1), "ends at byte 64"),
    ("start", Some("`states`"), None, "first offset is 4"),
    ("validity", Some("`states`"), None, "3 bytes of validity, not 1"),
];

#[test]
fn invalid_states_are_refused_with_the_group() {
    let limits = Limits { state_bytes_max: 1_000, ..brief() };
    for &(config, column, row, why) in INVALID {
        let schema = numbers(&[]).schema();
        let mut bad = support::aggregate("bad-aggregate", config, &schema, limits.clone()).unwrap();
        let error = bad.accumulate(&CLOCK, &new_groups(2), &[0, 1], &numbers(&[1, 2])).unwrap_err();
        let CallError::Broken(Fault::InvalidBatch { column: found, row: at, what }) = &error else {
            panic!("{config}: {error:?}")
        };
        assert_eq!((found.as_deref(), *at), (column, row), "{config}: {error}");
        assert!(what.contains(why), "{config}: {error}");
    }
    let schema = numbers(&[]).schema();
    let mut bad = support::aggregate("bad-aggregate", "large", &schema, limits).unwrap();
    let error = bad.accumulate(&CLOCK, &new_groups(2), &[0, 1], &numbers(&[1, 2])).unwrap_err();
    assert_eq!(error, CallError::Broken(Fault::StateTooLarge { key: 1, bytes: 1_984, limit_bytes: 1_000 }));
}

#[test]
fn invalid_results_are_refused() {
    let why = [
        ("finish-more", "3 rows for 2 groups"),
        ("finish-values", "7 bytes of values, not 16"),
        ("finish-columns", "1 columns, `open` promised 2"),
    ];
    for (config, why) in why {
        let error = open("bad-aggregate", config).finish(&CLOCK, &new_groups(2)).unwrap_err();
        assert!(matches!(error, CallError::Broken(Fault::InvalidBatch { .. })), "{config}: {error:?}");
        assert!(error.to_string().contains(why), "{config}: {error}");
    }
    let error = open("bad-aggregate", "merge-few").merge(&CLOCK, &new_groups(2), &new_groups(2)).unwrap_err();
    assert!(error.to_string().contains("1 states for 2 groups"), "{error}");
}

#[test]
fn every_way_to_break_is_told_apart_and_survived() {
    let limits = Limits { output_bytes_max: 1 << 20, ..brief() };
    let schema = numbers(&[]).schema();
    let break_with = |config: &str| {
        let mut bad = support::aggregate("bad-aggregate", config, &schema, limits.clone()).unwrap();
        let mut once = || bad.accumulate(&CLOCK, &new_groups(2), &[0, 1], &numbers(&[1, 2])).unwrap_err();
        let (first, second) = (once(), once());
        assert_eq!(std::mem::discriminant(&first), std::mem::discriminant(&second), "{first} / {second}");
        first
    };
    assert_eq!(break_with("answer"), CallError::Answered("these rows are refused".into()));
    let error = break_with("trap");
    let CallError::Broken(Fault::Trapped { stdio, .. }) = &error else { panic!("{error:?}") };
    assert!(stdio.contains("the aggregate gives up on purpose"), "{stdio}");
    assert!(matches!(break_with("loop"), CallError::Broken(Fault::TimedOut { deadline_ms: 200, .. })));
    assert!(matches!(break_with("grow"), CallError::Broken(Fault::OutOfMemory { .. })));
    assert_eq!(break_with("huge"), CallError::Broken(Fault::OutputTooLarge { limit_bytes: 1 << 20 }));
}

#[test]
fn after_a_poison_row_the_other_rows_go_on_with_the_states_from_before() {
    let mut poison = open("bad-aggregate", "poison");
    let before = poison.accumulate(&CLOCK, &new_groups(1), &[0], &numbers(&[1])).unwrap();
    assert!(poison.accumulate(&CLOCK, &before, &[0, 0], &numbers(&[2, 13])).is_err());
    let after = poison.accumulate(&CLOCK, &before, &[0], &numbers(&[2])).unwrap();
    assert_eq!(finished(&mut poison, &after), [(3, 2)]);
}

#[test]
fn time_and_chance_are_those_of_the_plan() {
    let told = |clock: CallClock| {
        let mut chance = open("bad-aggregate", "chance");
        let states = chance.accumulate(&clock, &new_groups(1), &[0], &numbers(&[1])).unwrap();
        finished(&mut chance, &states)[0]
    };
    assert_eq!(told(CLOCK), told(CLOCK));
    assert_eq!(told(CLOCK).1, CLOCK.now_us);
    assert_ne!(told(CLOCK).0, told(CallClock { seed: 43, ..CLOCK }).0);
}

#[test]
fn what_an_aggregate_counts_is_heard() {
    let ear = Arc::<Ear>::default();
    let (schema, observer) = (numbers(&[]).schema(), Arc::clone(&ear) as _);
    let open = OpenAggregate { operator: "sum", config: "", input: &schema, observer, limits: None };
    let mut sum = plugin().aggregate(&open).unwrap();
    sum.accumulate(&CLOCK, &new_groups(1), &[0, 0], &numbers(&[5, 7])).unwrap();
    assert_eq!(*ear.counts.lock().unwrap(), [("rows".to_owned(), 2)]);
}
