//! Tables: rows that stay while streams pass, read as a whole. A file a kind; each keeps the law of
//! `millstream_engine::table::TableReader`.

mod file;
mod sqlite;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use millstream_engine::pipeline::{SpecError, unknown_name};
use millstream_engine::table::TableReader;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The kinds of tables, by their `type`.
pub(crate) const KINDS: [&str; 2] = ["file", "sqlite"];

/// Checks a table's spec: `kind` is its `type`, `config` its remaining keys. Nothing is read.
pub(crate) fn plan(kind: &str, config: Map<String, Value>) -> Result<Arc<dyn TableReader>, SpecError> {
    match kind {
        "file" => file::plan(config),
        "sqlite" => sqlite::plan(config),
        _ => Err(SpecError::new("type", unknown_name("value", kind, &KINDS))),
    }
}

/// The JSON Schema of each kind's keys, by kind.
pub(crate) fn json_schemas() -> BTreeMap<&'static str, Schema> {
    let generator =
        || SchemaSettings::default().with(|settings| settings.inline_subschemas = true).into_generator();
    let [file, sqlite] = KINDS;
    let schemas = [
        (file, generator().into_root_schema_for::<file::FileTableSpec>()),
        (sqlite, generator().into_root_schema_for::<sqlite::SqliteTableSpec>()),
    ];
    schemas.into()
}

/// What tells one state of a file from another without reading it.
fn stamp(path: &str, file: &Metadata) -> String {
    format!("{path} {} {} {}.{:09}", file.ino(), file.len(), file.mtime(), file.mtime_nsec())
}

#[cfg(test)]
mod tests;
