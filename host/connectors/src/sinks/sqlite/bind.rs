//! Binds values of arrow columns to a statement, borrowed: no value is allocated on the way.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::DataType;
use rusqlite::Statement;
use rusqlite::types::Null;

use super::super::civil::CivilText;

/// A column whose type is known.
pub(super) enum Column<'a> {
    Booleans(&'a BooleanArray),
    Ints(&'a Int32Array),
    Longs(&'a Int64Array),
    Floats(&'a Float32Array),
    Doubles(&'a Float64Array),
    Texts(&'a StringArray),
    Bytes(&'a BinaryArray),
    Dates(&'a Date32Array),
    Times(&'a TimestampMicrosecondArray),
}

/// The columns of a record batch; none when one has a type that SQLite cannot hold.
pub(super) fn columns(rows: &RecordBatch) -> Option<Vec<Column<'_>>> {
    rows.columns().iter().map(|array| Column::new(array)).collect()
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Boolean => Self::Booleans(array.as_boolean()),
            DataType::Int32 => Self::Ints(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::Longs(array.as_primitive::<Int64Type>()),
            DataType::Float32 => Self::Floats(array.as_primitive::<Float32Type>()),
            DataType::Float64 => Self::Doubles(array.as_primitive::<Float64Type>()),
            DataType::Utf8 => Self::Texts(array.as_string()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::Date32 => Self::Dates(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(..) => Self::Times(array.as_primitive_opt::<TimestampMicrosecondType>()?),
            _ => return None,
        })
    }

    /// Binds the value of `row` to the parameter at `index`, which counts from 1.
    pub(super) fn bind(
        &self,
        statement: &mut Statement<'_>,
        index: usize,
        row: usize,
        text: &mut CivilText,
    ) -> rusqlite::Result<()> {
        macro_rules! bind {
            ($array:expr, |$value:ident| $bound:expr) => {
                if $array.is_null(row) {
                    statement.raw_bind_parameter(index, Null)
                } else {
                    let $value = $array.value(row);
                    statement.raw_bind_parameter(index, $bound)
                }
            };
        }
        match self {
            Self::Booleans(array) => bind!(array, |value| value),
            Self::Ints(array) => bind!(array, |value| value),
            Self::Longs(array) => bind!(array, |value| value),
            Self::Floats(array) => bind!(array, |value| value),
            Self::Doubles(array) => bind!(array, |value| value),
            Self::Texts(array) => bind!(array, |value| value),
            Self::Bytes(array) => bind!(array, |value| value),
            Self::Dates(array) => bind!(array, |value| text.date(value)),
            Self::Times(array) => bind!(array, |value| text.timestamp(value)),
        }
    }
}
