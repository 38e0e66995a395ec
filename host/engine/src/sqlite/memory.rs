//! Databases in memory over arrow's rows: for statements of SQL, which store nothing.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::{CivilText, bound_columns};
use crate::batch::type_name;

/// A text or blob that a statement makes may have so many bytes.
const VALUE_BYTES_MAX: i32 = 256 * 1024 * 1024;

/// An empty database in memory.
///
/// # Errors
/// When SQLite has no room for it.
pub(crate) fn open_in_memory() -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_MEMORY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(":memory:", flags)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)?;
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;")?;
    Ok(db)
}

/// Makes a table without rows.
///
/// # Errors
/// When there is one of this name, or too many columns.
pub(crate) fn create_table(db: &Connection, table: &str, schema: &Schema) -> rusqlite::Result<()> {
    db.execute_batch(&create(table, schema))
}

/// Replaces the rows of a table.
///
/// # Errors
/// When memory is short.
pub(crate) fn fill<'a>(
    db: &Connection,
    table: &str,
    parts: impl IntoIterator<Item = &'a RecordBatch>,
) -> rusqlite::Result<()> {
    db.execute_batch(&format!("BEGIN; DELETE FROM {}", quoted(table)))?;
    let mut text = CivilText::default();
    for rows in parts {
        // The plan has only types that SQLite has values for.
        let columns = bound_columns(rows).unwrap_or_default();
        let places = vec!["?"; columns.len()].join(", ");
        let mut insert = db.prepare_cached(&format!("INSERT INTO {} VALUES ({places})", quoted(table)))?;
        for row in 0..rows.num_rows() {
            for (place, column) in (1..).zip(&columns) {
                column.bind(&mut insert, place, row, &mut text)?;
            }
            insert.raw_execute()?;
        }
    }
    db.execute_batch("COMMIT")
}

fn create(table: &str, schema: &Schema) -> String {
    let columns = schema.fields().iter();
    let columns: Vec<String> =
        columns.map(|field| format!("{} {}", quoted(field.name()), declared(field.data_type()))).collect();
    format!("CREATE TABLE {} ({})", quoted(table), columns.join(", "))
}

/// Our name of a type, by which its columns are known again, and a word that tells SQLite how to keep its
/// values: by parts of the declared name, <https://sqlite.org/datatype3.html#determination_of_column_affinity>.
fn declared(data_type: &DataType) -> String {
    let name = type_name(data_type);
    match data_type {
        DataType::Utf8 | DataType::Date32 | DataType::Timestamp(..) => format!("{name} text"),
        DataType::Binary => format!("{name} blob"),
        _ => name,
    }
}

/// A name as statements have it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
