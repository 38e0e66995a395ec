//! Edge cases by name.

use super::super::*;
use super::harness::*;
use crate::batch::DeadLetterKind;

const COUNT: Call = ("count", None, false);

fn run(config: &AggregateConfig, chunks: &[Vec<Row>]) -> Vec<Vec<String>> {
    Workers::new(config, 1).run(None, chunks).unwrap().0
}

#[test]
fn updates_come_in_the_order_of_first_touch_within_the_batch() {
    let mut workers = Workers::new(&config(&[TEXT], None, &[COUNT], Emit::Update), 1);
    let first = workers.run(None, &[vec![row(0, "b", 0), row(0, "a", 0), row(0, "b", 0)]]).unwrap().0;
    assert_eq!(first, [["\"b\"", "2"], ["\"a\"", "1"]]);
    let second = workers.run(None, &[vec![row(0, "c", 0)], vec![row(0, "a", 0)]]).unwrap().0;
    assert_eq!(second, [["\"c\"", "1"], ["\"a\"", "2"]]);
    assert_eq!(workers.steps[0].size().updated, 2);
}

#[test]
fn times_before_1970_fall_into_windows_before_1970() {
    let config = config(&[], Some(10), &[COUNT], Emit::Update);
    let results = run(&config, &[vec![row(-1, "", 0), row(-10, "", 0), row(-11, "", 0), row(0, "", 0)]]);
    assert_eq!(results, [["-20", "-10", "1"], ["-10", "0", "2"], ["0", "10", "1"]]);
}

#[test]
fn times_at_the_ends_of_time_are_counted() {
    let config = config(&[], Some(10), &[COUNT], Emit::Update);
    let results = run(&config, &[vec![row(i64::MAX, "", 0), row(i64::MIN, "", 0), row(i64::MAX, "", 0)]]);
    assert_eq!(results[0][0], i64::MIN.to_string());
    assert_eq!(results[1][1..], [i64::MAX.to_string(), "2".to_owned()]);
}

#[test]
fn null_and_the_empty_string_are_two_keys() {
    let none = Row { text: None, ..row(0, "", 0) };
    let rows = vec![none.clone(), row(0, "", 0), none.clone(), none];
    let results = run(&config(&[TEXT], None, &[COUNT], Emit::Update), &[rows]);
    assert_eq!(results, [["null", "3"], ["\"\"", "1"]]);
}

#[test]
fn all_nans_are_one_key_and_the_zeros_are_another() {
    let with = |float: f64| Row { float: Some(float), ..row(0, "", 0) };
    let odd_nan = f64::from_bits(f64::NAN.to_bits() ^ 1 | 1 << 63);
    let rows = vec![with(f64::NAN), with(odd_nan), with(-0.0), with(0.0), with(-1.5)];
    for keys in [vec![FLOAT], vec![FLOAT, INT]] {
        let results = run(&config(&keys, None, &[COUNT], Emit::Update), std::slice::from_ref(&rows));
        let results: Vec<_> =
            results.iter().map(|row| [row[0].as_str(), row[row.len() - 1].as_str()]).collect();
        assert_eq!(results, [["NaN", "2"], ["0.0", "2"], ["-1.5", "1"]]);
    }
}

#[test]
fn a_sum_that_does_not_fit_int64_fails_and_names_function_and_key() {
    let config = config(&[TEXT], None, &[("sum", Some(INT), false)], Emit::Update);
    let mut workers = Workers::new(&config, 1);
    let error = workers.run(None, &[vec![row(0, "big", i64::MAX), row(0, "big", 1)]]).unwrap_err();
    let StepError::Failed(message) = error else { panic!("{error:?}") };
    assert!(message.contains("`f0` of (text = big)") && message.contains("float64"), "{message}");
}

#[test]
fn a_sum_may_leave_int64_on_its_way() {
    let config = config(&[], None, &[("sum", Some(INT), false), ("avg", Some(INT), false)], Emit::Update);
    let rows = vec![row(0, "", i64::MAX), row(0, "", i64::MAX), row(0, "", -i64::MAX), row(0, "", -i64::MAX)];
    assert_eq!(run(&config, &[rows]), [["0", "0.0"]]);
}

#[test]
fn an_empty_chunk_and_a_batch_without_chunks_change_nothing() {
    let mut workers = Workers::new(&config(&[TEXT], Some(10), &[COUNT], Emit::Update), 2);
    assert_eq!(workers.run(None, &[vec![]]).unwrap(), (vec![], vec![]));
    assert_eq!(workers.run(None, &[]).unwrap(), (vec![], vec![]));
    assert_eq!(workers.steps[0].size().keys, 0);
}

#[test]
fn late_rows_are_rejected_with_window_watermark_and_remedy() {
    let mut workers = Workers::new(&config(&[TEXT], Some(10_000_000), &[COUNT], Emit::Update), 1);
    let late = row(9_999_999, "late", 0);
    let (results, rejected) =
        workers.run(Some(10_000_000), &[vec![row(10_000_000, "on time", 0), late.clone()]]).unwrap();
    assert_eq!(results, [["10000000", "20000000", "\"on time\"", "1"]]);
    assert_eq!((rejected[0].row, rejected[0].kind), (1, DeadLetterKind::Late));
    for part in [
        "1970-01-01T00:00:09.999999Z",
        "from 1970-01-01T00:00:00Z to 1970-01-01T00:00:10Z",
        "delay",
        "by 1 s",
    ] {
        assert!(rejected[0].reason.contains(part), "{part}: {}", rejected[0].reason);
    }
    let (results, rejected) = workers.run(Some(10_000_000), &[vec![late]]).unwrap();
    assert_eq!((results.len(), rejected.len()), (0, 1));
}

#[test]
fn a_row_without_an_event_time_is_rejected() {
    let mut workers = Workers::new(&config(&[TEXT], Some(10), &[COUNT], Emit::Update), 1);
    let (_, rejected) = workers.run(None, &[vec![Row { time: None, ..row(0, "a", 0) }]]).unwrap();
    assert_eq!(rejected[0].kind, DeadLetterKind::Rejected);
    assert!(rejected[0].reason.contains("`time` is null"));
}

#[test]
fn closed_windows_give_final_rows_once_in_the_order_of_windows_and_keys() {
    let mut workers = Workers::new(&config(&[TEXT], Some(10), &[COUNT], Emit::Final), 1);
    let rows = vec![row(11, "b", 0), row(5, "b", 0), row(5, "a", 0), row(25, "z", 0)];
    assert!(workers.run(None, &[rows]).unwrap().0.is_empty());
    let results = workers.run(Some(20), &[]).unwrap().0;
    assert_eq!(results, [["0", "10", "\"a\"", "1"], ["0", "10", "\"b\"", "1"], ["10", "20", "\"b\"", "1"]]);
    assert_eq!((workers.steps[0].size().removed, workers.steps[0].size().keys), (3, 1));
    assert!(workers.run(Some(20), &[]).unwrap().0.is_empty());
}

#[test]
fn distinct_values_are_counted_once_across_workers() {
    let config = config(&[TEXT], None, &[("count", Some(INT), true)], Emit::Update);
    let mut workers = Workers::new(&config, 4);
    let chunk = |from: i64| (from..from + 10).map(|int| row(0, "k", int)).collect::<Vec<_>>();
    let results = workers.run(None, &[chunk(0), chunk(5), chunk(5), chunk(12)]).unwrap().0;
    assert_eq!(results, [["\"k\"", "22"]]);
    assert_eq!(workers.run(None, &[chunk(0), chunk(20)]).unwrap().0, [["\"k\"", "30"]]);
}

#[test]
fn many_keys_grow_the_table_and_keep_their_counts() {
    let mut workers =
        Workers::new(&config(&[TEXT], None, &[COUNT, ("sum", Some(INT), false)], Emit::Update), 1);
    let rows: Vec<Row> =
        (0..30_000).map(|n| row(0, &format!("key {n} {}", "x".repeat(n % 23)), n as i64)).collect();
    let chunks: Vec<Vec<Row>> = rows.chunks(4096).map(<[Row]>::to_vec).collect();
    workers.run(None, &chunks).unwrap();
    let results = workers.run(None, &chunks).unwrap().0;
    assert_eq!(results.len(), 30_000);
    assert!(results.iter().enumerate().all(|(n, row)| row[1] == "2" && row[2] == (2 * n).to_string()));
    assert!(workers.steps[0].size().bytes > 30_000 * 32);
}

#[test]
fn minimum_and_maximum_take_every_ordered_type() {
    use arrow_schema::{DataType, Field, Schema};
    for data_type in [
        DataType::Boolean,
        DataType::Int32,
        DataType::Float32,
        DataType::Date32,
        DataType::Binary,
        crate::batch::timestamp_us(),
    ] {
        let input = Arc::new(Schema::new(vec![Field::new("value", data_type.clone(), true)]));
        let values = arrow_array::StringArray::from(vec![Some("1"), None, Some("0")]);
        let values: ArrayRef = match &data_type {
            DataType::Boolean => {
                Arc::new(arrow_array::BooleanArray::from(vec![Some(true), None, Some(false)]))
            }
            DataType::Date32 | DataType::Timestamp(..) => {
                let narrow = if data_type == DataType::Date32 { DataType::Int32 } else { DataType::Int64 };
                arrow_cast::cast(&arrow_cast::cast(&values, &narrow).unwrap(), &data_type).unwrap()
            }
            other => arrow_cast::cast(&values, other).unwrap(),
        };
        let function = |name: &str, function: &str| FunctionConfig {
            name: name.into(),
            call: FunctionCall::built_in(function),
            arguments: vec![0],
        };
        let mut step = Aggregate::new(AggregateConfig {
            input: Arc::clone(&input),
            keys: vec![],
            functions: vec![function("low", "min"), function("high", "max")],
            ..config(&[], None, &[], Emit::Update)
        })
        .unwrap();
        step.accumulate(&context(None), &RecordBatch::try_new(input, vec![Arc::clone(&values)]).unwrap())
            .unwrap();
        let results = step.emit(&context(None)).unwrap().remove(0);
        assert_eq!(&values.slice(2, 1), results.column(0), "min of {data_type}");
        assert_eq!(&values.slice(0, 1), results.column(1), "max of {data_type}");
    }
}

#[test]
fn configurations_that_cannot_work_are_refused_with_what_to_change() {
    let refused = |config: AggregateConfig, part: &str| {
        let message = Aggregate::new(config).err().expect(part).to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(config(&[TEXT], None, &[COUNT], Emit::Final), "add `window`");
    let key = KeyConfig { name: "key".into(), column: 9 };
    refused(AggregateConfig { keys: vec![key], ..config(&[], None, &[COUNT], Emit::Update) }, "column 9");
    refused(config(&[TEXT], None, &[("sum", Some(TEXT), false)], Emit::Update), "not utf8");
    refused(config(&[TEXT], None, &[("sum", None, false)], Emit::Update), "name a column");
    refused(config(&[TEXT], None, &[("median", Some(INT), false)], Emit::Update), "there are count");
    refused(config(&[TEXT], None, &[("sum", Some(INT), true)], Emit::Update), "only count");
    refused(config(&[TEXT, TEXT], None, &[COUNT], Emit::Update), "called `text`");
    refused(config(&[], None, &[], Emit::Update), "needs a key or a function");
    refused(
        AggregateConfig { worker: 2, workers: 2, ..config(&[TEXT], None, &[COUNT], Emit::Update) },
        "worker 2",
    );
}
