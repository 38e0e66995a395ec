//! `type: sqlite`: a table of a SQLite database, or what a query gives. SQLite does not hold its columns to
//! a type, so the spec says the types and every value is checked.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, SchemaRef};
use millstream_engine::batch::Chunk;
use millstream_engine::pipeline::{SpecError, read};
use millstream_engine::source::SourceError;
use millstream_engine::sqlite::ValueColumn;
use millstream_engine::table::{TableBounds, TableRead, TableReader, TableRows};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::stamp;
use crate::formats::{Columns, Wire};

/// How long a read waits while another program changes the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The keys of a table of SQLite; either `table` or `query`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SqliteTableSpec {
    /// The database file.
    path: String,
    /// A table or view, of which the columns of `schema` are read.
    table: Option<String>,
    /// A SELECT whose result is the table.
    query: Option<String>,
    /// Columns and their types, in order. Dates and timestamps are text, or whole numbers since 1970
    /// (`timestamp_ms`).
    #[schemars(with = "crate::formats::ColumnsSchema")]
    schema: Option<Map<String, Value>>,
}

struct SqliteTable {
    path: String,
    query: String,
    /// For people: `table cities`, `the query`.
    what: String,
    columns: Columns,
}

/// Checks the spec.
pub(super) fn plan(config: Map<String, Value>) -> Result<Arc<dyn TableReader>, SpecError> {
    let spec: SqliteTableSpec = read(Value::Object(config))?;
    let Some(schema) = spec.schema else {
        let message =
            "SQLite does not say of what type a column is: write `schema: { id: int64, name: utf8 }`";
        return Err(SpecError::new("schema", message));
    };
    let columns = Columns::read(&schema).map_err(|error| error.under("schema"))?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (query, what) = match (spec.table, spec.query) {
        (Some(table), None) => {
            let names: Vec<String> =
                columns.schema().fields().iter().map(|field| quoted(field.name())).collect();
            // A name that is no column would be a text to SQLite, if it did not stand behind the table's.
            let names: Vec<String> = names.iter().map(|name| format!("t.{name}")).collect();
            (format!("SELECT {} FROM {} AS t", names.join(", "), quoted(&table)), format!("table `{table}`"))
        }
        (None, Some(query)) => (query, "the query".to_owned()),
        _ => return Err(SpecError::new("", "say either `table`, its name, or `query`, a SELECT")),
    };
    Ok(Arc::new(SqliteTable { path: spec.path, query, what, columns }))
}

impl SqliteTable {
    fn failed(&self, message: impl std::fmt::Display) -> SourceError {
        SourceError::Permanent(format!("{}: {message}", self.path))
    }

    fn sqlite(&self, error: &rusqlite::Error) -> SourceError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SystemIoFailure) => {
                SourceError::Transient(format!("{}: {error}", self.path))
            }
            _ => self.failed(format!("{}: {error}", self.what)),
        }
    }

    /// The database and its write-ahead log.
    fn stamp(&self) -> Result<String, SourceError> {
        let main = fs::metadata(&self.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                self.failed("there is no such file: correct `path` or put the database there")
            }
            _ => self.failed(error),
        })?;
        let wal = format!("{}-wal", self.path);
        let log = fs::metadata(&wal).map(|file| stamp(&wal, &file)).unwrap_or_default();
        Ok(format!("{}; {log}", stamp(&self.path, &main)))
    }

    /// By column of the schema, which column of the statement it is.
    fn places(&self, statement: &Statement<'_>) -> Result<Vec<usize>, SourceError> {
        let names: Vec<&str> = statement.column_names().collect();
        let place = |field: &Arc<Field>| {
            names.iter().position(|name| *name == field.name()).ok_or_else(|| {
                let (what, names) = (&self.what, names.join(", "));
                self.failed(format!("{what} has no column `{}`; there are: {names}", field.name()))
            })
        };
        self.columns.schema().fields().iter().map(place).collect()
    }

    fn empty_columns(&self) -> Result<Vec<ValueColumn>, SourceError> {
        let fields = self.columns.schema().fields().iter().enumerate();
        let column = |(i, field): (usize, &Arc<Field>)| match self.columns.wire(i) {
            Wire::Epoch(unit_us) => Ok(ValueColumn::of_epochs(unit_us)),
            Wire::Same | Wire::Parsed => ValueColumn::new(field.data_type())
                .ok_or_else(|| self.failed(format!("SQLite has no values for column `{}`", field.name()))),
        };
        fields.map(column).collect()
    }

    fn rows(&self, db: &Connection, all: &mut TableRows) -> Result<(), SourceError> {
        let mut statement = db.prepare(&self.query).map_err(|error| self.sqlite(&error))?;
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(self.failed("`query` is to be a SELECT, which gives rows and changes nothing"));
        }
        let places = self.places(&statement)?;
        let schema = self.columns.schema();
        let mut columns = self.empty_columns()?;
        let mut rows = statement.raw_query();
        let (mut number, mut held) = (0u64, 0);
        loop {
            let row = rows.next().map_err(|error| self.sqlite(&error))?;
            if held == Chunk::ROWS_TARGET || (row.is_none() && held > 0) {
                let arrays = columns.iter_mut().map(ValueColumn::finish).collect();
                let options = RecordBatchOptions::new().with_row_count(Some(held));
                let part = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options);
                all.push(part.map_err(|error| self.failed(error))?)?;
                held = 0;
            }
            let Some(row) = row else { return Ok(()) };
            number += 1;
            held += 1;
            for ((column, place), field) in columns.iter_mut().zip(&places).zip(schema.fields()) {
                let value = row.get_ref(*place).map_err(|error| self.sqlite(&error))?;
                let misfit = |why: String| {
                    let message = format!("{}, row {number}: column `{}` is {why}", self.what, field.name());
                    self.failed(message)
                };
                if !field.is_nullable() && value == rusqlite::types::ValueRef::Null {
                    return Err(misfit("null, and is `nullable: false`".to_owned()));
                }
                column.push(value).map_err(misfit)?;
            }
        }
    }
}

impl TableReader for SqliteTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.schema())
    }

    fn read(&self, seen: Option<&str>, bounds: TableBounds) -> Result<Option<TableRead>, SourceError> {
        // Before the rows: what is written meanwhile is seen at the next look.
        let stamp = self.stamp()?;
        if seen == Some(stamp.as_str()) {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags).map_err(|error| self.sqlite(&error))?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(|error| self.sqlite(&error))?;
        let mut rows = TableRows::new(self.schema(), bounds);
        self.rows(&db, &mut rows)?;
        Ok(Some(TableRead { rows: rows.finish()?, stamp }))
    }
}
