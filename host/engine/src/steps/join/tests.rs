//! The join against nested loops over all rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;

use super::*;
use crate::batch::{BatchCtx, BatchId, timestamp_us};
use crate::state::cold::{MemoryBudget, Spill};
use crate::steps::{Extent, Parcel, StateChunk, StateSize};

#[derive(Clone, Copy, Debug)]
struct Row {
    key: Option<i64>,
    time_us: i64,
    id: i64,
}

/// What a batch brings, and what happens after it.
#[derive(Clone, Debug)]
struct Batch {
    sides: [Vec<Row>; 2],
    watermark_us: Option<i64>,
    after: After,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Nothing,
    Snapshot(Extent),
    Restart(u32),
}

/// Ids of the left and of the right row.
type Out = (Option<i64>, Option<i64>);

fn schema(id: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Int64, true),
        Field::new(format!("{id}_at"), timestamp_us(), true),
        Field::new(id, DataType::Int64, false),
    ]))
}

fn plan(kind: JoinKind, before_us: i64, after_us: i64) -> JoinPlan {
    let input = |id: &str| JoinInput { schema: schema(id), time: EventTime::of_column(1) };
    let on = vec![JoinKey { name: "key".into(), left: "key".into(), right: "key".into() }];
    JoinPlan::new(JoinParts { inputs: [input("l"), input("r")], on, kind, before_us, after_us }).unwrap()
}

fn rows(side: usize, rows: &[Row]) -> RecordBatch {
    let times: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.time_us)).collect();
    RecordBatch::try_new(
        schema(["l", "r"][side]),
        vec![
            Arc::new(rows.iter().map(|row| row.key).collect::<Int64Array>()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(rows.iter().map(|row| Some(row.id)).collect::<Int64Array>()),
        ],
    )
    .unwrap()
}

/// The workers of a join, run as a pipeline runs them.
struct Workers {
    plan: JoinPlan,
    steps: Vec<Box<dyn KeyedStep>>,
    saved: Vec<StateChunk>,
    cut: usize,
    /// Bytes of memory that there are.
    budget: Option<u64>,
    /// Where the scratch files are.
    dir: Option<tempfile::TempDir>,
}

impl Workers {
    fn new(plan: JoinPlan, workers: u32, cut: usize) -> Self {
        Self::with_budget(plan, workers, cut, None)
    }

    fn with_budget(plan: JoinPlan, workers: u32, cut: usize, budget: Option<u64>) -> Self {
        let mut all = Self { plan, steps: Vec::new(), saved: Vec::new(), cut, budget, dir: None };
        all.restart(workers);
        all
    }

    /// Runs a batch; answers with what comes out, and how many rows were late.
    fn batch(&mut self, batch: &Batch) -> (Vec<RecordBatch>, usize) {
        let ctx = |order| BatchCtx {
            batch: BatchId(1),
            now_us: 0,
            watermark_us: batch.watermark_us,
            seed: 0,
            order,
        };
        let mut late = 0;
        let workers = self.steps.len();
        for port in 0..2 {
            for (i, cut) in batch.sides[port].chunks(self.cut).enumerate() {
                let step = &mut self.steps[i % workers];
                // Chunks of both sides take turns.
                let order = (i * 2 + port) as u64;
                late += step.accumulate(&ctx(order), port, &rows(port, cut)).unwrap().len();
            }
        }
        let mut parcels: Vec<Vec<Parcel>> = vec![Vec::new(); workers];
        for step in &mut self.steps {
            for (to, gathered) in parcels.iter_mut().zip(step.exchange().unwrap()) {
                to.extend(gathered);
            }
        }
        let mut out = Vec::new();
        for (step, mut parcels) in self.steps.iter_mut().zip(parcels) {
            parcels.sort_by_key(|parcel| parcel.order);
            step.merge(&ctx(0), &parcels).unwrap();
            out.extend(step.emit(&ctx(0)).unwrap());
        }
        match batch.after {
            After::Nothing => {}
            After::Snapshot(extent) => self.snapshot(extent),
            After::Restart(workers) => {
                self.snapshot(Extent::Delta);
                self.restart(workers);
            }
        }
        (out, late)
    }

    fn snapshot(&mut self, extent: Extent) {
        let extent = if self.saved.is_empty() { Extent::Full } else { extent };
        if extent == Extent::Full {
            self.saved.clear();
        }
        for step in &mut self.steps {
            self.saved.extend(step.snapshot(extent).unwrap());
            while let Some(more) = step.snapshot_more().unwrap() {
                self.saved.extend(more);
            }
        }
    }

    fn restart(&mut self, workers: u32) {
        self.steps = (0..workers).map(|worker| self.plan.build(worker, workers).unwrap()).collect();
        if let Some(bytes) = self.budget {
            let (dir, budget) = (tempfile::tempdir().unwrap(), Arc::new(MemoryBudget::new(bytes)));
            for (worker, step) in self.steps.iter_mut().enumerate() {
                let path = dir.path().join(format!("{worker}.db"));
                step.spill_to(Spill { path, budget: Arc::clone(&budget) }).unwrap();
            }
            self.dir = Some(dir);
        }
        for step in &mut self.steps {
            self.saved.iter().for_each(|chunk| step.restore(chunk).unwrap());
        }
    }

    fn live(&self) -> u64 {
        self.steps.iter().map(|step| step.size().keys).sum()
    }

    fn size(&self) -> StateSize {
        self.steps.iter().map(|step| step.size()).fold(StateSize::default(), |all, size| StateSize {
            keys: all.keys + size.keys,
            bytes: all.bytes + size.bytes,
            keys_cold: all.keys_cold + size.keys_cold,
            bytes_cold: all.bytes_cold + size.bytes_cold,
            ..all
        })
    }
}

/// Left and right ids of emitted rows, with the times they carry.
fn ids(kind: JoinKind, batches: &[RecordBatch]) -> Vec<(Out, [Option<i64>; 2])> {
    let int = |rows: &RecordBatch, column: usize, row: usize| {
        let values = rows.column(column).as_primitive::<Int64Type>();
        values.is_valid(row).then(|| values.value(row))
    };
    let time = |rows: &RecordBatch, column: usize, row: usize| {
        let values = rows.column(column).as_primitive::<TimestampMicrosecondType>();
        values.is_valid(row).then(|| values.value(row))
    };
    let one = |rows: &RecordBatch, row: usize| match kind.is_filter() {
        true => ((int(rows, 2, row), None), [time(rows, 1, row), None]),
        false => ((int(rows, 2, row), int(rows, 4, row)), [time(rows, 1, row), time(rows, 3, row)]),
    };
    batches.iter().flat_map(|rows| (0..rows.num_rows()).map(move |row| one(rows, row))).collect()
}

/// The rows on time, joined without any thought of time passing.
fn model(kind: JoinKind, before_us: i64, after_us: i64, batches: &[Batch]) -> Vec<Out> {
    let on_time = |side: usize| -> Vec<Row> {
        let of = |batch: &Batch| {
            let watermark_us = batch.watermark_us.unwrap_or(i64::MIN);
            batch.sides[side].iter().copied().filter(|row| row.time_us >= watermark_us).collect::<Vec<_>>()
        };
        batches.iter().flat_map(of).collect()
    };
    let (lefts, rights) = (on_time(0), on_time(1));
    let matches = |l: &Row, r: &Row| {
        l.key.is_some()
            && l.key == r.key
            && r.time_us >= l.time_us - before_us
            && r.time_us <= l.time_us + after_us
    };
    let mut out = Vec::new();
    for l in &lefts {
        let of: Vec<&Row> = rights.iter().filter(|r| matches(l, r)).collect();
        match kind {
            JoinKind::Semi if !of.is_empty() => out.push((Some(l.id), None)),
            JoinKind::Anti if of.is_empty() => out.push((Some(l.id), None)),
            JoinKind::Semi | JoinKind::Anti => {}
            _ => out.extend(of.iter().map(|r| (Some(l.id), Some(r.id)))),
        }
        if of.is_empty() && matches!(kind, JoinKind::Left | JoinKind::Full) {
            out.push((Some(l.id), None));
        }
    }
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        let alone = rights.iter().filter(|r| lefts.iter().all(|l| !matches(l, r)));
        out.extend(alone.map(|r| (None, Some(r.id))));
    }
    out.sort_unstable();
    out
}

const KINDS: [JoinKind; 6] =
    [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full, JoinKind::Semi, JoinKind::Anti];

fn any_after() -> impl Strategy<Value = After> {
    prop_oneof![
        3 => Just(After::Nothing),
        2 => Just(After::Snapshot(Extent::Delta)),
        1 => Just(After::Snapshot(Extent::Full)),
        2 => proptest::sample::select(vec![1, 2, 4]).prop_map(After::Restart),
    ]
}

/// Batches whose rows scatter around a time that goes on, beginning before 1970.
fn any_batches() -> impl Strategy<Value = Vec<Batch>> {
    let row = || (proptest::option::weighted(0.9, 0i64..5), -15i64..15);
    let side = || proptest::collection::vec(row(), 0..14);
    let batch = (side(), side(), proptest::option::weighted(0.8, 0i64..12), any_after(), any::<[bool; 2]>());
    proptest::collection::vec(batch, 1..14).prop_map(|batches| {
        let (mut now, mut id, mut watermark_us) = (-60, 0, None);
        let made = batches.into_iter().map(|(left, right, goes_on, after, silent)| {
            if let Some(by) = goes_on {
                now += by;
                watermark_us = Some(now);
            }
            // Either side is silent one time in four.
            let silent = [silent == [true, false], silent == [false, true]];
            let mut make = |rows: Vec<(Option<i64>, i64)>, silent: bool| -> Vec<Row> {
                let rows = rows.into_iter().filter(|_| !silent).map(|(key, offset)| {
                    id += 1;
                    Row { key, time_us: now + offset + 8, id }
                });
                rows.collect()
            };
            let sides = [make(left, silent[0]), make(right, silent[1])];
            Batch { sides, watermark_us, after }
        });
        made.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_join_is_that_of_nested_loops_however_it_is_cut_and_restarted(
        mut batches in any_batches(),
        before_us in 0i64..20,
        after_us in 0i64..20,
        kind in proptest::sample::select(KINDS.to_vec()),
        workers in proptest::sample::select(vec![1u32, 2, 4]),
        cut in 1usize..6,
        // Nothing stays in memory, or some.
        budget in proptest::sample::select(vec![None, Some(1), Some(6000)]),
    ) {
        let end = Batch { sides: [vec![], vec![]], watermark_us: Some(i64::MAX), after: After::Nothing };
        batches.push(end);
        let plan = plan(kind, before_us, after_us);
        let back_us = plan.holds_back_us().unwrap();
        let own_back_us = [after_us, before_us];
        // What comes out does not depend on what is in memory, not even its order.
        let mut roomy = budget.map(|_| Workers::new(plan.clone(), workers, cut));
        let mut workers = Workers::with_budget(plan, workers, cut, budget);
        let (mut out, mut late) = (Vec::new(), 0);
        let mut before = None;
        for batch in &batches {
            let (emitted, refused) = workers.batch(batch);
            late += refused;
            if let Some(roomy) = &mut roomy {
                prop_assert_eq!(ids(kind, &emitted), ids(kind, &roomy.batch(batch).0));
            }
            for (pair, times) in ids(kind, &emitted) {
                for (time_us, own_us) in times.into_iter().zip(own_back_us) {
                    if let (Some(time_us), Some(watermark_us)) = (time_us, before) {
                        let watermark_us: i64 = watermark_us;
                        prop_assert!(time_us >= watermark_us.saturating_sub(back_us), "late below: {pair:?}");
                        prop_assert!(time_us >= watermark_us.saturating_sub(own_us));
                    }
                }
                out.push(pair);
            }
            before = batch.watermark_us;
        }
        out.sort_unstable();
        prop_assert_eq!(out, model(kind, before_us, after_us, &batches));
        let is_late = |batch: &Batch| {
            let watermark_us = batch.watermark_us.unwrap_or(i64::MIN);
            batch.sides.iter().flatten().filter(|row| row.time_us < watermark_us).count()
        };
        prop_assert_eq!(late, batches.iter().map(is_late).sum::<usize>());
        prop_assert_eq!(workers.live(), 0);
    }
}

fn batch(left: &[(i64, i64)], right: &[(i64, i64)], watermark_us: i64) -> Batch {
    let side = |rows: &[(i64, i64)], first: i64| {
        let row = |(id, (key, time_us)): (i64, &(i64, i64))| Row { key: Some(*key), time_us: *time_us, id };
        (first..).zip(rows).map(row).collect()
    };
    let watermark_us = Some(watermark_us);
    Batch { sides: [side(left, 0), side(right, 100)], watermark_us, after: After::Nothing }
}

#[test]
fn rows_without_a_match_come_in_the_first_batch_in_which_no_match_can_come() {
    let mut workers = Workers::new(plan(JoinKind::Full, 3, 10), 1, 8);
    let mut run = |batch: Batch| {
        let out: Vec<Out> =
            ids(JoinKind::Full, &workers.batch(&batch).0).into_iter().map(|(out, _)| out).collect();
        out
    };
    assert_eq!(run(batch(&[(1, 20)], &[(2, 20)], 0)), []);
    // A left row at 23 may still come for the right one.
    assert_eq!(run(batch(&[], &[], 23)), []);
    assert_eq!(run(batch(&[], &[], 24)), [(None, Some(100))]);
    assert_eq!(run(batch(&[], &[], 30)), []);
    assert_eq!(run(batch(&[], &[], 31)), [(Some(0), None)]);
    assert_eq!(run(batch(&[], &[], 99)), []);
}

#[test]
fn times_at_both_ends_of_the_calendar_join() {
    let mut workers = Workers::new(plan(JoinKind::Inner, 5, 5), 2, 8);
    let ends = [(1, i64::MIN), (1, i64::MAX)];
    let (out, _) = workers.batch(&batch(&ends, &ends, i64::MIN));
    let mut out: Vec<Out> = ids(JoinKind::Inner, &out).into_iter().map(|(out, _)| out).collect();
    out.sort_unstable();
    assert_eq!(out, [(Some(0), Some(100)), (Some(1), Some(101))]);
}

#[test]
fn state_stays_as_large_as_the_bound_however_many_keys_pass() {
    let mut workers = Workers::new(plan(JoinKind::Left, 100, 100), 1, 4096);
    let mut largest = [0; 2];
    for number in 0..200i64 {
        let rows: Vec<(i64, i64)> = (0..100).map(|i| (number * 100 + i, number * 100 + i)).collect();
        workers.batch(&batch(&rows, &rows, number * 100));
        let half = usize::from(number >= 100);
        largest[half] = largest[half].max(workers.steps[0].size().bytes);
    }
    assert!(largest[1] <= largest[0], "{largest:?}");
}

/// Rows of as many keys, each a second after the one before.
fn seconds(range: std::ops::Range<i64>) -> Vec<(i64, i64)> {
    range.map(|n| (n, n * 1_000_000)).collect()
}

#[test]
fn rows_leave_memory_and_are_matched_where_they_are() {
    let hour_us = 3_600_000_000;
    for kind in KINDS {
        let plan = plan(kind, hour_us * 10, hour_us * 10);
        let mut roomy = Workers::new(plan.clone(), 2, 4096);
        let mut tight = Workers::with_budget(plan, 2, 4096, Some(300_000));
        let mut both = |batch: Batch| {
            let expected = ids(kind, &roomy.batch(&batch).0);
            assert_eq!(ids(kind, &tight.batch(&batch).0), expected, "{kind:?}");
            assert_eq!(tight.live(), roomy.live(), "{kind:?}");
            (expected.len(), tight.size(), roomy.size())
        };
        for first in (0..20_000).step_by(2_000) {
            both(batch(&seconds(first..first + 2_000), &[], 0));
        }
        let (_, size, all) = both(batch(&[], &[], 0));
        assert!(size.keys_cold > 15_000 && size.bytes_cold > 400_000, "{kind:?} {size:?}");
        assert!(size.bytes < 450_000 && size.bytes < all.bytes / 2, "{kind:?} {size:?} {all:?}");
        let (matches, ..) = both(batch(&[], &seconds(500..1_500), 0));
        assert_eq!(matches, if kind == JoinKind::Anti { 0 } else { 1_000 });
        // Those that have had a match have it still.
        both(batch(&[], &seconds(1_000..2_000), 0));
        let (alone, ..) = both(batch(&[], &[], i64::MAX));
        let (left, right) = (20_000 - 1_500, 0);
        assert_eq!(
            alone,
            match kind {
                JoinKind::Inner | JoinKind::Semi => 0,
                JoinKind::Left | JoinKind::Anti => left,
                JoinKind::Right => right,
                JoinKind::Full => left + right,
            }
        );
    }
}

#[test]
fn rows_that_left_memory_are_in_copies_once_and_a_restore_keeps_to_the_budget() {
    for kind in KINDS {
        let plan = plan(kind, 1 << 40, 1 << 40);
        let mut tight = Workers::with_budget(plan.clone(), 2, 4096, Some(200_000));
        let rows = |workers: &Workers| -> usize {
            let chunks = workers.saved.iter().filter(|chunk| ["left", "right"].contains(&&*chunk.table));
            chunks.map(|chunk| chunk.rows.num_rows()).sum()
        };
        tight.batch(&batch(&seconds(0..3_000), &seconds(5_000..9_000), 0));
        tight.snapshot(Extent::Full);
        assert_eq!(rows(&tight), 7_000);
        tight.batch(&batch(&seconds(10_000..13_000), &seconds(0..1_000), 0));
        tight.batch(&batch(&seconds(13_000..13_100), &[], 0));
        tight.snapshot(Extent::Delta);
        assert_eq!(rows(&tight), 7_000 + 4_100, "{kind:?}");
        let live = tight.live();
        let mut roomy = Workers::new(plan, 1, 4096);
        roomy.saved = tight.saved.clone();
        roomy.restart(1);
        tight.restart(4);
        assert_eq!((tight.live(), roomy.live()), (live, live), "{kind:?}");
        assert!(tight.size().bytes < 400_000, "{:?}", tight.size());
        let last = batch(&[], &seconds(500..1_500), 0);
        let sorted = |workers: &mut Workers, batch: &Batch| {
            let mut out = ids(kind, &workers.batch(batch).0);
            out.sort_unstable();
            out
        };
        assert_eq!(sorted(&mut tight, &last), sorted(&mut roomy, &last), "{kind:?}");
        let end = batch(&[], &[], i64::MAX);
        assert_eq!(sorted(&mut tight, &end), sorted(&mut roomy, &end), "{kind:?}");
        tight.snapshot(Extent::Full);
        assert_eq!(rows(&tight), 0);
    }
}

#[test]
fn chunks_of_another_steps_state_are_refused() {
    let mut step = plan(JoinKind::Inner, 5, 5).build(0, 1).unwrap();
    for table in ["left", "seen"] {
        let chunk = StateChunk { table: table.into(), rows: rows(0, &[]) };
        assert!(step.restore(&chunk).unwrap_err().to_string().contains(table));
    }
}

#[test]
fn columns_are_those_of_both_sides_with_nulls_where_the_kind_has_them() {
    let plan = |kind| super::tests::plan(kind, 1, 1);
    let shown = |kind| {
        let plan: JoinPlan = plan(kind);
        let field =
            |field: &Arc<Field>| format!("{}{}", field.name(), if field.is_nullable() { "?" } else { "" });
        plan.schema().fields().iter().map(field).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(JoinKind::Inner), "key? l_at? l r_at? r");
    assert_eq!(shown(JoinKind::Left), "key? l_at? l r_at? r?");
    assert_eq!(shown(JoinKind::Right), "key? l_at? l? r_at? r");
    assert_eq!(shown(JoinKind::Full), "key? l_at? l? r_at? r?");
    assert_eq!(shown(JoinKind::Semi), "key? l_at? l");
    let time = |kind| plan(kind).event_time().map(|time| time.column);
    assert_eq!(KINDS.map(time), [Some(1), Some(1), Some(3), None, Some(1), Some(1)]);
}
