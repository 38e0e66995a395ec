//! Random rows, cuts, workers, snapshots and restores against a map of rows by group.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::harness::*;
use crate::batch::EventTime;
use crate::windows::Windows;

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
    ("stddev", Some(FLOAT), false),
    ("stddev_pop", Some(FLOAT), false),
    ("variance", Some(INT), false),
    ("var_pop", Some(INT), false),
    ("first", Some(TEXT), false),
    ("last", Some(FLOAT), false),
    ("approx_count_distinct", Some(TEXT), false),
    ("approx_percentile", Some(INT), false),
    ("approx_median", Some(FLOAT), false),
    ("collect", Some(FLOAT), false),
    ("collect_distinct", Some(TEXT), false),
    ("top_k", Some(INT), false),
];

/// Size, slide and lateness of windows.
type Cut = (i64, i64, i64);

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
        show_option(variance(&floats, 1).map(f64::sqrt)),
        show_option(variance(&floats, 0).map(f64::sqrt)),
        show_option(variance(&ints.iter().map(|&int| int as f64).collect::<Vec<_>>(), 1)),
        show_option(variance(&ints.iter().map(|&int| int as f64).collect::<Vec<_>>(), 0)),
        show_option(
            rows.iter().filter_map(|row| Some((row.time?, row.text.as_ref()?))).min().map(|(_, text)| text),
        ),
        show_option(
            rows.iter()
                .filter_map(|row| Some((row.time?, canonical(row.float?))))
                .max_by_key(|(time, float)| (*time, ordered(*float)))
                .map(|(_, float)| float),
        ),
        texts.iter().collect::<BTreeSet<_>>().len().to_string(),
        show_option(percentile(ints.iter().map(|&int| int as f64).collect(), 0.9)),
        show_option(percentile(floats.iter().map(|&float| canonical(float)).collect(), 0.5)),
        show_option(collected(&floats)),
        show_option(collected_distinct(&texts)),
        show_option(most_frequent(&ints)),
    ]
}

fn listed(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(",")))
}

fn collected(floats: &[f64]) -> Option<String> {
    let mut floats: Vec<f64> = floats.iter().map(|&float| canonical(float)).collect();
    floats.sort_by(f64::total_cmp);
    let json = |float: f64| if float.is_nan() { "\"NaN\"".to_owned() } else { format!("{float:?}") };
    listed(floats.into_iter().take(4).map(json))
}

fn collected_distinct(texts: &[&String]) -> Option<String> {
    let different: BTreeSet<&String> = texts.iter().copied().collect();
    listed(different.into_iter().take(3).map(|text| serde_json::to_string(text).unwrap()))
}

fn most_frequent(ints: &[i64]) -> Option<String> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    ints.iter().for_each(|int| *counts.entry(*int).or_default() += 1);
    let mut counts: Vec<(i64, i64)> = counts.into_iter().collect();
    counts.sort_by_key(|(int, count)| (-count, *int));
    listed(counts.into_iter().take(3).map(|(int, count)| format!("[{int},{count}]")))
}

fn variance(values: &[f64], degrees: usize) -> Option<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > degrees).then(|| squares / (values.len() - degrees) as f64)
}

fn percentile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64 - 1e-9).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

/// Whether texts are equal, or numbers but for their last digits, which differ with the order of additions.
fn alike(left: &[String], right: &[String]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            let near = |(left, right): (f64, f64)| (left - right).abs() <= 1e-9 * left.abs().max(1.0);
            left == right || left.parse().ok().zip(right.parse().ok()).is_some_and(near)
        })
}

impl Model {
    /// Takes a row into the windows that are open for it; none are, when it cannot be taken.
    fn take(&mut self, row: &Row, case: &Case, watermark_us: Option<i64>) -> Vec<Group> {
        let starts: Vec<i64> = match (case.window, row.time) {
            (None, _) => vec![0],
            (Some(_), None) => Vec::new(),
            (Some((size, slide, _)), Some(time)) => (time - size + 1..=time)
                .filter(|start| start.rem_euclid(slide) == 0 && !case.is_closed(*start, watermark_us))
                .collect(),
        };
        let group = |start| (start, case.keys.iter().map(|&column| key_value(row, column)).collect());
        let groups: Vec<Group> = starts.into_iter().map(group).collect();
        for group in &groups {
            self.groups.entry(group.clone()).or_default().push(row.clone());
        }
        groups
    }

    fn result(&self, group: &Group, cut: Option<Cut>) -> Vec<String> {
        let window = cut.into_iter().flat_map(|(size, _, _)| [group.0, group.0 + size]);
        let window = window.map(|time| time.to_string());
        window.chain(group.1.iter().map(show_key)).chain(compute(&self.groups[group])).collect()
    }
}

#[derive(Clone, Debug)]
struct Case {
    keys: Vec<usize>,
    window: Option<Cut>,
    emit: Emit,
    workers: u32,
    /// Bytes of memory for all state.
    budget: Option<u64>,
    batches: Vec<Batch>,
}

impl Case {
    fn is_closed(&self, start: i64, watermark_us: Option<i64>) -> bool {
        let end = self.window.map(|(size, _, lateness)| start + size + lateness);
        end.zip(watermark_us).is_some_and(|(end, watermark_us)| end <= watermark_us)
    }
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
    let window = proptest::option::weighted(
        0.7,
        prop_oneof![
            Just((10, 10, 0)),
            Just((10, 10, 7)),
            Just((10, 5, 0)),
            Just((10, 4, 0)),
            Just((12, 5, 3)),
            Just((3, 1, 0)),
        ],
    );
    // Room for nothing, so that all that a batch leaves goes to disk; and for some groups.
    let budget = proptest::option::of(prop_oneof![Just(1u64), 1_000u64..60_000]);
    (keys, window, any::<bool>(), workers, budget, proptest::collection::vec(batch, 1..8)).prop_map(
        |(keys, window, last, workers, budget, batches)| {
            let emit = if window.is_some() && last { Emit::Final } else { Emit::Update };
            Case { keys, window, emit, workers, budget, batches }
        },
    )
}

fn check(case: &Case) {
    let mut config = config(&case.keys, None, CALLS, case.emit);
    config.window = case.window.map(|(size, slide, lateness_us)| WindowConfig {
        kind: WindowKind::Fixed(Windows::sliding(size, slide, 0).unwrap()),
        time: EventTime::of_column(TIME),
        lateness_us,
    });
    let make = |workers| match case.budget {
        Some(bytes) => Workers::with_budget(&config, workers, bytes),
        None => Workers::new(&config, workers),
    };
    let mut workers = make(case.workers);
    let mut model = Model::default();
    let mut saved = workers.snapshot(Extent::Full);
    let mut watermark_us = None;
    for batch in &case.batches {
        let mut touched = BTreeSet::new();
        let mut refused = 0;
        for row in batch.chunks.iter().flatten() {
            let groups = model.take(row, case, watermark_us);
            refused += usize::from(groups.is_empty());
            touched.extend(groups);
        }
        let (results, rejected) = workers.run(watermark_us, &batch.chunks).unwrap();
        assert_eq!(rejected.len(), refused);
        let closed: BTreeSet<Group> =
            model.groups.keys().filter(|group| case.is_closed(group.0, watermark_us)).cloned().collect();
        let expected = if case.emit == Emit::Update { &touched } else { &closed };
        let expected: Vec<Vec<String>> =
            expected.iter().map(|group| model.result(group, case.window)).collect();
        compare(case, &workers, results, expected);
        model.groups.retain(|group, _| !closed.contains(group));
        let keys: u64 = workers.steps.iter().map(|step| step.size().keys).sum();
        // Windows that overlap share their panes.
        if case.window.is_none_or(|(size, slide, _)| size == slide) {
            assert_eq!(keys, model.groups.len() as u64);
        }
        match batch.after {
            After::Nothing => {}
            After::Snapshot => saved.extend(workers.snapshot(Extent::Delta)),
            After::Restart { workers: number, full } => {
                if full {
                    saved = workers.snapshot(Extent::Full);
                } else {
                    saved.extend(workers.snapshot(Extent::Delta));
                }
                workers = make(number);
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
    let is_alike = results.iter().zip(&expected).all(|(result, expected)| alike(result, expected));
    assert!(is_alike && results.len() == expected.len(), "{results:?} for {expected:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn results_are_those_of_a_plain_map_whatever_the_cut_the_workers_and_the_restarts(case in a_case()) {
        check(&case);
    }
}
