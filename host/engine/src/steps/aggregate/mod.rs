//! The built-in aggregation: groups rows by key and, if asked, by window of event time.
//!
//! State is a table of groups a pane (a window, or the longest piece of windows that overlap), so that
//! closing a window drops a table; the result of a window is that of its panes merged. With one worker rows
//! go straight into it; with several each worker first gathers its rows in tables of its own, and
//! what those hold is dealt to the workers that own the keys. Expressions are no business of this
//! room: keys and arguments are columns of the input.

mod cold;
mod config;
mod counted;
mod early;
mod overlaps;
pub(super) mod placement;
mod plugin;
mod results;
mod sessions;
mod snapshot;
mod table;
mod taking;
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
use millstream_wasm::Observer;

use cold::stored;
use config::Plan;
pub use config::{
    AggregateConfig, AggregateError, Emit, FunctionCall, FunctionConfig, Gap, KeyConfig, WindowConfig,
    WindowKind,
};
pub use counted::{CountConfig, Counted};
use early::Rhythm;
use overlaps::Overlaps;
use placement::Placement;
pub(crate) use plugin::Deaf;
pub use plugin::{Operator, PluginCall};
pub use sessions::Sessions;
use table::{Table, failed, times};

use super::{Extent, RejectedRow, StateChunk, StateSize, StepError};
use crate::batch::BatchCtx;
use crate::state::cold::{ColdLog, ColdParts, Spill};
use crate::state::{KeyCodec, KeyColumn, StateError, key_group, owner};
use crate::windows::Window;

/// Rows that are put into one batch of output or one chunk of state at most.
const PIECE_ROWS: usize = 1 << 20;

/// Emptied tables that are kept for the next windows at least: as many as are filled at a time in most
/// pipelines, with one closing while the next fills.
const SPARE_MIN: usize = 4;

/// Tables by the start of their pane; zero without windows.
type Tables = BTreeMap<i64, Table>;

/// The aggregation of one worker.
pub struct Aggregate {
    plan: Plan,
    codec: KeyCodec,
    state: Tables,
    /// With several workers, what this one gathers in the current batch.
    gathered: Tables,
    spare: Vec<Table>,
    /// The groups of windows that overlap, from the first one that closed on.
    overlaps: Option<Overlaps>,
    /// Groups that are not in memory; none where all of them must be.
    cold: Option<ColdParts>,
    /// With early results, groups that left memory before they went on, by pane.
    untold: Option<ColdLog>,
    /// Windows that end here or before are closed, and what was final has been given.
    closed_us: Option<i64>,
    closed_copied_us: Option<i64>,
    /// The current batch has closed the windows that it closes.
    begun: bool,
    /// Results of the windows that the current batch has closed.
    due: Vec<RecordBatch>,
    rhythm: Rhythm,
    size: StateSize,
    ids: Vec<u32>,
}

impl Aggregate {
    /// An aggregation without state.
    ///
    /// # Errors
    /// When the configuration cannot work; the message says what to change.
    pub fn new(config: AggregateConfig) -> Result<Self, AggregateError> {
        let nobody: Arc<dyn Observer> = Arc::new(Deaf);
        Self::heard(config, &nobody)
    }

    /// The same; what plugins say goes to `observer`.
    ///
    /// # Errors
    /// As [`Aggregate::new`], and when a plugin does not open.
    pub fn heard(config: AggregateConfig, observer: &Arc<dyn Observer>) -> Result<Self, AggregateError> {
        let plan = Plan::new(config, observer)?;
        Ok(Self {
            codec: plan.codec()?,
            plan,
            state: Tables::new(),
            gathered: Tables::new(),
            spare: Vec::new(),
            overlaps: None,
            cold: None,
            untold: None,
            closed_us: None,
            closed_copied_us: None,
            begun: false,
            due: Vec::new(),
            rhythm: Rhythm::default(),
            size: StateSize::default(),
            ids: Vec::new(),
        })
    }

    /// The columns that are needed of a chunk.
    fn rows(&self, input: &RecordBatch) -> Rows {
        let column = |column: usize| Arc::clone(input.column(column));
        let functions = &self.plan.config.functions;
        Rows {
            keys: self.plan.config.keys.iter().map(|key| column(key.column)).collect(),
            arguments: functions
                .iter()
                .flat_map(|function| &function.arguments)
                .copied()
                .map(column)
                .collect(),
            count: input.num_rows(),
        }
    }

    /// The pane that starts here; none without windows.
    fn pane(&self, start_us: i64) -> Option<Window> {
        self.plan.config.windows().map(|windows| windows.pane(start_us))
    }

    /// Up to where windows are closed at this watermark.
    fn closed_at(&self, watermark_us: Option<i64>) -> Option<i64> {
        let lateness_us = self.plan.config.window.as_ref().map_or(0, |window| window.lateness_us);
        watermark_us.map(|watermark_us| watermark_us.saturating_sub(lateness_us))
    }

    /// Empties a table and keeps it for windows to come, if there are not as many as there are windows.
    fn keep(&mut self, mut table: Table) {
        if self.spare.len() < self.state.len().max(SPARE_MIN) {
            table.clear();
            self.spare.push(table);
        }
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

    fn merge_run(&mut self, start_us: i64, run: &RecordBatch) -> Result<(), StepError> {
        let window = self.pane(start_us);
        let table = table_of(&mut self.state, &mut self.spare, &self.plan, start_us).map_err(failed)?;
        let keys = KeyColumn::Bytes(run.column(1).as_binary::<i32>().clone());
        table.find(&keys, &mut self.ids).map_err(failed)?;
        let merged = table.merge(&self.ids, &run.columns()[2..]);
        merged.map_err(|error| table.of_group(&self.plan, &self.codec, window, "a merge", error))?;
        table.touch(&self.ids);
        Ok(())
    }
}

/// The life of a [`super::KeyedStep`], over columns.
impl Aggregate {
    /// The schema of what `emit` gives.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    /// Takes rows; answers with those that cannot be taken.
    ///
    /// # Errors
    /// When the rows have other columns, or there are too many groups.
    pub fn accumulate(&mut self, ctx: &BatchCtx, input: &RecordBatch) -> Result<Vec<RejectedRow>, StepError> {
        if input.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if input.schema_ref().fields() != self.plan.config.input.fields() {
            return Err(StepError::Failed("the rows do not have the columns that were agreed on".into()));
        }
        self.begin(ctx)?;
        let rows = self.rows(input);
        let (Some(window), Some(windows)) = (&self.plan.config.window, self.plan.config.windows()) else {
            return self.take_rows(0, &rows);
        };
        let times = window.time.times(input);
        let name = self.plan.config.input.field(window.time.column).name();
        match placement::place(windows, &times, name, self.closed_us) {
            Placement::One(pane) => self.take_rows(pane.start_us, &rows),
            Placement::Many { panes, mut rejected } => {
                for (pane, selected) in panes {
                    let refused = self.take_rows(pane.start_us, &rows.select(selected.clone())?)?;
                    rejected.extend(
                        refused.into_iter().map(|row| RejectedRow { row: selected[row.row as usize], ..row }),
                    );
                }
                rejected.sort_by_key(|row| row.row);
                Ok(rejected)
            }
        }
    }

    /// What was gathered for each worker.
    ///
    /// # Errors
    /// When a state does not fit into columns.
    pub fn exchange(&mut self) -> Result<Vec<RecordBatch>, StepError> {
        let workers = self.plan.config.workers as usize;
        let mut dealt = vec![Vec::new(); workers];
        for (&start_us, table) in &self.gathered {
            for (pieces, piece) in dealt.iter_mut().zip(self.deal(start_us, table).map_err(failed)?) {
                pieces.push(piece);
            }
        }
        for (_, table) in std::mem::take(&mut self.gathered) {
            self.keep(table);
        }
        dealt.iter().map(|pieces| join(&self.plan.partial, pieces)).collect()
    }

    /// Takes what a worker gathered for this one.
    ///
    /// # Errors
    /// When the rows are not of an aggregation like this one.
    pub fn merge(&mut self, ctx: &BatchCtx, gathered: &RecordBatch) -> Result<(), StepError> {
        self.merge_all(ctx, &[gathered])
    }

    /// Takes what all workers gathered for this one, in their order.
    ///
    /// # Errors
    /// When the rows are not of an aggregation like this one.
    pub fn merge_all(&mut self, ctx: &BatchCtx, gathered: &[&RecordBatch]) -> Result<(), StepError> {
        self.begin(ctx)?;
        if gathered.iter().any(|rows| rows.num_rows() > 0 && rows.schema_ref() != &self.plan.partial) {
            return Err(StepError::Failed("the gathered rows are not of this aggregation's making".into()));
        }
        self.bring_all(gathered).map_err(stored)?;
        for rows in gathered.iter().filter(|rows| rows.num_rows() > 0) {
            for (start_us, run) in runs(rows) {
                self.merge_run(start_us.unwrap_or(0), &run)?;
            }
        }
        Ok(())
    }

    /// What goes on; closes the windows that the watermark has passed.
    ///
    /// # Errors
    /// When a result does not fit its type.
    pub fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        self.begin(ctx)?;
        let mut results = std::mem::take(&mut self.due);
        match self.plan.config.emit {
            Emit::Final => {}
            Emit::Update => results = self.updates(&self.touched())?,
            Emit::Early(every_us) => {
                let touched = self.state.values().any(|table| !table.touched().is_empty());
                if let Some(since_us) = self.rhythm.beat(every_us, ctx.now_us, touched) {
                    self.bring_untold().map_err(stored)?;
                    let changed = self.touched_after(since_us)?;
                    results.extend(self.updates(&changed)?);
                }
            }
        }
        self.begun = false;
        for table in self.state.values_mut() {
            self.size.updated += table.touched().len() as u64;
            table.settle();
        }
        self.make_room().map_err(stored)?;
        pieces(&self.plan.output, results)
    }

    /// Whether the state of every function may leave memory.
    #[must_use]
    pub fn can_spill(&self) -> bool {
        cold::payload(&self.plan).is_ok()
    }

    /// Lets groups leave memory when the state is over the budget.
    ///
    /// # Errors
    /// When the state of a function cannot be kept outside of memory.
    pub fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.set_spill(spill)
    }

    /// The state: all of it, or what changed since the last call.
    ///
    /// # Errors
    /// When it does not fit into columns, or cold groups cannot be read.
    pub fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.copy_first(extent)
    }

    /// More of the last snapshot; none at its end.
    ///
    /// # Errors
    /// As for [`Self::snapshot`].
    pub fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        self.copy_next()
    }

    /// Takes back a chunk of state; keeps what this worker owns.
    ///
    /// # Errors
    /// When the chunk is not of an aggregation like this one.
    pub fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        snapshot::restore(self, chunk)
    }

    /// The groups with their results so far; of windows that overlap, by pane.
    ///
    /// # Errors
    /// When a result does not fit its type.
    pub fn look(&self) -> Result<Vec<StateChunk>, StepError> {
        let mut results = vec![RecordBatch::new_empty(self.schema())];
        for (&start_us, table) in &self.state {
            self.results(self.pane(start_us), table, &table.sorted(), &mut results)?;
        }
        Ok(results.into_iter().map(|rows| StateChunk { table: snapshot::GROUPS.into(), rows }).collect())
    }

    /// When results are due early, in microseconds of the plan's clock.
    #[must_use]
    pub fn due_us(&self) -> Option<i64> {
        match self.plan.config.emit {
            Emit::Early(every_us) => self.rhythm.due_us(every_us),
            Emit::Update | Emit::Final => None,
        }
    }

    /// Groups and bytes.
    #[must_use]
    pub fn size(&self) -> StateSize {
        let tables = self.state.values().chain(self.gathered.values()).chain(&self.spare);
        let cold = self.cold.as_ref();
        let keys_cold = cold.map_or(0, ColdParts::keys);
        let known = cold.map_or(0, ColdParts::bytes);
        let overlaps = self.overlaps.as_ref().map_or(0, |overlaps| overlaps.bytes() as u64);
        StateSize {
            keys: self.state.values().map(|table| table.len() as u64).sum::<u64>() + keys_cold,
            bytes: tables.map(|table| table.bytes() as u64).sum::<u64>() + known + overlaps,
            keys_cold,
            bytes_cold: cold.map_or(0, ColdParts::file_bytes),
            ..self.size
        }
    }
}

/// The columns of a chunk that an aggregation looks at.
struct Rows {
    keys: Vec<ArrayRef>,
    /// Of all functions, one after the other.
    arguments: Vec<ArrayRef>,
    count: usize,
}

impl Rows {
    fn select(&self, rows: Vec<u32>) -> Result<Self, StepError> {
        let count = rows.len();
        let rows = UInt32Array::from(rows);
        let select = |column: &ArrayRef| take(column, &rows, None).map_err(failed);
        Ok(Self {
            keys: self.keys.iter().map(select).collect::<Result<_, _>>()?,
            arguments: self.arguments.iter().map(select).collect::<Result<_, _>>()?,
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
