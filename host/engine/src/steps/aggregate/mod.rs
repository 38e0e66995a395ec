//! The built-in aggregation: groups rows by key and, if asked, by window of event time.
//!
//! State is a table of groups a window, so that closing a window drops a table. With one worker rows
//! go straight into it; with several each worker first gathers its rows in tables of its own, and
//! what those hold is dealt to the workers that own the keys. Expressions are no business of this
//! room: keys and arguments are columns of the input.

mod config;
mod placement;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use arrow_select::take::take;

use config::Plan;
pub use config::{AggregateConfig, AggregateError, Emit, FunctionConfig, KeyConfig, WindowConfig};
use placement::Placement;
use table::{Table, failed, times};

use super::{Extent, KeyedStep, RejectedRow, StateChunk, StateSize, StepError};
use crate::batch::BatchCtx;
use crate::state::{KeyCodec, KeyColumn, StateError, key_group, owner};
use crate::windows::Window;

/// Rows that are put into one batch of output or one chunk of state at most.
const PIECE_ROWS: usize = 1 << 20;

/// Emptied tables that are kept for the next window: as many as are filled at a time in most
/// pipelines, with one closing while the next fills.
const SPARE_MAX: usize = 4;

/// Tables by the start of their window; zero without windows.
type Tables = BTreeMap<i64, Table>;

/// The aggregation of one worker.
pub struct Aggregate {
    plan: Plan,
    codec: KeyCodec,
    state: Tables,
    /// With several workers, what this one gathers in the current batch.
    gathered: Tables,
    spare: Vec<Table>,
    /// Windows that end here or before are closed, and what was final has been given.
    closed_us: Option<i64>,
    closed_copied_us: Option<i64>,
    size: StateSize,
    ids: Vec<u32>,
}

impl Aggregate {
    /// An aggregation without state.
    ///
    /// # Errors
    /// When the configuration cannot work; the message says what to change.
    pub fn new(config: AggregateConfig) -> Result<Self, AggregateError> {
        let plan = Plan::new(config)?;
        Ok(Self {
            codec: plan.codec()?,
            plan,
            state: Tables::new(),
            gathered: Tables::new(),
            spare: Vec::new(),
            closed_us: None,
            closed_copied_us: None,
            size: StateSize::default(),
            ids: Vec::new(),
        })
    }

    /// Takes rows that belong to one window.
    fn take_rows(&mut self, start_us: i64, rows: &Rows) -> Result<(), StateError> {
        let keys = self.codec.encode(&rows.keys, rows.count)?;
        let alone = self.plan.config.workers == 1;
        let tables = if alone { &mut self.state } else { &mut self.gathered };
        let table = table_of(tables, &mut self.spare, &self.plan, start_us)?;
        table.find(&keys, &mut self.ids)?;
        table.update(&self.ids, &rows.arguments)?;
        if alone {
            table.touch(&self.ids);
        }
        Ok(())
    }

    /// The columns that are needed of a chunk.
    fn rows(&self, input: &RecordBatch) -> Rows {
        let column = |column: usize| Arc::clone(input.column(column));
        let functions = &self.plan.config.functions;
        Rows {
            keys: self.plan.config.keys.iter().map(|key| column(key.column)).collect(),
            arguments: functions.iter().map(|function| function.argument.map(column)).collect(),
            count: input.num_rows(),
        }
    }

    /// The window that starts here; none without windows.
    fn window(&self, start_us: i64) -> Option<Window> {
        self.plan.config.window.as_ref().map(|window| window.tumbling.window(start_us))
    }

    /// The groups of a gathered table, as a batch for each worker.
    fn deal(&self, start_us: i64, table: &Table) -> Result<Vec<RecordBatch>, StateError> {
        let workers = self.plan.config.workers;
        let all: Vec<u32> = (0..table.len() as u32).collect();
        let hashes = KeyColumn::Bytes(table.groups().keys().gather(&all)?).hashes();
        let mut dealt = vec![Vec::new(); workers as usize];
        for (id, hash) in all.into_iter().zip(hashes) {
            dealt[owner(key_group(hash), workers) as usize].push(id);
        }
        dealt.iter().map(|ids| self.partial(start_us, table, ids)).collect()
    }

    fn partial(&self, start_us: i64, table: &Table, ids: &[u32]) -> Result<RecordBatch, StateError> {
        let mut columns = vec![times(start_us, ids.len()), Arc::new(table.groups().keys().gather(ids)?)];
        for accumulator in table.accumulators() {
            columns.extend(accumulator.state(ids)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.plan.partial), columns)?)
    }

    fn merge_run(&mut self, start_us: i64, run: &RecordBatch) -> Result<(), StateError> {
        let table = table_of(&mut self.state, &mut self.spare, &self.plan, start_us)?;
        table.find(&KeyColumn::Bytes(run.column(1).as_binary::<i32>().clone()), &mut self.ids)?;
        table.merge(&self.ids, &run.columns()[2..])?;
        table.touch(&self.ids);
        Ok(())
    }

    /// The results of the groups that the batch touched.
    fn updates(&self) -> Result<Vec<RecordBatch>, StepError> {
        let mut results = Vec::new();
        for (&start_us, table) in self.state.iter().filter(|(_, table)| !table.touched().is_empty()) {
            for ids in table.touched().chunks(PIECE_ROWS) {
                results.push(table.results(&self.plan, &self.codec, self.window(start_us), ids)?);
            }
        }
        Ok(results)
    }

    /// Takes away the windows that end at `until_us` or before.
    fn close(&mut self, until_us: Option<i64>) -> Vec<(Window, Table)> {
        let mut closed = Vec::new();
        while let Some((&start_us, _)) = self.state.first_key_value() {
            let Some(window) = self.window(start_us).filter(|window| window.is_closed(until_us)) else {
                break;
            };
            closed.extend(self.state.remove(&start_us).map(|table| (window, table)));
        }
        closed
    }

    fn finals(&self, closed: &[(Window, Table)]) -> Result<Vec<RecordBatch>, StepError> {
        let mut results = Vec::new();
        for (window, table) in closed {
            for ids in table.sorted().chunks(PIECE_ROWS) {
                results.push(table.results(&self.plan, &self.codec, Some(*window), ids)?);
            }
        }
        Ok(results)
    }
}

impl KeyedStep for Aggregate {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    fn accumulate(&mut self, ctx: &BatchCtx, input: &RecordBatch) -> Result<Vec<RejectedRow>, StepError> {
        if input.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if input.schema_ref().fields() != self.plan.config.input.fields() {
            return Err(StepError::Failed("the rows do not have the columns that were agreed on".into()));
        }
        let rows = self.rows(input);
        let Some(window) = &self.plan.config.window else {
            self.take_rows(0, &rows).map_err(failed)?;
            return Ok(Vec::new());
        };
        let times = input.column(window.time_column).as_primitive::<TimestampMicrosecondType>();
        let name = self.plan.config.input.field(window.time_column).name();
        match placement::place(&window.tumbling, times, name, ctx.watermark_us) {
            Placement::One(window) => {
                self.take_rows(window.start_us, &rows).map_err(failed)?;
                Ok(Vec::new())
            }
            Placement::Many { windows, rejected } => {
                for (window, selected) in windows {
                    self.take_rows(window.start_us, &rows.select(selected)?).map_err(failed)?;
                }
                Ok(rejected)
            }
        }
    }

    fn exchange(&mut self) -> Result<Vec<RecordBatch>, StepError> {
        let workers = self.plan.config.workers as usize;
        let mut dealt = vec![Vec::new(); workers];
        for (&start_us, table) in &self.gathered {
            for (pieces, piece) in dealt.iter_mut().zip(self.deal(start_us, table).map_err(failed)?) {
                pieces.push(piece);
            }
        }
        for (_, table) in std::mem::take(&mut self.gathered) {
            keep(&mut self.spare, table);
        }
        dealt.iter().map(|pieces| join(&self.plan.partial, pieces)).collect()
    }

    fn merge(&mut self, _: &BatchCtx, gathered: &RecordBatch) -> Result<(), StepError> {
        if gathered.num_rows() == 0 {
            return Ok(());
        }
        if gathered.schema_ref() != &self.plan.partial {
            return Err(StepError::Failed("the gathered rows are not of this aggregation's making".into()));
        }
        for (start_us, run) in runs(gathered) {
            self.merge_run(start_us.unwrap_or(0), &run).map_err(failed)?;
        }
        Ok(())
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        // What a checkpoint brought back of windows that were closed after it was full: their results
        // went on then.
        let stale = self.close(self.closed_us);
        let mut results = match self.plan.config.emit {
            Emit::Update => self.updates()?,
            Emit::Final => Vec::new(),
        };
        let closed = self.close(ctx.watermark_us);
        if self.plan.config.emit == Emit::Final {
            results = self.finals(&closed)?;
        }
        self.closed_us = self.closed_us.max(ctx.watermark_us);
        let gone = stale.into_iter().chain(closed).map(|(_, table)| table);
        self.size = StateSize::default();
        for table in gone {
            self.size.removed += table.len() as u64;
            self.size.updated += table.touched().len() as u64;
            keep(&mut self.spare, table);
        }
        for table in self.state.values_mut() {
            self.size.updated += table.touched().len() as u64;
            table.settle();
        }
        pieces(&self.plan.output, results)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        snapshot::copy(self, extent)
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        snapshot::restore(self, chunk)
    }

    fn size(&self) -> StateSize {
        let tables = self.state.values().chain(self.gathered.values()).chain(&self.spare);
        StateSize {
            keys: self.state.values().map(|table| table.len() as u64).sum(),
            bytes: tables.map(|table| table.bytes() as u64).sum(),
            ..self.size
        }
    }
}

/// The columns of a chunk that an aggregation looks at.
struct Rows {
    keys: Vec<ArrayRef>,
    arguments: Vec<Option<ArrayRef>>,
    count: usize,
}

impl Rows {
    fn select(&self, rows: Vec<u32>) -> Result<Self, StepError> {
        let count = rows.len();
        let rows = UInt32Array::from(rows);
        let select = |column: &ArrayRef| take(column, &rows, None).map_err(failed);
        let argument = |column: &Option<ArrayRef>| column.as_ref().map(select).transpose();
        Ok(Self {
            keys: self.keys.iter().map(select).collect::<Result<_, _>>()?,
            arguments: self.arguments.iter().map(argument).collect::<Result<_, _>>()?,
            count,
        })
    }
}

/// The table of a window; a new one if there is none.
fn table_of<'a>(
    tables: &'a mut Tables,
    spare: &mut Vec<Table>,
    plan: &Plan,
    start_us: i64,
) -> Result<&'a mut Table, StateError> {
    use std::collections::btree_map::Entry;
    Ok(match tables.entry(start_us) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(match spare.pop() {
            Some(table) => table,
            None => Table::new(plan)?,
        }),
    })
}

/// Empties a table and keeps it, if there are not enough of them.
fn keep(spare: &mut Vec<Table>, mut table: Table) {
    if spare.len() < SPARE_MAX {
        table.clear();
        spare.push(table);
    }
}

/// Neighbouring rows of the same window, which is the first column.
fn runs(rows: &RecordBatch) -> Vec<(Option<i64>, RecordBatch)> {
    let starts = rows.column(0).as_primitive::<TimestampMicrosecondType>();
    let start = |row: usize| starts.is_valid(row).then(|| starts.value(row));
    let mut runs = Vec::new();
    let mut first = 0;
    for row in 1..=rows.num_rows() {
        if row == rows.num_rows() || start(row) != start(first) {
            runs.push((start(first), rows.slice(first, row - first)));
            first = row;
        }
    }
    runs
}

/// Batches one after the other in one.
fn join(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, StepError> {
    match batches {
        [] => Ok(RecordBatch::new_empty(Arc::clone(schema))),
        [batch] => Ok(batch.clone()),
        batches => concat_batches(schema, batches).map_err(failed),
    }
}

/// Batches in as few as the size of a piece allows, in their order.
fn pieces(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, StepError> {
    let mut pieces: Vec<Vec<RecordBatch>> = Vec::new();
    let mut rows = 0;
    for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
        rows += batch.num_rows();
        match pieces.last_mut() {
            Some(piece) if rows <= PIECE_ROWS => piece.push(batch),
            _ => {
                rows = batch.num_rows();
                pieces.push(vec![batch]);
            }
        }
    }
    pieces.iter().map(|piece| join(schema, piece)).collect()
}
