//! The column types that a pipeline can hold, and their names in specs and documents.

use std::fmt;

use arrow_schema::{DataType, TimeUnit};

/// Timestamps are microseconds since the Unix epoch in UTC, everywhere in the engine.
#[must_use]
pub fn timestamp_us() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The type that a spec calls by `name`.
///
/// # Errors
/// When no type has that name; the message lists those that exist.
pub fn data_type(name: &str) -> Result<DataType, TypeError> {
    Ok(match name {
        "boolean" | "bool" => DataType::Boolean,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "utf8" | "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => timestamp_us(),
        _ => return Err(TypeError { name: name.to_owned() }),
    })
}

/// The name of a type in specs and documents; types the engine does not hold keep arrow's name.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float32 => "float32".into(),
        DataType::Float64 => "float64".into(),
        DataType::Utf8 => "utf8".into(),
        DataType::Binary => "binary".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "timestamp".into(),
        other => format!("{other:?}"),
    }
}

/// No type has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeError {
    name: String,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no type is called `{}`; there are boolean, int32, int64, float32, float64, utf8, binary, date, timestamp",
            self.name
        )
    }
}

impl std::error::Error for TypeError {}
