//! The sinks by name. Planning looks at the spec alone; files and databases are touched when the
//! pipeline opens its sink, and rows are visible when a batch is committed.

mod file;
mod sqlite;
mod stdout;
mod text;

#[cfg(test)]
mod testing;

use std::io;
use std::path::Path;

use millstream_engine::pipeline::{SinkPlan, SpecError, read, unknown_name};
use millstream_engine::sink::SinkError;
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::file::{FilePlan, FileSpec};
use self::sqlite::{SqlitePlan, SqliteSpec};
use self::stdout::{StdoutPlan, StdoutSpec};

pub use self::stdout::line_sink;

/// The kinds of sink there are, as a spec's `type` names them.
pub const KINDS: [&str; 3] = ["sqlite", "file", "stdout"];

/// Checks a sink's spec: `kind` is its `type`, `config` its remaining keys. Nothing is opened.
///
/// # Errors
/// An unknown kind or key (with the nearest known one), or a value that makes no sense, with the
/// path of the key below the entry.
pub fn plan(kind: &str, config: Map<String, Value>) -> Result<Box<dyn SinkPlan>, SpecError> {
    Ok(match kind {
        "sqlite" => Box::new(SqlitePlan::new(parse::<SqliteSpec>(config)?)?),
        "file" => Box::new(FilePlan::new(parse::<FileSpec>(config)?)?),
        "stdout" => {
            parse::<StdoutSpec>(config)?;
            Box::new(StdoutPlan)
        }
        unknown => return Err(SpecError::new("type", unknown_name("sink type", unknown, &KINDS))),
    })
}

/// The JSON Schema of each kind's keys (without `type` and `from`), by kind.
#[must_use]
pub fn json_schemas() -> Map<String, Value> {
    [
        ("sqlite", schema_of::<SqliteSpec>()),
        ("file", schema_of::<FileSpec>()),
        ("stdout", schema_of::<StdoutSpec>()),
    ]
    .into_iter()
    .map(|(kind, schema)| (kind.to_owned(), schema))
    .collect()
}

/// What the machine said about a file or folder of a sink.
fn io_error(path: &Path, error: &io::Error) -> SinkError {
    let message = format!("{}: {error}", path.display());
    if is_full(error) { SinkError::Full(message) } else { SinkError::Transient(message) }
}

/// There is no room, for everybody or for this user.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn parse<T: DeserializeOwned>(config: Map<String, Value>) -> Result<T, SpecError> {
    read(Value::Object(config))
}

fn schema_of<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(kind: &str, config: Value) -> String {
        let Value::Object(config) = config else { panic!("a test's config is an object") };
        plan(kind, config).err().expect("the spec is refused").to_string()
    }

    #[test]
    fn unknown_kind_names_the_nearest() {
        let message = refused("sqllite", json!({}));
        assert_eq!(
            message,
            "type: unknown sink type `sqllite`: did you mean `sqlite`? (known: sqlite, file, stdout)"
        );
    }

    #[test]
    fn unknown_key_names_the_nearest() {
        let message = refused("sqlite", json!({ "path": "a.db", "tabel": "t" }));
        assert!(message.contains("unknown key `tabel`: did you mean `table`?"), "{message}");
        let message = refused("stdout", json!({ "path": "a" }));
        assert!(message.contains("unknown key `path`"), "{message}");
    }

    #[test]
    fn every_kind_has_a_schema() {
        let schemas = json_schemas();
        assert_eq!(schemas.keys().collect::<Vec<_>>(), KINDS.iter().collect::<Vec<_>>());
        assert_eq!(schemas["sqlite"]["additionalProperties"], json!(false));
        assert_eq!(schemas["file"]["required"], json!(["path"]));
    }
}
