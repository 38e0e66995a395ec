//! Session windows against a plain model: a list of intervals with their rows, for each key.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::*;
use super::harness::*;
use crate::batch::EventTime;
use crate::state::cold::{MemoryBudget, Spill};
use crate::steps::{KeyedStep, Parcel};

const CALLS: &[Call] = &[
    ("count", None, false),
    ("sum", Some(INT), false),
    ("max", Some(TEXT), false),
    ("count", Some(FLOAT), true),
];

fn sessions(gap: Gap, lateness_us: i64, worker: u32, workers: u32) -> Sessions {
    let mut config = config(&[TEXT], None, CALLS, Emit::Final);
    config.window =
        Some(WindowConfig { kind: WindowKind::Session(gap), time: EventTime::of_column(TIME), lateness_us });
    Sessions::new(AggregateConfig { worker, workers, ..config }).unwrap()
}

/// One batch; answers with results, unordered, and the number of refused rows.
fn run(steps: &mut [Sessions], watermark_us: Option<i64>, chunks: &[Vec<Row>]) -> (Vec<Vec<String>>, usize) {
    let context = context(watermark_us);
    let count = steps.len();
    let mut refused = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        refused += steps[number % count].accumulate(&context, 0, &batch(chunk)).unwrap().len();
    }
    let mut gathered: Vec<Vec<Parcel>> = vec![Vec::new(); count];
    for step in steps.iter_mut() {
        step.exchange().unwrap().into_iter().zip(&mut gathered).for_each(|(part, to)| to.extend(part));
    }
    let mut results = Vec::new();
    for (step, parcels) in steps.iter_mut().zip(&gathered) {
        step.merge(&context, parcels).unwrap();
        for rows in step.emit(&context).unwrap() {
            assert_eq!(rows.schema(), step.schema());
            results.extend(show(&rows));
        }
    }
    results.sort();
    (results, refused)
}

#[derive(Clone, Debug)]
struct Batch {
    chunks: Vec<Vec<Row>>,
    watermark_step: i64,
    restart: Option<(u32, bool)>,
}

/// An open session of the model.
#[derive(Clone, Debug)]
struct Open {
    start: i64,
    end: i64,
    rows: Vec<Row>,
}

fn result(key: Option<&str>, open: &Open) -> Vec<String> {
    let ints: Vec<i64> = open.rows.iter().filter_map(|row| row.int).collect();
    let text = key.map_or("null".to_owned(), |key| format!("{key:?}"));
    let floats: std::collections::BTreeSet<u64> =
        open.rows.iter().filter_map(|row| row.float).map(|value| (value + 0.0).to_bits()).collect();
    vec![
        open.start.to_string(),
        open.end.to_string(),
        text.clone(),
        open.rows.len().to_string(),
        if ints.is_empty() { "null".into() } else { ints.iter().sum::<i64>().to_string() },
        text,
        floats.len().to_string(),
    ]
}

fn a_row() -> impl Strategy<Value = Row> {
    let time = prop_oneof![12 => (-20i64..80).prop_map(Some), 1 => Just(None)];
    let text = proptest::option::of(proptest::sample::select(vec!["a", "b", "a long key of twenty-five"]));
    let int = proptest::option::of(-1i64..9);
    (time, text, int, proptest::option::of(0i8..4)).prop_map(|(time, text, int, float)| Row {
        time,
        text: text.map(str::to_owned),
        int,
        float: float.map(f64::from),
    })
}

fn a_batch() -> impl Strategy<Value = Batch> {
    let chunks = proptest::collection::vec(proptest::collection::vec(a_row(), 0..8), 0..5);
    let restart = proptest::option::weighted(0.3, (prop_oneof![Just(1u32), Just(2), Just(4)], any::<bool>()));
    (chunks, 0i64..20, restart).prop_map(|(chunks, watermark_step, restart)| Batch {
        chunks,
        watermark_step,
        restart,
    })
}

/// Workers whose sessions may take so many bytes of memory, if there is a bound.
fn build(gap: Gap, lateness: i64, workers: u32, room: Option<(&Path, u64)>) -> Vec<Sessions> {
    let mut steps: Vec<_> = (0..workers).map(|worker| sessions(gap, lateness, worker, workers)).collect();
    if let Some((dir, bytes)) = room {
        let budget = Arc::new(MemoryBudget::new(bytes));
        for (worker, step) in steps.iter_mut().enumerate() {
            let path = dir.join(format!("{worker}.db"));
            step.spill_to(Spill { path, budget: Arc::clone(&budget) }).unwrap();
        }
    }
    steps
}

/// All pieces of a snapshot.
fn snapshot(steps: &mut [Sessions], extent: Extent) -> Vec<StateChunk> {
    let mut all = Vec::new();
    for step in steps {
        all.extend(step.snapshot(extent).unwrap());
        while let Some(more) = step.snapshot_more().unwrap() {
            all.extend(more);
        }
    }
    all
}

fn check(gap: Gap, lateness: i64, workers: u32, budget: Option<u64>, batches: &[Batch]) {
    let dirs: Vec<TempDir> = (0..=batches.len()).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut attempts = dirs.iter().map(|dir| budget.map(|bytes| (dir.path(), bytes)));
    let mut build = |workers| build(gap, lateness, workers, attempts.next().unwrap());
    let mut steps = build(workers);
    let mut saved: Vec<StateChunk> = Vec::new();
    let mut model: BTreeMap<Option<String>, Vec<Open>> = BTreeMap::new();
    let mut watermark: Option<i64> = None;
    for batch in batches {
        let closed = watermark.map(|watermark| watermark - lateness);
        let mut expected = Vec::new();
        for (key, list) in &mut model {
            let over = |open: &Open| closed.is_some_and(|closed| open.end <= closed);
            expected.extend(list.iter().filter(|open| over(open)).map(|open| result(key.as_deref(), open)));
            list.retain(|open| !over(open));
        }
        let mut expected_refused = 0;
        for row in batch.chunks.iter().flatten() {
            let row_gap = match gap {
                Gap::Fixed(gap) => Some(gap),
                Gap::Column(_) => row.int.filter(|gap| *gap > 0),
            };
            let (Some(start), Some(row_gap)) = (row.time, row_gap) else {
                expected_refused += 1;
                continue;
            };
            let mut open = Open { start, end: start + row_gap, rows: vec![row.clone()] };
            if closed.is_some_and(|closed| open.end <= closed) {
                expected_refused += 1;
                continue;
            }
            let list = model.entry(row.text.clone()).or_default();
            // Until nothing touches it any more: what it takes in may reach further.
            while let Some(touching) = list.iter().position(|o| o.start <= open.end && open.start <= o.end) {
                let other = list.swap_remove(touching);
                open.start = open.start.min(other.start);
                open.end = open.end.max(other.end);
                open.rows.extend(other.rows);
            }
            list.push(open);
        }
        let (results, refused) = run(&mut steps, watermark, &batch.chunks);
        expected.sort();
        assert_eq!(results, expected);
        assert_eq!(refused, expected_refused);
        let open: usize = model.values().map(Vec::len).sum();
        assert_eq!(steps.iter().map(|step| step.size().keys).sum::<u64>(), open as u64);
        if let Some((workers, full)) = batch.restart {
            let extent = if full { Extent::Full } else { Extent::Delta };
            if full {
                saved.clear();
            }
            saved.extend(snapshot(&mut steps, extent));
            steps = build(workers);
            for step in &mut steps {
                saved.iter().for_each(|chunk| step.restore(chunk).unwrap());
            }
        }
        watermark = Some(watermark.unwrap_or(-30) + batch.watermark_step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn sessions_are_those_of_a_plain_list_whatever_the_cut_the_workers_and_the_restarts(
        gap in prop_oneof![Just(Gap::Fixed(1)), Just(Gap::Fixed(5)), Just(Gap::Column(INT))],
        lateness in 0i64..8,
        workers in prop_oneof![Just(1u32), Just(2), Just(4)],
        // Nothing stays in memory, or some.
        budget in proptest::sample::select(vec![None, Some(1), Some(6000)]),
        batches in proptest::collection::vec(a_batch(), 1..8),
    ) {
        check(gap, lateness, workers, budget, &batches);
    }
}

#[test]
fn a_row_connects_two_sessions_and_their_values() {
    let mut steps = [sessions(Gap::Fixed(10), 0, 0, 1)];
    let first = vec![row(0, "a", 1), row(15, "a", 2), row(7, "b", 4)];
    assert_eq!(run(&mut steps, None, &[first]).0, [[""; 0]; 0]);
    assert_eq!(steps[0].size().keys, 3);
    assert_eq!(run(&mut steps, None, &[vec![row(9, "a", 8)]]).0, [[""; 0]; 0]);
    assert_eq!(steps[0].size().keys, 2);
    let (results, _) = run(&mut steps, Some(25), &[]);
    assert_eq!(
        results,
        [["0", "25", "\"a\"", "3", "11", "\"a\"", "0"], ["7", "17", "\"b\"", "1", "4", "\"b\"", "0"]]
    );
}

#[test]
fn a_table_that_is_mostly_dead_is_made_anew() {
    let mut steps = [sessions(Gap::Fixed(10), 0, 0, 1)];
    let most: Vec<Row> = (0..20_000).map(|key| row(0, &format!("key {key}"), 1)).collect();
    let _ = run(&mut steps, None, &[most, vec![row(1000, "last", 5)]]);
    let large = steps[0].size().bytes;
    assert_eq!(run(&mut steps, Some(500), &[]).0.len(), 20_000);
    assert!(steps[0].size().bytes < large / 4, "{} of {large} bytes", steps[0].size().bytes);
    let (results, _) = run(&mut steps, Some(5000), &[]);
    assert_eq!(results, [["1000", "1010", "\"last\"", "1", "5", "\"last\"", "0"]]);
}

#[test]
fn sessions_leave_memory_grow_there_and_close_in_time() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut roomy = build(Gap::Fixed(100), 0, 2, None);
    let mut tight = build(Gap::Fixed(100), 0, 2, Some((dirs[0].path(), 300_000)));
    let rows = |keys: std::ops::Range<i64>, time: i64| -> Vec<Vec<Row>> {
        let rows: Vec<Row> = keys.map(|key| row(time, &format!("key {key}"), key)).collect();
        rows.chunks(900).map(<[Row]>::to_vec).collect()
    };
    let keys = |steps: &[Sessions]| steps.iter().map(|step| step.size().keys).sum::<u64>();
    let bytes = |steps: &[Sessions]| steps.iter().map(|step| step.size().bytes).sum::<u64>();
    let mut both = |tight: &mut Vec<Sessions>, watermark_us: i64, chunks: &[Vec<Row>]| {
        let expected = run(&mut roomy, Some(watermark_us), chunks);
        assert_eq!(run(tight, Some(watermark_us), chunks), expected);
        assert_eq!(keys(tight), keys(&roomy));
        (expected.0.len(), bytes(&roomy))
    };
    // Those of the first keys end at 110 and at 410, others at 120 to 150; a hundred of them go on until 205.
    let mut all = 0;
    for (first, time) in [(0, 10), (2_000, 20), (4_000, 30), (6_000, 40), (8_000, 50)] {
        (_, all) = both(&mut tight, 0, &rows(first..first + 2_000, time));
    }
    both(&mut tight, 0, &rows(0..2_000, 310));
    both(&mut tight, 0, &rows(2_000..2_100, 105));
    let cold: u64 = tight.iter().map(|step| step.size().keys_cold).sum();
    assert!(cold > 9_000 && bytes(&tight) < 500_000.min(all / 3), "{cold} {} of {all}", bytes(&tight));
    let saved = snapshot(&mut tight, Extent::Full);
    tight = build(Gap::Fixed(100), 0, 1, Some((dirs[1].path(), 300_000)));
    tight.iter_mut().for_each(|step| saved.iter().for_each(|chunk| step.restore(chunk).unwrap()));
    for (watermark_us, closed) in
        [(109, 0), (110, 2_000), (130, 3_900), (150, 4_000), (204, 0), (205, 100), (410, 2_000)]
    {
        assert_eq!(both(&mut tight, watermark_us, &[]).0, closed, "{watermark_us}");
    }
    assert_eq!((keys(&tight), tight[0].size().keys_cold), (0, 0));
}

#[test]
fn sessions_that_cannot_work_are_refused() {
    let refusal = |gap, emit| {
        let mut config = config(&[TEXT], None, CALLS, emit);
        let time = EventTime::of_column(TIME);
        config.window = Some(WindowConfig { kind: WindowKind::Session(gap), time, lateness_us: 0 });
        Sessions::new(config).err().unwrap().to_string()
    };
    assert!(refusal(Gap::Fixed(0), Emit::Final).contains("must be positive"));
    assert!(refusal(Gap::Column(TEXT), Emit::Final).contains("int64"));
    assert!(refusal(Gap::Fixed(1), Emit::Update).contains("emit: final"));
}
