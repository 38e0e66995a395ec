//! Duplicates against a plain list of the rows that were kept.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, Int64Array, StringArray};
use arrow_schema::DataType;
use proptest::prelude::*;

use super::*;
use crate::batch::BatchId;

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

fn build(workers: u32, within_us: i64) -> Vec<Box<dyn KeyedStep>> {
    let keys = Keys::new(&[("key".to_owned(), "key".to_owned())], &schema()).unwrap();
    let plan = DedupPlan::new(keys, schema(), EventTime::of_column(0), within_us).unwrap();
    (0..workers).map(|worker| plan.build(worker, workers).unwrap()).collect()
}

fn check(within_us: i64, workers: u32, batches: &[Batch]) {
    let mut steps = build(workers, within_us);
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
            saved.extend(steps.iter_mut().flat_map(|step| step.snapshot(extent).unwrap()));
            steps = build(workers, within_us);
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
        batches in proptest::collection::vec(a_batch(), 1..8),
    ) {
        check(within_us, workers, &batches);
    }
}
