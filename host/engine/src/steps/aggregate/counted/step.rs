//! The step over count windows, on one worker.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use millstream_wasm::Observer;

use super::cold::Cold;
use super::snapshot;
use super::table::{Cut, Full, Table, Taken};
use crate::batch::BatchCtx;
use crate::state::accumulators::Accumulator;
use crate::state::cold::Spill;
use crate::state::{GroupTable, KeyCodec, StateError};
use crate::steps::aggregate::config::{
    AggregateConfig, AggregateError, Emit, FunctionCall, FunctionConfig, Plan, deal, result_columns,
};
use crate::steps::aggregate::table::{describe_keys, failed};
use crate::steps::keys::{both, kept_rows};
use crate::steps::shuffle::Shuffle;
use crate::steps::{Extent, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};

/// How rows are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountConfig {
    /// Rows of a window.
    pub size: u64,
    /// A window begins every so many rows.
    pub every: u64,
    /// The column of the input with the event time, if it has one: results say the least and the greatest.
    pub time: Option<usize>,
}

impl CountConfig {
    fn cut(self) -> Result<Cut, AggregateError> {
        if self.size == 0 || self.every == 0 || self.every > self.size || self.size > ROWS_MAX {
            return Err(AggregateError::of_counts(self.size, self.every, ROWS_MAX));
        }
        Ok(Cut { size: self.size, every: self.every, pane: common(self.size, self.every) })
    }
}

/// Rows of one window; more of them in bounded memory is what windows of time are for.
const ROWS_MAX: u64 = 1 << 40;

fn common(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common(b, a % b) }
}

/// An aggregation over count windows.
pub struct Counted {
    pub(super) plan: Plan,
    cut: Cut,
    emit: Emit,
    /// Functions at the front that are about time, for the window's start and end.
    times: usize,
    output: SchemaRef,
    pub(super) codec: KeyCodec,
    shuffle: Shuffle,
    pub(super) state: Table,
    /// Keys that are not in memory; none where all of them must be.
    pub(super) cold: Option<Cold>,
    due: Vec<RecordBatch>,
    size: StateSize,
}

impl Counted {
    /// An aggregation without state; what plugins say goes to `observer`.
    ///
    /// # Errors
    /// When the configuration cannot work, or a plugin does not open; the message says what to change.
    pub fn heard(
        config: AggregateConfig,
        count: CountConfig,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, AggregateError> {
        let cut = count.cut()?;
        if config.emit != Emit::Final && cut.every != cut.size {
            return Err(AggregateError::of_overlapping_counts());
        }
        let emit = config.emit;
        if matches!(emit, Emit::Early(_)) {
            return Err(AggregateError::of_early_counts());
        }
        let mut functions = Vec::new();
        if let Some(column) = count.time {
            functions.push(of_time("window_start", "min", column));
            functions.push(of_time("window_end", "max", column));
        }
        let times = functions.len();
        functions.extend(config.functions);
        // To the plan these are groups without windows.
        let plan =
            Plan::new(AggregateConfig { functions, window: None, emit: Emit::Update, ..config }, observer)?;
        Ok(Self {
            output: output(&plan, times)?,
            codec: plan.codec()?,
            shuffle: Shuffle::new(plan.config.workers),
            state: Table::new(&|| plan.accumulators())?,
            plan,
            cold: None,
            cut,
            emit,
            times,
            due: Vec::new(),
            size: StateSize::default(),
        })
    }

    /// The schema of the results.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// How windows are cut, for checkpoints.
    pub(super) fn description(&self) -> String {
        format!("every {} rows windows of {}", self.cut.every, self.cut.size)
    }

    fn keys(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.plan.config.keys.iter().map(|key| Arc::clone(rows.column(key.column))).collect()
    }

    fn arguments(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        let functions = self.plan.config.functions.iter();
        let columns = functions.flat_map(|function| &function.arguments);
        columns.map(|column| Arc::clone(rows.column(*column))).collect()
    }

    /// The rows that break a plugin by themselves. A row that is refused has no place in a window, so that has
    /// to be known before rows are counted: plugins are tried with states of their own.
    fn tried(&self, rows: &RecordBatch) -> Result<Vec<RejectedRow>, StepError> {
        let mut refused = Vec::new();
        let mut rest = rows.clone();
        while rest.num_rows() > 0 {
            let more = self.try_once(&rest).map_err(failed)?;
            if more.is_empty() {
                break;
            }
            refused = both(rows.num_rows(), refused, &more);
            let kept = UInt32Array::from(kept_rows(rows.num_rows(), &refused));
            rest = take_record_batch(rows, &kept).map_err(failed)?;
        }
        Ok(refused)
    }

    fn try_once(&self, rows: &RecordBatch) -> Result<Vec<RejectedRow>, StateError> {
        let keys = self.keys(rows);
        let (mut groups, mut ids) = (GroupTable::default(), Vec::new());
        groups.groups(&self.codec.encode(&keys, rows.num_rows())?, &mut ids)?;
        let functions = &self.plan.config.functions;
        let arguments = self.arguments(rows);
        let mut accumulators = self.plan.accumulators()?;
        for ((accumulator, own), function) in
            accumulators.iter_mut().zip(deal(functions, &arguments)).zip(functions)
        {
            accumulator.resize(groups.len());
            let refused = accumulator.refusals(&ids, own)?;
            if !refused.is_empty() {
                let told = refused.into_iter().map(|row| {
                    let own: Vec<ArrayRef> = keys.iter().map(|key| key.slice(row.row as usize, 1)).collect();
                    let group = describe_keys(&self.plan, &own);
                    RejectedRow { reason: format!("`{}` of {group}: {}", function.name, row.reason), ..row }
                });
                return Ok(told.collect());
            }
        }
        Ok(Vec::new())
    }

    fn take_rows(&mut self, rows: &RecordBatch) -> Result<(), StepError> {
        let keys = self.codec.encode(&self.keys(rows), rows.num_rows()).map_err(failed)?;
        let arguments = self.arguments(rows);
        let functions = &self.plan.config.functions;
        match self.state.take(self.cut, &keys, functions, &arguments).map_err(failed)? {
            Taken::All(full) if full.is_empty() => Ok(()),
            Taken::All(full) => {
                self.size.removed += full.len() as u64;
                let results = self.results_of(&full)?;
                self.due.push(results);
                Ok(())
            }
            Taken::Refused(function, rows) => Err(StepError::Failed(format!(
                "`{}` refuses a row that it takes without the rows before it, and a row of a count window cannot be left \
                 out afterwards: {}",
                functions[function].name,
                rows.first().map_or("", |row| row.reason.as_str())
            ))),
        }
    }

    fn results_of(&mut self, windows: &[Full]) -> Result<RecordBatch, StepError> {
        let slots = self.state.merged(windows).map_err(failed)?;
        let windows: Vec<(u32, u64)> =
            windows.iter().map(|Full { group, number, .. }| (*group, *number)).collect();
        self.results(&windows, &slots)
    }

    /// The results of windows, each given as group and number, whose values are in these slots.
    fn results(&self, windows: &[(u32, u64)], slots: &[u32]) -> Result<RecordBatch, StepError> {
        let numbers = windows.iter().map(|(_, number)| i64::try_from(*number).unwrap_or(i64::MAX));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(numbers.collect::<Int64Array>())];
        let groups: Vec<u32> = windows.iter().map(|(group, _)| *group).collect();
        let keys = self.state.groups().keys().gather(&groups).and_then(|keys| self.codec.decode(&keys));
        let keys = keys.map_err(failed)?;
        let (times, functions) = self.state.accumulators().split_at(self.times);
        let finish = |accumulator: &dyn Accumulator| {
            accumulator.finish(slots).map_err(|error| self.of_slot(windows, slots, error))
        };
        for accumulator in times {
            columns.push(finish(accumulator.as_ref())?);
        }
        columns.extend(keys);
        for accumulator in functions {
            columns.extend(result_columns(finish(accumulator.as_ref())?));
        }
        RecordBatch::try_new(Arc::clone(&self.output), columns).map_err(failed)
    }

    /// An error, with the keys of the window that it is about.
    fn of_slot(&self, windows: &[(u32, u64)], slots: &[u32], error: StateError) -> StepError {
        let StateError::Overflow { group: slot, reason } = error else { return failed(error) };
        let window = slots.iter().position(|other| *other == slot).map(|place| windows[place]);
        let (group, number) = window.unwrap_or_default();
        let keys = self.state.groups().keys().gather(&[group]).ok();
        let keys = keys.and_then(|keys| self.codec.decode(&keys).ok()).unwrap_or_default();
        let group = describe_keys(&self.plan, &keys);
        StepError::Failed(format!("window {number} of {group}: {reason}"))
    }

    /// The windows of the keys that the batch touched which are not full yet.
    fn open(&self) -> Vec<((u32, u64), u32)> {
        let touched = self.state.touched().iter();
        let open = touched.filter_map(|group| {
            let counter = &self.state.counters()[*group as usize];
            counter.slots.back().map(|slot| ((*group, counter.rows / self.cut.size), *slot))
        });
        open.collect()
    }
}

impl KeyedStep for Counted {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        self.plan.set_clock(ctx);
        let refused = if self.plan.calls_plugins() { self.tried(input)? } else { Vec::new() };
        let rows = if refused.is_empty() {
            input.clone()
        } else {
            let kept = UInt32Array::from(kept_rows(input.num_rows(), &refused));
            take_record_batch(input, &kept).map_err(failed)?
        };
        let keys = self.keys(&rows);
        self.shuffle.deal(port, ctx.order, rows, &self.codec, &keys)?;
        Ok(refused)
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        Ok(self.shuffle.take())
    }

    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        self.plan.set_clock(ctx);
        self.size = StateSize::default();
        if self.cold.is_some() {
            let encode =
                |parcel: &Parcel| self.codec.encode(&self.keys(&parcel.rows), parcel.rows.num_rows());
            let keys = parcels.iter().map(encode).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            self.bring(&keys).map_err(StepError::of_state)?;
        }
        parcels.iter().try_for_each(|parcel| self.take_rows(&parcel.rows))
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        self.plan.set_clock(ctx);
        let mut results = std::mem::take(&mut self.due);
        if self.emit != Emit::Final {
            let (windows, slots): (Vec<_>, Vec<_>) = self.open().into_iter().unzip();
            if !windows.is_empty() {
                results.push(self.results(&windows, &slots)?);
            }
        }
        self.size.updated = self.state.touched().len() as u64;
        self.note_touched();
        self.state.settle(&|| self.plan.accumulators()).map_err(failed)?;
        self.make_room().map_err(StepError::of_state)?;
        Ok(results)
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.set_spill(spill).map_err(StepError::of_state)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.copy_first(extent)
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        self.copy_next()
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        snapshot::restore(self, chunk)
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        let rows = self.results_of(&self.state.open_windows(self.cut))?;
        Ok(vec![StateChunk { table: snapshot::KEYS.to_owned(), rows }])
    }

    fn size(&self) -> StateSize {
        let cold = self.cold.as_ref();
        let keys_cold = cold.map_or(0, Cold::keys);
        StateSize {
            keys: self.state.groups().len() as u64 + keys_cold,
            bytes: self.state.bytes() as u64 + cold.map_or(0, Cold::bytes),
            keys_cold,
            bytes_cold: cold.map_or(0, Cold::file_bytes),
            ..self.size
        }
    }
}

fn of_time(name: &str, function: &str, column: usize) -> FunctionConfig {
    FunctionConfig { name: name.to_owned(), call: FunctionCall::built_in(function), arguments: vec![column] }
}

/// The number of the window, its times, the keys, the functions.
fn output(plan: &Plan, times: usize) -> Result<SchemaRef, AggregateError> {
    let (keys, functions) = plan.output.fields().split_at(plan.config.keys.len());
    let (times, functions) = functions.split_at(times);
    let number: FieldRef = Arc::new(Field::new("window_number", DataType::Int64, false));
    let fields: Vec<FieldRef> =
        std::iter::once(&number).chain(times).chain(keys).chain(functions).map(Arc::clone).collect();
    if fields.iter().skip(1).any(|field| field.name() == number.name()) {
        return Err(AggregateError::of_name(number.name()));
    }
    Ok(Arc::new(Schema::new(fields)))
}
