//! Questions in SQL over state and tables: one SELECT of SQLite in a database of its own, which holds what the
//! statement reads and nothing else.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode};
use serde_json::Value;

use crate::sqlite::memory::{create_table, fill, open_in_memory};
use crate::sqlite::said;

/// Rows that a question may read in all: they are copied into memory.
pub const ROWS_READ_MAX: u64 = 5_000_000;

/// SQLite's instructions from one look at the clock to the next: some ten microseconds.
const LOOK_EVERY: i32 = 1000;

/// Time since some fixed moment.
pub type Elapsed = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How much a question may give, and how long it may take.
#[derive(Clone)]
pub struct QueryLimits {
    /// At most so many rows.
    pub rows: usize,
    /// At most so long, once all is read.
    pub deadline: Duration,
    /// What that is measured by.
    pub elapsed: Elapsed,
}

/// What a question gave.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Rows of as many values; bytes are written in hexadecimal digits.
    pub rows: Vec<Vec<Value>>,
    /// There are more rows than these.
    pub more: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// The statement is wrong, or may not be asked.
    Statement(String),
    /// It reads or takes more than it may.
    TooMuch(String),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(message) | Self::TooMuch(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for QueryError {}

/// A statement that was checked, and the tables that it reads.
#[derive(Debug)]
pub struct Query {
    db: Connection,
    statement: String,
    reads: BTreeSet<String>,
}

impl Query {
    /// Checks a statement against tables of these names, which are empty as yet.
    ///
    /// # Errors
    /// When it is no SELECT over them.
    pub fn new(statement: &str, tables: &[(String, SchemaRef)]) -> Result<Self, QueryError> {
        let sqlite = |error: rusqlite::Error| QueryError::Statement(said(&error));
        let mut db = open_in_memory().map_err(sqlite)?;
        for (name, schema) in tables {
            create_table(&db, name, schema).map_err(sqlite)?;
        }
        let reads = check(&mut db, statement, tables)?;
        Ok(Self { db, statement: statement.to_owned(), reads })
    }

    /// Whether the statement reads the table of this name.
    #[must_use]
    pub fn reads(&self, table: &str) -> bool {
        self.reads.contains(table)
    }

    /// Gives a table its rows.
    ///
    /// # Errors
    /// When a column has no form in SQLite.
    pub fn fill(&self, table: &str, rows: &[RecordBatch]) -> Result<(), QueryError> {
        fill(&self.db, table, rows).map_err(|error| QueryError::Statement(said(&error)))
    }

    /// The answer.
    ///
    /// # Errors
    /// When the statement fails over these rows, or takes too long.
    pub fn run(mut self, limits: &QueryLimits) -> Result<QueryRows, QueryError> {
        let end = (limits.elapsed)().saturating_add(limits.deadline);
        let elapsed = Arc::clone(&limits.elapsed);
        self.db
            .progress_handler(LOOK_EVERY, Some(move || elapsed() > end))
            .and_then(|()| answer(&self.db, &self.statement, limits.rows))
            .map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => QueryError::TooMuch(format!(
                    "the statement took longer than {:?}: ask for less at a time",
                    limits.deadline
                )),
                _ => QueryError::Statement(said(&error)),
            })
    }
}

/// Answers with the tables that the statement reads.
fn check(
    db: &mut Connection,
    statement: &str,
    tables: &[(String, SchemaRef)],
) -> Result<BTreeSet<String>, QueryError> {
    // Guards what SQLite tells of the statement while it prepares it: what is read, and whether it may be.
    let told: Arc<Mutex<(BTreeSet<String>, bool)>> = Arc::default();
    let hook = {
        let told = Arc::clone(&told);
        move |ctx: AuthContext<'_>| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            match ctx.action {
                AuthAction::Read { table_name, .. } if !table_name.starts_with("sqlite_") => {
                    told.0.insert(table_name.to_owned());
                }
                AuthAction::Select | AuthAction::Recursive => {}
                AuthAction::Function { function_name } if function_name != "load_extension" => {}
                _ => {
                    told.1 = true;
                    return Authorization::Deny;
                }
            }
            Authorization::Allow
        }
    };
    let no_select = || "this is to be one SELECT over state and tables, which changes nothing".to_owned();
    let wrong = |error: rusqlite::Error| QueryError::Statement(said(&error));
    db.authorizer(Some(hook)).map_err(wrong)?;
    let checked = match db.prepare(statement) {
        Ok(prepared) if prepared.column_count() == 0 || !prepared.readonly() => Err(no_select()),
        Ok(prepared) if prepared.parameter_count() > 0 => {
            Err("it has parameters (`?`, `:name`), and nothing to put there: write the values".to_owned())
        }
        Ok(_) => Ok(()),
        Err(rusqlite::Error::MultipleStatement) => Err(no_select()),
        Err(_) if told.lock().unwrap_or_else(PoisonError::into_inner).1 => Err(no_select()),
        Err(error) => Err(explained(&said(&error), tables)),
    };
    db.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(wrong)?;
    checked.map_err(QueryError::Statement)?;
    let read = std::mem::take(&mut told.lock().unwrap_or_else(PoisonError::into_inner).0);
    // SQLite does not mind how a name is written.
    let names = tables.iter().map(|(name, _)| name);
    Ok(names.filter(|name| read.iter().any(|read| read.eq_ignore_ascii_case(name))).cloned().collect())
}

fn explained(said: &str, tables: &[(String, SchemaRef)]) -> String {
    if !said.starts_with("no such table") {
        return said.to_owned();
    }
    let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
    match names.as_slice() {
        [] => format!("{said}: the pipeline has neither tables nor steps that remember something"),
        names => format!("{said}: there are {}", names.join(", ")),
    }
}

fn answer(db: &Connection, statement: &str, rows_max: usize) -> rusqlite::Result<QueryRows> {
    let mut prepared = db.prepare(statement)?;
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let mut found = prepared.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        if rows.len() == rows_max {
            return Ok(QueryRows { columns, rows, more: true });
        }
        let values = (0..columns.len()).map(|place| row.get_ref(place).map(value));
        rows.push(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok(QueryRows { columns, rows, more: false })
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::from(number),
        // What JSON has no number for is written as SQLite would.
        ValueRef::Real(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| Value::from(number.to_string()), Value::Number),
        ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => {
            Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}
