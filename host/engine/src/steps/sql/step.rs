//! A `sql` step on one worker; the first one does the work for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use rusqlite::{Connection, ErrorCode};

use super::super::{Extent, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};
use super::{INPUT, SqlParts, database};
use crate::batch::BatchCtx;
use crate::sqlite::memory::fill;
use crate::sqlite::{ValueColumn, said};

/// Rows of one emitted batch.
const OUTPUT_ROWS: usize = 8192;
/// What a statement may give for one batch, which is held in memory as a whole.
const OUTPUT_BYTES_MAX: usize = 1 << 30;
/// SQLite's instructions from one look at the clock to the next: some ten microseconds.
const LOOK_EVERY: i32 = 1000;

/// A `sql` step on one worker.
pub(super) struct Sql {
    parts: Arc<SqlParts>,
    schema: SchemaRef,
    worker: u32,
    workers: u32,
    gathered: Vec<Parcel>,
    database: Option<Database>,
    out: Vec<RecordBatch>,
}

/// The database, made for the first batch.
struct Database {
    db: Connection,
    /// What its date functions call now.
    now_us: Arc<AtomicI64>,
    /// When the statement is to stop, in microseconds of `SqlParts::elapsed`.
    stop_us: Arc<AtomicU64>,
    /// By table: the version that is in it.
    versions: Vec<u64>,
}

impl Database {
    fn open(parts: &SqlParts) -> rusqlite::Result<Self> {
        let (now_us, stop_us) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
        let mut db = database::open(parts, &now_us)?;
        let (elapsed, stops) = (Arc::clone(&parts.elapsed), Arc::clone(&stop_us));
        let is_over = move || micros(elapsed()) > stops.load(Ordering::Relaxed);
        db.progress_handler(LOOK_EVERY, Some(is_over))?;
        Ok(Self { db, now_us, stop_us, versions: vec![0; parts.tables.len()] })
    }
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Sql {
    pub(super) fn new(parts: Arc<SqlParts>, schema: SchemaRef, worker: u32, workers: u32) -> Self {
        Self { parts, schema, worker, workers, gathered: Vec::new(), database: None, out: Vec::new() }
    }

    fn run(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        let parts = Arc::clone(&self.parts);
        let sqlite = |error: rusqlite::Error| StepError::Failed(format!("SQLite: {}", said(&error)));
        let mut database = match self.database.take() {
            Some(database) => database,
            None => Database::open(&parts).map_err(sqlite)?,
        };
        for (table, held) in parts.tables.iter().zip(&mut database.versions) {
            let version = table.view.version();
            if version.number != *held {
                fill(&database.db, table.view.name(), [&version.rows]).map_err(sqlite)?;
                *held = version.number;
            }
        }
        fill(&database.db, INPUT, parcels.iter().map(|parcel| &parcel.rows)).map_err(sqlite)?;
        database.now_us.store(ctx.now_us, Ordering::Relaxed);
        let stop_us = micros((parts.elapsed)()).saturating_add(micros(parts.deadline));
        database.stop_us.store(stop_us, Ordering::Relaxed);
        let result = self.query(&database.db);
        database.stop_us.store(u64::MAX, Ordering::Relaxed);
        self.database = Some(database);
        self.out = result.map_err(|error| match error {
            QueryError::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                let rows: usize = parcels.iter().map(|parcel| parcel.rows.num_rows()).sum();
                StepError::Failed(format!(
                    "the statement ran longer than its `deadline` of {:?} over a batch of {rows} rows: make it cheaper (an \
                     index: `tables: {{ name: [column] }}`), bound batches with `trigger: {{ max_rows: … }}`, or raise it",
                    parts.deadline
                ))
            }
            QueryError::Sqlite(error) => sqlite(error),
            QueryError::Misfit(message) => StepError::Failed(message),
        })?;
        Ok(())
    }

    /// The rows of the statement, each value checked.
    fn query(&self, db: &Connection) -> Result<Vec<RecordBatch>, QueryError> {
        let mut statement = db.prepare_cached(&self.parts.statement)?;
        let mut columns: Vec<ValueColumn> =
            self.schema.fields().iter().filter_map(|field| ValueColumn::new(field.data_type())).collect();
        let mut rows = statement.raw_query();
        let (mut out, mut bytes, mut held) = (Vec::new(), 0, 0);
        loop {
            let row = rows.next()?;
            if held == OUTPUT_ROWS || (row.is_none() && held > 0) {
                let arrays = columns.iter_mut().map(ValueColumn::finish).collect();
                let options = RecordBatchOptions::new().with_row_count(Some(held));
                let part = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
                let part = part.map_err(|error| QueryError::Misfit(error.to_string()))?;
                bytes += part.get_array_memory_size();
                if bytes > OUTPUT_BYTES_MAX {
                    return Err(QueryError::Misfit(format!(
                        "the statement gives more than {OUTPUT_BYTES_MAX} bytes for one batch: bound batches with `trigger: \
                         {{ max_rows: … }}`, or let it give less"
                    )));
                }
                out.push(part);
                held = 0;
            }
            let Some(row) = row else { return Ok(out) };
            held += 1;
            for (place, (column, field)) in columns.iter_mut().zip(self.schema.fields()).enumerate() {
                column.push(row.get_ref(place)?).map_err(|why| {
                    QueryError::Misfit(format!(
                        "column `{}` of the statement's row {} is {why}: CAST it in the statement, or say another type in \
                         `schema`",
                        field.name(),
                        out.len() * OUTPUT_ROWS + held
                    ))
                })?;
            }
        }
    }
}

/// Why a statement gave no rows.
enum QueryError {
    Sqlite(rusqlite::Error),
    Misfit(String),
}

impl From<rusqlite::Error> for QueryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl KeyedStep for Sql {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        self.gathered.push(Parcel { port, order: ctx.order, rows: input.clone() });
        Ok(Vec::new())
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        let mut parcels = vec![Vec::new(); self.workers as usize];
        parcels[0] = std::mem::take(&mut self.gathered);
        Ok(parcels)
    }

    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        if self.worker == 0 && !parcels.is_empty() { self.run(ctx, parcels) } else { Ok(()) }
    }

    fn emit(&mut self, _: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        Ok(std::mem::take(&mut self.out))
    }

    /// There is none.
    fn snapshot(&mut self, _: Extent) -> Result<Vec<StateChunk>, StepError> {
        Ok(Vec::new())
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        let message =
            format!("the checkpoint has a table `{}` for this `sql` step, which keeps none", chunk.table);
        Err(StepError::State(message))
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        Ok(Vec::new())
    }

    fn size(&self) -> StateSize {
        StateSize::default()
    }
}
