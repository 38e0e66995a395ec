//! Duplicates against a plain list of the rows that were kept.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, Int64Array, StringArray};
use arrow_schema::DataType;
use proptest::prelude::*;

use super::*;
use crate::batch::BatchId;
use crate::state::cold::MemoryBudget;

/// Event time and key.
type Row = (Option<i64>, Option<&'static str>);

#[derive(Clone, Debug)]
struct Batch {
    chunks: Vec<Vec<Row>>,
    watermark_step: i64,
    restart: Option<(u32, bool)>,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("at", timestamp_us(), true),
        Field::new("key", DataType::Utf8, true),
        Field::new("n", DataType::Int64, false),
    ]))
}

/// Rows with numbers from `first` on, so that each is told apart.
fn batch_of(rows: &[Row], first: i64) -> RecordBatch {
    let times: TimestampMicrosecondArray = rows.iter().map(|(time, _)| *time).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.with_timezone("UTC")),
        Arc::new(rows.iter().map(|(_, key)| *key).collect::<StringArray>()),
        Arc::new(Int64Array::from_iter_values((first..).take(rows.len()))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Where keys go that memory has no room for, and how many bytes there are.
type Room<'a> = Option<(&'a Path, u64)>;

fn build(workers: u32, within_us: i64, room: Room<'_>) -> Vec<Box<dyn KeyedStep>> {
    let keys = Keys::new(&[("key".to_owned(), "key".to_owned())], &schema()).unwrap();
    let plan = DedupPlan::new(keys, schema(), EventTime::of_column(0), within_us).unwrap();
    let mut steps: Vec<_> = (0..workers).map(|worker| plan.build(worker, workers).unwrap()).collect();
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
fn snapshot(step: &mut dyn KeyedStep, extent: Extent) -> Vec<StateChunk> {
    let mut all = step.snapshot(extent).unwrap();
    while let Some(more) = step.snapshot_more().unwrap() {
        all.extend(more);
    }
    all
}

fn check(within_us: i64, workers: u32, budget: Option<u64>, batches: &[Batch]) {
    let dirs: Vec<tempfile::TempDir> = (0..=batches.len()).map(|_| tempfile::tempdir().unwrap()).collect();
    let room = |attempt: usize| budget.map(|bytes| (dirs[attempt].path(), bytes));
    let mut attempt = 0;
    let mut steps = build(workers, within_us, room(attempt));
    let mut saved: Vec<StateChunk> = Vec::new();
    let mut kept: Vec<(i64, Option<&str>)> = Vec::new();
    let (mut watermark_us, mut number) = (None, 0);
    for batch in batches {
        let ctx = |order| BatchCtx { batch: BatchId(1), now_us: 0, watermark_us, seed: 0, order };
        let (mut expected, mut expected_refused, mut refused) = (Vec::new(), 0, 0);
        for (order, rows) in (0u64..).zip(&batch.chunks) {
            let worker = order as usize % steps.len();
            refused += steps[worker].accumulate(&ctx(order), 0, &batch_of(rows, number)).unwrap().len();
            for (time, key) in rows {
                match time.filter(|time| watermark_us.is_none_or(|watermark| *time >= watermark)) {
                    None => expected_refused += 1,
                    Some(time) if kept.iter().any(|(t, k)| k == key && (t - time).abs() < within_us) => {}
                    Some(time) => {
                        kept.push((time, *key));
                        expected.push(number);
                    }
                }
                number += 1;
            }
        }
        let mut gathered: Vec<Vec<Parcel>> = vec![Vec::new(); steps.len()];
        for step in &mut steps {
            step.exchange().unwrap().into_iter().zip(&mut gathered).for_each(|(part, to)| to.extend(part));
        }
        let mut found: Vec<i64> = Vec::new();
        for (step, mut parcels) in steps.iter_mut().zip(gathered) {
            parcels.sort_by_key(|parcel| parcel.order);
            step.merge(&ctx(0), &parcels).unwrap();
            for rows in step.emit(&ctx(0)).unwrap() {
                assert_eq!(rows.column(0).as_primitive::<TimestampMicrosecondType>().null_count(), 0);
                found.extend(rows.column(2).as_primitive::<Int64Type>().values());
            }
        }
        found.sort_unstable();
        assert_eq!((found, refused), (expected, expected_refused));
        if let Some((workers, full)) = batch.restart {
            if full {
                saved.clear();
            }
            let extent = if full { Extent::Full } else { Extent::Delta };
            saved.extend(steps.iter_mut().flat_map(|step| snapshot(step.as_mut(), extent)));
            attempt += 1;
            steps = build(workers, within_us, room(attempt));
            for step in &mut steps {
                saved.iter().for_each(|chunk| step.restore(chunk).unwrap());
            }
        }
        watermark_us = Some(watermark_us.unwrap_or(-40) + batch.watermark_step);
    }
}

fn a_batch() -> impl Strategy<Value = Batch> {
    let time = prop_oneof![12 => (-30i64..80).prop_map(Some), 1 => Just(None)];
    let key = proptest::option::of(proptest::sample::select(vec![
        "a",
        "b",
        "a key of more than twenty-four bytes",
    ]));
    let chunks = proptest::collection::vec(proptest::collection::vec((time, key), 0..8), 0..5);
    let restart = proptest::option::weighted(0.3, (prop_oneof![Just(1u32), Just(2), Just(4)], any::<bool>()));
    (chunks, 0i64..20, restart).prop_map(|(chunks, watermark_step, restart)| Batch {
        chunks,
        watermark_step,
        restart,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_kept_is_that_of_a_plain_list_whatever_the_cut_the_workers_and_the_restarts(
        within_us in prop_oneof![Just(1i64), Just(5), Just(13), Just(200)],
        workers in prop_oneof![Just(1u32), Just(2), Just(4)],
        budget in proptest::option::of(prop_oneof![Just(1u64), 1_000u64..8_000]),
        batches in proptest::collection::vec(a_batch(), 1..8),
    ) {
        check(within_us, workers, budget, &batches);
    }
}

#[test]
fn keys_of_old_buckets_leave_memory_are_found_again_and_go_with_the_watermark() {
    let dir = tempfile::tempdir().unwrap();
    let mut steps = build(1, 100, Some((dir.path(), 50_000)));
    let step = steps[0].as_mut();
    let names: Vec<String> = (0..2_000).map(|n| format!("key {n}")).collect();
    let mut run = |bucket: i64, watermark_us: Option<i64>| -> usize {
        let ctx = BatchCtx { batch: BatchId(1), now_us: 0, watermark_us, seed: 0, order: 0 };
        let times: TimestampMicrosecondArray = names.iter().map(|_| Some(bucket * 100)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(times.with_timezone("UTC")),
            Arc::new(StringArray::from(names.clone())),
            Arc::new(Int64Array::from_iter_values(0..2_000)),
        ];
        let rows = RecordBatch::try_new(schema(), columns).unwrap();
        assert!(step.accumulate(&ctx, 0, &rows).unwrap().is_empty());
        let parcels = step.exchange().unwrap().remove(0);
        step.merge(&ctx, &parcels).unwrap();
        step.emit(&ctx).unwrap().iter().map(RecordBatch::num_rows).sum()
    };
    for bucket in [0, 2, 4, 6] {
        assert_eq!(run(bucket, None), 2_000);
    }
    for bucket in [0, 2, 4, 6] {
        assert_eq!(run(bucket, None), 0, "bucket {bucket}");
    }
    assert_eq!(run(20, Some(600)), 2_000);
    let size = steps[0].size();
    // Those at 600 and at 2000: the watermark has passed the others.
    assert_eq!(size.keys, 4_000);
    assert!(size.keys_cold >= 2_000 && size.bytes < 300_000, "{size:?}");
}
