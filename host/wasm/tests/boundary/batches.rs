//! Batches there and back, and batches that must not be believed.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array,
    UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Schema};
use millstream_wasm::{CallError, Fault, Limits};

use crate::support::{self, CLOCK, Ear, numbers, transform};

fn every_type() -> RecordBatch {
    let text = ["", "plain", "ünïcödé", "日本語", "\u{0}", "👩‍👩‍👧", "x", "y", "z", "end"];
    let n = i64::try_from(text.len()).unwrap();
    macro_rules! with_nulls {
        ($array:ident, $native:ty) => {
            Arc::new((0..n).map(|i| (i % 3 != 1).then_some(i as $native)).collect::<$array>()) as ArrayRef
        };
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("boolean", Arc::new((0..n).map(|i| (i % 4 != 2).then_some(i % 2 == 0)).collect::<BooleanArray>())),
        ("int8", with_nulls!(Int8Array, i8)),
        ("int16", with_nulls!(Int16Array, i16)),
        ("int32", with_nulls!(Int32Array, i32)),
        ("int64", Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, 1, 2, 3, 4, 5, 6, i64::MAX]))),
        ("uint8", with_nulls!(UInt8Array, u8)),
        ("uint16", with_nulls!(UInt16Array, u16)),
        ("uint32", with_nulls!(UInt32Array, u32)),
        ("uint64", with_nulls!(UInt64Array, u64)),
        ("float32", with_nulls!(Float32Array, f32)),
        (
            "float64",
            Arc::new(Float64Array::from(vec![
                f64::NEG_INFINITY,
                -0.0,
                0.0,
                f64::MIN_POSITIVE,
                1.5,
                f64::MAX,
                f64::INFINITY,
                2.0,
                3.0,
                4.0,
            ])),
        ),
        ("date", with_nulls!(Date32Array, i32)),
        ("seconds", with_nulls!(TimestampSecondArray, i64)),
        ("milliseconds", with_nulls!(TimestampMillisecondArray, i64)),
        ("microseconds", with_nulls!(TimestampMicrosecondArray, i64)),
        ("nanoseconds", with_nulls!(TimestampNanosecondArray, i64)),
        (
            "utc",
            Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_000; 10]).with_timezone("UTC")),
        ),
        ("text", Arc::new(StringArray::from(text.to_vec()))),
        ("nullable_text", Arc::new((0..n).map(|i| (i % 2 == 0).then_some("é")).collect::<StringArray>())),
        ("binary", Arc::new((0..n).map(|i| (i != 4).then_some([0xff, i as u8])).collect::<BinaryArray>())),
        ("all_null", Arc::new(StringArray::new_null(10))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

#[test]
fn every_type_comes_back_as_it_went() {
    let batch = every_type();
    let mut identity = transform("identity", "{}", &batch.schema());
    assert_eq!(identity.output_schema(), batch.schema());
    let output = identity.process(&CLOCK, &batch).unwrap();
    assert_eq!(output.rows, batch);
    assert!(output.rejected.is_empty());
}

#[test]
fn every_slice_comes_back_as_it_went() {
    let batch = every_type();
    let mut identity = transform("identity", "{}", &batch.schema());
    for offset in 0..=batch.num_rows() {
        for length in 0..=batch.num_rows() - offset {
            let slice = batch.slice(offset, length);
            assert_eq!(identity.process(&CLOCK, &slice).unwrap().rows, slice, "{length} rows from {offset}");
        }
    }
}

#[test]
fn batch_without_columns_keeps_its_rows() {
    let schema = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(5));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
    let output = transform("identity", "{}", &schema).process(&CLOCK, &batch).unwrap();
    assert_eq!(output.rows.num_rows(), 5);
}

#[test]
fn large_batch_comes_back() {
    let rows = 100_000;
    let text: StringArray = (0..rows).map(|i| Some(format!("row {i} ä"))).collect();
    let batch = RecordBatch::try_from_iter([("s", Arc::new(text) as ArrayRef)]).unwrap();
    let output = transform("identity", "{}", &batch.schema()).process(&CLOCK, &batch).unwrap();
    assert_eq!(output.rows, batch);
}

#[test]
fn unsupported_type_is_named() {
    let schema = Schema::new(vec![arrow_schema::Field::new("big", DataType::LargeUtf8, true)]);
    let error = support::open("identity", "{}", &schema, Arc::default(), Limits::default()).err().unwrap();
    assert!(error.to_string().contains("`big`") && error.to_string().contains("LargeUtf8"), "{error}");
}

/// What the guest is told to do wrong, the column and row that must be blamed, and a word of why.
const INVALID: &[(&str, Option<&str>, Option<u32>, &str)] = &[
    ("values-short", Some("`n`"), None, "23 bytes of values, not 24"),
    ("values-long", Some("`n`"), None, "25 bytes of values, not 24"),
    ("offsets-of-fixed", Some("`n`"), None, "offsets for a type of fixed width"),
    ("null-in-non-nullable", Some("`n`"), Some(1), "no nulls"),
    ("validity-short", Some("`s`"), None, "1 bytes of validity, not 2"),
    ("validity-long", Some("`s`"), None, "2 bytes of validity, not 1"),
    ("bits-short", Some("`b`"), None, "0 bytes of values, not 1"),
    ("bits-long", Some("`b`"), None, "2 bytes of values, not 1"),
    ("offsets-short", Some("`s`"), None, "12 bytes of offsets, not 16"),
    ("offsets-long", Some("`s`"), None, "20 bytes of offsets, not 16"),
    ("offsets-odd", Some("`s`"), None, "15 bytes of offsets, not 16"),
    ("offsets-empty", Some("`s`"), None, "0 bytes of offsets, not 16"),
    ("offsets-start", Some("`s`"), None, "first offset is 1"),
    ("offsets-fall", Some("`s`"), Some(1), "fall from 3 to 1"),
    ("offsets-negative", Some("`s`"), Some(0), "fall from 0 to -1"),
    ("offsets-beyond", Some("`s`"), Some(2), "ends at byte 7"),
    ("offsets-far", Some("`s`"), Some(2), "ends at byte 2147483647"),
    ("utf8", Some("`s`"), Some(1), "no UTF-8"),
    ("utf8-cut", Some("`s`"), Some(0), "no UTF-8"),
    ("columns-more", None, None, "4 columns, `open` promised 3"),
    ("columns-fewer", None, None, "2 columns, `open` promised 3"),
    ("rows-more", Some("`n`"), None, "24 bytes of values, not 32"),
    ("rows-fewer", Some("`n`"), None, "24 bytes of values, not 16"),
    ("rows-max", None, None, "4294967295 rows"),
];

#[test]
fn invalid_batches_are_refused_with_column_and_row() {
    let input = numbers(&[1, 2, 3]);
    for &(config, column, row, why) in INVALID {
        let error = transform("invalid", config, &input.schema()).process(&CLOCK, &input).unwrap_err();
        let CallError::Broken(Fault::InvalidBatch { column: found, row: at, what }) = &error else {
            panic!("{config}: {error:?}")
        };
        assert_eq!((found.as_deref(), *at), (column, row), "{config}: {error}");
        assert!(what.contains(why), "{config}: {error}");
    }
}

#[test]
fn bytes_behind_the_last_offset_are_not_kept() {
    let input = numbers(&[1, 2, 3]);
    for config in ["values-beyond", "nothing"] {
        let output = transform("invalid", config, &input.schema()).process(&CLOCK, &input).unwrap();
        let text = output.rows.column(1).as_any().downcast_ref::<StringArray>().unwrap().clone();
        assert_eq!(text, StringArray::from(vec!["a", "bc", "def"]));
        assert_eq!(text.value_data().len(), 6);
    }
}

#[test]
fn unusable_schemas_are_refused() {
    let schema = numbers(&[]).schema();
    for (config, why) in
        [("schema-type", "`+l`"), ("schema-twice", "two columns"), ("schema-unnamed", "1 to 256")]
    {
        let error =
            support::open("invalid", config, &schema, Arc::default(), Limits::default()).err().unwrap();
        let CallError::Broken(Fault::InvalidSchema { what }) = &error else { panic!("{error:?}") };
        assert!(what.contains(why), "{error}");
    }
}

#[test]
fn rejected_rows_come_back_with_a_bounded_reason() {
    let input = numbers(&[1, 2, 3]);
    let output = transform("reject", "0,2", &input.schema()).process(&CLOCK, &input).unwrap();
    let rows: Vec<u32> = output.rejected.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [0, 2]);
    assert_eq!(output.rejected[0].1.len(), Limits::default().reason_bytes_max);
}

#[test]
fn rejections_out_of_range_or_order_are_faults() {
    let input = numbers(&[1, 2, 3]);
    for config in ["3", "1,1", "2,1", "4294967295"] {
        let error = transform("reject", config, &input.schema()).process(&CLOCK, &input).unwrap_err();
        assert!(matches!(error, CallError::Broken(Fault::InvalidRejection { .. })), "{config}: {error}");
    }
}

#[test]
fn output_over_its_limit_is_refused() {
    let input = numbers(&[1]);
    let limits = Limits { output_bytes_max: 1 << 20, ..support::brief() };
    let mut huge = support::open("huge", "", &input.schema(), Arc::<Ear>::default(), limits).unwrap();
    let error = huge.process(&CLOCK, &input).unwrap_err();
    assert_eq!(error, CallError::Broken(Fault::OutputTooLarge { limit_bytes: 1 << 20 }));
    let mut huge = transform("huge", "", &input.schema());
    assert_eq!(huge.process(&CLOCK, &input).unwrap().rows.num_rows(), 1 << 19);
}
