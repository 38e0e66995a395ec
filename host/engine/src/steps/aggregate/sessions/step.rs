//! The step over session windows, on one worker.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use millstream_wasm::Observer;

use super::cold::Cold;
use super::table::{Refused, Session, Table, Values};
use crate::batch::{BatchCtx, DeadLetterKind, EventTime, timestamp_us};
use crate::state::cold::Spill;
use crate::state::{KeyCodec, KeyColumn, StateError, key_group, owner};
use crate::steps::aggregate::Deaf;
use crate::steps::aggregate::config::{
    AggregateConfig, AggregateError, Gap, Plan, WindowConfig, WindowKind, result_columns,
};
use crate::steps::aggregate::table::{describe_keys, failed};
use crate::steps::keys::{both, kept_rows};
use crate::steps::on_time::{show, without_time};
use crate::steps::shuffle::owned;
use crate::steps::{Extent, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};

pub(super) const SESSIONS: &str = "sessions";
const CLOSED: &str = "closed";

/// An aggregation over session windows.
pub struct Sessions {
    pub(super) plan: Plan,
    gap: Gap,
    time: EventTime,
    lateness_us: i64,
    pub(super) codec: KeyCodec,
    pub(super) state: Table,
    /// What this worker gathers in the current batch, where rows do not go straight into the state.
    pub(super) gathered: Table,
    /// Keys that are not in memory; none where all of them must be.
    pub(super) cold: Option<Cold>,
    /// Sessions that end here or before are closed, and their results have been given.
    closed_us: Option<i64>,
    /// The current batch has closed the sessions that it closes.
    begun: bool,
    due: Vec<RecordBatch>,
    size: StateSize,
    /// Start, end, keys and states of functions.
    pub(super) state_schema: SchemaRef,
}

impl Sessions {
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
    /// As [`Sessions::new`], and when a plugin does not open.
    pub fn heard(config: AggregateConfig, observer: &Arc<dyn Observer>) -> Result<Self, AggregateError> {
        let plan = Plan::new(config, observer)?;
        let Some(WindowConfig { kind: WindowKind::Session(gap), time, lateness_us }) = plan.config.window
        else {
            return Err(AggregateError::without_sessions());
        };
        let state_schema = state_schema(&plan)?;
        Ok(Self {
            codec: plan.codec()?,
            state: Table::new(&|| plan.accumulators())?,
            gathered: Table::new(&|| plan.accumulators())?,
            plan,
            gap,
            time,
            lateness_us,
            closed_us: None,
            begun: false,
            due: Vec::new(),
            cold: None,
            size: StateSize::default(),
            state_schema,
        })
    }

    /// The schema of the results.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    /// Closes what the watermark has passed, before the batch's rows come.
    fn begin(&mut self, ctx: &BatchCtx) -> Result<(), StepError> {
        self.plan.set_clock(ctx);
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        self.size = StateSize::default();
        let closed_us = ctx.watermark_us.map(|us| us.saturating_sub(self.lateness_us));
        if let Some(until_us) = self.closed_us {
            // What a checkpoint brought back of sessions that were closed after it was full.
            self.wake(until_us).map_err(StepError::of_state)?;
            drop(self.state.close(until_us));
        }
        let closed_us = closed_us.max(self.closed_us);
        if let Some(until_us) = closed_us {
            self.wake(until_us).map_err(StepError::of_state)?;
            let closed = self.state.close(until_us);
            self.size.removed = closed.len() as u64;
            if !closed.is_empty() {
                self.due.push(self.results(closed)?);
            }
            self.shrink().map_err(StepError::of_state)?;
        }
        self.closed_us = closed_us;
        Ok(())
    }

    /// Results by start, end and key.
    fn results(&self, mut closed: Vec<(u32, Session)>) -> Result<RecordBatch, StepError> {
        let keys = self.state.groups().keys();
        closed.sort_by(|(left_group, left), (right_group, right)| {
            let left = (left.start_us, left.end_us, keys.get(*left_group));
            left.cmp(&(right.start_us, right.end_us, keys.get(*right_group)))
        });
        let slots: Vec<u32> = closed.iter().map(|(_, session)| session.slot).collect();
        let mut columns = self.places(&self.state, &closed).map_err(failed)?;
        for accumulator in self.state.accumulators() {
            let results = accumulator.finish(&slots).map_err(|error| self.of_session(&closed, error))?;
            columns.extend(result_columns(results));
        }
        RecordBatch::try_new(Arc::clone(&self.plan.output), columns).map_err(failed)
    }

    /// Start, end and key columns.
    fn places(&self, table: &Table, sessions: &[(u32, Session)]) -> Result<Vec<ArrayRef>, StateError> {
        let groups: Vec<u32> = sessions.iter().map(|(group, _)| *group).collect();
        let mut columns = bounds(sessions);
        columns.extend(self.codec.decode(&table.groups().keys().gather(&groups)?)?);
        Ok(columns)
    }

    /// The rows' ends, and those that cannot be taken.
    fn ends(&self, input: &RecordBatch) -> (Vec<i64>, Vec<RejectedRow>) {
        let times = self.time.times(input);
        let schema = input.schema();
        let time_name = schema.field(self.time.column).name();
        let gaps: Option<&Int64Array> = match self.gap {
            Gap::Fixed(_) => None,
            Gap::Column(column) => Some(input.column(column).as_primitive::<Int64Type>()),
        };
        let mut ends = Vec::with_capacity(input.num_rows());
        let mut refused = Vec::new();
        for row in 0..input.num_rows() {
            let number = u32::try_from(row).unwrap_or(u32::MAX);
            let gap_us = match (self.gap, gaps) {
                (Gap::Fixed(gap_us), _) => Some(gap_us),
                (_, Some(gaps)) => gaps.is_valid(row).then(|| gaps.value(row)).filter(|gap_us| *gap_us > 0),
                (Gap::Column(_), None) => None,
            };
            let time_us = times.is_valid(row).then(|| times.value(row));
            match (time_us, gap_us) {
                (None, _) => refused.push(without_time(number, time_name)),
                (_, None) => refused.push(without_gap(number)),
                (Some(time_us), Some(gap_us)) => {
                    let end_us = time_us.saturating_add(gap_us);
                    if self.closed_us.is_some_and(|closed_us| end_us <= closed_us) {
                        refused.push(late(number, time_us, end_us, self.closed_us.unwrap_or(i64::MIN)));
                    } else {
                        ends.push(end_us);
                    }
                }
            }
        }
        (ends, refused)
    }

    /// Takes rows with the ends that they have alone; answers with those that a plugin refuses.
    fn take_rows(&mut self, rows: &RecordBatch, ends_us: &[i64]) -> Result<Vec<RejectedRow>, StepError> {
        let mut refused = Vec::new();
        let (mut rest, mut ends) = (rows.clone(), ends_us.to_vec());
        while rest.num_rows() > 0 {
            let more = self.try_rows(&rest, &ends)?;
            if more.is_empty() {
                break;
            }
            refused = both(rows.num_rows(), refused, &more);
            let kept = kept_rows(rows.num_rows(), &refused);
            ends = kept.iter().map(|row| ends_us[*row as usize]).collect();
            rest = take_record_batch(rows, &UInt32Array::from(kept)).map_err(failed)?;
        }
        Ok(refused)
    }

    /// Takes rows if no function refuses any; answers with those that one refuses.
    fn try_rows(&mut self, rows: &RecordBatch, ends_us: &[i64]) -> Result<Vec<RejectedRow>, StepError> {
        let column = |column: usize| Arc::clone(rows.column(column));
        let keys: Vec<ArrayRef> = self.plan.config.keys.iter().map(|key| column(key.column)).collect();
        let functions = &self.plan.config.functions;
        let arguments: Vec<_> =
            functions.iter().flat_map(|function| &function.arguments).copied().map(column).collect();
        let encoded = self.codec.encode(&keys, rows.num_rows()).map_err(failed)?;
        let starts = self.time.times(rows);
        let values = Values::Arguments(functions, &arguments);
        // Not straight where keys may have to be brought back first, which is done for those of a batch at once.
        let alone = self.plan.config.workers == 1 && self.cold.is_none();
        let table = if alone { &mut self.state } else { &mut self.gathered };
        if !self.plan.calls_plugins() {
            table.take(&encoded, starts.values(), ends_us, &values).map_err(failed)?;
            return Ok(Vec::new());
        }
        // Rows that are refused must have changed no session: they are tried in sessions of their own.
        let mut tried = Table::new(&|| self.plan.accumulators()).map_err(failed)?;
        match tried.take(&encoded, starts.values(), ends_us, &values).map_err(failed)? {
            None => tried.pour(table).map(|()| Vec::new()).map_err(failed),
            Some(Refused { function, rows }) => {
                let told = rows.into_iter().map(|row| {
                    let own: Vec<ArrayRef> = keys.iter().map(|key| key.slice(row.row as usize, 1)).collect();
                    let group = describe_keys(&self.plan, &own);
                    let reason = format!("`{}` of {group}: {}", functions[function].name, row.reason);
                    RejectedRow { reason, ..row }
                });
                Ok(told.collect())
            }
        }
    }

    /// An error, with the keys of the session that it is about.
    fn of_session(&self, sessions: &[(u32, Session)], error: StateError) -> StepError {
        let StateError::Overflow { group: slot, reason } = error else { return failed(error) };
        let group = sessions.iter().find(|(_, session)| session.slot == slot).map(|(group, _)| *group);
        let keys = group.and_then(|group| self.state.groups().keys().gather(&[group]).ok());
        let keys = keys.and_then(|keys| self.codec.decode(&keys).ok()).unwrap_or_default();
        StepError::Failed(format!("a session of {}: {reason}", describe_keys(&self.plan, &keys)))
    }

    fn copy(&self, sessions: &[(u32, Session)]) -> Result<RecordBatch, StateError> {
        let slots: Vec<u32> = sessions.iter().map(|(_, session)| session.slot).collect();
        let mut columns = self.places(&self.state, sessions)?;
        for accumulator in self.state.accumulators() {
            columns.extend(accumulator.state(&slots)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.state_schema), columns)?)
    }
}

impl Sessions {
    /// Copies what is in memory.
    pub(super) fn copy_memory(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        let mut chunks = Vec::new();
        if self.closed_us.is_some() {
            let column: ArrayRef =
                Arc::new(TimestampMicrosecondArray::from(vec![self.closed_us]).with_timezone("UTC"));
            let rows = RecordBatch::try_new(closed_schema(), vec![column]).map_err(failed)?;
            chunks.push(StateChunk { table: CLOSED.into(), rows });
        }
        let sessions: Vec<(u32, Session)> = match extent {
            Extent::Full => self.state.all().collect(),
            Extent::Delta => self.state.changed().collect(),
        };
        if !sessions.is_empty() {
            chunks.push(StateChunk { table: SESSIONS.into(), rows: self.copy(&sessions).map_err(failed)? });
        }
        self.state.mark_copied();
        Ok(chunks)
    }
}

impl KeyedStep for Sessions {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        _: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        self.begin(ctx)?;
        let (ends, refused) = self.ends(input);
        let rows = if refused.is_empty() {
            input.clone()
        } else {
            let kept = UInt32Array::from(kept_rows(input.num_rows(), &refused));
            take_record_batch(input, &kept).map_err(failed)?
        };
        if rows.num_rows() == 0 {
            return Ok(refused);
        }
        let more = self.take_rows(&rows, &ends)?;
        Ok(both(input.num_rows(), refused, &more))
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        let workers = self.plan.config.workers;
        let mut dealt: Vec<Vec<(u32, Session)>> = vec![Vec::new(); workers as usize];
        let all: Vec<(u32, Session)> = self.gathered.all().collect();
        let groups: Vec<u32> = all.iter().map(|(group, _)| *group).collect();
        let keys = self.gathered.groups().keys();
        let hashes = KeyColumn::Bytes(keys.gather(&groups).map_err(failed)?).hashes();
        for (session, hash) in all.into_iter().zip(hashes) {
            dealt[owner(key_group(hash), workers) as usize].push(session);
        }
        let parcel = |sessions: &Vec<(u32, Session)>| {
            let groups: Vec<u32> = sessions.iter().map(|(group, _)| *group).collect();
            let slots: Vec<u32> = sessions.iter().map(|(_, session)| session.slot).collect();
            let mut columns = bounds(sessions);
            columns.push(Arc::new(keys.gather(&groups)?) as ArrayRef);
            for accumulator in self.gathered.accumulators() {
                columns.extend(accumulator.state(&slots)?);
            }
            let fields = columns.iter().enumerate();
            let fields: Vec<Field> = fields
                .map(|(i, column)| Field::new(i.to_string(), column.data_type().clone(), true))
                .collect();
            let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
            Ok(vec![Parcel { port: 0, order: 0, rows }])
        };
        let parcels = dealt.iter().map(parcel).collect::<Result<_, StateError>>().map_err(failed)?;
        self.gathered = Table::new(&|| self.plan.accumulators()).map_err(failed)?;
        Ok(parcels)
    }

    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        self.begin(ctx)?;
        let gathered = parcels.iter().map(|parcel| &parcel.rows).filter(|rows| rows.num_rows() > 0);
        self.take_gathered(&gathered.collect::<Vec<_>>()).map_err(StepError::of_state)
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        self.begin(ctx)?;
        self.begun = false;
        self.make_room().map_err(StepError::of_state)?;
        Ok(std::mem::take(&mut self.due))
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
        let time = |rows: &RecordBatch, column: usize| {
            rows.column(column).as_primitive::<TimestampMicrosecondType>().clone()
        };
        if chunk.table == CLOSED && chunk.rows.schema() == closed_schema() {
            self.closed_us = self.closed_us.max(time(&chunk.rows, 0).iter().flatten().max());
            return Ok(());
        }
        if chunk.table != SESSIONS || chunk.rows.schema() != self.state_schema {
            return Err(StepError::State(format!(
                "the checkpoint's table `{}` is not of these sessions: undo the change to keys, gap or functions, or \
                 start without the checkpoint",
                chunk.table
            )));
        }
        let key_columns = 2..2 + self.plan.config.keys.len();
        let encode = |codec: &KeyCodec, rows: &RecordBatch| {
            codec.encode(&rows.columns()[key_columns.clone()], rows.num_rows()).map_err(failed)
        };
        let keys = encode(&self.codec, &chunk.rows)?;
        let rows = owned(&chunk.rows, &keys, self.plan.config.worker, self.plan.config.workers)?;
        let keys = encode(&self.codec, &rows)?;
        let (starts, ends) = (time(&rows, 0), time(&rows, 1));
        let states = &rows.columns()[key_columns.end..];
        // What the file has of them is older.
        self.bring(std::slice::from_ref(&keys)).map_err(StepError::of_state)?;
        self.state.replace(&keys, starts.values(), ends.values(), states).map_err(failed)?;
        self.note_touched();
        self.state.mark_copied();
        self.make_room().map_err(StepError::of_state)
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        let rows = self.results(self.state.all().collect())?;
        Ok(vec![StateChunk { table: SESSIONS.into(), rows }])
    }

    fn size(&self) -> StateSize {
        let cold = self.cold.as_ref();
        let keys_cold = cold.map_or(0, Cold::sessions);
        StateSize {
            keys: self.state.len() as u64 + keys_cold,
            bytes: (self.state.bytes() + self.gathered.bytes()) as u64 + cold.map_or(0, Cold::bytes),
            keys_cold,
            bytes_cold: cold.map_or(0, Cold::file_bytes),
            ..self.size
        }
    }
}

pub(super) fn bounds(sessions: &[(u32, Session)]) -> Vec<ArrayRef> {
    let column = |time: fn(&Session) -> i64| {
        let times = sessions.iter().map(|(_, session)| time(session));
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef
    };
    vec![column(|session| session.start_us), column(|session| session.end_us)]
}

fn closed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("closed_until", timestamp_us(), false)]))
}

/// What a session is in a checkpoint.
fn state_schema(plan: &Plan) -> Result<SchemaRef, StateError> {
    let places = plan.output.fields().iter().take(2 + plan.config.keys.len());
    let mut fields: Vec<Field> = places.map(|field| field.as_ref().clone()).collect();
    for (function, accumulator) in plan.config.functions.iter().zip(plan.accumulators()?) {
        fields.extend(accumulator.state_fields().into_iter().map(|field| {
            let name = format!("{}.{}", function.name, field.name());
            field.with_name(name)
        }));
    }
    Ok(Arc::new(Schema::new_with_metadata(fields, plan.groups.metadata().clone())))
}

fn without_gap(row: u32) -> RejectedRow {
    RejectedRow {
        row,
        kind: DeadLetterKind::Rejected,
        reason: "the session's gap is null, zero or negative in this row: give it a length of time"
            .to_owned(),
    }
}

fn late(row: u32, time_us: i64, end_us: i64, closed_us: i64) -> RejectedRow {
    let short_us = i128::from(closed_us) - i128::from(end_us) + 1;
    RejectedRow {
        row,
        kind: DeadLetterKind::Late,
        reason: format!(
            "a session of the event time {} alone ends at {}, which is closed, as the watermark (less the lateness) is \
             {}: to take such rows, raise `lateness`, or the delay of the source's event time, by {} s or more",
            show(time_us),
            show(end_us),
            show(closed_us),
            (short_us + 999_999) / 1_000_000,
        ),
    }
}
