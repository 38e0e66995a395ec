//! Several rows of a key as one: a list a column.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, ListArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use arrow_select::take::take;

use super::ColdRows;
use crate::state::StateError;

/// Rows of keys, apart again.
#[derive(Debug)]
pub struct Unlisted {
    /// The key of each row.
    pub keys: BinaryArray,
    /// The columns that were lists.
    pub columns: Vec<ArrayRef>,
    /// Where the rows of each key end, behind a zero.
    pub ends: OffsetBuffer<i32>,
}

/// The column of payload that has lists of a field's values.
#[must_use]
pub fn list_field(of: &Field) -> Field {
    Field::new(of.name(), DataType::List(Arc::new(of.clone())), false)
}

/// Values as lists for such a column, which end there.
///
/// # Errors
/// When the values are not of the field's type.
pub fn lists(of: &Field, ends: &OffsetBuffer<i32>, values: ArrayRef) -> Result<ArrayRef, StateError> {
    Ok(Arc::new(ListArray::try_new(Arc::new(of.clone()), ends.clone(), values, None)?))
}

impl ColdRows {
    /// The rows of all keys; columns that are no lists are left out.
    ///
    /// # Errors
    /// When keys take more than a column can hold.
    pub fn unlisted(&self) -> Result<Unlisted, StateError> {
        let lists = || self.payload.iter().filter_map(|column| column.as_list_opt::<i32>());
        let ends = lists().next().map_or_else(OffsetBuffer::new_empty, |list| list.offsets().clone());
        let owners = (0u32..).zip(ends.windows(2));
        let owners: UInt32Array =
            owners.flat_map(|(row, pair)| std::iter::repeat_n(row, (pair[1] - pair[0]) as usize)).collect();
        let keys = take(&self.keys, &owners, None)?.as_binary().clone();
        Ok(Unlisted { keys, columns: lists().map(|list| Arc::clone(list.values())).collect(), ends })
    }
}
