//! The database in memory that statements run in: a table for the batch and one for each table.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::{INPUT, SqlParts, functions};
use crate::batch::type_name;
use crate::sqlite::{CivilText, bound_columns};

/// A text or blob that a statement makes may have so many bytes.
const VALUE_BYTES_MAX: i32 = 256 * 1024 * 1024;

/// A database with the empty tables of a step; `now_us` is what its date functions call now.
pub(super) fn open(parts: &SqlParts, now_us: &Arc<AtomicI64>) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_MEMORY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(":memory:", flags)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)?;
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;")?;
    functions::register(&db, now_us)?;
    db.execute_batch(&create(INPUT, &parts.input))?;
    for table in &parts.tables {
        let name = table.view.name();
        db.execute_batch(&create(name, table.view.schema()))?;
        if !table.index.is_empty() {
            let columns: Vec<String> = table.index.iter().map(|column| quoted(column)).collect();
            let index = quoted(&format!("{name} (index)"));
            let columns = columns.join(", ");
            db.execute_batch(&format!("CREATE INDEX {index} ON {} ({columns})", quoted(name)))?;
        }
    }
    Ok(db)
}

/// Replaces the rows of a table.
pub(super) fn fill<'a>(
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

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
