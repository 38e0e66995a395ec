//! Kernels for functions that arrow has none for: rows go one by one into buffers that are allocated
//! once, NULL in gives NULL out, and a row that has no value becomes a fault.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, ArrowPrimitiveType, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use crate::expr::value::{Args, Faults};

/// Bytes of one text that a function may make; a plain field is kilobytes, and `repeat` in `repeat`
/// must not fill the memory.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;
/// Bytes that all rows of one result may have together; well under what arrow's 32-bit offsets reach.
const COLUMN_BYTES_MAX: usize = 256 << 20;

/// Why a row has no value.
pub(super) enum Missing {
    /// It is NULL.
    Null,
    /// It is a fault.
    Fault(Cow<'static, str>),
}

impl Missing {
    pub(super) const TOO_LONG: Self =
        Self::Fault(Cow::Borrowed("the text would be longer than 1 MiB, the most a function makes"));

    pub(super) const fn fault(cause: &'static str) -> Self {
        Self::Fault(Cow::Borrowed(cause))
    }
}

/// Makes a text a row. `write` appends to the buffer, where the texts of earlier rows already are.
pub(super) fn texts(
    args: &Args<'_>,
    nulls: Option<&NullBuffer>,
    faults: &mut Faults,
    bytes_expected: usize,
    mut write: impl FnMut(usize, &mut String) -> Result<(), Missing>,
) -> Result<ArrayRef, ArrowError> {
    let mut values = String::with_capacity(bytes_expected);
    let mut offsets = Vec::with_capacity(args.rows + 1);
    offsets.push(0);
    let mut valid = NullBufferBuilder::new(args.rows);
    for row in 0..args.rows {
        let start = values.len();
        let mut written = match nulls {
            Some(nulls) if nulls.is_null(row) => Err(Missing::Null),
            _ => write(row, &mut values),
        };
        if values.len() - start > TEXT_BYTES_MAX {
            written = Err(Missing::TOO_LONG);
        } else if values.len() > COLUMN_BYTES_MAX {
            written = Err(Missing::fault("the texts of this batch would be more than 256 MiB together"));
        }
        match written {
            Ok(()) => valid.append_non_null(),
            Err(missing) => {
                values.truncate(start);
                valid.append_null();
                if let Missing::Fault(cause) = missing {
                    faults.push(row, args.text, cause);
                }
            }
        }
        // COLUMN_BYTES_MAX is far below what an i32 holds.
        offsets.push(i32::try_from(values.len()).unwrap_or(i32::MAX));
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(values.into_bytes()), valid.finish())?))
}

/// Appends unless the text of this row, which began at `start`, becomes too long.
pub(super) fn push(out: &mut String, start: usize, text: &str) -> Result<(), Missing> {
    if out.len() - start + text.len() > TEXT_BYTES_MAX {
        return Err(Missing::TOO_LONG);
    }
    out.push_str(text);
    Ok(())
}

/// Makes a number a row.
pub(super) fn numbers<T: ArrowPrimitiveType>(
    args: &Args<'_>,
    faults: &mut Faults,
    mut compute: impl FnMut(usize) -> Result<T::Native, Missing>,
) -> PrimitiveArray<T> {
    let nulls = args.nulls();
    let mut values = Vec::with_capacity(args.rows);
    let mut valid = NullBufferBuilder::new(args.rows);
    for row in 0..args.rows {
        let computed = match &nulls {
            Some(nulls) if nulls.is_null(row) => Err(Missing::Null),
            _ => compute(row),
        };
        match computed {
            Ok(value) => {
                values.push(value);
                valid.append_non_null();
            }
            Err(missing) => {
                values.push(T::default_value());
                valid.append_null();
                if let Missing::Fault(cause) = missing {
                    faults.push(row, args.text, cause);
                }
            }
        }
    }
    PrimitiveArray::new(ScalarBuffer::from(values), valid.finish())
}

/// A text argument, by row.
pub(super) struct Texts<'a> {
    array: &'a StringArray,
    stride: usize,
}

impl<'a> Texts<'a> {
    pub(super) fn new(args: &'a Args<'_>, i: usize) -> Self {
        Self { array: args.values[i].array().as_string::<i32>(), stride: args.stride(i) }
    }

    /// The text of a row that is not NULL.
    #[inline]
    pub(super) fn at(&self, row: usize) -> &'a str {
        self.array.value(row * self.stride)
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        use arrow_array::Array;
        self.array.is_null(row * self.stride)
    }

    /// Bytes of all rows together.
    pub(super) fn bytes(&self, rows: usize) -> usize {
        let bytes = self.array.value_offsets();
        let all = usize::try_from(bytes[bytes.len() - 1] - bytes[0]).unwrap_or(0);
        let all = if self.stride == 0 { all.saturating_mul(rows) } else { all };
        // A hint only: a wrong one costs a larger buffer, not memory without end.
        all.min(1 << 22)
    }
}

/// A number argument, by row.
pub(super) struct Numbers<'a, T: ArrowPrimitiveType> {
    array: &'a PrimitiveArray<T>,
    stride: usize,
}

impl<'a, T: ArrowPrimitiveType> Numbers<'a, T> {
    pub(super) fn new(args: &'a Args<'_>, i: usize) -> Self {
        Self { array: args.values[i].array().as_primitive::<T>(), stride: args.stride(i) }
    }

    /// The number of a row that is not NULL.
    #[inline]
    pub(super) fn at(&self, row: usize) -> T::Native {
        self.array.value(row * self.stride)
    }
}
