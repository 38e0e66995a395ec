//! Columns of a spec: the type a reader decodes ("wire") and the type the pipeline gets.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch};
use arrow_cast::parse::{Parser, string_to_datetime};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use chrono::Utc;
use millstream_engine::batch::{data_type, timestamp_us};
use millstream_engine::pipeline::SpecError;
use serde_json::{Map, Value};

/// How a decoded column becomes the pipeline's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// It is the same.
    Same,
    /// Text that is parsed as the column's type.
    Parsed,
    /// Whole numbers since the epoch; a unit has so many microseconds.
    Epoch(i64),
}

/// The columns of a format, in order.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    schema: SchemaRef,
    wire_schema: SchemaRef,
    wires: Vec<Wire>,
}

impl Columns {
    /// The one column of text.
    pub(crate) fn text() -> Self {
        let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, false)]));
        Self { wire_schema: Arc::clone(&schema), schema, wires: vec![Wire::Same] }
    }

    /// The columns of a spec.
    pub(crate) fn read(spec: &Map<String, Value>) -> Result<Self, SpecError> {
        if spec.is_empty() {
            return Err(SpecError::new("", "there is no column: write at least one, `name: type`"));
        }
        let mut fields = Vec::with_capacity(spec.len());
        let mut wire_fields = Vec::with_capacity(spec.len());
        let mut wires = Vec::with_capacity(spec.len());
        for (name, column) in spec {
            let (field, wire) = read_column(name, column).map_err(|error| error.under(name))?;
            wire_fields.push(Field::new(name, wire_type(field.data_type(), wire), true));
            wires.push(wire);
            fields.push(field);
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { schema, wire_schema: Arc::new(Schema::new(wire_fields)), wires })
    }

    /// What the pipeline gets.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What a decoder makes; every column may be null in it.
    pub(crate) fn wire_schema(&self) -> &SchemaRef {
        &self.wire_schema
    }

    /// How the column at `index` is written.
    pub(crate) fn wire(&self, index: usize) -> Wire {
        self.wires[index]
    }

    /// Turns decoded columns into the pipeline's.
    ///
    /// # Errors
    /// When a value does not fit or a null stands where none may; nothing says which row.
    pub(crate) fn finish(&self, decoded: &[ArrayRef], rows: usize) -> Result<RecordBatch, ArrowError> {
        let mut columns = Vec::with_capacity(decoded.len());
        for ((array, wire), field) in decoded.iter().zip(&self.wires).zip(self.schema.fields()) {
            let column = finish_column(array, *wire, field.data_type())?;
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(ArrowError::InvalidArgumentError(format!("column `{}`: null", field.name())));
            }
            columns.push(column);
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

fn read_column(name: &str, column: &Value) -> Result<(Field, Wire), SpecError> {
    let (type_name, nullable) = match column {
        Value::String(type_name) => (type_name.as_str(), true),
        Value::Object(keys) => read_full_column(keys)?,
        other => {
            let message = format!(
                "{other} is no type: write `{name}: int64` or `{name}: {{ type: int64, nullable: false }}`"
            );
            return Err(SpecError::new("", message));
        }
    };
    let (data_type, wire) = match type_name {
        "timestamp_s" => (timestamp_us(), Wire::Epoch(1_000_000)),
        "timestamp_ms" => (timestamp_us(), Wire::Epoch(1_000)),
        "timestamp_us" => (timestamp_us(), Wire::Epoch(1)),
        "timestamp" => (timestamp_us(), Wire::Parsed),
        "date" => (DataType::Date32, Wire::Parsed),
        other => {
            let data_type = data_type(other).map_err(|error| {
                SpecError::new("", format!("{error}, timestamp_s, timestamp_ms, timestamp_us"))
            })?;
            (data_type, Wire::Same)
        }
    };
    Ok((Field::new(name, data_type, nullable), wire))
}

fn read_full_column(keys: &Map<String, Value>) -> Result<(&str, bool), SpecError> {
    if let Some(unknown) = keys.keys().find(|key| !["type", "nullable"].contains(&key.as_str())) {
        let message = millstream_engine::pipeline::unknown_name("key", unknown, &["type", "nullable"]);
        return Err(SpecError::new("", message));
    }
    let type_name = keys.get("type").and_then(Value::as_str);
    let type_name =
        type_name.ok_or_else(|| SpecError::new("type", "the column's type is missing: `type: int64`"))?;
    let nullable = match keys.get("nullable") {
        None => true,
        Some(Value::Bool(nullable)) => *nullable,
        Some(other) => return Err(SpecError::new("nullable", format!("{other} is neither true nor false"))),
    };
    Ok((type_name, nullable))
}

fn wire_type(data_type: &DataType, wire: Wire) -> DataType {
    match wire {
        Wire::Same => data_type.clone(),
        Wire::Parsed => DataType::Utf8,
        Wire::Epoch(_) => DataType::Int64,
    }
}

fn finish_column(array: &ArrayRef, wire: Wire, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match (wire, data_type) {
        (Wire::Same, _) => Ok(Arc::clone(array)),
        (Wire::Parsed, DataType::Date32) => parsed::<Date32Type>(array, data_type, date),
        (Wire::Parsed, _) => parsed::<TimestampMicrosecondType>(array, data_type, time),
        (Wire::Epoch(unit_us), _) => {
            let times: PrimitiveArray<TimestampMicrosecondType> =
                array.as_primitive::<Int64Type>().try_unary(|value| {
                    let no_time = || ArrowError::ComputeError(format!("{value} is no timestamp"));
                    epoch_us(value, unit_us).ok_or_else(no_time)
                })?;
            Ok(Arc::new(times.with_data_type(data_type.clone())))
        }
    }
}

fn parsed<T: ArrowPrimitiveType>(
    text: &ArrayRef,
    data_type: &DataType,
    parse: fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef, ArrowError> {
    let values = text.as_string::<i32>().iter().map(|text| {
        let Some(text) = text else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| ArrowError::ParseError(format!("{text} is no {data_type}")))
    });
    let values = values.collect::<Result<PrimitiveArray<T>, ArrowError>>()?;
    Ok(Arc::new(values.with_data_type(data_type.clone())))
}

/// Microseconds since 1970 of so many units, unless that is out of range.
pub(crate) fn epoch_us(value: i64, unit_us: i64) -> Option<i64> {
    value.checked_mul(unit_us)
}

/// Microseconds since 1970 of a time by RFC 3339; without an offset it is UTC, without a time midnight.
pub(crate) fn time(text: &str) -> Option<i64> {
    string_to_datetime(&Utc, text).ok().map(|time| time.timestamp_micros())
}

/// Days since 1970 of `YYYY-MM-DD`; years beyond four digits have a sign. Arrow takes a time as well
/// and drops it, so the form is looked at first.
pub(crate) fn date(text: &str) -> Option<i32> {
    let is_date = text.len() == 10 || text.starts_with(['+', '-']);
    let is_date = is_date && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'));
    if is_date { Date32Type::parse(text) } else { None }
}

/// Appends the bytes that hexadecimal digits stand for, two digits a byte; answers false, with
/// anything appended, when they are no such digits.
pub(crate) fn hexadecimal(digits: &[u8], bytes: &mut Vec<u8>) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut pairs = digits.chunks_exact(2);
    for pair in &mut pairs {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return false };
        bytes.push(high << 4 | low);
    }
    pairs.remainder().is_empty()
}

/// Whether one piece of text is a value of a column, by the same rules that whole columns go through.
pub(crate) fn text_fits(text: &str, wire: Wire, data_type: &DataType) -> bool {
    match (wire, data_type) {
        (Wire::Parsed, DataType::Date32) => date(text).is_some(),
        (Wire::Parsed, _) => time(text).is_some(),
        (Wire::Epoch(unit_us), _) => text.parse().ok().and_then(|value| epoch_us(value, unit_us)).is_some(),
        (Wire::Same, DataType::Boolean) => ["true", "false"].contains(&text.to_ascii_lowercase().as_str()),
        (Wire::Same, DataType::Int32) => text.parse::<i32>().is_ok(),
        (Wire::Same, DataType::Int64) => text.parse::<i64>().is_ok(),
        (Wire::Same, DataType::Float32 | DataType::Float64) => text.parse::<f64>().is_ok(),
        (Wire::Same, DataType::Binary) => hexadecimal(text.as_bytes(), &mut Vec::new()),
        (Wire::Same, _) => true,
    }
}

/// Digits beyond the greatest number of a float column, which would become infinite; in words.
pub(crate) fn out_of_range(text: &str, data_type: &DataType) -> Option<&'static str> {
    // `inf` is a word for infinity, and means it.
    let is_beyond = |parsed: Option<bool>| parsed == Some(true) && text.bytes().any(|b| b.is_ascii_digit());
    match data_type {
        DataType::Float32 if is_beyond(text.parse().ok().map(f32::is_infinite)) => {
            Some("out of range, expected a number from -3.4e38 to 3.4e38 (float32)")
        }
        DataType::Float64 if is_beyond(text.parse().ok().map(f64::is_infinite)) => {
            Some("out of range, expected a number from -1.8e308 to 1.8e308 (float64)")
        }
        _ => None,
    }
}

/// What a column takes, for a person.
pub(crate) fn expected(wire: Wire, data_type: &DataType) -> &'static str {
    match (wire, data_type) {
        (Wire::Epoch(1_000_000), _) => "a whole number of seconds since 1970",
        (Wire::Epoch(1_000), _) => "a whole number of milliseconds since 1970",
        (Wire::Epoch(_), _) => "a whole number of microseconds since 1970",
        (_, DataType::Boolean) => "true or false",
        (_, DataType::Int32) => "a whole number from -2147483648 to 2147483647 (int32)",
        (_, DataType::Int64) => "a whole number of 64 bits (int64)",
        (_, DataType::Float32 | DataType::Float64) => "a number",
        (_, DataType::Utf8) => "text in UTF-8",
        (_, DataType::Binary) => "bytes in hexadecimal",
        (_, DataType::Date32) => "a date like 2024-05-31",
        (_, _) => "a time like 2024-05-31T12:00:00Z (RFC 3339)",
    }
}
