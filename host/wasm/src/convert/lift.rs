//! From the guest to arrow: buffers are taken as they were copied out of the guest's memory, after
//! everything that arrow and we rely on has been checked against the schema that `open` promised.
//!
//! Exact lengths are asked of bitmaps, offsets and values of fixed width; the values of text and
//! binary columns may have more bytes than the last offset says, and these are not kept.

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};

use crate::bindings::exports::millstream::plugin::keyed::Timer;
use crate::bindings::millstream::plugin::data::{BatchResult, ColumnResult, Rejection};
use crate::convert::cut;
use crate::error::Fault;
use crate::limits::Limits;

/// The batch that a guest returned.
pub(crate) fn lift(schema: &SchemaRef, batch: BatchResult, limits: &Limits) -> Result<RecordBatch, Fault> {
    let BatchResult { rows, columns } = batch;
    let invalid = |what: String| Fault::InvalidBatch { column: None, row: None, what };
    if columns.len() != schema.fields().len() {
        return Err(invalid(format!("{} columns, `open` promised {}", columns.len(), schema.fields().len())));
    }
    if rows > limits.output_rows_max {
        return Err(invalid(format!("{rows} rows, at most {} may be returned", limits.output_rows_max)));
    }
    let rows = rows as usize;
    let lift = |(column, field): (ColumnResult, &Arc<Field>)| {
        self::column(field, rows, column).map_err(|bad| Fault::InvalidBatch {
            column: Some(format!("`{}`", field.name())),
            row: bad.row,
            what: bad.what,
        })
    };
    let arrays = columns.into_iter().zip(schema.fields()).map(lift).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(|error| invalid(error.to_string()))
}

/// The rows that a guest rejected: each of the input, rising.
pub(crate) fn rejections(
    rejected: Vec<Rejection>,
    rows: u32,
    limits: &Limits,
) -> Result<Vec<(u32, String)>, Fault> {
    let invalid = |what: String| Fault::InvalidRejection { what };
    let mut least = 0;
    let mut checked = Vec::with_capacity(rejected.len());
    for Rejection { row, reason } in rejected {
        if row >= rows {
            return Err(invalid(format!("row {row} of a batch of {rows} rows")));
        }
        if row < least {
            return Err(invalid(format!("row {row} comes after row {}; they must rise", least - 1)));
        }
        least = row + 1;
        checked.push((row, cut(&reason, limits.reason_bytes_max).to_owned()));
    }
    Ok(checked)
}

/// The states that a guest returned, one for each of `rows` groups or keys.
pub(crate) fn states(
    rows: usize,
    of: &str,
    states: ColumnResult,
    limits: &Limits,
) -> Result<BinaryArray, Fault> {
    let invalid =
        |bad: Bad| Fault::InvalidBatch { column: Some("`states`".into()), row: bad.row, what: bad.what };
    let found = (states.offsets.len() / size_of::<i32>()).saturating_sub(1);
    if found != rows {
        return Err(invalid(Bad::column(format!("{found} states for {rows} {of}"))));
    }
    let nulls =
        nulls(&Field::new("states", DataType::Binary, true), rows, states.validity).map_err(invalid)?;
    let (offsets, values) = bounded(rows, states.offsets, states.values).map_err(invalid)?;
    let lengths = offsets.windows(2).map(|pair| pair[1].abs_diff(pair[0]) as usize);
    // The greatest of all first, which the compiler can do many at a time.
    if lengths.clone().max().is_some_and(|longest| longest > limits.state_bytes_max) {
        let (key, bytes) =
            lengths.enumerate().find(|(_, bytes)| *bytes > limits.state_bytes_max).unwrap_or((0, 0));
        let key = u32::try_from(key).unwrap_or(u32::MAX);
        return Err(Fault::StateTooLarge { key, bytes, limit_bytes: limits.state_bytes_max });
    }
    array(BinaryArray::try_new(offsets, values, nulls)).map_err(invalid)
}

/// The timers that a guest set, each as the index of its key and a time in microseconds.
pub(crate) fn timers(keys: usize, timers: &[Timer]) -> Result<Vec<(u32, i64)>, Fault> {
    let checked = timers.iter().map(|timer| {
        if timer.key as usize >= keys {
            let what = format!("a timer for key {} of {keys}", timer.key);
            return Err(Fault::InvalidBatch { column: Some("`timers`".into()), row: Some(timer.key), what });
        }
        Ok((timer.key, timer.at))
    });
    checked.collect()
}

/// What is wrong with a column, and from which row on if that can be said.
struct Bad {
    row: Option<u32>,
    what: String,
}

impl Bad {
    fn column(what: String) -> Self {
        Self { row: None, what }
    }

    fn row(row: usize, what: impl Into<String>) -> Self {
        Self { row: u32::try_from(row).ok(), what: what.into() }
    }
}

fn column(field: &Field, rows: usize, column: ColumnResult) -> Result<ArrayRef, Bad> {
    let ColumnResult { validity, offsets, values } = column;
    let nulls = nulls(field, rows, validity)?;
    let variable = matches!(field.data_type(), DataType::Utf8 | DataType::Binary);
    if !variable && !offsets.is_empty() {
        return Err(Bad::column(format!("{} bytes of offsets for a type of fixed width", offsets.len())));
    }
    match field.data_type() {
        DataType::Boolean => {
            let values = bits(rows, values, "values")?;
            Ok(Arc::new(BooleanArray::new(values, nulls)))
        }
        DataType::Int8 => fixed::<Int8Type>(field, rows, values, nulls),
        DataType::Int16 => fixed::<Int16Type>(field, rows, values, nulls),
        DataType::Int32 => fixed::<Int32Type>(field, rows, values, nulls),
        DataType::Int64 => fixed::<Int64Type>(field, rows, values, nulls),
        DataType::UInt8 => fixed::<UInt8Type>(field, rows, values, nulls),
        DataType::UInt16 => fixed::<UInt16Type>(field, rows, values, nulls),
        DataType::UInt32 => fixed::<UInt32Type>(field, rows, values, nulls),
        DataType::UInt64 => fixed::<UInt64Type>(field, rows, values, nulls),
        DataType::Float32 => fixed::<Float32Type>(field, rows, values, nulls),
        DataType::Float64 => fixed::<Float64Type>(field, rows, values, nulls),
        DataType::Date32 => fixed::<Date32Type>(field, rows, values, nulls),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => fixed::<TimestampSecondType>(field, rows, values, nulls),
            TimeUnit::Millisecond => fixed::<TimestampMillisecondType>(field, rows, values, nulls),
            TimeUnit::Microsecond => fixed::<TimestampMicrosecondType>(field, rows, values, nulls),
            TimeUnit::Nanosecond => fixed::<TimestampNanosecondType>(field, rows, values, nulls),
        },
        DataType::Utf8 => text(rows, offsets, values, nulls),
        DataType::Binary => {
            let (offsets, values) = bounded(rows, offsets, values)?;
            Ok(Arc::new(array(BinaryArray::try_new(offsets, values, nulls))?))
        }
        other => Err(Bad::column(format!("type {other} cannot cross the boundary"))),
    }
}

fn nulls(field: &Field, rows: usize, validity: Vec<u8>) -> Result<Option<NullBuffer>, Bad> {
    if validity.is_empty() {
        return Ok(None);
    }
    let nulls = NullBuffer::new(bits(rows, validity, "validity")?);
    if nulls.null_count() == 0 {
        return Ok(None);
    }
    if !field.is_nullable() {
        let row = (0..rows).find(|&row| nulls.is_null(row)).unwrap_or(0);
        return Err(Bad::row(row, "is null, but `open` promised that the column has no nulls"));
    }
    Ok(Some(nulls))
}

fn bits(rows: usize, bytes: Vec<u8>, what: &str) -> Result<BooleanBuffer, Bad> {
    exactly(bytes.len(), rows.div_ceil(8), what)?;
    Ok(BooleanBuffer::new(Buffer::from_vec(bytes), 0, rows))
}

fn exactly(bytes: usize, expected: usize, what: &str) -> Result<(), Bad> {
    if bytes == expected {
        Ok(())
    } else {
        Err(Bad::column(format!("{bytes} bytes of {what}, not {expected}")))
    }
}

fn fixed<T: ArrowPrimitiveType>(
    field: &Field,
    rows: usize,
    values: Vec<u8>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, Bad> {
    exactly(values.len(), rows * size_of::<T::Native>(), "values")?;
    let values = aligned::<T::Native>(values);
    let array = array(PrimitiveArray::<T>::try_new(values, nulls))?;
    Ok(Arc::new(array.with_data_type(field.data_type().clone())))
}

/// The bytes as numbers; copied only where the allocator put them at an odd address.
fn aligned<T: arrow_buffer::ArrowNativeType>(bytes: Vec<u8>) -> ScalarBuffer<T> {
    let buffer = Buffer::from_vec(bytes);
    if buffer.as_ptr().align_offset(align_of::<T>()) == 0 {
        ScalarBuffer::from(buffer)
    } else {
        ScalarBuffer::from(Buffer::from_slice_ref(buffer.as_slice()))
    }
}

/// Offsets that start at 0, never fall and end within the values.
fn bounded(rows: usize, offsets: Vec<u8>, values: Vec<u8>) -> Result<(OffsetBuffer<i32>, Buffer), Bad> {
    if rows == 0 && offsets.is_empty() {
        return Ok((OffsetBuffer::new_empty(), Buffer::from_vec(Vec::<u8>::new())));
    }
    exactly(offsets.len(), (rows + 1) * size_of::<i32>(), "offsets")?;
    let offsets = aligned::<i32>(offsets);
    if offsets[0] != 0 {
        return Err(Bad::column(format!("the first offset is {}, not 0", offsets[0])));
    }
    let offsets = rising(offsets).map_err(|offsets| {
        let row = offsets.windows(2).position(|pair| pair[1] < pair[0]).unwrap_or(0);
        Bad::row(row, format!("its offsets fall from {} to {}", offsets[row], offsets[row + 1]))
    })?;
    let end = usize::try_from(offsets[rows]).unwrap_or(usize::MAX);
    if end > values.len() {
        let row = offsets.iter().position(|&offset| offset as usize > values.len()).unwrap_or(rows);
        let what =
            format!("it ends at byte {}, but there are {} bytes of values", offsets[row], values.len());
        return Err(Bad::row(row.saturating_sub(1), what));
    }
    Ok((offsets, Buffer::from_vec(values).slice_with_length(0, end)))
}

/// The offsets, which start at 0, if they never fall; looked at as a whole, which the compiler can do many at a time.
fn rising(offsets: ScalarBuffer<i32>) -> Result<OffsetBuffer<i32>, ScalarBuffer<i32>> {
    if offsets.first() != Some(&0)
        || offsets.windows(2).fold(false, |falls, pair| falls | (pair[1] < pair[0]))
    {
        return Err(offsets);
    }
    #[allow(unsafe_code, reason = "arrow would look at the offsets again, one by one")]
    // SAFETY: there is a first offset, it is 0, and none is less than the one before.
    Ok(unsafe { OffsetBuffer::new_unchecked(offsets) })
}

fn text(rows: usize, offsets: Vec<u8>, values: Vec<u8>, nulls: Option<NullBuffer>) -> Result<ArrayRef, Bad> {
    let (offsets, values) = bounded(rows, offsets, values)?;
    // Checked as a whole; which row is to blame is only asked when one is.
    match utf8(&offsets, &values, nulls) {
        Some(array) => Ok(Arc::new(array)),
        None => {
            let broken = |pair: &[i32]| {
                let text = &values[pair[0] as usize..pair[1] as usize];
                std::str::from_utf8(text).is_err()
            };
            let row = offsets.windows(2).position(broken);
            Err(row.map_or_else(|| Bad::column("is no UTF-8".into()), |row| Bad::row(row, "is no UTF-8")))
        }
    }
}

/// The array of text, if every row is UTF-8. The offsets are those of all the values, from first to last.
fn utf8(offsets: &OffsetBuffer<i32>, values: &Buffer, nulls: Option<NullBuffer>) -> Option<StringArray> {
    assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() + 1 == offsets.len()), "a bit for each row");
    assert!(offsets.last() as usize <= values.len(), "offsets within the values");
    // In ASCII every byte is a character, so every offset is at one.
    if !values.is_ascii() {
        let text = simdutf8::basic::from_utf8(values).ok()?;
        if !offsets.iter().all(|&offset| text.is_char_boundary(offset as usize)) {
            return None;
        }
    }
    #[allow(
        unsafe_code,
        reason = "arrow would check again with the standard library, which takes 6 times as long as all the \
                  rest of the boundary when text is not ASCII"
    )]
    // SAFETY: the values are UTF-8, and no offset is inside a character. An `OffsetBuffer` never falls, and the
    // assertion has found the last offset within the values, so all are. So each row is UTF-8. There are as many nulls
    // as rows, which the other assertion has found.
    Some(unsafe { StringArray::new_unchecked(offsets.clone(), values.clone(), nulls) })
}

/// What arrow still finds wrong is the guest's fault too.
fn array<A>(made: Result<A, arrow_schema::ArrowError>) -> Result<A, Bad> {
    made.map_err(|error| Bad::column(error.to_string()))
}
