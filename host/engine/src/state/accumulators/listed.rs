//! Values by group, for functions whose result is a list: how their states are written, and how lists
//! become text. There are no lists among the types of columns, as neither CSV nor SQLite has them; JSON is
//! what everybody reads.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray};
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;

use super::{StateError, typed};
use crate::state::KeyCodec;
use crate::state::key_store::binary;

/// Appends an encoded value, as its length and its bytes.
pub(super) fn write(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

/// Takes an encoded value, and then so many bytes more, from the front of what was written.
pub(super) fn read<'a, const MORE: usize>(written: &mut &'a [u8]) -> Option<(&'a [u8], [u8; MORE])> {
    let (length, rest) = written.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (more, rest) = rest.split_first_chunk::<MORE>()?;
    *written = rest;
    Some((value, *more))
}

/// The written states of groups; one of each row.
pub(super) fn written(state: &[ArrayRef]) -> Result<&BinaryArray, StateError> {
    Ok(typed(state.first(), &DataType::Binary)?.as_binary::<i32>())
}

/// Bytes of state that are no list of values.
pub(super) fn foreign() -> StateError {
    StateError::Mismatch("bytes of state that should be a list of values are none".to_owned())
}

/// The JSON of encoded values, in their order.
pub(super) fn json<'a>(
    codec: &KeyCodec,
    values: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<Vec<String>, StateError> {
    let column = codec.decode(&binary(values)?)?.pop();
    let column = column.ok_or_else(|| StateError::Mismatch("encoded values have no column".into()))?;
    (0..column.len()).map(|row| json_value(&column, row)).collect()
}

fn json_value(column: &ArrayRef, row: usize) -> Result<String, StateError> {
    let text = array_value_to_string(column, row)?;
    let is_bare = match column.data_type() {
        DataType::Boolean | DataType::Int32 | DataType::Int64 => true,
        // JSON has no NaN and no infinity.
        DataType::Float32 | DataType::Float64 => !text.ends_with(|last: char| last.is_ascii_alphabetic()),
        _ => false,
    };
    if is_bare {
        Ok(text)
    } else {
        serde_json::to_string(&text).map_err(|error| StateError::Mismatch(error.to_string()))
    }
}

/// The number from 1 to `most` that a function was given last.
pub(super) fn bound(example: &str, numbers: &[f64], most: u32) -> Result<usize, StateError> {
    match numbers.first() {
        Some(number) if number.fract() == 0.0 && (1.0..=f64::from(most)).contains(number) => {
            Ok(*number as usize)
        }
        _ => Err(StateError::Unsupported(format!(
            "the second argument says how many: a whole number from 1 to {most}, as in `{example}`"
        ))),
    }
}
