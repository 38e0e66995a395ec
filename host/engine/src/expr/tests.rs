//! Expressions as text with the values they give on one batch of edge cases.

mod errors;
mod model;
mod rows;
mod values;

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{Field, Schema};

use super::Expr;
use super::kernels::cast::without_zone;
use crate::batch::timestamp_us;

/// Microseconds of 2024-02-29T12:34:56.789012Z.
const LEAP_DAY: i64 = 1_709_210_096_789_012;

/// Three rows: usual values, extreme values, NULLs. `id` is never NULL.
fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])), false),
        ("i", Arc::new(Int32Array::from(vec![Some(7), Some(i32::MAX), None])), true),
        ("l", Arc::new(Int64Array::from(vec![Some(-7), Some(i64::MIN), None])), true),
        ("z", Arc::new(Int64Array::from(vec![Some(0), Some(2), None])), true),
        ("f", Arc::new(Float64Array::from(vec![Some(2.5), Some(f64::NAN), None])), true),
        ("g", Arc::new(Float32Array::from(vec![Some(0.1), Some(-0.0), None])), true),
        ("s", Arc::new(StringArray::from(vec![Some("Grüße, 世界"), Some(""), None])), true),
        ("n", Arc::new(StringArray::from(vec![Some("42"), Some("4x"), None])), true),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])), true),
        ("x", Arc::new(BinaryArray::from(vec![Some(&b"ok"[..]), Some(&[0xff, 0xfe][..]), None])), true),
        ("d", Arc::new(Date32Array::from(vec![Some(19_782), Some(-1), None])), true),
        (
            "t",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(LEAP_DAY), Some(-1), None])
                    .with_data_type(timestamp_us()),
            ),
            true,
        ),
        ("Odd name", Arc::new(Int64Array::from(vec![10, 20, 30])), false),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array, nullable)| Field::new(*name, array.data_type().clone(), *nullable))
        .collect();
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The values of an expression on `batch`, as text: `-` is NULL, `!` a fault.
fn values(text: &str) -> String {
    let batch = batch();
    let expr = Expr::compile(text, &batch.schema()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let evaluated = expr.evaluate(&batch).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(evaluated.array.data_type(), expr.data_type(), "{text}");
    assert_eq!(evaluated.array.len(), batch.num_rows(), "{text}");
    let options = FormatOptions::default().with_null("-");
    let shown = without_zone(&evaluated.array);
    let formatter = ArrayFormatter::try_new(&shown, &options);
    let formatter = formatter.unwrap_or_else(|error| panic!("{text}: {error}"));
    let shown = (0..batch.num_rows()).map(|row| {
        if evaluated.faults.iter().any(|fault| fault.row as usize == row) {
            assert!(evaluated.array.is_null(row), "{text}: a fault has no value");
            return "!".to_owned();
        }
        assert!(expr.nullable() || evaluated.array.is_valid(row), "{text}: NULL in what is not nullable");
        formatter.value(row).to_string()
    });
    shown.collect::<Vec<_>>().join(" | ")
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, expected, values(text)))
        .filter(|(_, expected, found)| *expected != found)
        .map(|(text, expected, found)| format!("{text}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
