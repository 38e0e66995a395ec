//! What a pipeline has written, as sorted lines of text that can be compared and read.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// The rows of a table, a line each: values with ` | ` between, text as a JSON string. None while
/// there is no such table: a sink makes it when it opens.
///
/// # Panics
/// When the table cannot be read.
#[must_use]
pub fn table_rows(database: &Path, table: &str) -> Vec<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).expect("the sink's database");
    if !connection.table_exists(None, table).expect("the sink's database") {
        return Vec::new();
    }
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\"")).expect("the sink's table");
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..columns).map(|column| row.get_ref(column).map(cell));
        Ok(cells.collect::<Result<Vec<_>, _>>()?.join(" | "))
    });
    let mut lines: Vec<String> = rows.and_then(Iterator::collect).expect("the rows can be read");
    lines.sort();
    lines
}

/// The lines of all files of a file sink.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn file_rows(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the sink's folder") {
        let path = entry.expect("an entry of the sink's folder").path();
        // Beside the parts are a manifest and parts that are not whole yet.
        let is_part = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-"));
        if is_part && path.is_file() {
            let text = std::fs::read_to_string(&path).expect("a file of the sink");
            let header = usize::from(path.extension().is_some_and(|extension| extension == "csv"));
            lines.extend(text.lines().skip(header).map(str::to_owned));
        }
    }
    lines.sort();
    lines
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(text) => serde_json::Value::from(String::from_utf8_lossy(text)).to_string(),
        ValueRef::Blob(bytes) => {
            format!("x'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}
