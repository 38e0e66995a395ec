//! From arrow to the guest: each buffer is lent as it is. Only what does not start at a byte or at
//! offset 0, because the array is a slice, is copied, and then nothing but bitmaps and offsets.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ByteArrayType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, BinaryArray, GenericByteArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, TimeUnit};

use crate::bindings::millstream::plugin::data::{BatchParam, ColumnParam};
use crate::error::CallError;

/// A batch as the guest gets it; lives as long as the batch it is lent from.
pub(crate) struct Lowered<'a> {
    rows: u32,
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    validity: Cow<'a, [u8]>,
    offsets: Cow<'a, [u8]>,
    values: Cow<'a, [u8]>,
}

impl<'a> Lowered<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Result<Self, CallError> {
        let rows = batch.num_rows();
        let rows = u32::try_from(rows).map_err(|_| CallError::TooManyRows { rows })?;
        let schema = batch.schema_ref();
        let column = |(array, field): (&'a arrow_array::ArrayRef, &arrow_schema::FieldRef)| {
            column(array.as_ref()).ok_or_else(|| CallError::UnsupportedType {
                column: field.name().clone(),
                data_type: array.data_type().to_string(),
            })
        };
        let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<Result<_, _>>()?;
        Ok(Self { rows, columns })
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    pub(crate) fn columns(&self) -> Vec<ColumnParam<'_>> {
        self.columns.iter().map(Column::param).collect()
    }

    /// The batch, given its columns.
    pub(crate) fn batch<'b>(&self, columns: &'b [ColumnParam<'b>]) -> BatchParam<'b> {
        BatchParam { rows: self.rows, columns }
    }
}

/// States as the guest gets them.
pub(crate) struct LoweredStates<'a>(Column<'a>);

impl<'a> LoweredStates<'a> {
    pub(crate) fn new(states: &'a BinaryArray) -> Self {
        Self(variable(states))
    }

    pub(crate) fn column(&self) -> ColumnParam<'_> {
        self.0.param()
    }
}

impl Column<'_> {
    fn param(&self) -> ColumnParam<'_> {
        ColumnParam { validity: &self.validity, offsets: &self.offsets, values: &self.values }
    }
}

fn column(array: &dyn Array) -> Option<Column<'_>> {
    Some(match array.data_type() {
        DataType::Boolean => {
            let values = bits(array.as_boolean().values());
            Column { validity: validity(array), offsets: Cow::Borrowed(&[]), values }
        }
        DataType::Int8 => fixed::<Int8Type>(array),
        DataType::Int16 => fixed::<Int16Type>(array),
        DataType::Int32 => fixed::<Int32Type>(array),
        DataType::Int64 => fixed::<Int64Type>(array),
        DataType::UInt8 => fixed::<UInt8Type>(array),
        DataType::UInt16 => fixed::<UInt16Type>(array),
        DataType::UInt32 => fixed::<UInt32Type>(array),
        DataType::UInt64 => fixed::<UInt64Type>(array),
        DataType::Float32 => fixed::<Float32Type>(array),
        DataType::Float64 => fixed::<Float64Type>(array),
        DataType::Date32 => fixed::<Date32Type>(array),
        DataType::Timestamp(TimeUnit::Second, _) => fixed::<TimestampSecondType>(array),
        DataType::Timestamp(TimeUnit::Millisecond, _) => fixed::<TimestampMillisecondType>(array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => fixed::<TimestampMicrosecondType>(array),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fixed::<TimestampNanosecondType>(array),
        DataType::Utf8 => variable(array.as_string::<i32>()),
        DataType::Binary => variable(array.as_binary::<i32>()),
        _ => return None,
    })
}

fn fixed<T: ArrowPrimitiveType>(array: &dyn Array) -> Column<'_> {
    // The buffer of a sliced array is sliced already.
    let values = array.as_primitive::<T>().values().inner().as_slice();
    Column { validity: validity(array), offsets: Cow::Borrowed(&[]), values: Cow::Borrowed(values) }
}

fn variable<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>) -> Column<'_> {
    let offsets = array.offsets();
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    // Never negative: arrow checks that when an array is made.
    let range = usize::try_from(first).unwrap_or(0)..usize::try_from(last).unwrap_or(0);
    let values = &array.values()[range];
    let offsets = if first == 0 {
        Cow::Borrowed(offsets.inner().inner().as_slice())
    } else {
        Cow::Owned(offsets.iter().flat_map(|offset| (offset - first).to_le_bytes()).collect())
    };
    Column { validity: validity(array), offsets, values: Cow::Borrowed(values) }
}

fn validity(array: &dyn Array) -> Cow<'_, [u8]> {
    match array.nulls() {
        Some(nulls) if nulls.null_count() > 0 => bits(nulls.inner()),
        _ => Cow::Borrowed(&[]),
    }
}

/// A bitmap that starts at a byte and has zeros behind its last bit, so that the guest gets the same
/// bytes however the rows were cut.
fn bits(bits: &BooleanBuffer) -> Cow<'_, [u8]> {
    let (offset, len) = (bits.offset(), bits.len());
    let rest = len % 8;
    if offset % 8 == 0 {
        let bytes = &bits.values()[offset / 8..][..len.div_ceil(8)];
        if rest == 0 || bytes[bytes.len() - 1] >> rest == 0 {
            return Cow::Borrowed(bytes);
        }
    }
    let mut bytes = bits.sliced().as_slice()[..len.div_ceil(8)].to_vec();
    if let (Some(last), 1..) = (bytes.last_mut(), rest) {
        *last &= (1 << rest) - 1;
    }
    Cow::Owned(bytes)
}
