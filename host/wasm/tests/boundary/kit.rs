//! Plugins of the workspace, made by the kit: operators of several kinds in one, and the hostile ones.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use millstream_wasm::{
    Aggregate, CallClock, CallError, DueTimer, Fault, Keyed, Kind, OpenAggregate, OpenKeyed, Plugin, Turn,
};

use crate::support::{CLOCK, Ear, brief, numbers, workspace_plugin};

fn aggregate(plugin: &Plugin, operator: &str, config: &str, input: &RecordBatch) -> Aggregate {
    let (input, observer) = (input.schema(), Arc::<Ear>::default());
    let open = OpenAggregate { operator, config, input: &input, observer, limits: Some(brief()) };
    plugin.aggregate(&open).unwrap()
}

fn keyed(plugin: &Plugin, operator: &str, config: &str, keys: &RecordBatch, input: &RecordBatch) -> Keyed {
    let (keys, input, observer) = (keys.schema(), input.schema(), Arc::<Ear>::default());
    let open = OpenKeyed { operator, config, keys: &keys, input: &input, observer, limits: Some(brief()) };
    plugin.keyed(&open).unwrap()
}

fn texts(name: &str, texts: &[&str]) -> RecordBatch {
    RecordBatch::try_from_iter([(name, Arc::new(StringArray::from(texts.to_vec())) as _)]).unwrap()
}

#[test]
fn a_plugin_exports_the_kinds_it_holds() {
    assert_eq!(workspace_plugin("stats").kinds(), [Kind::Aggregate, Kind::Keyed]);
    assert_eq!(workspace_plugin("text").kinds(), [Kind::Transform]);
    assert_eq!(workspace_plugin("hostile").kinds(), [Kind::Transform, Kind::Aggregate, Kind::Keyed]);
}

#[test]
fn means_are_kept_and_merged() {
    let stats = workspace_plugin("stats");
    let input = numbers(&[1, 2, 6]);
    let mut mean = aggregate(&stats, "mean", r#"{"column": "n"}"#, &input);
    let one = mean.accumulate(&CLOCK, &BinaryArray::new_null(3), &[0, 1, 0], &input).unwrap();
    let other = mean.accumulate(&CLOCK, &BinaryArray::new_null(3), &[1, 1, 1], &input).unwrap();
    let merged = mean.merge(&CLOCK, &one, &other).unwrap();
    let rows = mean.finish(&CLOCK, &merged).unwrap();
    let means: Vec<_> = rows.column(0).as_primitive::<Float64Type>().iter().collect();
    assert_eq!(means, [Some(3.5), Some(11.0 / 4.0), None]);
}

#[test]
fn words_are_counted_and_refused_by_the_kit() {
    let stats = workspace_plugin("stats");
    let input = texts("w", &["b", "a", "b"]);
    let mut top = aggregate(&stats, "top-words", r#"{"column": "w", "k": 1, "words_max": 2}"#, &input);
    let states = top.accumulate(&CLOCK, &BinaryArray::new_null(1), &[0, 0, 0], &input).unwrap();
    let rows = top.finish(&CLOCK, &states).unwrap();
    assert_eq!(rows.column(0).as_string::<i32>().value(0), r#"[["b",2]]"#);
    let error = top.accumulate(&CLOCK, &states, &[0], &texts("w", &["c"])).unwrap_err();
    assert!(matches!(&error, CallError::Answered(why) if why.contains("more than 2 different")), "{error}");
    let foreign = BinaryArray::from_vec(vec![b"\xff\xff\xff"]);
    let error = top.finish(&CLOCK, &foreign).unwrap_err();
    assert!(matches!(&error, CallError::Answered(why) if why.contains("state 0 cannot be read")), "{error}");
}

#[test]
fn sessions_end_at_their_timer() {
    let stats = workspace_plugin("stats");
    let rows = |times: &[i64]| {
        let times = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
        RecordBatch::try_from_iter([("at", Arc::new(times) as _)]).unwrap()
    };
    let keys = texts("user", &["ann", "bob"]);
    let mut sessions = keyed(&stats, "sessions", r#"{"time": "at", "gap_ms": 1}"#, &keys, &rows(&[]));
    let states = BinaryArray::new_null(2);
    let turn = Turn { keys: &keys, states: &states, rows: &rows(&[5, 7, 9]), row_keys: &[1, 0, 1], due: &[] };
    let outcome = sessions.process(&CLOCK, &turn).unwrap();
    assert_eq!(outcome.timers.last(), Some(&(1, 1_009)));
    let clock = CallClock { watermark_us: Some(1_009), ..CLOCK };
    let bob = outcome.states.slice(1, 1);
    let due = [DueTimer { key: 0, at_us: 1_009 }];
    let turn = Turn { keys: &keys.slice(1, 1), states: &bob, rows: &rows(&[]), row_keys: &[], due: &due };
    let outcome = sessions.process(&clock, &turn).unwrap();
    assert!(outcome.states.is_null(0));
    assert_eq!(outcome.rows.schema(), sessions.output_schema());
    assert_eq!(outcome.rows.column(0).as_string::<i32>().value(0), "bob");
    let time = |i: usize| outcome.rows.column(i).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!((time(1), time(2)), (5, 9));
    assert_eq!(outcome.rows.column(3).as_primitive::<Int64Type>().value(0), 2);
    assert_eq!(sessions.migrate(&CLOCK, "0.0.9", &bob).unwrap(), bob);
}

/// The end of the operators' names, and a word of what the host says.
const FAULTS: &[(&str, &str)] = &[
    ("and-trap", "broke on purpose"),
    ("and-loop", "did not answer within 200 ms"),
    ("and-answer-error", "refused on purpose"),
    ("with-a-state-too-few", "1 states for 2"),
    ("with-falling-offsets", "offsets fall"),
    ("with-a-large-state", "a state of 20971"),
];

#[test]
fn hostile_aggregates_misbehave_at_their_trigger() {
    let (hostile, input) = (workspace_plugin("hostile"), texts("w", &["x", "poison"]));
    let new = BinaryArray::new_null(2);
    for (name, why) in FAULTS {
        let mut bad = aggregate(&hostile, &format!("count-{name}"), r#"{"when": "poison"}"#, &input);
        let states = bad.accumulate(&CLOCK, &new, &[0, 1], &texts("w", &["x", "y"])).unwrap();
        let error = bad.accumulate(&CLOCK, &states, &[0, 1], &input).unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
        let states = bad.accumulate(&CLOCK, &states, &[0], &texts("w", &["z"])).unwrap();
        let rows = bad.finish(&CLOCK, &states).unwrap();
        assert_eq!(rows.column(0).as_primitive::<Int64Type>().values()[..], [2, 1], "{name}");
    }
    let error =
        aggregate(&hostile, "count-with-a-row-too-many", "{}", &input).finish(&CLOCK, &new).unwrap_err();
    assert!(error.to_string().contains("3 rows for 2 groups"), "{error}");
}

#[test]
fn hostile_keyed_operators_misbehave_at_their_trigger() {
    let (hostile, keys) = (workspace_plugin("hostile"), texts("k", &["a", "b"]));
    let more = [
        ("with-a-foreign-timer", "a timer for key 2 of 2"),
        ("rejects-a-foreign-row", "row 2 of a batch of 2 rows"),
    ];
    let states = BinaryArray::new_null(2);
    for (name, why) in FAULTS.iter().chain(&more) {
        let mut bad =
            keyed(&hostile, &format!("key-{name}"), r#"{"when": "poison"}"#, &keys, &texts("w", &[]));
        let mut process = |rows: &[&str]| {
            let rows = texts("w", rows);
            bad.process(
                &CLOCK,
                &Turn { keys: &keys, states: &states, rows: &rows, row_keys: &[0, 1], due: &[] },
            )
        };
        let error = process(&["x", "poison"]).unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
        assert!(!matches!(error, CallError::Broken(Fault::NotDeterministic { .. })), "{name}");
        assert_eq!(process(&["x", "y"]).unwrap().timers.len(), 2, "{name}");
    }
}
