//! Keyed operators: turns there and back, and all that a keyed operator can do wrong.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, BinaryArray, RecordBatch};
use millstream_wasm::{CallClock, CallError, DueTimer, Fault, Keyed, Limits, Outcome, Turn};

use crate::support::{self, CLOCK, brief, pairs};

fn open(operator: &str, config: &str) -> Keyed {
    let limits = Limits { state_bytes_max: 1_000, ..brief() };
    support::keyed(operator, config, limits).unwrap()
}

fn counts(states: &[Option<i64>]) -> BinaryArray {
    states.iter().map(|count| count.map(i64::to_le_bytes)).collect()
}

/// Gives rows (key index, value) to keys, with these states and timers.
fn turn(
    keyed: &mut Keyed,
    keys: &[i64],
    states: &BinaryArray,
    rows: &[(u32, i64)],
    due: &[(u32, i64)],
) -> Result<Outcome, CallError> {
    let key_rows: Vec<_> = keys.iter().map(|key| (*key, 0)).collect();
    let row_keys: Vec<u32> = rows.iter().map(|row| row.0).collect();
    let rows: Vec<_> = rows.iter().map(|row| (keys[row.0 as usize], row.1)).collect();
    let due: Vec<_> = due.iter().map(|&(key, at_us)| DueTimer { key, at_us }).collect();
    let keys = pairs(&key_rows).project(&[0]).unwrap();
    let clock = CallClock { watermark_us: Some(5), ..CLOCK };
    keyed.process(&clock, &Turn { keys: &keys, states, rows: &pairs(&rows), row_keys: &row_keys, due: &due })
}

fn output(rows: &RecordBatch) -> Vec<Vec<i64>> {
    let column = |i: usize| rows.column(i).as_primitive::<Int64Type>();
    (0..rows.num_rows()).map(|row| (0..rows.num_columns()).map(|i| column(i).value(row)).collect()).collect()
}

#[test]
fn states_and_timers_follow_the_rows_of_each_key() {
    let mut counter = open("counter", "");
    let before = counts(&[None, Some(2), None]);
    let outcome = turn(&mut counter, &[70, 80, 90], &before, &[(0, 10), (1, 20), (0, 30)], &[]).unwrap();
    assert_eq!(outcome.states, counts(&[Some(2), Some(3), None]));
    assert_eq!(outcome.timers, [(0, 1_010), (1, 1_020), (0, 1_030)]);
    assert_eq!(outcome.rows.num_rows(), 0);
    assert_eq!(outcome.rows.schema(), counter.output_schema());
}

#[test]
fn due_timers_come_with_the_clock_and_null_removes_the_state() {
    let mut counter = open("counter", "");
    let before = counts(&[Some(2), Some(3)]);
    let outcome = turn(&mut counter, &[70, 80], &before, &[(1, 9)], &[(1, 4), (0, 5)]).unwrap();
    assert_eq!(outcome.states, counts(&[None, Some(1)]));
    assert_eq!(output(&outcome.rows), [[80, 3, 4, 7, CLOCK.now_us, 5], [70, 2, 5, 7, CLOCK.now_us, 5]]);
}

#[test]
fn rejected_rows_are_named() {
    let outcome =
        turn(&mut open("counter", ""), &[1], &counts(&[None]), &[(0, 1), (0, -1), (0, 2)], &[]).unwrap();
    assert_eq!(outcome.rejected, [(1, "it is negative".to_owned())]);
    assert_eq!(outcome.states, counts(&[Some(2)]));
}

#[test]
fn any_part_of_the_keys_is_a_turn() {
    let mut counter = open("counter", "");
    let whole = turn(&mut counter, &[1, 2], &counts(&[Some(1), None]), &[(1, 1), (0, 2)], &[(0, 0)]).unwrap();
    let first = turn(&mut counter, &[1], &counts(&[Some(1)]), &[(0, 2)], &[(0, 0)]).unwrap();
    let second = turn(&mut counter, &[2], &counts(&[None]), &[(0, 1)], &[]).unwrap();
    let states: BinaryArray = first.states.iter().chain(second.states.iter()).collect();
    assert_eq!(whole.states, states);
    assert_eq!(whole.rows, first.rows);
    let none = turn(&mut counter, &[], &counts(&[]), &[], &[]).unwrap();
    assert_eq!((none.states.len(), none.rows.num_rows()), (0, 0));
}

#[test]
fn states_of_an_earlier_version_are_rewritten() {
    let mut counter = open("counter", "");
    let states = counts(&[Some(1), None, Some(0)]);
    assert_eq!(counter.migrate(&CLOCK, "0.9.0", &states).unwrap(), counts(&[Some(101), None, None]));
    let error = counter.migrate(&CLOCK, "7.0.0", &states).unwrap_err();
    assert_eq!(error, CallError::Answered("states of 7.0.0 are unknown".into()));
    let error = open("bad-keyed", "few").migrate(&CLOCK, "0.1.0", &states).unwrap_err();
    assert!(error.to_string().contains("0 states for 3 keys"), "{error}");
}

#[test]
fn timers_may_lie_in_the_past() {
    let outcome = turn(&mut open("bad-keyed", "timer-past"), &[1], &counts(&[None]), &[], &[]).unwrap();
    assert_eq!(outcome.timers, [(0, i64::MIN)]);
}

/// What the guest is told to do wrong, the column and row to blame, and a word of why.
const INVALID: &[(&str, Option<&str>, Option<u32>, &str)] = &[
    ("few", Some("`states`"), None, "1 states for 2 keys"),
    ("fall", Some("`states`"), Some(1), "fall from 8 to 0"),
    ("timer", Some("`timers`"), Some(2), "a timer for key 2 of 2"),
    ("output", None, None, "2 columns, `open` promised 6"),
    ("rows", Some("`key`"), None, "0 bytes of values, not 8"),
];

#[test]
fn invalid_outcomes_are_refused_with_the_key() {
    for &(config, column, row, why) in INVALID {
        let states = counts(&[None, None]);
        let error =
            turn(&mut open("bad-keyed", config), &[1, 2], &states, &[(0, 1), (1, 1)], &[]).unwrap_err();
        let CallError::Broken(Fault::InvalidBatch { column: found, row: at, what }) = &error else {
            panic!("{config}: {error:?}")
        };
        assert_eq!((found.as_deref(), *at), (column, row), "{config}: {error}");
        assert!(what.contains(why), "{config}: {error}");
    }
    let states = counts(&[None, None]);
    let error = turn(&mut open("bad-keyed", "huge"), &[1, 2], &states, &[(0, 1), (1, 1)], &[]).unwrap_err();
    assert_eq!(error, CallError::Broken(Fault::StateTooLarge { key: 1, bytes: 1_992, limit_bytes: 1_000 }));
    let error =
        turn(&mut open("bad-keyed", "reject-far"), &[1], &counts(&[None]), &[(0, 1)], &[]).unwrap_err();
    assert!(matches!(error, CallError::Broken(Fault::InvalidRejection { .. })), "{error}");
}

#[test]
fn every_way_to_break_is_told_apart_and_survived() {
    let break_with = |config: &str| {
        let mut bad = open("bad-keyed", config);
        let mut once = || turn(&mut bad, &[1], &counts(&[None]), &[(0, 1)], &[]).unwrap_err();
        let (first, second) = (once(), once());
        assert_eq!(std::mem::discriminant(&first), std::mem::discriminant(&second), "{first} / {second}");
        first
    };
    assert_eq!(break_with("answer"), CallError::Answered("this turn is refused".into()));
    let error = break_with("trap");
    let CallError::Broken(Fault::Trapped { stdio, .. }) = &error else { panic!("{error:?}") };
    assert!(stdio.contains("the keyed operator gives up on purpose"), "{stdio}");
    assert!(matches!(break_with("loop"), CallError::Broken(Fault::TimedOut { deadline_ms: 200, .. })));
}

#[test]
fn a_poison_key_can_be_left_out() {
    let mut poison = open("bad-keyed", "poison");
    assert!(turn(&mut poison, &[1, 2], &counts(&[None, None]), &[(0, 1), (1, 13)], &[]).is_err());
    let outcome = turn(&mut poison, &[1], &counts(&[None]), &[(0, 1)], &[]).unwrap();
    assert_eq!(outcome.states, counts(&[Some(1)]));
}

#[test]
fn both_schemas_reach_open() {
    use std::sync::Arc;

    use millstream_wasm::OpenKeyed;

    let input = pairs(&[]).schema();
    let observer = Arc::<support::Ear>::default();
    let open =
        OpenKeyed { operator: "counter", config: "", keys: &input, input: &input, observer, limits: None };
    let error = support::plugin().keyed(&open).err().unwrap();
    assert_eq!(error, CallError::Answered("2 key columns and 2 of input".into()));
}
