//! Walking the rows of a column that have a value.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;

/// Calls `take` for each row and its group where the column has a value.
#[inline(always)]
pub(super) fn each<T: Copy>(
    groups: &[u32],
    values: &[T],
    nulls: Option<&NullBuffer>,
    mut take: impl FnMut(usize, T),
) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => groups.iter().zip(values).for_each(|(&group, &value)| take(group as usize, value)),
        Some(nulls) => {
            for row in nulls.valid_indices() {
                take(groups[row] as usize, values[row]);
            }
        }
    }
}

/// The nulls of a column, unless there are none.
pub(super) fn nulls_of(column: &ArrayRef) -> Option<&NullBuffer> {
    column.nulls().filter(|nulls| nulls.null_count() > 0)
}
