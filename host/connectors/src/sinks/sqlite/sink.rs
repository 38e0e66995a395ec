//! The sink at work. A batch is kept until its commit and written in one go, so the database is
//! locked for as short as can be: two sinks of one pipeline can share it without waiting in a ring.

use std::fs;

use arrow_array::RecordBatch;
use millstream_engine::batch::BatchId;
use millstream_engine::pipeline::SinkCtx;
use millstream_engine::sink::{Sink, SinkError};
use millstream_engine::sqlite::{BoundColumn, CivilText, bound_columns};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Statement, Transaction, TransactionBehavior, params,
};

use super::super::io_error;
use super::SqlitePlan;
use super::error::sink_error;
use super::order::{KeyOrder, RowRef, by_key};
use super::sql::{self, TableSql, same_name};
use super::table::{self, Fit, Misfit};

/// Rows a statement inserts at once: a third less time a row than one by one; more gains nothing.
const ROWS_A_STATEMENT: usize = 16;
/// SQLite's limit of parameters in a statement.
const PARAMETERS_MAX: usize = 32_766;
/// Memory for pages of the database, in KiB: a batch's pages should fit.
const CACHE_KIB: usize = 64 * 1024;

/// Writes the batches of one sink of one pipeline to its table.
pub(super) struct SqliteSink {
    plan: SqlitePlan,
    ctx: SinkCtx,
    key: Vec<usize>,
    open: Option<Open>,
    /// From `begin` until the first error, commit or abort.
    batch: Option<BatchId>,
    rows: Vec<RecordBatch>,
}

/// A connection, and how its table wants its rows. Dropped after an error: what a failed disk or a
/// changed table left behind is not worth knowing.
struct Open {
    db: Connection,
    fit: Fit,
}

impl SqliteSink {
    /// Opens the database, makes the table or checks that it fits.
    pub(super) fn open(plan: SqlitePlan, ctx: SinkCtx) -> Result<Self, SinkError> {
        let fields = ctx.schema.fields();
        let position = |column: &String| fields.iter().position(|field| same_name(field.name(), column));
        let key: Option<Vec<usize>> = plan.key.iter().map(position).collect();
        let key = key.ok_or_else(|| SinkError::Permanent("a column of the key is not in the rows".into()))?;
        let mut sink = Self { plan, ctx, key, open: None, batch: None, rows: Vec::new() };
        sink.open = Some(sink.connect()?);
        Ok(sink)
    }

    fn connect(&self) -> Result<Open, SinkError> {
        if self.plan.create
            && let Some(folder) = self.plan.path.parent()
        {
            fs::create_dir_all(folder).map_err(|error| io_error(folder, &error))?;
        }
        if !self.plan.create && !self.plan.path.exists() {
            let path = self.plan.path.display();
            return Err(SinkError::Permanent(format!(
                "{path} does not exist: make it, or say `create: true`"
            )));
        }
        let mut db = self.configured().map_err(|error| self.error(&error))?;
        match self.prepare_table(&mut db) {
            Ok(fit) => Ok(Open { db, fit }),
            Err(Misfit::Table(message)) => {
                Err(SinkError::Permanent(format!("{}: {message}", self.plan.path.display())))
            }
            Err(Misfit::Sqlite(error)) => Err(self.error(&error)),
        }
    }

    fn configured(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let create = if self.plan.create { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
        let db = Connection::open_with_flags(&self.plan.path, flags | create)?;
        db.busy_timeout(self.plan.busy_timeout)?;
        let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode != "wal" {
            db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        }
        db.pragma_update(None, "synchronous", if self.ctx.durable { "FULL" } else { "NORMAL" })?;
        db.pragma_update(None, "cache_size", -i64::try_from(CACHE_KIB).unwrap_or(2000))?;
        // Statements of many rows keep undo pages; in memory they cost a copy, in a file far more.
        db.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(db)
    }

    fn prepare_table(&self, db: &mut Connection) -> Result<Fit, Misfit> {
        let sql = self.sql();
        if !table::exists(db, sql::COMMITS_TABLE)? || !table::exists(db, sql.table)? {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(sql::CREATE_COMMITS)?;
            if !table::exists(&transaction, sql.table)? {
                if !self.plan.create {
                    let message =
                        format!("there is no table `{}`: make it, or say `create: true`", sql.table);
                    return Err(Misfit::Table(message));
                }
                transaction.execute_batch(&sql.create(self.key_may_be_null()))?;
            }
            transaction.commit()?;
        }
        table::fit(db, &sql)
    }

    fn sql(&self) -> TableSql<'_> {
        TableSql { table: &self.plan.table, schema: &self.ctx.schema, key: &self.key }
    }

    /// NaN is stored as NULL, so floats may always be null.
    fn key_may_be_null(&self) -> bool {
        let fields = self.ctx.schema.fields();
        self.key
            .iter()
            .any(|&position| fields[position].is_nullable() || fields[position].data_type().is_floating())
    }

    fn error(&self, error: &rusqlite::Error) -> SinkError {
        sink_error(&self.plan.path, self.plan.busy_timeout, error)
    }

    /// Rows in the order they are written: sorted when they replace each other, as they came when
    /// they are appended.
    fn order(&self) -> KeyOrder {
        if !self.key.is_empty() {
            return by_key(&self.rows, &self.key);
        }
        let parts = (0u32..).zip(&self.rows);
        let rows = parts.flat_map(|(part, rows)| {
            (0u32..).zip(0..rows.num_rows()).map(move |(row, _)| RowRef { part, row })
        });
        KeyOrder { sorted: rows.collect(), with_nulls: Vec::new() }
    }

    fn write_and_commit(&self, open: &mut Open, batch: BatchId, order: &KeyOrder) -> Result<(), Misfit> {
        let transaction = open.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (id, entry) = (&self.ctx.pipeline_id, &self.ctx.entry);
        if committed(&transaction, id, entry)? >= Some(batch) {
            return Ok(());
        }
        self.write_all(&transaction, open.fit, order)?;
        transaction.prepare_cached(sql::UPSERT_COMMIT)?.execute(params![
            id,
            entry,
            batch.0.cast_signed(),
            self.ctx.pipeline
        ])?;
        Ok(transaction.commit()?)
    }

    fn write_all(&self, transaction: &Transaction<'_>, fit: Fit, order: &KeyOrder) -> Result<(), Misfit> {
        if !order.with_nulls.is_empty() && !fit.null_keys {
            return Err(Misfit::Table(format!(
                "a row has a null in its key, which table `{}` does not allow: filter such rows, or make the table anew",
                self.plan.table
            )));
        }
        let parts: Option<Vec<Vec<BoundColumn<'_>>>> = self.rows.iter().map(bound_columns).collect();
        let parts =
            parts.ok_or_else(|| Misfit::Table("a column has a type that SQLite cannot hold".into()))?;
        self.insert(transaction, fit, &parts, &order.sorted)?;
        if !order.with_nulls.is_empty() {
            self.insert_nulls(transaction, &parts, &order.with_nulls)?;
        }
        Ok(())
    }

    fn insert(
        &self,
        transaction: &Transaction<'_>,
        fit: Fit,
        parts: &[Vec<BoundColumn<'_>>],
        rows: &[RowRef],
    ) -> rusqlite::Result<()> {
        let sql = self.sql();
        let mut text = CivilText::default();
        let rows_a_statement = ROWS_A_STATEMENT.min(PARAMETERS_MAX / self.ctx.schema.fields().len().max(1));
        let mut chunks = rows.chunks_exact(rows_a_statement);
        if rows.len() >= rows_a_statement {
            let mut many = transaction.prepare_cached(&sql.insert(rows_a_statement, fit.whole_rows))?;
            for rows in chunks.by_ref() {
                execute(&mut many, parts, rows, &mut text)?;
            }
        }
        let mut one = transaction.prepare_cached(&sql.insert(1, fit.whole_rows))?;
        for row in chunks.remainder() {
            execute(&mut one, parts, std::slice::from_ref(row), &mut text)?;
        }
        Ok(())
    }

    /// A unique index holds nulls to be different from each other, so such rows are searched for.
    fn insert_nulls(
        &self,
        transaction: &Transaction<'_>,
        parts: &[Vec<BoundColumn<'_>>],
        rows: &[RowRef],
    ) -> rusqlite::Result<()> {
        let sql = self.sql();
        let mut text = CivilText::default();
        let mut update = transaction.prepare_cached(&sql.update_nulls())?;
        let mut insert = transaction.prepare_cached(&sql.insert(1, false))?;
        for row in rows {
            let row = std::slice::from_ref(row);
            if execute(&mut update, parts, row, &mut text)? == 0 {
                execute(&mut insert, parts, row, &mut text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl SqliteSink {
    /// Makes the database full at so many pages, until the connection is opened again.
    pub(super) fn limit_pages(&mut self, pages: u32) {
        let open = self.open.as_ref().expect("the test has opened it");
        open.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).expect("a pragma");
    }
}

impl Sink for SqliteSink {
    fn committed(&mut self) -> Result<Option<BatchId>, SinkError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        let found = committed(&open.db, &self.ctx.pipeline_id, &self.ctx.entry);
        self.open = Some(open);
        found.map_err(|error| self.error(&error))
    }

    fn begin(&mut self, batch: BatchId) -> Result<(), SinkError> {
        self.rows.clear();
        self.batch = Some(batch);
        if self.open.is_none() {
            self.open = Some(self.connect()?);
        }
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        let same_types = rows.num_columns() == self.ctx.schema.fields().len()
            && rows
                .columns()
                .iter()
                .zip(self.ctx.schema.fields())
                .all(|(a, b)| a.data_type() == b.data_type());
        if !same_types {
            self.batch = None;
            let message = format!("{}: rows came in another schema than announced", self.plan.path.display());
            return Err(SinkError::Permanent(message));
        }
        if rows.num_rows() > 0 {
            self.rows.push(rows.clone());
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        let Some(batch) = self.batch.take() else {
            return Err(SinkError::Transient(format!("{}: no batch has begun", self.plan.path.display())));
        };
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        let order = self.order();
        let result = self.write_and_commit(&mut open, batch, &order);
        self.rows.clear();
        match result {
            Ok(()) => {
                self.open = Some(open);
                Ok(())
            }
            Err(Misfit::Sqlite(error)) => Err(self.error(&error)),
            Err(Misfit::Table(message)) => {
                Err(SinkError::Permanent(format!("{}: {message}", self.plan.path.display())))
            }
        }
    }

    fn abort(&mut self) {
        self.batch = None;
        self.rows.clear();
    }
}

fn committed(db: &Connection, pipeline_id: &str, entry: &str) -> rusqlite::Result<Option<BatchId>> {
    let mut statement = db.prepare_cached(sql::SELECT_COMMIT)?;
    let batch: Option<i64> = statement.query_row([pipeline_id, entry], |row| row.get(0)).optional()?;
    Ok(batch.map(|batch| BatchId(batch.cast_unsigned())))
}

/// Binds the rows one after the other and runs the statement; returns how many rows it changed.
fn execute(
    statement: &mut Statement<'_>,
    parts: &[Vec<BoundColumn<'_>>],
    rows: &[RowRef],
    text: &mut CivilText,
) -> rusqlite::Result<usize> {
    let mut index = 0;
    for row in rows {
        for column in &parts[row.part as usize] {
            index += 1;
            column.bind(statement, index, row.row as usize, text)?;
        }
    }
    statement.raw_execute()
}
