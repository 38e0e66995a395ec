//! Builders of output columns. They write the little-endian bytes of the contract at once, and a
//! null bitmap only from the first null on, so that finishing a column copies nothing.

mod booleans;
mod bytes;
mod numbers;
mod select;
mod validity;

pub use booleans::BooleanBuilder;
pub use bytes::{BinaryBuilder, Utf8Builder};
pub use numbers::{
    DateBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, Number, NumberBuilder,
    TimestampBuilder,
};

pub(crate) use select::select;

use crate::batch::Buffers;
use crate::error::Result;
use crate::schema::DataType;

/// What [`crate::Output::set`] takes.
pub trait ColumnBuilder {
    /// How many values were pushed.
    fn len(&self) -> usize;

    /// Whether nothing was pushed yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the values can be a column of `data_type`.
    fn builds(&self, data_type: DataType) -> bool;

    /// The finished buffers.
    ///
    /// # Errors
    /// When the column is larger than the format allows (2 GiB of text or bytes).
    fn finish(self) -> Result<Buffers>;
}

#[cfg(test)]
mod tests;
