//! Columns that grow by one JSON value at a time and can be cut back when a record proves bad.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};

use super::column::{Wire, date, epoch_us, time};
use super::json::{NotJson, Scanner};

/// One growing column.
pub(crate) struct Cells {
    kind: Kind,
    values: Values,
    nulls: NullBufferBuilder,
    len: usize,
}

/// How a JSON value becomes the column's.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Whole,
    /// Whole numbers since 1970, in units of so many microseconds.
    Epoch(i64),
    Float,
    Text,
    Hexadecimal,
    Date,
    Time,
}

enum Values {
    Bool(BooleanBufferBuilder),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Bytes { ends: Vec<i32>, bytes: Vec<u8> },
}

impl Cells {
    /// An empty column with room for so many rows.
    pub(crate) fn new(data_type: &DataType, wire: Wire, rows: usize) -> Self {
        let kind = match (wire, data_type) {
            (Wire::Epoch(unit_us), _) => Kind::Epoch(unit_us),
            (_, DataType::Boolean) => Kind::Bool,
            (_, DataType::Int32 | DataType::Int64) => Kind::Whole,
            (_, DataType::Float32 | DataType::Float64) => Kind::Float,
            (_, DataType::Binary) => Kind::Hexadecimal,
            (_, DataType::Date32) => Kind::Date,
            (_, DataType::Timestamp(_, _)) => Kind::Time,
            (_, _) => Kind::Text,
        };
        let values = match data_type {
            DataType::Boolean => Values::Bool(BooleanBufferBuilder::new(rows)),
            DataType::Int32 | DataType::Date32 => Values::Int32(Vec::with_capacity(rows)),
            DataType::Int64 | DataType::Timestamp(_, _) => Values::Int64(Vec::with_capacity(rows)),
            DataType::Float32 => Values::Float32(Vec::with_capacity(rows)),
            DataType::Float64 => Values::Float64(Vec::with_capacity(rows)),
            _ => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Values::Bytes { ends, bytes: Vec::with_capacity(rows * 8) }
            }
        };
        Self { kind, values, nulls: NullBufferBuilder::new(rows), len: 0 }
    }

    /// How many values there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends the scanner's next value, which is not null. Answers false, and appends nothing,
    /// when it is not of the column's type; the scanner stands anywhere in the value then.
    #[inline]
    pub(crate) fn push(&mut self, scanner: &mut Scanner<'_>, scratch: &mut String) -> Result<bool, NotJson> {
        let is_pushed = match (self.kind, scanner.peek()) {
            (Kind::Bool, b't') => scanner.word("true").map(|()| self.values.push_bool(true))?,
            (Kind::Bool, b'f') => scanner.word("false").map(|()| self.values.push_bool(false))?,
            (Kind::Whole, b'-' | b'0'..=b'9') => {
                let number = scanner.number()?;
                number.is_whole && self.values.push_whole(number.text)
            }
            (Kind::Epoch(unit_us), b'-' | b'0'..=b'9') => {
                let number = scanner.number()?;
                let moment = || epoch_us(number.text.parse().ok()?, unit_us);
                number.is_whole && moment().is_some_and(|moment| self.values.push_int64(moment))
            }
            (Kind::Float, b'-' | b'0'..=b'9') => self.values.push_float(scanner.number()?.text),
            (Kind::Text, b'"') => self.values.push_bytes(scanner.string(scratch)?.as_bytes()),
            (Kind::Hexadecimal, b'"') => self.values.push_hexadecimal(scanner.string(scratch)?.as_bytes()),
            (Kind::Date, b'"') => {
                date(scanner.string(scratch)?).is_some_and(|day| self.values.push_int32(day))
            }
            (Kind::Time, b'"') => {
                time(scanner.string(scratch)?).is_some_and(|moment| self.values.push_int64(moment))
            }
            _ => false,
        };
        if is_pushed {
            self.nulls.append_non_null();
            self.len += 1;
        }
        Ok(is_pushed)
    }

    /// Appends a null.
    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(values) => values.append(false),
            Values::Int32(values) => values.push(0),
            Values::Int64(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Bytes { ends, .. } => ends.push(ends.last().copied().unwrap_or(0)),
        }
        self.nulls.append_null();
        self.len += 1;
    }

    /// Back to so many values.
    pub(crate) fn truncate(&mut self, len: usize) {
        if self.len <= len {
            return;
        }
        match &mut self.values {
            Values::Bool(values) => values.truncate(len),
            Values::Int32(values) => values.truncate(len),
            Values::Int64(values) => values.truncate(len),
            Values::Float32(values) => values.truncate(len),
            Values::Float64(values) => values.truncate(len),
            Values::Bytes { ends, bytes } => {
                ends.truncate(len + 1);
                let end = ends.last().copied().unwrap_or(0);
                bytes.truncate(usize::try_from(end).unwrap_or(0));
            }
        }
        self.nulls.truncate(len);
        self.len = len;
    }

    /// The column as an array.
    pub(crate) fn finish(mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        Ok(match self.values {
            Values::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int32(values) if *data_type == DataType::Date32 => {
                primitive::<Date32Type>(values, nulls, data_type)
            }
            Values::Int32(values) => primitive::<Int32Type>(values, nulls, data_type),
            Values::Int64(values) if *data_type == DataType::Int64 => {
                primitive::<Int64Type>(values, nulls, data_type)
            }
            Values::Int64(values) => primitive::<TimestampMicrosecondType>(values, nulls, data_type),
            Values::Float32(values) => primitive::<Float32Type>(values, nulls, data_type),
            Values::Float64(values) => primitive::<Float64Type>(values, nulls, data_type),
            Values::Bytes { ends, bytes } => {
                let ends = OffsetBuffer::new(ends.into());
                if *data_type == DataType::Binary {
                    Arc::new(BinaryArray::try_new(ends, bytes.into(), nulls)?)
                } else {
                    Arc::new(StringArray::try_new(ends, bytes.into(), nulls)?)
                }
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<arrow_buffer::NullBuffer>,
    data_type: &DataType,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()))
}

impl Values {
    fn push_bool(&mut self, value: bool) -> bool {
        let Self::Bool(values) = self else { return false };
        values.append(value);
        true
    }

    fn push_int32(&mut self, value: i32) -> bool {
        let Self::Int32(values) = self else { return false };
        values.push(value);
        true
    }

    fn push_int64(&mut self, value: i64) -> bool {
        let Self::Int64(values) = self else { return false };
        values.push(value);
        true
    }

    fn push_whole(&mut self, text: &str) -> bool {
        match self {
            Self::Int32(values) => text.parse().map(|value| values.push(value)).is_ok(),
            Self::Int64(values) => text.parse().map(|value| values.push(value)).is_ok(),
            _ => false,
        }
    }

    /// What is beyond the greatest float would become infinite.
    fn push_float(&mut self, text: &str) -> bool {
        match self {
            Self::Float32(values) => text
                .parse()
                .ok()
                .filter(|value: &f32| value.is_finite())
                .map(|value| values.push(value))
                .is_some(),
            Self::Float64(values) => text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .map(|value| values.push(value))
                .is_some(),
            _ => false,
        }
    }

    fn push_bytes(&mut self, value: &[u8]) -> bool {
        let Self::Bytes { ends, bytes } = self else { return false };
        let Ok(end) = i32::try_from(bytes.len() + value.len()) else { return false };
        bytes.extend_from_slice(value);
        ends.push(end);
        true
    }

    fn push_hexadecimal(&mut self, text: &[u8]) -> bool {
        let Self::Bytes { ends, bytes } = self else { return false };
        let Ok(end) = i32::try_from(bytes.len() + text.len() / 2) else { return false };
        let from = bytes.len();
        let is_whole = super::column::hexadecimal(text, bytes);
        if is_whole {
            ends.push(end);
        } else {
            bytes.truncate(from);
        }
        is_whole
    }
}
