//! Random rows, cuts, workers, snapshots and restores against sorted lists, and orders that are read.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::*;
use crate::batch::{BatchId, timestamp_us};
use crate::state::cold::MemoryBudget;

#[derive(Clone, Debug, PartialEq)]
struct Row {
    time: i64,
    key: Option<String>,
    text: Option<String>,
    number: Option<f64>,
    id: i64,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", timestamp_us(), true),
        Field::new("key", DataType::Utf8, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("number", DataType::Float64, true),
        Field::new("id", DataType::Int64, false),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.time));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| row.key.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.text.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.number).collect::<Float64Array>()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Rows with their ranks, as a batch has them.
fn rows_of(batch: &RecordBatch) -> Vec<(Row, i64)> {
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    let text = |column: usize, row: usize| {
        let column = batch.column(column).as_string::<i32>();
        column.iter().nth(row).flatten().map(str::to_owned)
    };
    let numbers = batch.column(3).as_primitive::<Float64Type>();
    let row = |row: usize| Row {
        time: times.value(row),
        key: text(1, row),
        text: text(2, row),
        number: numbers.iter().nth(row).flatten(),
        id: batch.column(4).as_primitive::<Int64Type>().value(row),
    };
    let ranks = batch.column(5).as_primitive::<Int64Type>();
    (0..batch.num_rows()).map(|number| (row(number), ranks.value(number))).collect()
}

fn plan(when: When, order: &str, n: usize) -> TopPlan {
    let named = |name: &str| (name.to_owned(), name.to_owned());
    let mut by = vec![named("key")];
    if when != When::Always {
        by.push(named("time"));
    }
    let keys = Keys::new(&by, &schema()).unwrap();
    TopPlan::new(keys, Order::parse(order, &schema()).unwrap(), n, when, &schema()).unwrap()
}

/// The workers of one step.
struct Workers {
    steps: Vec<Box<dyn KeyedStep>>,
    order: u64,
    /// Where their scratch files are.
    _dir: Option<tempfile::TempDir>,
}

impl Workers {
    fn new(plan: &TopPlan, workers: u32) -> Self {
        let steps = (0..workers).map(|worker| plan.build(worker, workers).unwrap()).collect();
        Self { steps, order: 0, _dir: None }
    }

    /// Workers whose groups may take so many bytes of memory, if there is a bound.
    fn with_budget(plan: &TopPlan, workers: u32, bytes: Option<u64>) -> Self {
        let mut built = Self::new(plan, workers);
        let Some(bytes) = bytes else { return built };
        let (dir, budget) = (tempfile::tempdir().unwrap(), Arc::new(MemoryBudget::new(bytes)));
        for (worker, step) in built.steps.iter_mut().enumerate() {
            let path = dir.path().join(format!("{worker}.db"));
            step.spill_to(Spill { path, budget: Arc::clone(&budget) }).unwrap();
        }
        built._dir = Some(dir);
        built
    }

    /// Runs a batch whose chunks go around the workers; answers with rows and the number of late ones.
    fn run(&mut self, watermark_us: Option<i64>, chunks: &[Vec<Row>]) -> (Vec<(Row, i64)>, usize) {
        let mut ctx = BatchCtx { batch: BatchId(1), now_us: 0, watermark_us, seed: 0, order: 0 };
        let workers = self.steps.len();
        let mut refused = 0;
        for (number, chunk) in chunks.iter().enumerate() {
            self.order += 1;
            ctx.order = self.order;
            refused += self.steps[number % workers].accumulate(&ctx, 0, &batch(chunk)).unwrap().len();
        }
        let gathered: Vec<_> = self.steps.iter_mut().map(|step| step.exchange().unwrap()).collect();
        let mut out = Vec::new();
        for (worker, step) in self.steps.iter_mut().enumerate() {
            let mut parcels: Vec<Parcel> = gathered.iter().flat_map(|from| from[worker].clone()).collect();
            parcels.sort_by_key(|parcel| parcel.order);
            step.merge(&ctx, &parcels).unwrap();
            out.extend(step.emit(&ctx).unwrap().iter().flat_map(rows_of));
        }
        (out, refused)
    }

    fn snapshot(&mut self, extent: Extent) -> Vec<StateChunk> {
        let mut all = Vec::new();
        for step in &mut self.steps {
            all.extend(step.snapshot(extent).unwrap());
            while let Some(more) = step.snapshot_more().unwrap() {
                all.extend(more);
            }
        }
        all
    }

    fn restore(&mut self, chunks: &[StateChunk]) {
        for step in &mut self.steps {
            chunks.iter().for_each(|chunk| step.restore(chunk).unwrap());
        }
    }
}

type Key = (i64, Option<String>);

/// `number desc, text`, nulls last.
fn compare(left: &Row, right: &Row) -> Ordering {
    let nulls = |left: bool, right: bool| left.cmp(&right);
    let number =
        |row: &Row| row.number.map(|number| if number.is_nan() { f64::NAN.abs() } else { number + 0.0 });
    nulls(left.number.is_none(), right.number.is_none())
        .then_with(|| match (number(left), number(right)) {
            (Some(left), Some(right)) => right.total_cmp(&left),
            _ => Ordering::Equal,
        })
        .then_with(|| nulls(left.text.is_none(), right.text.is_none()))
        .then_with(|| left.text.cmp(&right.text))
}

#[derive(Default)]
struct Model {
    /// All rows that were taken, in their order.
    groups: BTreeMap<Key, Vec<Row>>,
}

impl Model {
    fn top(&self, key: &Key, n: usize) -> Vec<(Row, i64)> {
        let mut rows = self.groups.get(key).cloned().unwrap_or_default();
        rows.sort_by(compare);
        rows.into_iter().take(n).zip(1..).collect()
    }
}

#[derive(Clone, Debug)]
struct Batch {
    chunks: Vec<Vec<Row>>,
    watermark_step: i64,
    copy: Option<bool>,
    restart: Option<u32>,
}

fn a_row() -> impl Strategy<Value = Row> {
    let text = proptest::option::of(proptest::sample::select(vec!["", "\0", "a", "a\0", "a\0b", "ab", "é"]));
    let number =
        proptest::option::of(prop_oneof![Just(f64::NAN), Just(-0.0), (-3i32..4).prop_map(f64::from)]);
    let key = proptest::option::of(proptest::sample::select(vec!["x", "y", "a longer key than sixteen"]));
    (0i64..30, key, text, number, any::<i64>()).prop_map(|(time, key, text, number, id)| Row {
        time: time / 5 * 5,
        key: key.map(str::to_owned),
        text: text.map(str::to_owned),
        number,
        id,
    })
}

fn a_batch() -> impl Strategy<Value = Batch> {
    let chunks = proptest::collection::vec(proptest::collection::vec(a_row(), 0..10), 0..5);
    let restart = proptest::option::weighted(0.3, prop_oneof![Just(1u32), Just(2), Just(4)]);
    (chunks, 0i64..8, proptest::option::of(any::<bool>()), restart)
        .prop_map(|(chunks, watermark_step, copy, restart)| Batch { chunks, watermark_step, copy, restart })
}

fn sorted(mut rows: Vec<(Row, i64)>) -> Vec<String> {
    rows.sort_by_key(|(row, rank)| (row.time, row.key.clone(), *rank));
    rows.iter().map(|row| format!("{row:?}")).collect()
}

fn check(when: When, n: usize, workers: u32, budget: Option<u64>, batches: &[Batch]) {
    let plan = plan(when, "number desc, text", n);
    let mut workers = Workers::with_budget(&plan, workers, budget);
    let mut model = Model::default();
    let mut saved = workers.snapshot(Extent::Full);
    let mut watermark_us = None;
    let is_timed = when != When::Always;
    for batch in batches {
        let is_late = |time: i64| is_timed && watermark_us.is_some_and(|watermark_us| time < watermark_us);
        let rows: Vec<&Row> = batch.chunks.iter().flatten().collect();
        let key = |row: &Row| (if is_timed { row.time } else { 0 }, row.key.clone());
        let taken: Vec<&Row> = rows.iter().filter(|row| !is_late(row.time)).copied().collect();
        let before: BTreeMap<Key, _> = taken.iter().map(|row| (key(row), model.top(&key(row), n))).collect();
        for row in &taken {
            model.groups.entry(key(row)).or_default().push((*row).clone());
        }
        let changed =
            before.iter().filter(|(key, rows)| sorted(model.top(key, n)) != sorted((*rows).clone()));
        let changed: BTreeSet<Key> = changed.map(|(key, _)| key.clone()).collect();
        let closed: BTreeSet<Key> = model.groups.keys().filter(|(time, _)| is_late(*time)).cloned().collect();
        let due = if matches!(when, When::Once(_)) { &closed } else { &changed };
        let expected = due.iter().flat_map(|key| model.top(key, n)).collect();
        let (found, refused) = workers.run(watermark_us, &batch.chunks);
        assert_eq!(refused, rows.len() - taken.len());
        assert_eq!(sorted(found), sorted(expected));
        model.groups.retain(|key, _| !closed.contains(key));
        let keys: u64 = workers.steps.iter().map(|step| step.size().keys).sum();
        assert_eq!(keys, model.groups.len() as u64);
        match batch.copy {
            Some(true) => saved = workers.snapshot(Extent::Full),
            Some(false) => saved.extend(workers.snapshot(Extent::Delta)),
            None => {}
        }
        if let Some(number) = batch.restart {
            saved.extend(workers.snapshot(Extent::Delta));
            workers = Workers::with_budget(&plan, number, budget);
            workers.restore(&saved);
        }
        watermark_us = Some(watermark_us.unwrap_or(0) + batch.watermark_step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_first_rows_are_those_of_sorted_lists_whatever_the_cut_the_workers_and_the_restarts(
        kind in 0..3,
        n in 1usize..5,
        workers in prop_oneof![Just(1u32), Just(2), Just(4)],
        // Nothing stays in memory, or some.
        budget in proptest::sample::select(vec![None, Some(1), Some(3000)]),
        batches in proptest::collection::vec(a_batch(), 1..8),
    ) {
        let time = EventTime::of_column(0);
        check([When::Always, When::Until(time), When::Once(time)][kind as usize], n, workers, budget, &batches);
    }
}

fn row(key: &str, number: f64, id: i64) -> Row {
    Row { time: 0, key: Some(key.to_owned()), text: None, number: Some(number), id }
}

#[test]
fn of_equal_rows_the_one_that_came_first_stays_first_also_after_a_restore() {
    let plan = plan(When::Always, "number", 3);
    let mut workers = Workers::new(&plan, 1);
    workers.run(None, &[vec![row("a", 1.0, 1), row("a", 1.0, 2)], vec![row("a", 1.0, 3)]]);
    let saved = workers.snapshot(Extent::Full);
    let mut again = Workers::new(&plan, 2);
    again.restore(&saved);
    assert!(again.run(None, &[vec![row("a", 1.0, 4)]]).0.is_empty());
    let ids: Vec<i64> = again.run(None, &[vec![row("a", 0.5, 5)]]).0.iter().map(|(row, _)| row.id).collect();
    assert_eq!(ids, [5, 1, 2]);
}

#[test]
fn rows_that_were_let_go_do_not_stay_in_memory() {
    let mut workers = Workers::new(&plan(When::Always, "number desc", 2), 1);
    let mut run = |from: i64| {
        let rows: Vec<Row> = (from..from + 1_000).map(|id| row("a", id as f64, id)).collect();
        workers.run(None, &[rows]);
        workers.steps[0].size().bytes
    };
    let first = run(0);
    (1..50).for_each(|n| assert!(run(n * 1_000) <= 2 * first + 4_096));
}

#[test]
fn a_delta_holds_only_the_groups_that_changed() {
    let mut workers = Workers::new(&plan(When::Always, "number", 2), 1);
    workers.run(None, &[vec![row("a", 1.0, 1), row("a", 2.0, 2), row("b", 1.0, 3)]]);
    let rows = |chunks: Vec<StateChunk>| chunks.iter().map(|chunk| chunk.rows.num_rows()).sum::<usize>();
    assert_eq!(rows(workers.snapshot(Extent::Delta)), 3);
    workers.run(None, &[vec![row("a", 9.0, 4), row("b", 3.0, 5)]]);
    assert_eq!(rows(workers.snapshot(Extent::Delta)), 2);
    assert_eq!(rows(workers.snapshot(Extent::Delta)), 0);
    assert_eq!(rows(workers.snapshot(Extent::Full)), 4);
}

#[test]
fn groups_leave_memory_and_come_back_with_their_rows_in_order() {
    let time = EventTime::of_column(0);
    for when in [When::Always, When::Once(time)] {
        let plan = plan(when, "number desc", 3);
        let mut roomy = Workers::new(&plan, 2);
        let mut tight = Workers::with_budget(&plan, 2, Some(200_000));
        let rows = |keys: std::ops::Range<i64>, number: f64| -> Vec<Vec<Row>> {
            let rows: Vec<Row> = keys.map(|key| row(&format!("key {key}"), number, key)).collect();
            rows.chunks(900).map(<[Row]>::to_vec).collect()
        };
        for (keys, number) in
            [(0..4_000, 1.0), (4_000..8_000, 5.0), (0..8_000, 1.0), (1_000..5_000, 3.0), (0..50, 0.0)]
        {
            let chunks = rows(keys, number);
            assert_eq!(tight.run(Some(0), &chunks), roomy.run(Some(0), &chunks));
        }
        let bytes = |workers: &Workers| workers.steps.iter().map(|step| step.size().bytes).sum::<u64>();
        let cold: u64 = tight.steps.iter().map(|step| step.size().keys_cold).sum();
        assert!(cold > 6_000 && bytes(&tight) < 300_000, "{cold} {} {}", bytes(&tight), bytes(&roomy));
        let mut again = Workers::with_budget(&plan, 1, Some(200_000));
        again.restore(&tight.snapshot(Extent::Full));
        assert_eq!(again.steps[0].size().keys, 8_000);
        assert!(bytes(&again) < 300_000, "{}", bytes(&again));
        let chunks = rows(0..8_000, 2.0);
        let expected = sorted(roomy.run(Some(0), &chunks).0);
        assert_eq!(sorted(again.run(Some(0), &chunks).0), expected);
        assert_eq!(sorted(again.run(Some(1), &[]).0), sorted(roomy.run(Some(1), &[]).0));
        assert_eq!(again.steps[0].size().keys, if when == When::Always { 8_000 } else { 0 });
    }
}

#[test]
fn state_of_another_top_is_refused() {
    let mut workers = Workers::new(&plan(When::Always, "number", 2), 1);
    workers.run(None, &[vec![row("a", 1.0, 1)]]);
    let saved = workers.snapshot(Extent::Full);
    for other in [plan(When::Always, "number", 3), plan(When::Always, "number desc", 2)] {
        let error = other.build(0, 1).unwrap().restore(&saved[0]).unwrap_err();
        assert!(matches!(&error, StepError::State(message) if message.contains("n 2")), "{error:?}");
    }
}

#[test]
fn orders_are_read_with_quotes_and_directions() {
    let input = Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("a, \"b\" c", DataType::Utf8, true),
        Field::new("list", DataType::Null, true),
    ]);
    let shown = |text: &str| Order::parse(text, &input).map(|order| order.to_string());
    assert_eq!(shown(" n  DESC ").unwrap(), "\"n\" desc");
    assert_eq!(shown("\"a, \"\"b\"\" c\" desc, n asc").unwrap(), r#""a, \"b\" c" desc, "n" asc"#);
    let refused = [
        ("n up", "`asc`"),
        ("m desc", "no column is called `m`; there are n,"),
        ("n,, n", "between commas"),
        ("", "between commas"),
        ("\"n", "not closed"),
        ("list", "`list` has no order"),
    ];
    for (text, part) in refused {
        let message = shown(text).unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
}
