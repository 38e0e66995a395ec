//! What parts of an expression hand to each other: a column or one value for all rows, the faults so
//! far, and the arguments of a kernel.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Datum, UInt32Array};
use arrow_buffer::NullBuffer;
use arrow_schema::ArrowError;

use super::error::RowFault;

/// A column, or one value that stands for a column.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Column(ArrayRef),
    /// One row.
    Scalar(ArrayRef),
}

impl Datum for Value {
    fn get(&self) -> (&dyn Array, bool) {
        match self {
            Self::Column(array) => (array.as_ref(), false),
            Self::Scalar(array) => (array.as_ref(), true),
        }
    }
}

impl Value {
    pub(super) fn array(&self) -> &ArrayRef {
        match self {
            Self::Column(array) | Self::Scalar(array) => array,
        }
    }

    /// The same values in another array, with the same meaning of its length.
    pub(super) fn with(&self, array: ArrayRef) -> Self {
        match self {
            Self::Column(_) => Self::Column(array),
            Self::Scalar(_) => Self::Scalar(array),
        }
    }

    /// The array with one entry a row.
    pub(super) fn into_column(self, rows: usize) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Column(array) => Ok(array),
            Self::Scalar(array) if rows == 1 => Ok(array),
            Self::Scalar(array) => arrow_select::take::take(&array, &UInt32Array::from_value(0, rows), None),
        }
    }

    /// The booleans, one a row. Only for what was typed boolean.
    pub(super) fn into_boolean(self, rows: usize) -> Result<BooleanArray, ArrowError> {
        Ok(self.into_column(rows)?.as_boolean().clone())
    }
}

/// The faults of a batch, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<RowFault>,
}

impl Faults {
    pub(super) fn push(&mut self, row: usize, expression: &Arc<str>, cause: Cow<'static, str>) {
        // A chunk has some thousand rows; arrow itself could not hold more than fit 32 bits here.
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        self.found.push(RowFault { row, expression: Arc::clone(expression), cause });
    }

    /// To be given to `retain_since`.
    pub(super) fn mark(&self) -> usize {
        self.found.len()
    }

    /// Forgets faults found since the mark in rows where the part that has them does not decide.
    pub(super) fn retain_since(&mut self, mark: usize, decides: impl Fn(usize) -> bool) {
        if self.found.len() == mark {
            return;
        }
        let recent = self.found.split_off(mark);
        self.found.extend(recent.into_iter().filter(|fault| decides(fault.row as usize)));
    }

    /// The first fault of each row, in the order of rows.
    pub(super) fn finish(mut self) -> Vec<RowFault> {
        self.found.sort_by_key(|fault| fault.row);
        self.found.dedup_by_key(|fault| fault.row);
        self.found
    }
}

/// What a kernel is called with.
#[derive(Debug)]
pub(super) struct Args<'a> {
    pub(super) values: &'a [Value],
    pub(super) rows: usize,
    /// The part of the expression that is being computed.
    pub(super) text: &'a Arc<str>,
}

impl Args<'_> {
    /// Rows where any argument is NULL.
    pub(super) fn nulls(&self) -> Option<NullBuffer> {
        let mut nulls = None;
        for value in self.values {
            match value {
                Value::Column(array) => nulls = NullBuffer::union(nulls.as_ref(), array.nulls()),
                Value::Scalar(array) if array.is_null(0) => return Some(NullBuffer::new_null(self.rows)),
                Value::Scalar(_) => {}
            }
        }
        nulls
    }

    /// Where a row's entry of argument `i` is: scalars have one entry for all rows.
    pub(super) fn stride(&self, i: usize) -> usize {
        usize::from(matches!(self.values[i], Value::Column(_)))
    }
}

/// Computes one part of an expression for all rows.
pub(super) type Kernel = Arc<dyn Fn(&Args<'_>, &mut Faults) -> Result<ArrayRef, ArrowError> + Send + Sync>;
