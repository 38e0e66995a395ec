//! The table as it is in the database: whether rows of a schema fit, and how they are best written.

use arrow_schema::{DataType, Field};
use millstream_engine::batch::type_name;
use rusqlite::{Connection, OptionalExtension};

use super::sql::{TableSql, declared_type, quoted, same_name};

/// Why rows do not fit: words for a person, or SQLite's own error.
pub(super) enum Misfit {
    /// The table is not what the rows need; the message says what to change.
    Table(String),
    /// The database could not be asked.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Misfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A table that rows fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// Rows may be replaced as a whole: there is nothing else in a row, and nothing hangs on it.
    pub(super) whole_rows: bool,
    /// A key with nulls can be stored.
    pub(super) null_keys: bool,
}

struct Column {
    name: String,
    declared: String,
    not_null: bool,
    has_default: bool,
    key_position: i64,
    generated: bool,
}

/// Whether there is a table (or anything else) of that name.
pub(super) fn exists(db: &Connection, table: &str) -> rusqlite::Result<bool> {
    kind(db, table).map(|found| found.is_some())
}

/// Compares the table with the rows that will come.
pub(super) fn fit(db: &Connection, sql: &TableSql<'_>) -> Result<Fit, Misfit> {
    let table = sql.table;
    let (kind, without_rowid) =
        kind(db, table)?.ok_or_else(|| Misfit::Table(format!("there is no table `{table}`")))?;
    if kind != "table" {
        return Err(Misfit::Table(format!("`{table}` is a {kind}: rows can be written to a table only")));
    }
    let columns = columns(db, table)?;
    for field in sql.schema.fields() {
        check_column(table, &columns, field).map_err(Misfit::Table)?;
    }
    for column in &columns {
        let filled = sql.schema.fields().iter().any(|field| same_name(field.name(), &column.name));
        if !filled && column.not_null && !column.has_default && !column.generated {
            return Err(Misfit::Table(format!(
                "table `{table}` needs a value in column `{}`, which the rows do not have: give it a default",
                column.name
            )));
        }
    }
    if sql.key.is_empty() {
        return Ok(Fit { whole_rows: false, null_keys: true });
    }
    let unique_indexes = check_key(db, sql, &columns, without_rowid)?;
    let key_columns =
        || sql.key.iter().filter_map(|&position| find(&columns, sql.schema.field(position).name()));
    Ok(Fit {
        whole_rows: without_rowid
            && unique_indexes.count == 1
            && columns.len() == sql.schema.fields().len()
            && !has_dependents(db, table)?,
        null_keys: !unique_indexes.is_rowid && !key_columns().any(|column| column.not_null),
    })
}

/// The kind of thing that bears the name, and whether it is a table without rowid.
fn kind(db: &Connection, table: &str) -> rusqlite::Result<Option<(String, bool)>> {
    db.query_row("SELECT type, wr FROM pragma_table_list(?1) WHERE schema = 'main'", [table], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .optional()
}

fn columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut statement = db.prepare(
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1)",
    )?;
    let rows = statement.query_map([table], |row| {
        Ok(Column {
            name: row.get(0)?,
            declared: row.get(1)?,
            not_null: row.get(2)?,
            has_default: row.get(3)?,
            key_position: row.get(4)?,
            generated: row.get::<_, i64>(5)? != 0,
        })
    })?;
    rows.collect()
}

fn find<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    columns.iter().find(|column| same_name(&column.name, name))
}

fn check_column(table: &str, columns: &[Column], field: &Field) -> Result<(), String> {
    let (name, wanted) = (field.name(), type_name(field.data_type()));
    let declared = declared_type(field.data_type()).unwrap_or("ANY");
    let Some(column) = find(columns, name) else {
        return Err(format!(
            "table `{table}` has no column `{name}` ({wanted}): ALTER TABLE {} ADD COLUMN {} {declared}",
            quoted(table),
            quoted(name)
        ));
    };
    if column.generated {
        return Err(format!(
            "column `{name}` of table `{table}` is computed by the table: it cannot be written"
        ));
    }
    if !stores(&column.declared, field.data_type()) {
        return Err(format!(
            "column `{name}` of table `{table}` is {}, but the rows have {wanted}, which needs {declared}",
            column.declared
        ));
    }
    Ok(())
}

/// Whether a column declared so keeps values of the type as they are. SQLite decides by parts of
/// the declared name: <https://sqlite.org/datatype3.html#determination_of_column_affinity>.
fn stores(declared: &str, data_type: &DataType) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if declared.is_empty() || declared == "ANY" {
        return true;
    }
    let needs = declared_type(data_type).unwrap_or_default();
    if has(&["INT"]) {
        needs == "INTEGER"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        needs == "TEXT"
    } else if has(&["BLOB"]) {
        // Values keep the type they come with; only text and binary would be mixed up by a reader.
        needs == "BLOB"
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        needs == "REAL"
    } else {
        // Numbers stay numbers, text that is no number stays text: true of times, not of any text.
        needs == "INTEGER" || needs == "REAL" || (needs == "TEXT" && *data_type != DataType::Utf8)
    }
}

/// What recognises a key in the table.
struct KeyIndexes {
    count: usize,
    is_rowid: bool,
}

/// Finds the unique index over exactly the key's columns, which an upsert needs.
fn check_key(
    db: &Connection,
    sql: &TableSql<'_>,
    columns: &[Column],
    without_rowid: bool,
) -> Result<KeyIndexes, Misfit> {
    let mut names: Vec<String> =
        sql.key.iter().map(|&position| sql.schema.field(position).name().to_ascii_lowercase()).collect();
    names.sort_unstable();
    let mut indexes = db.prepare("SELECT name, \"unique\" AND NOT partial FROM pragma_index_list(?1)")?;
    let indexes: Vec<(String, bool)> =
        indexes.query_map([sql.table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (index, unique) in &indexes {
        let mut parts =
            db.prepare("SELECT lower(name), coll FROM pragma_index_xinfo(?1) WHERE \"key\" = 1")?;
        let mut parts: Vec<(Option<String>, String)> =
            parts.query_map([index], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        parts.sort_unstable();
        if !unique
            || !parts.iter().map(|part| part.0.as_deref()).eq(names.iter().map(|name| Some(name.as_str())))
        {
            continue;
        }
        if let Some((_, collation)) = parts.iter().find(|part| part.1 != "BINARY") {
            return Err(Misfit::Table(format!(
                "the key of table `{}` is compared as {collation}: only BINARY tells the same rows apart as the pipeline does",
                sql.table
            )));
        }
        return Ok(KeyIndexes { count: indexes.len(), is_rowid: false });
    }
    let mut primary = columns.iter().filter(|column| column.key_position > 0);
    let alias = primary.next().filter(|column| column.declared.eq_ignore_ascii_case("INTEGER"));
    if let Some(column) = alias
        && primary.next().is_none()
        && !without_rowid
        && names.len() == 1
        && same_name(&column.name, &names[0])
    {
        return Ok(KeyIndexes { count: indexes.len(), is_rowid: true });
    }
    let list = super::sql::list(names.iter().map(String::as_str));
    Err(Misfit::Table(format!(
        "table `{0}` has no unique index on its key: CREATE UNIQUE INDEX {1} ON {2} ({list})",
        sql.table,
        quoted(&format!("{}_key", sql.table)),
        quoted(sql.table),
    )))
}

/// Triggers, or foreign keys of this table or to it, that replacing a whole row would set off.
fn has_dependents(db: &Connection, table: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) = lower(?1))
             OR EXISTS (SELECT 1 FROM pragma_foreign_key_list(?1))
             OR EXISTS (SELECT 1 FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f
                        WHERE s.type = 'table' AND lower(f.\"table\") = lower(?1))",
        [table],
        |row| row.get(0),
    )
}
