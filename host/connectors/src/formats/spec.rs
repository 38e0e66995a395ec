//! What a user writes about a format, and its checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_engine::pipeline::SpecError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::csv::CsvConfig;
use super::{Columns, Format};

/// Bytes a record may have unless the spec says otherwise.
const MAX_RECORD_BYTES: u64 = 1024 * 1024;
/// A record is held in memory as a whole, so there is an end to it.
const MAX_RECORD_BYTES_LIMIT: u64 = 256 * 1024 * 1024;

/// The formats of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FormatKind {
    /// A line is a row with the one column `value`.
    Text,
    /// A line is a JSON object.
    Ndjson,
    /// Comma-separated values.
    Csv,
    /// Parquet files.
    Parquet,
}

impl FormatKind {
    /// The name in specs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// The keys of a format; every source that has one spells them the same.
#[derive(Clone, Debug)]
pub struct FormatSpec {
    /// `format`.
    pub kind: FormatKind,
    /// `schema`: the columns and their types, in order; none for text.
    pub schema: Option<Map<String, Value>>,
    /// `max_record_bytes`: a longer record is a dead letter; 1 MiB unless given.
    pub max_record_bytes: Option<u64>,
    /// `csv`: only with `format: csv`.
    pub csv: Option<CsvSpec>,
}

/// How CSV is written.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvSpec {
    /// One ASCII character between fields; `,` unless given.
    pub delimiter: Option<String>,
    /// Whether the first record names the columns; true unless given.
    pub header: Option<bool>,
    /// One ASCII character around fields that hold delimiters or newlines; `"` unless given.
    pub quote: Option<String>,
}

/// For the published schema only: what a column may be.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used; columns are read by hand for better messages")]
pub(crate) enum ColumnSpec {
    /// `boolean`, `int32`, `int64`, `float32`, `float64`, `utf8`, `binary`, `date`, `timestamp` (RFC
    /// 3339 text), or `timestamp_s`, `timestamp_ms`, `timestamp_us` (whole numbers since 1970).
    Type(String),
    /// A type and whether null is a value of the column.
    Full {
        /// The type.
        r#type: String,
        /// True unless given.
        nullable: Option<bool>,
    },
}

/// For the published schema only: columns by name, in order.
pub(crate) type ColumnsSchema = Option<BTreeMap<String, ColumnSpec>>;

impl FormatSpec {
    /// Checks the keys.
    ///
    /// # Errors
    /// What is wrong, with the key's path.
    pub(crate) fn check(self) -> Result<Arc<Format>, SpecError> {
        let columns = match (self.kind, self.schema) {
            (FormatKind::Text, None) => Columns::text(),
            (FormatKind::Text, Some(_)) => {
                return Err(SpecError::new("schema", "text has the one column `value`: leave `schema` out"));
            }
            (kind, None) => {
                let message =
                    format!("format {} needs the columns: schema: {{ id: int64, name: utf8 }}", kind.name());
                return Err(SpecError::new("schema", message));
            }
            (_, Some(schema)) => Columns::read(&schema).map_err(|error| error.under("schema"))?,
        };
        if self.csv.is_some() && self.kind != FormatKind::Csv {
            let message =
                format!("only `format: csv` has these keys, and the format is {}", self.kind.name());
            return Err(SpecError::new("csv", message));
        }
        let csv = CsvConfig::read(&self.csv.unwrap_or_default()).map_err(|error| error.under("csv"))?;
        let max_record_bytes = max_record_bytes(self.max_record_bytes)?;
        Ok(Arc::new(Format { kind: self.kind, columns, max_record_bytes, csv }))
    }
}

fn max_record_bytes(given: Option<u64>) -> Result<usize, SpecError> {
    let bytes = given.unwrap_or(MAX_RECORD_BYTES);
    if !(1..=MAX_RECORD_BYTES_LIMIT).contains(&bytes) {
        let message = format!("{bytes} is out of range: from 1 to {MAX_RECORD_BYTES_LIMIT}");
        return Err(SpecError::new("max_record_bytes", message));
    }
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
