//! Rows as text: NDJSON and CSV. Timestamps and dates are RFC 3339, binary values hexadecimal.
//! JSON has no NaN and no infinity: both are null there. CSV has no null: it is an empty field.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use millstream_engine::sqlite::{write_date, write_timestamp};

/// Writes rows as lines of JSON, each with all columns.
pub(super) fn write_ndjson(rows: &RecordBatch, out: impl Write) -> Result<(), ArrowError> {
    let rows = with_text_columns(rows)?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(out);
    writer.write(&rows)?;
    writer.finish()
}

/// Writes rows as CSV after RFC 4180; `header` puts the names of the columns first.
pub(super) fn write_csv(rows: &RecordBatch, header: bool, out: impl Write) -> Result<(), ArrowError> {
    let rows = with_text_columns(rows)?;
    arrow_csv::WriterBuilder::new().with_header(header).build(out).write(&rows)
}

/// The same rows; what text formats write differently, or not at all, is text already.
fn with_text_columns(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !rows.columns().iter().any(|column| becomes_text(column.data_type())) {
        return Ok(rows.clone());
    }
    let columns: Vec<ArrayRef> = rows.columns().iter().map(as_text).collect();
    let fields: Vec<Field> = rows
        .schema_ref()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn becomes_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Date32 | DataType::Binary)
}

fn as_text(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>();
            texts(column, 27, |row, out| write_timestamp(values.value(row), out))
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>();
            texts(column, 10, |row, out| write_date(i64::from(values.value(row)), out))
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            texts(column, 32, |row, out| write_hex(values.value(row), out))
        }
        _ => Arc::clone(column),
    }
}

fn texts(column: &ArrayRef, width: usize, write: impl Fn(usize, &mut String)) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(column.len(), column.len() * width);
    let mut text = String::with_capacity(width);
    for row in 0..column.len() {
        if column.is_null(row) {
            builder.append_null();
        } else {
            text.clear();
            write(row, &mut text);
            builder.append_value(&text);
        }
    }
    Arc::new(builder.finish())
}

/// Appends bytes as lower-case hexadecimal digits.
pub(super) fn write_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
