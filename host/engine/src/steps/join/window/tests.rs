//! The join by window against a plain model: each window's rows, joined by nested loops.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::DataType;
use proptest::prelude::*;

use super::*;
use crate::batch::{BatchCtx, BatchId};
use crate::state::cold::{MemoryBudget, Spill};
use crate::steps::{Extent, Parcel, StateChunk};
use crate::windows::{Tumbling, Window};

#[derive(Clone, Copy, Debug)]
struct Row {
    key: Option<i64>,
    time_us: Option<i64>,
    id: i64,
}

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

/// Start of the window, ids of the left and of the right row.
type Out = (i64, Option<i64>, Option<i64>);

fn schema(id: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Int64, true),
        Field::new(format!("{id}_at"), timestamp_us(), true),
        Field::new(id, DataType::Int64, false),
    ]))
}

fn plan(kind: JoinKind, windows: Windows, lateness_us: i64) -> WindowJoinPlan {
    let input = |id: &str| JoinInput { schema: schema(id), time: EventTime::of_column(1) };
    let on = vec![JoinKey { name: "key".into(), left: "key".into(), right: "key".into() }];
    WindowJoinPlan::new(WindowJoinParts { inputs: [input("l"), input("r")], on, kind, windows, lateness_us })
        .unwrap()
}

fn rows(side: usize, rows: &[Row]) -> RecordBatch {
    let times: TimestampMicrosecondArray = rows.iter().map(|row| row.time_us).collect();
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
    plan: WindowJoinPlan,
    steps: Vec<Box<dyn KeyedStep>>,
    saved: Vec<StateChunk>,
    cut: usize,
    /// Bytes of memory that there are.
    budget: Option<u64>,
    /// Where the scratch files are.
    dir: Option<tempfile::TempDir>,
}

impl Workers {
    fn new(plan: WindowJoinPlan, workers: u32, cut: usize, budget: Option<u64>) -> Self {
        let mut all = Self { plan, steps: Vec::new(), saved: Vec::new(), cut, budget, dir: None };
        all.restart(workers);
        all
    }

    /// Runs a batch; answers with what comes out, and how many rows were refused.
    fn batch(&mut self, batch: &Batch) -> (Vec<RecordBatch>, usize) {
        let ctx = |order| BatchCtx {
            batch: BatchId(1),
            now_us: 0,
            watermark_us: batch.watermark_us,
            seed: 0,
            order,
        };
        let mut refused = 0;
        let workers = self.steps.len();
        for port in 0..2 {
            for (i, cut) in batch.sides[port].chunks(self.cut).enumerate() {
                let order = (i * 2 + port) as u64;
                let step = &mut self.steps[i % workers];
                refused += step.accumulate(&ctx(order), port, &rows(port, cut)).unwrap().len();
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
        (out, refused)
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
}

/// What came out, and the ends of the windows.
fn out(kind: JoinKind, batches: &[RecordBatch]) -> Vec<(Out, i64)> {
    let int = |rows: &RecordBatch, name: &str, row: usize| {
        let values = rows[name].as_primitive::<Int64Type>();
        values.is_valid(row).then(|| values.value(row))
    };
    let time = |rows: &RecordBatch, column: usize, row: usize| {
        rows.column(column).as_primitive::<TimestampMicrosecondType>().value(row)
    };
    let right = |rows: &RecordBatch, row| if kind.is_filter() { None } else { int(rows, "r", row) };
    let one = |rows: &RecordBatch, row| {
        ((time(rows, 0, row), int(rows, "l", row), right(rows, row)), time(rows, 1, row))
    };
    batches.iter().flat_map(|rows| (0..rows.num_rows()).map(move |row| one(rows, row))).collect()
}

/// The windows of a time by counting.
fn windows_of(time_us: i64, size_us: i64, slide_us: i64) -> impl Iterator<Item = Window> {
    let starts = (time_us - size_us + 1..=time_us).filter(move |start| start.rem_euclid(slide_us) == 0);
    starts.map(move |start_us| Window { start_us, end_us: start_us + size_us })
}

/// Every window with the rows that came before it was closed; and how many rows came for none.
fn model(
    kind: JoinKind,
    size_us: i64,
    slide_us: i64,
    lateness_us: i64,
    batches: &[Batch],
) -> (Vec<Out>, usize) {
    let mut windows: BTreeMap<Window, [Vec<Row>; 2]> = BTreeMap::new();
    let mut refused = 0;
    for batch in batches {
        let closed_us = batch.watermark_us.map(|us| us.saturating_sub(lateness_us));
        for side in 0..2 {
            for row in &batch.sides[side] {
                let all = row.time_us.into_iter().flat_map(|time_us| windows_of(time_us, size_us, slide_us));
                let open: Vec<Window> = all.filter(|window| !window.is_closed(closed_us)).collect();
                refused += usize::from(open.is_empty());
                open.into_iter().for_each(|window| windows.entry(window).or_default()[side].push(*row));
            }
        }
    }
    let mut out = Vec::new();
    for (window, [lefts, rights]) in windows {
        let start_us = window.start_us;
        let is_pair = |l: &Row, r: &Row| l.key.is_some() && l.key == r.key;
        for l in &lefts {
            let of: Vec<&Row> = rights.iter().filter(|r| is_pair(l, r)).collect();
            match kind {
                JoinKind::Semi if !of.is_empty() => out.push((start_us, Some(l.id), None)),
                JoinKind::Semi | JoinKind::Anti => {}
                _ => out.extend(of.iter().map(|r| (start_us, Some(l.id), Some(r.id)))),
            }
            if of.is_empty() && kind.emits_alone()[0] {
                out.push((start_us, Some(l.id), None));
            }
        }
        if kind.emits_alone()[1] {
            let alone = rights.iter().filter(|r| lefts.iter().all(|l| !is_pair(l, r)));
            out.extend(alone.map(|r| (start_us, None, Some(r.id))));
        }
    }
    out.sort_unstable();
    (out, refused)
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

/// Batches whose rows scatter around a time that goes on, beginning before 1970; some have no time.
fn any_batches() -> impl Strategy<Value = Vec<Batch>> {
    let row = || (proptest::option::weighted(0.9, 0i64..4), proptest::option::weighted(0.95, -15i64..15));
    let side = || proptest::collection::vec(row(), 0..14);
    let batch = (side(), side(), proptest::option::weighted(0.8, 0i64..12), any_after());
    proptest::collection::vec(batch, 1..14).prop_map(|batches| {
        let (mut now, mut id, mut watermark_us) = (-60, 0, None);
        let made = batches.into_iter().map(|(left, right, goes_on, after)| {
            if let Some(by) = goes_on {
                now += by;
                watermark_us = Some(now);
            }
            let mut make = |rows: Vec<(Option<i64>, Option<i64>)>| -> Vec<Row> {
                let rows = rows.into_iter().map(|(key, offset)| {
                    id += 1;
                    Row { key, time_us: offset.map(|offset| now + offset + 8), id }
                });
                rows.collect()
            };
            Batch { sides: [make(left), make(right)], watermark_us, after }
        });
        made.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn each_window_is_joined_once_with_the_rows_that_came_in_time(
        mut batches in any_batches(),
        kind in proptest::sample::select(KINDS.to_vec()),
        slide_us in 1i64..8,
        more_us in prop_oneof![Just(0), 0i64..20],
        lateness_us in prop_oneof![Just(0), 0i64..10],
        workers in proptest::sample::select(vec![1u32, 2, 4]),
        cut in 1usize..6,
        // Nothing stays in memory, or some.
        budget in proptest::sample::select(vec![None, Some(1), Some(4000)]),
    ) {
        let end = Batch { sides: [vec![], vec![]], watermark_us: Some(i64::MAX), after: After::Nothing };
        batches.push(end);
        let size_us = slide_us + more_us;
        let windows = match more_us {
            0 => Tumbling::new(size_us, 0).unwrap().into(),
            _ => Windows::sliding(size_us, slide_us, 0).unwrap(),
        };
        let plan = plan(kind, windows, lateness_us);
        let (time, back_us) = (plan.event_time(), plan.holds_back_us().unwrap());
        let mut workers = Workers::new(plan, workers, cut, budget);
        let (mut all, mut refused) = (Vec::new(), 0);
        let mut before: Option<i64> = None;
        for batch in &batches {
            let (emitted, late) = workers.batch(batch);
            refused += late;
            for rows in &emitted {
                for time_us in time.times(rows).values() {
                    let due = before.is_none_or(|us| *time_us >= us.saturating_sub(back_us));
                    prop_assert!(due, "late below: {time_us} after {before:?}");
                }
            }
            for (row, end_us) in out(kind, &emitted) {
                prop_assert_eq!(end_us, row.0 + size_us);
                let closed_us = batch.watermark_us.map(|us| us.saturating_sub(lateness_us));
                prop_assert!(Some(end_us) <= closed_us, "emitted before it was closed");
                all.push(row);
            }
            before = batch.watermark_us;
        }
        all.sort_unstable();
        let (expected, expected_refused) = model(kind, size_us, slide_us, lateness_us, &batches);
        prop_assert_eq!(all, expected);
        prop_assert_eq!(refused, expected_refused);
        prop_assert_eq!(workers.live(), 0);
    }
}

fn tumbling(size_us: i64) -> Windows {
    Tumbling::new(size_us, 0).unwrap().into()
}

#[test]
fn columns_begin_with_the_window_and_have_nulls_where_the_kind_has_them() {
    let shown = |kind| {
        let plan = plan(kind, tumbling(10), 0);
        let field =
            |field: &Arc<Field>| format!("{}{}", field.name(), if field.is_nullable() { "?" } else { "" });
        plan.schema().fields().iter().map(field).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(JoinKind::Inner), "window_start window_end key? l_at? l r_at? r");
    assert_eq!(shown(JoinKind::Full), "window_start window_end key? l_at? l? r_at? r?");
    assert_eq!(shown(JoinKind::Semi), "window_start window_end key? l_at? l");
}

#[test]
fn small_pieces_are_put_together_when_state_is_saved() {
    let mut workers = Workers::new(plan(JoinKind::Inner, tumbling(1000), 0), 1, 1, None);
    let row = |id| Row { key: Some(id), time_us: Some(id), id };
    let sides = [(0..200).map(row).collect(), (0..200).map(row).collect()];
    workers.batch(&Batch { sides, watermark_us: Some(0), after: After::Snapshot(Extent::Full) });
    let bytes = workers.steps[0].size().bytes;
    assert!(bytes < 200 * 2 * 3 * 64, "{bytes} bytes for 400 rows");
    let end = Batch { sides: [vec![], vec![]], watermark_us: Some(1000), after: After::Nothing };
    assert_eq!(workers.batch(&end).0.iter().map(RecordBatch::num_rows).sum::<usize>(), 200);
}

#[test]
fn rows_leave_memory_until_their_window_closes() {
    for kind in KINDS {
        let new = |budget| Workers::new(plan(kind, tumbling(1_000_000), 0), 2, 1000, budget);
        let (mut roomy, mut tight) = (new(None), new(Some(100_000)));
        let batch = |ids: std::ops::Range<i64>, after: After| {
            let row = |id| Row { key: Some(id % 5_000), time_us: Some(id * 100), id };
            let sides = [ids.clone().map(row).collect(), ids.map(|id| row(id * 2)).collect()];
            Batch { sides, watermark_us: Some(0), after }
        };
        let mut rows = 0;
        for first in (0..20_000).step_by(2_000) {
            let after = if first == 6_000 { After::Restart(4) } else { After::Snapshot(Extent::Delta) };
            let batch = batch(first..first + 2_000, after);
            assert_eq!(out(kind, &tight.batch(&batch).0), out(kind, &roomy.batch(&batch).0));
            rows += 4_000;
            assert_eq!((tight.live(), roomy.live()), (rows, rows));
        }
        let size = |workers: &Workers| {
            let sizes = || workers.steps.iter().map(|step| step.size());
            (sizes().map(|size| size.keys_cold).sum::<u64>(), sizes().map(|size| size.bytes).sum::<u64>())
        };
        let (cold, bytes) = size(&tight);
        assert!(cold > 30_000 && bytes < 200_000.min(size(&roomy).1 / 3), "{cold} {bytes}");
        let end = Batch { sides: [vec![], vec![]], watermark_us: Some(i64::MAX), after: After::Nothing };
        assert_eq!(out(kind, &tight.batch(&end).0), out(kind, &roomy.batch(&end).0), "{kind:?}");
        assert_eq!((tight.live(), size(&tight).0), (0, 0));
    }
}

#[test]
fn chunks_of_another_steps_state_are_refused() {
    let mut step = plan(JoinKind::Inner, tumbling(5), 0).build(0, 1).unwrap();
    for table in ["right", "seen"] {
        let chunk = StateChunk { table: table.into(), rows: rows(0, &[]) };
        assert!(step.restore(&chunk).unwrap_err().to_string().contains(table));
    }
}
