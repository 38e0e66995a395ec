//! Literals: numbers, dates, timestamps and intervals as text, and constants of one row.

use std::sync::Arc;

use arrow_array::types::Date32Type;
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow_cast::parse::{Parser, parse_interval_month_day_nano, string_to_datetime};
use arrow_schema::DataType;
use chrono::Utc;

use super::kernels::shift::Interval;
use crate::batch::timestamp_us;

/// A number as written: int64 without point and exponent, float64 otherwise.
pub(super) fn number(digits: &str) -> Result<ArrayRef, String> {
    if !digits.contains(['.', 'e', 'E']) {
        return match digits.parse::<i64>() {
            Ok(value) => Ok(Arc::new(Int64Array::from(vec![value]))),
            Err(_) => Err(format!("{digits} does not fit int64; write {digits}.0 for a float64")),
        };
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Arc::new(Float64Array::from(vec![value]))),
        _ => Err(format!("{digits} does not fit float64")),
    }
}

pub(super) fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

pub(super) fn boolean(value: bool) -> ArrayRef {
    Arc::new(BooleanArray::from(vec![value]))
}

/// NULL of a type.
pub(super) fn null(data_type: &DataType) -> ArrayRef {
    arrow_array::new_null_array(data_type, 1)
}

/// Microseconds since the epoch; without an offset the text means UTC.
pub(super) fn timestamp_micros(value: &str) -> Option<i64> {
    string_to_datetime(&Utc, value.trim()).ok().map(|at| at.timestamp_micros())
}

/// A timestamp or date that stands in the text of an expression.
pub(super) fn moment(value: &str, data_type: &DataType) -> Result<ArrayRef, String> {
    if *data_type == DataType::Date32 {
        return match Date32Type::parse(value.trim()) {
            Some(days) => Ok(Arc::new(Date32Array::from(vec![days]))),
            None => Err(format!("'{value}' is no date; write it like '2024-02-29'")),
        };
    }
    match timestamp_micros(value) {
        Some(micros) => {
            let array = TimestampMicrosecondArray::from(vec![micros]);
            Ok(Arc::new(array.with_data_type(timestamp_us())))
        }
        None => Err(format!("'{value}' is no timestamp; write it like '2024-02-29T12:30:00Z'")),
    }
}

/// An interval as text with units, like `1 hour 30 minutes`.
pub(super) fn interval(value: &str) -> Result<Interval, String> {
    const MICROS_A_DAY: i64 = 86_400_000_000;
    let wrong = || format!("'{value}' is no interval; write it like '1 day 30 minutes'");
    if !value.chars().any(char::is_alphabetic) {
        return Err(format!("the interval '{value}' has no unit; write it like '5 minutes'"));
    }
    let IntervalMonthDayNano { months, days, nanoseconds } =
        parse_interval_month_day_nano(value).map_err(|_| wrong())?;
    if nanoseconds % 1_000 != 0 {
        return Err(format!("the interval '{value}' is finer than a microsecond"));
    }
    let micros = i64::from(days)
        .checked_mul(MICROS_A_DAY)
        .and_then(|days| days.checked_add(nanoseconds / 1_000))
        .ok_or_else(wrong)?;
    Ok(Interval { months, micros })
}

/// The text of a literal, if it is text and not NULL.
pub(super) fn as_text(array: &ArrayRef) -> Option<&str> {
    let array = array.as_any().downcast_ref::<StringArray>()?;
    array.is_valid(0).then(|| array.value(0))
}
