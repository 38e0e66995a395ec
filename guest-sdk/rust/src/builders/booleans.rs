//! Columns of booleans, one bit a row.

use super::ColumnBuilder;
use super::validity::ValidityBuilder;
use crate::batch::Buffers;
use crate::error::Result;
use crate::schema::DataType;

/// Builds a boolean column.
#[derive(Clone, Debug, Default)]
pub struct BooleanBuilder {
    bits: Vec<u8>,
    rows: usize,
    validity: ValidityBuilder,
}

impl BooleanBuilder {
    /// With room for `rows` values.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        Self { bits: Vec::with_capacity(rows.div_ceil(8)), ..Self::default() }
    }

    /// Adds a value.
    #[inline]
    pub fn push(&mut self, value: bool) {
        let bit = self.rows % 8;
        if bit == 0 {
            self.bits.push(0);
        }
        if let Some(last) = self.bits.last_mut() {
            *last |= u8::from(value) << bit;
        }
        self.rows += 1;
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.validity.null(self.rows);
        self.push(false);
    }

    /// Adds a value, or a null for none.
    pub fn push_option(&mut self, value: Option<bool>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }
}

impl FromIterator<Option<bool>> for BooleanBuilder {
    fn from_iter<I: IntoIterator<Item = Option<bool>>>(values: I) -> Self {
        let mut builder = Self::default();
        values.into_iter().for_each(|value| builder.push_option(value));
        builder
    }
}

impl FromIterator<bool> for BooleanBuilder {
    fn from_iter<I: IntoIterator<Item = bool>>(values: I) -> Self {
        values.into_iter().map(Some).collect()
    }
}

impl ColumnBuilder for BooleanBuilder {
    fn len(&self) -> usize {
        self.rows
    }

    fn builds(&self, data_type: DataType) -> bool {
        data_type == DataType::Boolean
    }

    fn finish(self) -> Result<Buffers> {
        Ok(Buffers { validity: self.validity.finish(self.rows), offsets: Vec::new(), values: self.bits })
    }
}
