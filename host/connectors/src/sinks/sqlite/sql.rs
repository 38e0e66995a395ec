//! The SQL text that the sink speaks. Names are always quoted; nothing here touches a database.

use arrow_schema::{DataType, Schema, TimeUnit};

/// Where each sink's newest batch is kept, in the same database as its rows.
pub(super) const COMMITS_TABLE: &str = "_millstream_commits";

/// Makes the table of committed batches.
pub(super) const CREATE_COMMITS: &str = "CREATE TABLE IF NOT EXISTS _millstream_commits (
    pipeline_id TEXT NOT NULL, sink TEXT NOT NULL, pipeline TEXT NOT NULL, batch_id INTEGER NOT NULL,
    PRIMARY KEY (pipeline_id, sink)) STRICT, WITHOUT ROWID";

/// The newest batch of a sink.
pub(super) const SELECT_COMMIT: &str =
    "SELECT batch_id FROM _millstream_commits WHERE pipeline_id = ?1 AND sink = ?2";

/// Remembers a sink's newest batch.
pub(super) const UPSERT_COMMIT: &str = "INSERT OR REPLACE INTO _millstream_commits (pipeline_id, sink, batch_id, pipeline) VALUES (?1, ?2, ?3, ?4)";

/// SQLite compares names without regard to ASCII case.
pub(super) const fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// The type a column is declared with; none when SQLite has nothing that fits.
pub(super) const fn declared_type(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Boolean | DataType::Int32 | DataType::Int64 => "INTEGER",
        DataType::Float32 | DataType::Float64 => "REAL",
        DataType::Utf8 | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _) => "TEXT",
        DataType::Binary => "BLOB",
        _ => return None,
    })
}

/// A name as SQL takes it, whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names, quoted, with commas.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}

/// What a table is for: which of its columns are the key.
pub(super) struct TableSql<'a> {
    /// The table's name.
    pub(super) table: &'a str,
    /// The columns.
    pub(super) schema: &'a Schema,
    /// Positions of the key's columns; empty when rows are appended.
    pub(super) key: &'a [usize],
}

impl TableSql<'_> {
    /// Makes the table. When the key cannot be null, the table is the key's B-tree: one search a
    /// row instead of two. Otherwise it is a unique index, which lets nulls in; see `UPDATE_NULLS`.
    pub(super) fn create(&self, key_may_be_null: bool) -> String {
        let mut parts: Vec<String> = Vec::with_capacity(self.schema.fields().len() + 1);
        for (position, field) in self.schema.fields().iter().enumerate() {
            let declared = declared_type(field.data_type()).unwrap_or("ANY");
            let not_null = if self.key.contains(&position) && !key_may_be_null { " NOT NULL" } else { "" };
            parts.push(format!("{} {declared}{not_null}", quoted(field.name())));
        }
        let mut options = "STRICT";
        if !self.key.is_empty() && key_may_be_null {
            parts.push(format!("UNIQUE ({})", self.key_list()));
        } else if !self.key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", self.key_list()));
            options = "STRICT, WITHOUT ROWID";
        }
        format!("CREATE TABLE {} ({}) {options}", quoted(self.table), parts.join(", "))
    }

    /// Inserts `rows` rows, and replaces those whose key is there: by the table's own conflict
    /// handling when nothing else hangs on the row (`whole_rows`), column by column otherwise.
    pub(super) fn insert(&self, rows: usize, whole_rows: bool) -> String {
        let names = list(self.schema.fields().iter().map(|field| field.name().as_str()));
        let one = format!("({})", vec!["?"; self.schema.fields().len()].join(", "));
        let values = vec![one.as_str(); rows].join(", ");
        let table = quoted(self.table);
        if self.key.is_empty() {
            return format!("INSERT INTO {table} ({names}) VALUES {values}");
        }
        if whole_rows {
            return format!("INSERT OR REPLACE INTO {table} ({names}) VALUES {values}");
        }
        let assignments: Vec<String> =
            self.values().map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
        let action = match assignments.is_empty() {
            true => "NOTHING".to_owned(),
            false => format!("UPDATE SET {}", assignments.join(", ")),
        };
        format!("INSERT INTO {table} ({names}) VALUES {values} ON CONFLICT ({}) DO {action}", self.key_list())
    }

    /// Replaces a row whose key has nulls, which no unique index recognises; parameters are the
    /// row's columns in order. It changes nothing when there is no such row.
    pub(super) fn update_nulls(&self) -> String {
        let columns = self.schema.fields();
        let conditions: Vec<String> = self
            .key
            .iter()
            .map(|&position| format!("{} IS ?{}", quoted(columns[position].name()), position + 1))
            .collect();
        let mut assignments: Vec<String> = (0..columns.len())
            .filter(|position| !self.key.contains(position))
            .map(|position| format!("{} = ?{}", quoted(columns[position].name()), position + 1))
            .collect();
        if assignments.is_empty() {
            let name = quoted(columns[0].name());
            assignments.push(format!("{name} = {name}"));
        }
        format!(
            "UPDATE {} SET {} WHERE {}",
            quoted(self.table),
            assignments.join(", "),
            conditions.join(" AND ")
        )
    }

    fn key_list(&self) -> String {
        list(self.key.iter().map(|&position| self.schema.field(position).name().as_str()))
    }

    fn values(&self) -> impl Iterator<Item = &str> {
        let fields = self.schema.fields().iter().enumerate();
        fields.filter(|(position, _)| !self.key.contains(position)).map(|(_, field)| field.name().as_str())
    }
}
