//! A batch row by row and by column name: easy rather than fast. Nothing is prepared for it, so a
//! batch that is never read this way pays nothing.

use std::str;

use crate::batch::{Batch, Buffers};
use crate::columns::bit;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::schema::DataType;

/// One row of a batch. Each access looks the column up by name.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    batch: &'a Batch,
    row: usize,
}

impl<'a> Row<'a> {
    pub(crate) fn new(batch: &'a Batch, row: usize) -> Self {
        Self { batch, row }
    }

    /// Its number in the batch.
    #[must_use]
    pub fn index(&self) -> usize {
        self.row
    }

    /// The text in a utf8 column, none when it is null.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn text(&self, column: &str) -> Result<Option<&'a str>> {
        self.varying(column, "text", |data_type| data_type == DataType::Utf8)?
            .map(|bytes| Ok(str::from_utf8(bytes)?))
            .transpose()
    }

    /// The bytes in a binary or utf8 column, none when it is null.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn bytes(&self, column: &str) -> Result<Option<&'a [u8]>> {
        self.varying(column, "bytes", |data_type| matches!(data_type, DataType::Utf8 | DataType::Binary))
    }

    /// The number in an int32 or int64 column, none when it is null.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn integer(&self, column: &str) -> Result<Option<i64>> {
        match self.cell(column)? {
            (DataType::Int32, Some(buffers)) => {
                fixed(buffers, self.row).map(|bytes| Some(i32::from_le_bytes(bytes).into()))
            }
            (DataType::Int64, Some(buffers)) => {
                fixed(buffers, self.row).map(|bytes| Some(i64::from_le_bytes(bytes)))
            }
            (DataType::Int32 | DataType::Int64, None) => Ok(None),
            (other, _) => Err(wrong(column, other, "an integer")),
        }
    }

    /// The number in a column of any numeric type, none when it is null.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    #[allow(clippy::cast_precision_loss, reason = "asked for as a float")]
    pub fn number(&self, column: &str) -> Result<Option<f64>> {
        match self.cell(column)? {
            (DataType::Float32, Some(buffers)) => {
                fixed(buffers, self.row).map(|bytes| Some(f32::from_le_bytes(bytes).into()))
            }
            (DataType::Float64, Some(buffers)) => {
                fixed(buffers, self.row).map(|bytes| Some(f64::from_le_bytes(bytes)))
            }
            (DataType::Float32 | DataType::Float64, None) => Ok(None),
            _ => Ok(self.integer(column)?.map(|integer| integer as f64)),
        }
    }

    /// The value in a boolean column, none when it is null.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn boolean(&self, column: &str) -> Result<Option<bool>> {
        match self.cell(column)? {
            (DataType::Boolean, Some(buffers)) if buffers.values.len() > self.row / 8 => {
                Ok(Some(bit(&buffers.values, self.row)))
            }
            (DataType::Boolean, None) => Ok(None),
            (other, _) => Err(wrong(column, other, "a boolean")),
        }
    }

    /// The microseconds in a timestamp column, none when it is null.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn timestamp(&self, column: &str) -> Result<Option<i64>> {
        match self.cell(column)? {
            (DataType::Timestamp | DataType::LocalTimestamp, Some(buffers)) => {
                fixed(buffers, self.row).map(|bytes| Some(i64::from_le_bytes(bytes)))
            }
            (DataType::Timestamp | DataType::LocalTimestamp, None) => Ok(None),
            (other, _) => Err(wrong(column, other, "a timestamp")),
        }
    }

    /// The days since the Unix epoch in a date column, none when it is null.
    ///
    /// # Errors
    /// When there is no such column, or it is of another type.
    pub fn date(&self, column: &str) -> Result<Option<i32>> {
        match self.cell(column)? {
            (DataType::Date, Some(buffers)) => {
                fixed(buffers, self.row).map(|bytes| Some(i32::from_le_bytes(bytes)))
            }
            (DataType::Date, None) => Ok(None),
            (other, _) => Err(wrong(column, other, "a date")),
        }
    }

    fn varying(&self, column: &str, wanted: &str, accepts: fn(DataType) -> bool) -> Result<Option<&'a [u8]>> {
        let (data_type, buffers) = self.cell(column)?;
        if !accepts(data_type) {
            return Err(wrong(column, data_type, wanted));
        }
        let Some(buffers) = buffers else { return Ok(None) };
        let offset = |row: usize| {
            let bytes = buffers.offsets.get(row * 4..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes) as usize)
        };
        let range = offset(self.row).zip(offset(self.row + 1));
        range.and_then(|(start, end)| buffers.values.get(start..end)).map(Some).ok_or_else(too_short)
    }

    /// The column's type, and its buffers unless this row is null.
    fn cell(&self, column: &str) -> Result<(DataType, Option<&'a Buffers>)> {
        let index = self.batch.schema().index(column)?;
        Place::column(index).reads(self.row);
        let buffers = self.batch.buffers(index).ok_or_else(too_short)?;
        let null = buffers.validity.get(self.row / 8).is_some_and(|byte| byte >> (self.row % 8) & 1 == 0);
        Ok((self.batch.schema().fields()[index].data_type(), (!null).then_some(buffers)))
    }
}

fn fixed<const WIDTH: usize>(buffers: &Buffers, row: usize) -> Result<[u8; WIDTH]> {
    buffers.values.get(row * WIDTH..).and_then(<[u8]>::first_chunk).copied().ok_or_else(too_short)
}

fn wrong(column: &str, found: DataType, wanted: &str) -> Error {
    Error::new(format!("the column `{column}` is {found}, not {wanted}"))
}

fn too_short() -> Error {
    Error::new("a buffer of the batch is too short")
}
