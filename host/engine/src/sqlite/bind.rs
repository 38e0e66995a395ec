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

use super::CivilText;

/// A column whose type SQLite has values for.
#[derive(Debug)]
pub struct BoundColumn<'a>(Values<'a>);

#[derive(Debug)]
enum Values<'a> {
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
#[must_use]
pub fn bound_columns(rows: &RecordBatch) -> Option<Vec<BoundColumn<'_>>> {
    rows.columns().iter().map(|array| BoundColumn::new(array)).collect()
}

impl<'a> BoundColumn<'a> {
    fn new(array: &'a dyn Array) -> Option<Self> {
        Some(Self(match array.data_type() {
            DataType::Boolean => Values::Booleans(array.as_boolean()),
            DataType::Int32 => Values::Ints(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Values::Longs(array.as_primitive::<Int64Type>()),
            DataType::Float32 => Values::Floats(array.as_primitive::<Float32Type>()),
            DataType::Float64 => Values::Doubles(array.as_primitive::<Float64Type>()),
            DataType::Utf8 => Values::Texts(array.as_string()),
            DataType::Binary => Values::Bytes(array.as_binary()),
            DataType::Date32 => Values::Dates(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(..) => Values::Times(array.as_primitive_opt::<TimestampMicrosecondType>()?),
            _ => return None,
        }))
    }

    /// Binds the value of `row` to the parameter at `index`, which counts from 1.
    ///
    /// # Errors
    /// When the statement has no such parameter.
    pub fn bind(
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
        match &self.0 {
            Values::Booleans(array) => bind!(array, |value| value),
            Values::Ints(array) => bind!(array, |value| value),
            Values::Longs(array) => bind!(array, |value| value),
            Values::Floats(array) => bind!(array, |value| value),
            Values::Doubles(array) => bind!(array, |value| value),
            Values::Texts(array) => bind!(array, |value| value),
            Values::Bytes(array) => bind!(array, |value| value),
            Values::Dates(array) => bind!(array, |value| text.date(value)),
            Values::Times(array) => bind!(array, |value| text.timestamp(value)),
        }
    }
}
