//! Random rows, cuts, workers, snapshots and restores against a map of rows by group.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::harness::*;

/// A key's value as the model orders it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Null,
    Int(i64),
    Text(String),
    /// A canonical number, by the bits of its total order.
    Float(u64),
}

type Group = (i64, Vec<Value>);

/// All rows that were taken, by group.
#[derive(Default)]
struct Model {
    groups: BTreeMap<Group, Vec<Row>>,
}

const CALLS: &[Call] = &[
    ("count", None, false),
    ("count", Some(TEXT), false),
    ("sum", Some(INT), false),
    ("sum", Some(FLOAT), false),
    ("avg", Some(INT), false),
    ("min", Some(TEXT), false),
    ("max", Some(FLOAT), false),
    ("min", Some(INT), false),
    ("count", Some(TEXT), true),
    ("count", Some(FLOAT), true),
];

const WINDOW_US: i64 = 10;

fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN.abs() } else { value + 0.0 }
}

fn ordered(value: f64) -> u64 {
    let bits = canonical(value).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn key_value(row: &Row, column: usize) -> Value {
    match column {
        TEXT => row.text.clone().map_or(Value::Null, Value::Text),
        INT => row.int.map_or(Value::Null, Value::Int),
        FLOAT => row.float.map_or(Value::Null, |value| Value::Float(ordered(value))),
        _ => row.time.map_or(Value::Null, Value::Int),
    }
}

fn show_key(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Int(value) => value.to_string(),
        Value::Text(value) => format!("{value:?}"),
        Value::Float(bits) => {
            let bits = if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits };
            format!("{:?}", f64::from_bits(bits))
        }
    }
}

fn show_option<T: std::fmt::Debug>(value: Option<T>) -> String {
    value.map_or("null".into(), |value| format!("{value:?}"))
}

fn compute(rows: &[Row]) -> Vec<String> {
    let ints: Vec<i64> = rows.iter().filter_map(|row| row.int).collect();
    let texts: Vec<&String> = rows.iter().filter_map(|row| row.text.as_ref()).collect();
    let floats: Vec<f64> = rows.iter().filter_map(|row| row.float).collect();
    let sum: i64 = ints.iter().sum();
    let some = |empty: bool, value: f64| show_option((!empty).then_some(value));
    vec![
        rows.len().to_string(),
        texts.len().to_string(),
        show_option((!ints.is_empty()).then_some(sum)),
        some(floats.is_empty(), floats.iter().fold(0.0, |sum, value| sum + value)),
        some(ints.is_empty(), sum as f64 / ints.len() as f64),
        show_option(texts.iter().min()),
        show_option(
            floats.iter().map(|&v| if v.is_nan() { f64::NAN.abs() } else { v }).max_by(f64::total_cmp),
        ),
        show_option(ints.iter().min()),
        texts.iter().collect::<BTreeSet<_>>().len().to_string(),
        floats.iter().map(|&value| ordered(value)).collect::<BTreeSet<_>>().len().to_string(),
    ]
}

impl Model {
    /// Takes a row, or tells that it cannot be taken.
    fn take(&mut self, row: &Row, case: &Case, watermark_us: Option<i64>) -> Option<Group> {
        let start = if case.windowed { row.time?.div_euclid(WINDOW_US) * WINDOW_US } else { 0 };
        if case.windowed && watermark_us.is_some_and(|watermark_us| start + WINDOW_US <= watermark_us) {
            return None;
        }
        let group = (start, case.keys.iter().map(|&column| key_value(row, column)).collect());
        self.groups.entry(Group::clone(&group)).or_default().push(row.clone());
        Some(group)
    }

    fn result(&self, group: &Group, windowed: bool) -> Vec<String> {
        let window = [group.0, group.0 + WINDOW_US].map(|time| time.to_string());
        let window = window.into_iter().filter(|_| windowed);
        window.chain(group.1.iter().map(show_key)).chain(compute(&self.groups[group])).collect()
    }
}

#[derive(Clone, Debug)]
struct Case {
    keys: Vec<usize>,
    windowed: bool,
    emit: Emit,
    workers: u32,
    batches: Vec<Batch>,
}

#[derive(Clone, Debug)]
struct Batch {
    chunks: Vec<Vec<Row>>,
    watermark_step: i64,
    after: After,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Nothing,
    Snapshot,
    /// Snapshot, then all workers are made again from what was copied.
    Restart {
        workers: u32,
        full: bool,
    },
}

fn a_row() -> impl Strategy<Value = Row> {
    let text = prop_oneof![
        Just(String::new()),
        "[a-c]{1,2}",
        Just("exactly sixteen!".to_owned()),
        Just("more than sixteen, one".to_owned()),
        Just("more than sixteen, two".to_owned()),
        Just("größer, höher, weiter, länger".to_owned()),
    ];
    let float = prop_oneof![
        Just(f64::NAN),
        Just(-f64::NAN),
        Just(0.0),
        Just(-0.0),
        (-4i32..4).prop_map(|v| f64::from(v) / 2.0)
    ];
    // Few rows lack a time, and few are far from the others.
    let time = prop_oneof![8 => (-30i64..60).prop_map(Some), 1 => Just(None)];
    (time, proptest::option::of(text), proptest::option::of(-3i64..3), proptest::option::of(float))
        .prop_map(|(time, text, int, float)| Row { time, text, int, float })
}

fn a_case() -> impl Strategy<Value = Case> {
    let keys = proptest::sample::select(vec![
        vec![],
        vec![TEXT],
        vec![INT],
        vec![FLOAT],
        vec![TEXT, INT],
        vec![FLOAT, TEXT],
        vec![INT, TIME],
    ]);
    let after = prop_oneof![
        3 => Just(After::Nothing),
        2 => Just(After::Snapshot),
        1 => (prop_oneof![Just(1u32), Just(2), Just(4)], any::<bool>())
            .prop_map(|(workers, full)| After::Restart { workers, full }),
    ];
    let chunks = proptest::collection::vec(proptest::collection::vec(a_row(), 0..12), 0..6);
    let batch = (chunks, 0i64..12, after).prop_map(|(chunks, watermark_step, after)| Batch {
        chunks,
        watermark_step,
        after,
    });
    let workers = prop_oneof![Just(1u32), Just(2), Just(4)];
    (keys, any::<bool>(), any::<bool>(), workers, proptest::collection::vec(batch, 1..8)).prop_map(
        |(keys, windowed, last, workers, batches)| {
            let emit = if windowed && last { Emit::Final } else { Emit::Update };
            Case { keys, windowed, emit, workers, batches }
        },
    )
}

fn check(case: &Case) {
    let config = config(&case.keys, case.windowed.then_some(WINDOW_US), CALLS, case.emit);
    let mut workers = Workers::new(&config, case.workers);
    let mut model = Model::default();
    let mut saved = workers.snapshot(Extent::Full);
    let mut watermark_us = None;
    for batch in &case.batches {
        let mut touched = BTreeSet::new();
        let mut refused = 0;
        for row in batch.chunks.iter().flatten() {
            match model.take(row, case, watermark_us) {
                Some(group) => drop(touched.insert(group)),
                None => refused += 1,
            }
        }
        let (results, rejected) = workers.run(watermark_us, &batch.chunks).unwrap();
        assert_eq!(rejected.len(), refused);
        let closed: BTreeSet<Group> = model
            .groups
            .keys()
            .filter(|group| case.windowed && watermark_us.is_some_and(|mark| group.0 + WINDOW_US <= mark))
            .cloned()
            .collect();
        let expected = if case.emit == Emit::Update { &touched } else { &closed };
        let expected: Vec<Vec<String>> =
            expected.iter().map(|group| model.result(group, case.windowed)).collect();
        compare(case, &workers, results, expected);
        model.groups.retain(|group, _| !closed.contains(group));
        let keys: u64 = workers.steps.iter().map(|step| step.size().keys).sum();
        assert_eq!(keys, model.groups.len() as u64);
        match batch.after {
            After::Nothing => {}
            After::Snapshot => saved.extend(workers.snapshot(Extent::Delta)),
            After::Restart { workers: number, full } => {
                if full {
                    saved = workers.snapshot(Extent::Full);
                } else {
                    saved.extend(workers.snapshot(Extent::Delta));
                }
                workers = Workers::new(&config, number);
                workers.restore(&saved);
            }
        }
        watermark_us = Some(watermark_us.unwrap_or(-20) + batch.watermark_step);
    }
}

/// Final rows of one worker come in the order of windows and keys; others are compared as sets.
fn compare(case: &Case, workers: &Workers, mut results: Vec<Vec<String>>, mut expected: Vec<Vec<String>>) {
    if case.emit == Emit::Update || workers.steps.len() > 1 {
        results.sort();
        expected.sort();
    }
    assert_eq!(results, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn results_are_those_of_a_plain_map_whatever_the_cut_the_workers_and_the_restarts(case in a_case()) {
        check(&case);
    }
}
