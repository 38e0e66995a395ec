//! Column types and their names in the contract: format strings of the Arrow C data interface.

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use crate::bindings::millstream::plugin::data::{FieldParam, FieldResult};
use crate::convert::cut;
use crate::error::{CallError, Fault};

/// Columns of a schema that a guest answers.
const COLUMNS_MAX: usize = 4_096;
/// Bytes of a column's name.
const NAME_BYTES_MAX: usize = 256;

/// The format string of a type; none for types that cannot cross.
fn format(data_type: &DataType) -> Option<&'static str> {
    let is_utc = |zone: &Option<std::sync::Arc<str>>| zone.as_deref() == Some("UTC");
    Some(match data_type {
        DataType::Boolean => "b",
        DataType::Int8 => "c",
        DataType::UInt8 => "C",
        DataType::Int16 => "s",
        DataType::UInt16 => "S",
        DataType::Int32 => "i",
        DataType::UInt32 => "I",
        DataType::Int64 => "l",
        DataType::UInt64 => "L",
        DataType::Float32 => "f",
        DataType::Float64 => "g",
        DataType::Utf8 => "u",
        DataType::Binary => "z",
        DataType::Date32 => "tdD",
        DataType::Timestamp(unit, zone) if zone.is_none() || is_utc(zone) => match (unit, zone) {
            (TimeUnit::Second, None) => "tss:",
            (TimeUnit::Millisecond, None) => "tsm:",
            (TimeUnit::Microsecond, None) => "tsu:",
            (TimeUnit::Nanosecond, None) => "tsn:",
            (TimeUnit::Second, _) => "tss:UTC",
            (TimeUnit::Millisecond, _) => "tsm:UTC",
            (TimeUnit::Microsecond, _) => "tsu:UTC",
            (TimeUnit::Nanosecond, _) => "tsn:UTC",
        },
        _ => return None,
    })
}

/// The type of a format string; none for those that cannot cross.
fn data_type(format: &str) -> Option<DataType> {
    let timestamp = |unit| {
        let zone = match &format[4..] {
            "" => None,
            "UTC" => Some("UTC".into()),
            _ => return None,
        };
        Some(DataType::Timestamp(unit, zone))
    };
    Some(match format {
        "b" => DataType::Boolean,
        "c" => DataType::Int8,
        "C" => DataType::UInt8,
        "s" => DataType::Int16,
        "S" => DataType::UInt16,
        "i" => DataType::Int32,
        "I" => DataType::UInt32,
        "l" => DataType::Int64,
        "L" => DataType::UInt64,
        "f" => DataType::Float32,
        "g" => DataType::Float64,
        "u" => DataType::Utf8,
        "z" => DataType::Binary,
        "tdD" => DataType::Date32,
        _ if format.starts_with("tss:") => timestamp(TimeUnit::Second)?,
        _ if format.starts_with("tsm:") => timestamp(TimeUnit::Millisecond)?,
        _ if format.starts_with("tsu:") => timestamp(TimeUnit::Microsecond)?,
        _ if format.starts_with("tsn:") => timestamp(TimeUnit::Nanosecond)?,
        _ => return None,
    })
}

/// The format strings of all columns.
pub(crate) fn formats(schema: &Schema) -> Result<Vec<&'static str>, CallError> {
    let format = |field: &arrow_schema::FieldRef| {
        format(field.data_type()).ok_or_else(|| CallError::UnsupportedType {
            column: field.name().clone(),
            data_type: field.data_type().to_string(),
        })
    };
    schema.fields().iter().map(format).collect()
}

/// The schema as the guest gets it.
pub(crate) fn fields<'a>(schema: &'a Schema, formats: &'a [&'static str]) -> Vec<FieldParam<'a>> {
    let fields = schema.fields().iter().zip(formats);
    fields
        .map(|(field, data_type)| FieldParam { name: field.name(), data_type, nullable: field.is_nullable() })
        .collect()
}

/// The schema that a guest answered.
pub(crate) fn schema(fields: &[FieldResult]) -> Result<Schema, Fault> {
    let unusable = |what: String| Err(Fault::InvalidSchema { what });
    if fields.len() > COLUMNS_MAX {
        return unusable(format!("{} columns; at most {COLUMNS_MAX}", fields.len()));
    }
    let mut names = std::collections::HashSet::new();
    let mut schema = Vec::with_capacity(fields.len());
    for FieldResult { name, data_type: format, nullable } in fields {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return unusable(format!(
                "the column name `{}`; it must have 1 to {NAME_BYTES_MAX} bytes",
                cut(name, 100)
            ));
        }
        if !names.insert(name) {
            return unusable(format!("two columns are called `{name}`"));
        }
        let Some(data_type) = data_type(format) else {
            return unusable(format!(
                "column `{name}` has the format `{}`; known are b, c, C, s, S, i, I, l, L, f, g, u, z, tdD and \
                 tss:, tsm:, tsu:, tsn: with no zone or UTC",
                cut(format, 100)
            ));
        };
        schema.push(Field::new(name, data_type, *nullable));
    }
    Ok(Schema::new(schema))
}
