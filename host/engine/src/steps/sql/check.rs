//! What a statement may do, and of what types its result is: asked of SQLite at deployment.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::functions::REFUSED;
use super::{INPUT, SqlError, SqlParts, database};
use crate::batch::data_type;
use crate::sqlite::memory::quoted;
use crate::sqlite::{ValueColumn, said};

/// The view that stands for the result; no statement can name it by chance.
const RESULT: &str = "(result)";

/// The columns of the statement's result.
pub(super) fn result_schema(parts: &SqlParts) -> Result<SchemaRef, SqlError> {
    check_tables(parts)?;
    let mut db = database::open(parts, &Arc::new(AtomicI64::new(0)))
        .map_err(|error| SqlError::new("", format!("its rows do not go into SQLite: {}", said(&error))))?;
    let names = check_statement(&mut db, parts)?;
    let declared = declared_types(&db, parts).map_err(|error| SqlError::new("sql", said(&error)))?;
    let mut fields = Vec::with_capacity(names.len());
    let mut seen = BTreeSet::new();
    for (name, declared) in names.iter().zip(&declared) {
        if !seen.insert(name.to_ascii_lowercase()) {
            let message =
                format!("two columns of the result are called `{name}`: give one another name with AS");
            return Err(SqlError::new("sql", message));
        }
        fields.push(Field::new(name, column_type(parts, name, declared)?, true));
    }
    if let Some(unknown) = parts.types.keys().find(|name| !names.contains(name)) {
        let message = format!("the statement gives no such column; it gives {}", names.join(", "));
        return Err(SqlError::new(format!("schema.{unknown}"), message));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn check_tables(parts: &SqlParts) -> Result<(), SqlError> {
    for table in &parts.tables {
        let name = table.view.name();
        if name.eq_ignore_ascii_case(INPUT) {
            let message = "the rows of the batch are called `input`: give the table another name";
            return Err(SqlError::new(format!("tables.{name}"), message));
        }
        if let Some(column) = table.index.iter().find(|column| table.view.schema().index_of(column).is_err())
        {
            let message = format!("the table has no column `{column}` to find rows by");
            return Err(SqlError::new(format!("tables.{name}"), message));
        }
    }
    Ok(())
}

/// Answers with the names of the result's columns.
fn check_statement(db: &mut Connection, parts: &SqlParts) -> Result<Vec<String>, SqlError> {
    let wrong = |message: String| SqlError::new("sql", message);
    // Guards why the statement was refused, which SQLite calls "not authorized".
    let refusal: Arc<Mutex<Option<String>>> = Arc::default();
    let hook = {
        let refusal = Arc::clone(&refusal);
        move |ctx: AuthContext<'_>| match refused(&ctx.action) {
            None => Authorization::Allow,
            Some(why) => {
                refusal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
                Authorization::Deny
            }
        }
    };
    db.authorizer(Some(hook)).map_err(|error| wrong(said(&error)))?;
    let checked = match db.prepare(&parts.statement) {
        Ok(statement) if statement.column_count() == 0 || !statement.readonly() => {
            Err("it is to be a SELECT, which gives rows and changes nothing".to_owned())
        }
        Ok(statement) if statement.parameter_count() > 0 => {
            Err("it has parameters (`?`, `:name`), and nothing to put there: write the values".to_owned())
        }
        Ok(statement) => Ok(statement.column_names().map(str::to_owned).collect()),
        Err(rusqlite::Error::MultipleStatement) => {
            Err("these are several statements: write one SELECT".to_owned())
        }
        Err(error) => {
            Err(refusal.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| {
                let said = said(&error);
                let hint = if said.starts_with("no such table") {
                    "; the rows of the batch are called `input`, and tables are to be named in `tables`"
                } else {
                    ""
                };
                format!("{said}{hint}")
            }))
        }
    };
    db.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(|error| wrong(said(&error)))?;
    let names = checked.map_err(wrong)?;
    let lower = parts.statement.to_ascii_lowercase();
    if let Some(word) = ["'localtime'", "'utc'"].into_iter().find(|word| lower.contains(word)) {
        return Err(wrong(format!(
            "{word} depends on the machine's time zone, and a batch that runs again has to give the same: add the hours \
             yourself, as in '+2 hours'"
        )));
    }
    Ok(names)
}

/// Why a statement may not do this, if it may not.
fn refused(action: &AuthAction<'_>) -> Option<String> {
    match action {
        AuthAction::Select | AuthAction::Recursive => None,
        AuthAction::Read { table_name, .. } => {
            let is_inner = ["sqlite_", "pragma_"].iter().any(|start| table_name.starts_with(start));
            is_inner.then(|| format!("`{table_name}` is SQLite's own: read `input` and the tables"))
        }
        AuthAction::Function { function_name } => {
            let found = REFUSED.iter().find(|(name, _)| function_name.eq_ignore_ascii_case(name));
            found.map(|(name, why)| format!("{name}() {why}"))
        }
        _ => Some("it is to be a SELECT, which gives rows and changes nothing".to_owned()),
    }
}

/// What SQLite says of the types of the result's columns. A view has them, and the statement does not run.
fn declared_types(db: &Connection, parts: &SqlParts) -> rusqlite::Result<Vec<String>> {
    let view = quoted(RESULT);
    db.execute_batch(&format!("CREATE TEMP VIEW {view} AS {}", parts.statement))?;
    let mut statement = db.prepare("SELECT type FROM pragma_table_info(?1) ORDER BY cid")?;
    let rows = statement.query_map([RESULT], |row| row.get(0))?;
    rows.collect()
}

/// As the spec says; else as the column was declared, for a column of a table; else as a CAST says.
fn column_type(parts: &SqlParts, name: &str, declared: &str) -> Result<DataType, SqlError> {
    if let Some(given) = parts.types.get(name) {
        return match ValueColumn::new(given) {
            Some(_) => Ok(given.clone()),
            None => Err(SqlError::new(format!("schema.{name}"), "SQLite has no values of this type")),
        };
    }
    match declared.split(' ').next().unwrap_or_default() {
        "INT" => Ok(DataType::Int64),
        "REAL" => Ok(DataType::Float64),
        "TEXT" => Ok(DataType::Utf8),
        own => data_type(own).map_err(|_| {
            let message = format!(
                "SQLite does not say of what type column `{name}` is, which is computed: say it in the step's `schema: {{ \
                 {name}: int64 }}`, or in the statement: CAST(… AS INTEGER), REAL or TEXT"
            );
            SqlError::new("sql", message)
        }),
    }
}
