//! The database in memory that statements run in: a table for the batch and one for each table.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use rusqlite::Connection;

use super::{INPUT, SqlParts, functions};
use crate::sqlite::memory::{create_table, open_in_memory, quoted};

/// A database with the empty tables of a step; `now_us` is what its date functions call now.
pub(super) fn open(parts: &SqlParts, now_us: &Arc<AtomicI64>) -> rusqlite::Result<Connection> {
    let db = open_in_memory()?;
    functions::register(&db, now_us)?;
    create_table(&db, INPUT, &parts.input)?;
    for table in &parts.tables {
        let name = table.view.name();
        create_table(&db, name, table.view.schema())?;
        if !table.index.is_empty() {
            let columns: Vec<String> = table.index.iter().map(|column| quoted(column)).collect();
            let index = quoted(&format!("{name} (index)"));
            let columns = columns.join(", ");
            db.execute_batch(&format!("CREATE INDEX {index} ON {} ({columns})", quoted(name)))?;
        }
    }
    Ok(db)
}
