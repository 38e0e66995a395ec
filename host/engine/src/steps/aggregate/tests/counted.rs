//! Count windows against a plain model: the list of each key's rows, cut where it says so.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::*;
use super::harness::*;
use crate::state::cold::{MemoryBudget, Spill};
use crate::steps::{KeyedStep, Parcel};

const CALLS: &[Call] = &[
    ("count", None, false),
    ("sum", Some(INT), false),
    ("max", Some(TEXT), false),
    ("count", Some(FLOAT), true),
    ("collect", Some(FLOAT), false),
];

fn counted(count: CountConfig, emit: Emit, worker: u32, workers: u32) -> Counted {
    let config = config(&[TEXT], None, CALLS, Emit::Update);
    let nobody: Arc<dyn Observer> = Arc::new(Deaf);
    Counted::heard(AggregateConfig { emit, worker, workers, ..config }, count, &nobody).unwrap()
}

/// One batch, whose chunks are in the order of their source; results without order.
fn run(steps: &mut [Counted], chunks: &[Vec<Row>]) -> Vec<Vec<String>> {
    let count = steps.len();
    for (number, chunk) in chunks.iter().enumerate() {
        let context = BatchCtx { order: number as u64, ..context(None) };
        assert!(steps[number % count].accumulate(&context, 0, &batch(chunk)).unwrap().is_empty());
    }
    let mut gathered: Vec<Vec<Parcel>> = vec![Vec::new(); count];
    for step in steps.iter_mut() {
        step.exchange().unwrap().into_iter().zip(&mut gathered).for_each(|(part, to)| to.extend(part));
    }
    let mut results = Vec::new();
    for (step, mut parcels) in steps.iter_mut().zip(gathered) {
        parcels.sort_by_key(|parcel| parcel.order);
        step.merge(&context(None), &parcels).unwrap();
        for rows in step.emit(&context(None)).unwrap() {
            assert_eq!(rows.schema(), step.schema());
            results.extend(show(&rows));
        }
    }
    results.sort();
    results
}

fn result(number: usize, key: Option<&str>, rows: &[Row], times: bool) -> Vec<String> {
    let or_null = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
    let mut cells = vec![number.to_string()];
    if times {
        let seen: Vec<i64> = rows.iter().filter_map(|row| row.time).collect();
        cells.push(or_null(seen.iter().min().map(ToString::to_string)));
        cells.push(or_null(seen.iter().max().map(ToString::to_string)));
    }
    cells.push(or_null(key.map(|key| format!("{key:?}"))));
    let ints: Vec<i64> = rows.iter().filter_map(|row| row.int).collect();
    let mut floats: Vec<f64> = rows.iter().filter_map(|row| row.float).collect();
    floats.sort_by(f64::total_cmp);
    let listed: Vec<String> = floats.iter().take(4).map(|float| format!("{float:?}")).collect();
    cells.push(rows.len().to_string());
    cells.push(or_null((!ints.is_empty()).then(|| ints.iter().sum::<i64>().to_string())));
    cells
        .push(or_null(rows.iter().filter_map(|row| row.text.as_ref()).max().map(|text| format!("{text:?}"))));
    floats.dedup();
    cells.push(floats.len().to_string());
    cells.push(or_null((!listed.is_empty()).then(|| format!("{:?}", format!("[{}]", listed.join(","))))));
    cells
}

#[derive(Clone, Debug)]
struct Batch {
    chunks: Vec<Vec<Row>>,
    restart: Option<(u32, bool)>,
}

fn a_batch() -> impl Strategy<Value = Batch> {
    let row = (
        proptest::option::weighted(0.9, -9i64..9),
        prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))],
        proptest::option::of(-3i64..3),
        proptest::option::of(0i32..5),
    );
    let row = row.prop_map(|(time, text, int, float)| Row {
        time,
        text: text.map(str::to_owned),
        int,
        float: float.map(|float| f64::from(float) / 2.0),
    });
    let chunks = proptest::collection::vec(proptest::collection::vec(row, 0..9), 0..6);
    let workers = prop_oneof![Just(1u32), Just(2), Just(4)];
    (chunks, proptest::option::weighted(0.3, (workers, any::<bool>())))
        .prop_map(|(chunks, restart)| Batch { chunks, restart })
}

/// Workers whose keys may take so many bytes of memory, if there is a bound.
fn build(count: CountConfig, emit: Emit, workers: u32, room: Option<(&Path, u64)>) -> Vec<Counted> {
    let mut steps: Vec<_> = (0..workers).map(|worker| counted(count, emit, worker, workers)).collect();
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
fn snapshot(steps: &mut [Counted], extent: Extent) -> Vec<StateChunk> {
    let mut all = Vec::new();
    for step in steps {
        all.extend(step.snapshot(extent).unwrap());
        while let Some(more) = step.snapshot_more().unwrap() {
            all.extend(more);
        }
    }
    all
}

fn check(count: CountConfig, emit: Emit, workers: u32, budget: Option<u64>, batches: &[Batch]) {
    let dirs: Vec<TempDir> = (0..=batches.len()).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut attempts = dirs.iter().map(|dir| budget.map(|bytes| (dir.path(), bytes)));
    let mut build = |workers| build(count, emit, workers, attempts.next().unwrap());
    let (size, every) = (count.size as usize, count.every as usize);
    let mut steps = build(workers);
    let mut saved: Vec<StateChunk> = Vec::new();
    let mut model: BTreeMap<Option<String>, Vec<Row>> = BTreeMap::new();
    for batch in batches {
        let mut before: BTreeMap<Option<String>, usize> = BTreeMap::new();
        for row in batch.chunks.iter().flatten() {
            let rows = model.entry(row.text.clone()).or_default();
            before.entry(row.text.clone()).or_insert(rows.len());
            rows.push(row.clone());
        }
        let mut expected = Vec::new();
        for (key, before) in before {
            let rows = &model[&key];
            for number in 0.. {
                let (from, to) = (number * every, number * every + size);
                let is_open = emit == Emit::Update && from < rows.len() && to > rows.len();
                if to > before && (to <= rows.len() || is_open) {
                    let to = to.min(rows.len());
                    expected.push(result(number, key.as_deref(), &rows[from..to], count.time.is_some()));
                }
                if from >= rows.len() {
                    break;
                }
            }
        }
        expected.sort();
        assert_eq!(run(&mut steps, &batch.chunks), expected);
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
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn count_windows_are_those_of_a_plain_list_whatever_the_cut_the_workers_and_the_restarts(
        (size, every) in prop_oneof![Just((1, 1)), Just((4, 4)), Just((3, 1)), Just((6, 4)), Just((7, 3))],
        update in any::<bool>(),
        times in any::<bool>(),
        workers in prop_oneof![Just(1u32), Just(2), Just(4)],
        // Nothing stays in memory, or some.
        budget in proptest::sample::select(vec![None, Some(1), Some(6000)]),
        batches in proptest::collection::vec(a_batch(), 1..6),
    ) {
        let emit = if update && size == every { Emit::Update } else { Emit::Final };
        check(CountConfig { size, every, time: times.then_some(TIME) }, emit, workers, budget, &batches);
    }
}

#[test]
fn many_full_windows_leave_no_memory_behind() {
    let mut steps = [counted(CountConfig { size: 2, every: 2, time: None }, Emit::Final, 0, 1)];
    let rows: Vec<Row> = (0..4_000).map(|n| row(0, &format!("{}", n % 7), n)).collect();
    let bytes = |steps: &mut [Counted; 1]| {
        run(steps, std::slice::from_ref(&rows));
        steps[0].size().bytes
    };
    let first = (0..5).map(|_| bytes(&mut steps)).max().unwrap();
    let last = (0..20).map(|_| bytes(&mut steps)).max().unwrap();
    assert!(last <= first, "{first} bytes became {last}");
}

#[test]
fn keys_leave_memory_and_go_on_where_they_were() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (emit, size, every) in [(Emit::Final, 3, 1), (Emit::Update, 4, 4)] {
        let count = CountConfig { size, every, time: None };
        let mut roomy = build(count, emit, 2, None);
        let mut tight = build(count, emit, 2, Some((dirs[0].path(), 300_000)));
        let rows = |keys: std::ops::Range<i64>| -> Vec<Vec<Row>> {
            let rows: Vec<Row> = keys.map(|n| row(0, &format!("key {}", n % 6_000), n)).collect();
            rows.chunks(900).map(<[Row]>::to_vec).collect()
        };
        for keys in [0..4_000, 4_000..8_000, 8_000..12_000, 12_000..12_100, 100..5_000] {
            let chunks = rows(keys);
            assert_eq!(run(&mut tight, &chunks), run(&mut roomy, &chunks));
        }
        let bytes = |steps: &[Counted]| steps.iter().map(|step| step.size().bytes).sum::<u64>();
        let keys = |steps: &[Counted]| steps.iter().map(|step| step.size().keys).sum::<u64>();
        let cold: u64 = tight.iter().map(|step| step.size().keys_cold).sum();
        assert!(cold > 4_000 && bytes(&tight) < bytes(&roomy) / 2, "{cold} {}", bytes(&tight));
        assert_eq!((keys(&tight), keys(&roomy)), (6_000, 6_000));
        let saved = snapshot(&mut tight, Extent::Full);
        let mut again = build(count, emit, 1, Some((dirs[1].path(), 300_000)));
        saved.iter().for_each(|chunk| again[0].restore(chunk).unwrap());
        assert!(keys(&again) == 6_000 && bytes(&again) < 500_000, "{}", bytes(&again));
        let chunks = rows(0..6_000);
        assert_eq!(run(&mut again, &chunks), run(&mut roomy, &chunks));
    }
}

#[test]
fn counts_that_make_no_windows_are_refused() {
    let nobody: Arc<dyn Observer> = Arc::new(Deaf);
    let refused = |size, every, emit, part: &str| {
        let config = AggregateConfig { emit, ..config(&[TEXT], None, CALLS, Emit::Update) };
        let count = CountConfig { size, every, time: None };
        let message = Counted::heard(config, count, &nobody).err().expect(part).to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(0, 0, Emit::Final, "1 to");
    refused(5, 6, Emit::Final, "windows of 5 rows, one every 6");
    refused(5, 0, Emit::Final, "at least 1");
    refused(5, 2, Emit::Update, "emit: final");
}
