//! Columns of numbers, dates and timestamps.

use std::any::type_name;
use std::fmt::Display;
use std::marker::PhantomData;

use bytemuck::Pod;

use super::ColumnBuilder;
use super::validity::ValidityBuilder;
use crate::batch::Buffers;
use crate::error::{Error, Result};
use crate::schema::DataType;

/// A number that a column can hold.
pub trait Number: Pod + Default {
    /// Whether a column of `data_type` holds such numbers.
    fn fits(data_type: DataType) -> bool;
}

impl Number for i32 {
    fn fits(data_type: DataType) -> bool {
        matches!(data_type, DataType::Int32 | DataType::Date)
    }
}

impl Number for i64 {
    fn fits(data_type: DataType) -> bool {
        matches!(data_type, DataType::Int64 | DataType::Timestamp | DataType::LocalTimestamp)
    }
}

impl Number for f32 {
    fn fits(data_type: DataType) -> bool {
        data_type == DataType::Float32
    }
}

impl Number for f64 {
    fn fits(data_type: DataType) -> bool {
        data_type == DataType::Float64
    }
}

/// Builds an int32 column.
pub type Int32Builder = NumberBuilder<i32>;
/// Builds an int64 column.
pub type Int64Builder = NumberBuilder<i64>;
/// Builds a float32 column.
pub type Float32Builder = NumberBuilder<f32>;
/// Builds a float64 column.
pub type Float64Builder = NumberBuilder<f64>;
/// Builds a date column from days since the Unix epoch.
pub type DateBuilder = NumberBuilder<i32>;
/// Builds a timestamp column from microseconds since the Unix epoch.
pub type TimestampBuilder = NumberBuilder<i64>;

/// Builds a column of numbers.
#[derive(Clone, Debug, Default)]
pub struct NumberBuilder<T> {
    values: Vec<u8>,
    validity: ValidityBuilder,
    /// The first number that did not fit.
    refused: Option<String>,
    number: PhantomData<T>,
}

impl<T: Number> NumberBuilder<T> {
    /// With room for `rows` numbers.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows * size_of::<T>()), ..Self::default() }
    }

    /// One number for each of `inputs`: the fastest way, the compiler makes it a vector loop.
    pub fn mapped<S: Copy>(inputs: &[S], f: impl Fn(S) -> T) -> Self {
        let mut values = vec![0; size_of_val(inputs) / size_of::<S>().max(1) * size_of::<T>()];
        if let Ok(slots) = bytemuck::try_cast_slice_mut::<u8, T>(&mut values) {
            slots.iter_mut().zip(inputs).for_each(|(slot, input)| *slot = f(*input));
            return Self::from_bytes(values);
        }
        inputs.iter().map(|input| f(*input)).collect()
    }

    /// Takes over a buffer of little-endian numbers.
    #[must_use]
    pub fn from_bytes(values: Vec<u8>) -> Self {
        Self { values, ..Self::default() }
    }

    /// Adds a number.
    #[inline]
    pub fn push(&mut self, value: T) {
        self.values.extend_from_slice(bytemuck::bytes_of(&value));
    }

    /// Adds a number of a wider type. One that does not fit is an error that [`crate::Output::set`] gives, with the
    /// column and the row.
    pub fn push_wide<W: Copy + Display + TryInto<T>>(&mut self, value: W) {
        match value.try_into() {
            Ok(value) => self.push(value),
            Err(_) => {
                let row = self.len();
                self.refused
                    .get_or_insert_with(|| format!("row {row}: {value} does not fit {}", type_name::<T>()));
                self.push(T::default());
            }
        }
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.validity.null(self.len());
        self.push(T::default());
    }

    /// Adds a number, or a null for none.
    #[inline]
    pub fn push_option(&mut self, value: Option<T>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    /// Adds all of `values` in one copy.
    pub fn extend_from_slice(&mut self, values: &[T]) {
        self.values.extend_from_slice(bytemuck::cast_slice(values));
    }
}

impl<T: Number> Extend<T> for NumberBuilder<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        let values = values.into_iter();
        self.values.reserve(values.size_hint().0 * size_of::<T>());
        values.for_each(|value| self.push(value));
    }
}

impl<T: Number> FromIterator<T> for NumberBuilder<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut builder = Self::default();
        builder.extend(values);
        builder
    }
}

impl<T: Number> FromIterator<Option<T>> for NumberBuilder<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(values: I) -> Self {
        let values = values.into_iter();
        let mut builder = Self::with_capacity(values.size_hint().0);
        values.for_each(|value| builder.push_option(value));
        builder
    }
}

impl<T: Number> ColumnBuilder for NumberBuilder<T> {
    fn len(&self) -> usize {
        self.values.len() / size_of::<T>()
    }

    fn builds(&self, data_type: DataType) -> bool {
        T::fits(data_type)
    }

    fn finish(self) -> Result<Buffers> {
        if let Some(refused) = self.refused {
            return Err(Error::new(refused));
        }
        let rows = self.len();
        Ok(Buffers { validity: self.validity.finish(rows), offsets: Vec::new(), values: self.values })
    }
}
