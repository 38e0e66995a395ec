//! Columns out of SQLite's values. A column of SQLite may have another type in each row, so each value is
//! checked; one that does not fit is told, never bent into shape.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::types::Date32Type;
use arrow_cast::parse::{Parser, string_to_datetime};
use arrow_schema::{DataType, TimeUnit};
use chrono::Utc;
use rusqlite::types::ValueRef;

/// A column that grows by one value of SQLite at a time.
#[derive(Debug)]
pub struct ValueColumn(Builder);

#[derive(Debug)]
enum Builder {
    Booleans(BooleanBuilder),
    Ints(Int32Builder),
    Longs(Int64Builder),
    Floats(Float32Builder),
    Doubles(Float64Builder),
    Texts(StringBuilder),
    Bytes(BinaryBuilder),
    Dates(Date32Builder),
    Times(TimestampMicrosecondBuilder),
    /// Whole numbers since 1970, in units of so many microseconds.
    Epochs(TimestampMicrosecondBuilder, i64),
}

impl ValueColumn {
    /// An empty column; none for a type that SQLite has no values for.
    #[must_use]
    pub fn new(data_type: &DataType) -> Option<Self> {
        Some(Self(match data_type {
            DataType::Boolean => Builder::Booleans(BooleanBuilder::new()),
            DataType::Int32 => Builder::Ints(Int32Builder::new()),
            DataType::Int64 => Builder::Longs(Int64Builder::new()),
            DataType::Float32 => Builder::Floats(Float32Builder::new()),
            DataType::Float64 => Builder::Doubles(Float64Builder::new()),
            DataType::Utf8 => Builder::Texts(StringBuilder::new()),
            DataType::Binary => Builder::Bytes(BinaryBuilder::new()),
            DataType::Date32 => Builder::Dates(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Builder::Times(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            _ => return None,
        }))
    }

    /// An empty column of timestamps that are whole numbers since 1970, in units of so many microseconds.
    #[must_use]
    pub fn of_epochs(unit_us: i64) -> Self {
        Self(Builder::Epochs(TimestampMicrosecondBuilder::new().with_timezone("UTC"), unit_us))
    }

    /// Appends a value.
    ///
    /// # Errors
    /// When it is no value of the column; the text says what it is, and what the column takes.
    pub fn push(&mut self, value: ValueRef<'_>) -> Result<(), String> {
        if value == ValueRef::Null {
            self.push_null();
            return Ok(());
        }
        self.push_some(value).ok_or_else(|| format!("{}, expected {}", shown(value), self.expected()))
    }

    fn push_null(&mut self) {
        match &mut self.0 {
            Builder::Booleans(column) => column.append_null(),
            Builder::Ints(column) => column.append_null(),
            Builder::Longs(column) => column.append_null(),
            Builder::Floats(column) => column.append_null(),
            Builder::Doubles(column) => column.append_null(),
            Builder::Texts(column) => column.append_null(),
            Builder::Bytes(column) => column.append_null(),
            Builder::Dates(column) => column.append_null(),
            Builder::Times(column) | Builder::Epochs(column, _) => column.append_null(),
        }
    }

    /// None when it does not fit.
    fn push_some(&mut self, value: ValueRef<'_>) -> Option<()> {
        match (&mut self.0, value) {
            (Builder::Booleans(column), ValueRef::Integer(value @ (0 | 1))) => {
                column.append_value(value == 1)
            }
            (Builder::Ints(column), ValueRef::Integer(value)) => column.append_value(value.try_into().ok()?),
            (Builder::Longs(column), ValueRef::Integer(value)) => column.append_value(value),
            (Builder::Floats(column), ValueRef::Integer(value)) => column.append_value(value as f32),
            (Builder::Floats(column), ValueRef::Real(value)) => {
                let narrow = value as f32;
                column.append_value(Some(narrow).filter(|narrow| narrow.is_finite() || value.is_infinite())?);
            }
            (Builder::Doubles(column), ValueRef::Integer(value)) => column.append_value(value as f64),
            (Builder::Doubles(column), ValueRef::Real(value)) => column.append_value(value),
            (Builder::Texts(column), ValueRef::Text(text)) => {
                column.append_value(std::str::from_utf8(text).ok()?)
            }
            (Builder::Bytes(column), ValueRef::Blob(bytes)) => column.append_value(bytes),
            (Builder::Dates(column), ValueRef::Text(text)) => column.append_value(date(text)?),
            (Builder::Times(column), ValueRef::Text(text)) => column.append_value(time(text)?),
            (Builder::Epochs(column, unit_us), ValueRef::Integer(value)) => {
                column.append_value(value.checked_mul(*unit_us)?);
            }
            _ => return None,
        }
        Some(())
    }

    /// The column; it is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.0 {
            Builder::Booleans(column) => Arc::new(column.finish()),
            Builder::Ints(column) => Arc::new(column.finish()),
            Builder::Longs(column) => Arc::new(column.finish()),
            Builder::Floats(column) => Arc::new(column.finish()),
            Builder::Doubles(column) => Arc::new(column.finish()),
            Builder::Texts(column) => Arc::new(column.finish()),
            Builder::Bytes(column) => Arc::new(column.finish()),
            Builder::Dates(column) => Arc::new(column.finish()),
            Builder::Times(column) | Builder::Epochs(column, _) => Arc::new(column.finish()),
        }
    }

    fn expected(&self) -> &'static str {
        match &self.0 {
            Builder::Booleans(_) => "0 or 1 (boolean)",
            Builder::Ints(_) => "a whole number from -2147483648 to 2147483647 (int32)",
            Builder::Longs(_) => "a whole number (int64)",
            Builder::Floats(_) => "a number from -3.4e38 to 3.4e38 (float32)",
            Builder::Doubles(_) => "a number (float64)",
            Builder::Texts(_) => "text in UTF-8 (utf8)",
            Builder::Bytes(_) => "a blob (binary)",
            Builder::Dates(_) => "text like 2024-05-31 (date)",
            Builder::Times(_) => "text like 2024-05-31T12:00:00Z (timestamp)",
            Builder::Epochs(_, 1_000_000) => "a whole number of seconds since 1970 (timestamp_s)",
            Builder::Epochs(_, 1_000) => "a whole number of milliseconds since 1970 (timestamp_ms)",
            Builder::Epochs(..) => "a whole number of microseconds since 1970 (timestamp_us)",
        }
    }
}

/// Arrow takes a time as well and drops it, so the form is looked at first.
fn date(text: &[u8]) -> Option<i32> {
    let is_date = text.len() == 10 || text.starts_with(b"-") || text.starts_with(b"+");
    let is_date = is_date && text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'));
    Date32Type::parse(std::str::from_utf8(text).ok().filter(|_| is_date)?)
}

fn time(text: &[u8]) -> Option<i64> {
    let time = string_to_datetime(&Utc, std::str::from_utf8(text).ok()?).ok()?;
    Some(time.timestamp_micros())
}

/// Characters of a text that are shown.
const SHOWN_CHARS: usize = 80;

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(value) => format!("the whole number {value}"),
        ValueRef::Real(value) => format!("the float {value:?}"),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let cut = text.char_indices().nth(SHOWN_CHARS).map(|(end, _)| format!("{}…", &text[..end]));
            format!("the text '{}'", cut.as_deref().unwrap_or(&text))
        }
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMicrosecondType;

    use super::*;
    use crate::batch::timestamp_us;

    #[test]
    fn values_of_each_type_are_taken_and_others_told() {
        let said = |data_type: DataType, value: ValueRef<'_>| {
            ValueColumn::new(&data_type).unwrap().push(value).err().unwrap_or_default()
        };
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        for (data_type, value) in [
            (DataType::Boolean, ValueRef::Integer(1)),
            (DataType::Int32, ValueRef::Integer(-5)),
            (DataType::Float64, ValueRef::Integer(2)),
            (DataType::Float32, ValueRef::Real(2.5)),
            (DataType::Utf8, text("ö")),
            (DataType::Binary, ValueRef::Blob(&[0xff])),
            (DataType::Date32, text("2024-05-31")),
            (timestamp_us(), text("2024-05-31T12:00:00Z")),
            (timestamp_us(), text("2024-05-31 12:00:00")),
            (DataType::Int64, ValueRef::Null),
        ] {
            assert_eq!(said(data_type.clone(), value), "", "{data_type}");
        }
        assert_eq!(said(DataType::Int64, text("many")), "the text 'many', expected a whole number (int64)");
        assert_eq!(
            said(DataType::Int64, ValueRef::Real(2.0)),
            "the float 2.0, expected a whole number (int64)"
        );
        assert!(
            said(DataType::Int32, ValueRef::Integer(1 << 40)).starts_with("the whole number 1099511627776")
        );
        assert!(said(DataType::Utf8, ValueRef::Text(&[0xff])).contains("UTF-8"));
        assert!(said(DataType::Boolean, ValueRef::Integer(2)).contains("0 or 1"));
        assert!(said(DataType::Float32, ValueRef::Real(1e300)).contains("float32"));
        assert!(said(DataType::Date32, text("2024-05-31T12:00:00Z")).contains("(date)"));
        assert!(said(timestamp_us(), text("soon")).contains("(timestamp)"));
    }

    #[test]
    fn times_come_in_microseconds_whatever_they_are_counted_in() {
        let mut column = ValueColumn::of_epochs(1000);
        column.push(ValueRef::Integer(5)).unwrap();
        column.push(ValueRef::Null).unwrap();
        assert!(column.push(ValueRef::Integer(i64::MAX)).unwrap_err().contains("milliseconds"));
        let column = column.finish();
        assert_eq!(column.data_type(), &timestamp_us());
        let times = column.as_primitive::<TimestampMicrosecondType>();
        assert_eq!(times.iter().collect::<Vec<_>>(), [Some(5000), None]);
    }
}
