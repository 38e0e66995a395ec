//! Walking columns of numbers of any type as float64.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_schema::DataType;

use super::null_rows::{each, nulls_of};
use super::{StateError, required};
use crate::batch::type_name;

/// The type of the first argument, which has to be a number.
pub(super) fn number_type(function: &str, arguments: &[DataType]) -> Result<DataType, StateError> {
    match required(function, arguments)? {
        number @ (DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64) => {
            Ok(number.clone())
        }
        other => Err(StateError::Unsupported(format!(
            "{function} takes int32, int64, float32 or float64, not {}: cast the argument",
            type_name(other)
        ))),
    }
}

/// Calls `take` for each row and its group where the column, one of numbers, has a value.
#[inline(always)]
pub(super) fn each_number(groups: &[u32], column: &ArrayRef, mut take: impl FnMut(usize, f64)) {
    let nulls = nulls_of(column);
    match column.data_type() {
        DataType::Int32 => {
            each(groups, column.as_primitive::<Int32Type>().values(), nulls, |group, value| {
                take(group, f64::from(value));
            })
        }
        DataType::Int64 => {
            each(groups, column.as_primitive::<Int64Type>().values(), nulls, |group, value| {
                take(group, value as f64);
            })
        }
        DataType::Float32 => {
            each(groups, column.as_primitive::<Float32Type>().values(), nulls, |group, value| {
                take(group, f64::from(value));
            });
        }
        _ => each(groups, column.as_primitive::<Float64Type>().values(), nulls, take),
    }
}
