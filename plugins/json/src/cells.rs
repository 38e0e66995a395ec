//! The types a JSON value can be picked as, and a column of any of them.

use std::borrow::Cow;

use millstream_plugin::prelude::*;

use crate::pointers::Found;

/// What a picked value must be.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CellType {
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number, rounded to 32 bits.
    Float32,
    /// A number.
    Float64,
    /// A string.
    Utf8,
}

/// A value of the right type.
#[derive(Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(Cow<'a, str>),
}

impl CellType {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Utf8 => DataType::Utf8,
        }
    }

    /// The value as this type, none when it is not of it. 3.0 is a whole number, "3" is not.
    #[allow(clippy::cast_precision_loss, reason = "an integer picked as a float is meant to be rounded")]
    pub(crate) fn cell(self, found: Found<'_>) -> Option<Cell<'_>> {
        Some(match (self, found) {
            (Self::Boolean, Found::Boolean(value)) => Cell::Boolean(value),
            (Self::Int32, value) => Cell::Integer(i32::try_from(whole(&value)?).ok()?.into()),
            (Self::Int64, value) => Cell::Integer(whole(&value)?),
            (Self::Float32 | Self::Float64, Found::Integer(value)) => Cell::Number(value as f64),
            (Self::Float32 | Self::Float64, Found::Unsigned(value)) => Cell::Number(value as f64),
            (Self::Float32 | Self::Float64, Found::Number(value)) => Cell::Number(value),
            (Self::Utf8, Found::Text(value)) => Cell::Text(value),
            _ => return None,
        })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(found: &Found<'_>) -> Option<i64> {
    /// Above this not every whole number is a float.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match found {
        Found::Integer(value) => Some(*value),
        Found::Number(value) if value.fract() == 0.0 && value.abs() <= EXACT_MAX => Some(*value as i64),
        _ => None,
    }
}

/// A column while it grows.
#[derive(Debug)]
pub(crate) enum CellBuilder {
    Boolean(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Utf8(Utf8Builder),
}

impl CellBuilder {
    pub(crate) fn new(cell_type: CellType, rows: usize) -> Self {
        match cell_type {
            CellType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            CellType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            CellType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            CellType::Float32 => Self::Float32(Float32Builder::with_capacity(rows)),
            CellType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            CellType::Utf8 => Self::Utf8(Utf8Builder::with_capacity(rows, 0)),
        }
    }

    /// Adds a cell of this column's type.
    #[allow(clippy::cast_possible_truncation, reason = "`CellType::cell` checked the range")]
    pub(crate) fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(column), Cell::Boolean(value)) => column.push(*value),
            (Self::Int32(column), Cell::Integer(value)) => column.push(*value as i32),
            (Self::Int64(column), Cell::Integer(value)) => column.push(*value),
            (Self::Float32(column), Cell::Number(value)) => column.push(*value as f32),
            (Self::Float64(column), Cell::Number(value)) => column.push(*value),
            (Self::Utf8(column), Cell::Text(value)) => column.push(value),
            // Cells of another type do not come about: both follow from the same `CellType`.
            (Self::Boolean(column), _) => column.push_null(),
            (Self::Int32(column), _) => column.push_null(),
            (Self::Int64(column), _) => column.push_null(),
            (Self::Float32(column), _) => column.push_null(),
            (Self::Float64(column), _) => column.push_null(),
            (Self::Utf8(column), _) => column.push_null(),
        }
    }

    pub(crate) fn set(self, out: &mut Output, name: &str) -> Result<()> {
        match self {
            Self::Boolean(column) => out.set(name, column),
            Self::Int32(column) => out.set(name, column),
            Self::Int64(column) => out.set(name, column),
            Self::Float32(column) => out.set(name, column),
            Self::Float64(column) => out.set(name, column),
            Self::Utf8(column) => out.set(name, column),
        }
    }
}
