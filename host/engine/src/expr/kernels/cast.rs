//! CAST and TRY_CAST: which types go where, and the rows that do not.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast::{CastOptions, cast_with_options};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use crate::batch::type_name;
use crate::expr::value::{Args, Faults, Kernel};

/// Why there is no cast between the types, and what to write instead.
pub(in crate::expr) fn refusal(from: &DataType, to: &DataType) -> Option<String> {
    use DataType::{Binary, Boolean, Date32, Float32, Float64, Int32, Int64, Timestamp, Utf8};
    let fine = match (from, to) {
        (DataType::Null, _) => true,
        (a, b) if a == b => true,
        (Int32 | Int64 | Float32 | Float64, Int32 | Int64 | Float32 | Float64 | Utf8) => true,
        (Int32 | Int64, Boolean) | (Boolean, Int32 | Int64 | Utf8) => true,
        (Utf8, Boolean | Int32 | Int64 | Float32 | Float64 | Binary | Date32 | Timestamp(..)) => true,
        (Binary, Utf8) | (Timestamp(..), Date32 | Utf8) | (Date32, Timestamp(..) | Utf8) => true,
        _ => false,
    };
    if fine {
        return None;
    }
    let hint = match (from, to) {
        (Int32 | Int64, Timestamp(..)) => {
            "; use to_timestamp_seconds, to_timestamp_millis or to_timestamp_micros"
        }
        (Timestamp(..), Int32 | Int64 | Float32 | Float64) => "; use epoch, epoch_millis or epoch_micros",
        (Float32 | Float64, Boolean) => "; compare it with a number",
        _ => "",
    };
    Some(format!("{} cannot be cast to {}{hint}", type_name(from), type_name(to)))
}

/// Whether a cast that is not refused can meet values that do not fit.
pub(in crate::expr) fn can_fail(from: &DataType, to: &DataType) -> bool {
    use DataType::{Binary, Boolean, Float32, Float64, Int32, Int64, Timestamp, Utf8};
    match (from, to) {
        (a, b) if a == b => false,
        (Utf8, Binary) => false,
        (Utf8 | Binary, _) => true,
        (Int64, Int32) | (Float32 | Float64, Int32 | Int64) => true,
        (DataType::Date32, Timestamp(..)) | (Timestamp(..), DataType::Date32) => true,
        (Timestamp(..) | DataType::Date32, Utf8) => true,
        (Int32 | Int64 | Boolean, _) => false,
        _ => false,
    }
}

/// Arrow's cast with NULL for what does not fit. Arrow knows UTC by name only with a feature that
/// brings in the database of time zones; without a zone it takes timestamps as UTC just the same.
fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: true,
        format_options: FormatOptions::new().with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.fZ")),
    };
    let array = without_zone(array);
    match to {
        DataType::Timestamp(unit, Some(_)) => {
            let moments = cast_with_options(&array, &DataType::Timestamp(*unit, None), &options)?;
            let moments = moments.as_primitive::<TimestampMicrosecondType>().clone();
            Ok(Arc::new(moments.with_data_type(to.clone())))
        }
        _ => cast_with_options(&array, to, &options),
    }
}

/// Timestamps without the name of their zone, which is UTC; everything else as it is.
pub(in crate::expr) fn without_zone(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let moments = array.as_primitive::<TimestampMicrosecondType>().clone();
            Arc::new(moments.with_data_type(DataType::Timestamp(TimeUnit::Microsecond, None)))
        }
        _ => Arc::clone(array),
    }
}

/// The kernel of CAST: rows that do not fit are faults.
pub(in crate::expr) fn cast(to: &DataType) -> Kernel {
    let to = to.clone();
    Arc::new(move |args, faults| {
        let input = args.values[0].array();
        let output = convert(input, &to)?;
        if output.null_count() != input.null_count() {
            lost(args, input, &output, &to, faults)?;
        }
        Ok(output)
    })
}

/// The kernel of TRY_CAST: rows that do not fit are NULL.
pub(in crate::expr) fn try_cast(to: &DataType) -> Kernel {
    let to = to.clone();
    Arc::new(move |args, _| convert(args.values[0].array(), &to))
}

fn lost(
    args: &Args<'_>,
    input: &ArrayRef,
    output: &ArrayRef,
    to: &DataType,
    faults: &mut Faults,
) -> Result<(), ArrowError> {
    const SHOWN_CHARS: usize = 40;
    let options = FormatOptions::default();
    let input = without_zone(input);
    let formatter = ArrayFormatter::try_new(&input, &options)?;
    for row in (0..input.len()).filter(|&row| output.is_null(row) && input.is_valid(row)) {
        let value =
            formatter.value(row).try_to_string().unwrap_or_else(|_| "a value out of range".to_owned());
        let mut shown: String = value.chars().take(SHOWN_CHARS).collect();
        if shown.len() < value.len() {
            shown.push_str("...");
        }
        let cause = format!("'{shown}' does not fit {}; TRY_CAST gives NULL instead", type_name(to));
        faults.push(row, args.text, cause.into());
    }
    Ok(())
}
