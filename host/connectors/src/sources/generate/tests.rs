use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat_batches;
use millstream_engine::source::{Limits, Source, Split};
use serde_json::json;

use super::*;
use crate::sources::testing::ctx;

fn open(spec: &Value) -> Box<dyn Source> {
    let plan = plan(spec.as_object().unwrap().clone()).map_err(|error| error.to_string()).unwrap();
    match plan.open(ctx("p")).unwrap() {
        OpenSource::Pull(mut source) => {
            source.restore(None).unwrap();
            source
        }
        OpenSource::Push { .. } => unreachable!("rows are pulled"),
    }
}

fn rows(source: &dyn Source, splits: &[Split]) -> RecordBatch {
    let reader = source.reader();
    let mut rows = Vec::new();
    for split in splits {
        let mut stream = reader.open(split).unwrap();
        while let Some(chunk) = stream.next().unwrap() {
            rows.push(chunk.rows);
        }
    }
    concat_batches(&reader.schema(), &rows).unwrap()
}

fn all_kinds() -> Value {
    json!({ "rows": 10_000, "seed": 7, "schema": {
        "id": { "type": "sequence", "start": 5 },
        "n": { "type": "int", "min": -3, "max": 3 },
        "x": { "type": "float", "min": 0.0, "max": 1.0 },
        "ok": { "type": "bool", "share": 0.25 },
        "key": { "type": "key", "cardinality": 50, "skew": 2.0 },
        "color": { "type": "choice", "values": ["red", "green"] },
        "line": { "type": "text", "words": 4, "vocabulary": 100 },
        "at": { "type": "timestamp", "every_us": 10, "jitter_us": 1000, "start_us": 1_000_000 },
    } })
}

#[test]
fn rows_are_the_same_however_they_are_cut() {
    let (mut one, mut many) = (open(&all_kinds()), open(&all_kinds()));
    let whole = one.poll(Limits { rows: u64::MAX, bytes: u64::MAX }).unwrap();
    assert!(whole.finished);
    let mut splits = Vec::new();
    loop {
        let poll = many.poll(Limits { rows: 333, bytes: u64::MAX }).unwrap();
        splits.extend(poll.splits);
        if poll.finished {
            break;
        }
    }
    let together = rows(&*one, &whole.splits);
    assert_eq!(together.num_rows(), 10_000);
    assert_eq!(together, rows(&*many, &splits));
    let mut restored = open(&all_kinds());
    restored.advance(&splits).unwrap();
    assert_eq!(restored.position(), many.position());
}

#[test]
fn values_are_within_what_was_asked_for() {
    let mut source = open(&all_kinds());
    let splits = source.poll(Limits { rows: u64::MAX, bytes: u64::MAX }).unwrap().splits;
    let rows = rows(&*source, &splits);
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(9_999), 10_004);
    let ints = rows.column(1).as_primitive::<Int64Type>();
    assert!(
        (-3..=3).all(|wanted| ints.values().contains(&wanted)) && ints.values().iter().all(|n| n.abs() <= 3)
    );
    assert!((2_000..3_000).contains(&rows.column(3).as_boolean().true_count()));
    assert!(rows.column(6).as_string::<i32>().iter().all(|line| line.unwrap().split(' ').count() == 4));
    assert!(rows.columns().iter().all(|column| column.null_count() == 0));
}

/// A clock that stands until it is moved.
#[derive(Default)]
struct TestClock(std::sync::atomic::AtomicI64);

impl millstream_engine::clock::Clock for TestClock {
    fn now_us(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.now_us().unsigned_abs())
    }
}

#[test]
fn a_rate_lets_rows_come_as_time_goes_by() {
    let clock = Arc::new(TestClock::default());
    let at = |us: i64| clock.0.store(us, std::sync::atomic::Ordering::SeqCst);
    let ctx = || SourceCtx { clock: clock.clone(), ..ctx("p") };
    let spec = json!({ "rate": 1000, "rows": 2500, "schema": { "at": { "type": "timestamp" } } });
    let open = || match plan(spec.as_object().unwrap().clone()).ok().unwrap().open(ctx()).unwrap() {
        OpenSource::Pull(source) => source,
        OpenSource::Push { .. } => unreachable!("rows are pulled"),
    };
    let all = Limits { rows: u64::MAX, bytes: u64::MAX };
    at(5_000_000);
    let mut source = open();
    source.restore(None).unwrap();
    let first = source.poll(all).unwrap();
    assert!(first.splits.is_empty() && !first.finished && first.backlog_bytes == 0);
    at(5_010_500);
    let ten = source.poll(all).unwrap();
    let made = rows(&*source, &ten.splits);
    assert_eq!(made.num_rows(), 10);
    let times = made.column(0).as_primitive::<arrow_array::types::TimestampMicrosecondType>();
    assert_eq!((times.value(1) - times.value(0), times.value(0)), (1000, 5_010_500));
    // What a limit holds back waits, in bytes.
    at(6_000_000);
    let some = source.poll(Limits { rows: 90, bytes: u64::MAX }).unwrap();
    assert_eq!((rows(&*source, &some.splits).num_rows(), some.backlog_bytes), (90, 900 * 8));
    // A pipeline that stood still does not make up for the time.
    let position = source.position();
    at(100_000_000);
    let mut restored = open();
    restored.restore(Some(&position)).unwrap();
    assert!(restored.poll(all).unwrap().splits.is_empty());
    at(100_001_000);
    let one = restored.poll(all).unwrap();
    assert_eq!(rows(&*restored, &one.splits).num_rows(), 1);
    at(200_000_000);
    let rest = restored.poll(all).unwrap();
    assert_eq!((rows(&*restored, &rest.splits).num_rows(), rest.finished), (2_399, true));
}

#[test]
fn mistakes_in_a_spec_are_explained() {
    for (spec, why) in [
        (json!({ "schema": {} }), "schema: give from 1"),
        (json!({ "rate": 0, "schema": { "a": { "type": "sequence" } } }), "rate: 0 is no rate"),
        (
            json!({ "schema": { "a": { "type": "int", "min": 2, "max": 1 } } }),
            "schema.a.max: it must be greater",
        ),
        (
            json!({ "schema": { "a": { "type": "key", "cardinality": 0 } } }),
            "schema.a.cardinality: 0 is out of range",
        ),
        (json!({ "schema": { "a": { "type": "sequenc" } } }), "did you mean `sequence`?"),
    ] {
        let error = plan(spec.as_object().unwrap().clone()).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
}
