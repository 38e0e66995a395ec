//! Rows in a table of a SQLite database. The rows of a batch and its number are committed in one
//! transaction, so a batch is there once whatever crashes; other sinks and other programs may use
//! the database at the same time.
//!
//! How values are stored: booleans as 0 and 1; integers and floats as they are (SQLite has no NaN:
//! it becomes NULL); timestamps and dates as text that SQLite's date functions read and that sorts
//! as time does (`2026-11-22T13:04:58.000000Z`, `2026-11-22`); binary values as blobs.

mod error;
mod order;
mod sink;
mod sql;
mod table;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use arrow_schema::Schema;
use millstream_engine::batch::type_name;
use millstream_engine::pipeline::{SinkCtx, SinkPlan, SpecError, unknown_name};
use millstream_engine::sink::{Sink, SinkError, SinkPromise};
use schemars::JsonSchema;
use serde::Deserialize;

use self::sink::SqliteSink;
use self::sql::same_name;

/// How long a commit waits while another program writes to the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite's own limit of columns in a table.
const COLUMNS_MAX: usize = 2000;

/// Writes rows to a table of a SQLite database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SqliteSpec {
    /// The database file.
    path: String,
    /// The table.
    table: String,
    /// The columns that tell rows apart; a row replaces the one with the same key.
    #[serde(default)]
    key: Option<Vec<String>>,
    /// `upsert` (the default when there is a key) replaces rows by key, `append` keeps all.
    #[serde(default)]
    mode: Option<Mode>,
    /// Makes the database and the table when they do not exist; true when left out.
    #[serde(default = "yes")]
    create: bool,
}

/// What happens to a row whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Every row is kept.
    Append,
    /// The newer row replaces the older one.
    Upsert,
}

const fn yes() -> bool {
    true
}

/// A sound spec. Rows are appended when `key` is empty, replaced by key otherwise.
#[derive(Clone, Debug)]
pub(super) struct SqlitePlan {
    path: PathBuf,
    table: String,
    key: Vec<String>,
    create: bool,
    busy_timeout: Duration,
}

impl SqlitePlan {
    /// Checks what the spec says by itself.
    pub(super) fn new(spec: SqliteSpec) -> Result<Self, SpecError> {
        check_path(&spec.path)?;
        check_table(&spec.table)?;
        let key = spec.key.unwrap_or_default();
        match (spec.mode, key.is_empty()) {
            (Some(Mode::Upsert), true) => {
                return Err(SpecError::new("key", "upsert needs `key`: the columns that tell rows apart"));
            }
            (Some(Mode::Append), false) => {
                return Err(SpecError::new(
                    "key",
                    "append keeps every row: leave `key` out, or say `mode: upsert`",
                ));
            }
            _ => {}
        }
        let mut seen = HashSet::new();
        if let Some(twice) = key.iter().find(|column| !seen.insert(column.to_ascii_lowercase())) {
            return Err(SpecError::new("key", format!("column `{twice}` is in the key twice")));
        }
        Ok(Self {
            path: spec.path.into(),
            table: spec.table,
            key,
            create: spec.create,
            busy_timeout: BUSY_TIMEOUT,
        })
    }
}

impl SinkPlan for SqlitePlan {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Transactional
    }

    fn promise_reason(&self) -> String {
        "sqlite: the rows and the number of their batch are committed in one transaction".into()
    }

    fn check(&self, input: &Schema) -> Result<(), SpecError> {
        let fields = input.fields();
        if fields.is_empty() || fields.len() > COLUMNS_MAX {
            let message = format!("a table has 1 to {COLUMNS_MAX} columns, the rows have {}", fields.len());
            return Err(SpecError::new("", message));
        }
        let mut seen = HashSet::new();
        for field in fields {
            let name = field.name();
            if sql::declared_type(field.data_type()).is_none() {
                let known = "boolean, int32, int64, float32, float64, utf8, binary, date, timestamp";
                let found = type_name(field.data_type());
                let message = format!(
                    "column `{name}` is {found}, which a SQLite table cannot hold: cast it in a `select` step to one of {known}"
                );
                return Err(SpecError::new("", message));
            }
            if name.is_empty() || name.contains('\0') {
                return Err(SpecError::new(
                    "",
                    format!("`{}` cannot be a column's name", name.escape_debug()),
                ));
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                let message = format!(
                    "column `{name}` is there twice for SQLite, which ignores case: rename one in a `select` step"
                );
                return Err(SpecError::new("", message));
            }
        }
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        for column in &self.key {
            if !names.iter().any(|name| same_name(name, column)) {
                return Err(SpecError::new("key", unknown_name("column", column, &names)));
            }
        }
        Ok(())
    }

    fn open(self: Box<Self>, ctx: SinkCtx) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(SqliteSink::open(*self, ctx)?))
    }
}

fn check_path(path: &str) -> Result<(), SpecError> {
    let message = match path {
        "" => "say which file the database is in",
        ":memory:" => "rows in a database in memory would be lost: say a file",
        // SQLite would read it as a URI, with options such as a database in memory.
        _ if path.starts_with("file:") => "say a file's path, not a URI",
        _ if path.contains('\0') => "a path cannot contain a zero byte",
        _ => return Ok(()),
    };
    Err(SpecError::new("path", message))
}

fn check_table(table: &str) -> Result<(), SpecError> {
    let lower = table.to_ascii_lowercase();
    let message = if table.is_empty() || table.contains('\0') {
        "say what the table is called"
    } else if lower.starts_with("sqlite_") {
        "names that begin with `sqlite_` belong to SQLite: choose another"
    } else if lower == sql::COMMITS_TABLE {
        "this table keeps the numbers of the batches: choose another name"
    } else {
        return Ok(());
    };
    Err(SpecError::new("table", message))
}
