//! State to chunks for checkpoints and back. Keys are kept as their columns, not as encoded bytes, so
//! that the encoding may change while checkpoints live, and chunks can be read by people.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;

use super::cold::stored;
use super::early::Rhythm;
use super::table::{Table, failed, times};
use super::{Aggregate, Extent, PIECE_ROWS, StateChunk, StateError, StepError, pieces, runs, table_of};
use crate::batch::timestamp_us;
use crate::state::cold::ColdRows;
use crate::state::{key_group, owner};

/// Groups with the states of functions.
pub(super) const GROUPS: &str = "groups";

/// Up to where windows are closed: one row.
const CLOSED: &str = "closed";

/// When results went on early: one row.
const EARLY: &str = "early";

/// Distinct values of a function, whose output name follows.
const DISTINCT: &str = "distinct:";

/// Rows that are taken back at a time.
const RESTORED_ROWS: usize = 1 << 17;

/// Copies the state: all of it, or what changed since the last copy.
pub(super) fn copy(step: &mut Aggregate, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
    let full = extent == Extent::Full;
    let mut chunks = Vec::new();
    if step.closed_us.is_some() && (full || step.closed_us != step.closed_copied_us) {
        let column: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![step.closed_us]).with_timezone("UTC"));
        let rows = RecordBatch::try_new(closed_schema(), vec![column]).map_err(failed)?;
        chunks.push(StateChunk { table: CLOSED.into(), rows });
    }
    if step.rhythm.last_us.is_some() && (full || step.rhythm.last_us != step.rhythm.copied_us) {
        let column: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![step.rhythm.last_us]).with_timezone("UTC"));
        let rows = RecordBatch::try_new(early_schema(), vec![column]).map_err(failed)?;
        chunks.push(StateChunk { table: EARLY.into(), rows });
        step.rhythm.copied_us = step.rhythm.last_us;
    }
    chunks.extend(copy_tables(step, full)?);
    step.closed_copied_us = step.closed_us;
    Ok(chunks)
}

/// Copies the groups in memory: all of them, or what changed since the last copy.
pub(super) fn copy_tables(step: &mut Aggregate, full: bool) -> Result<Vec<StateChunk>, StepError> {
    let groups = copy_groups(step, full).map_err(failed)?;
    let mut chunks = chunks_of(GROUPS, &step.plan.groups, groups)?;
    for function in 0..step.plan.distinct.len() {
        let Some(schema) = step.plan.distinct[function].clone() else { continue };
        let pairs = copy_pairs(step, function, &schema, full).map_err(failed)?;
        let table = format!("{DISTINCT}{}", step.plan.config.functions[function].name);
        chunks.extend(chunks_of(&table, &schema, pairs)?);
    }
    step.state.values_mut().for_each(Table::mark_copied);
    Ok(chunks)
}

fn copy_groups(step: &Aggregate, full: bool) -> Result<Vec<RecordBatch>, StateError> {
    let mut copies = Vec::new();
    for (&start_us, table) in &step.state {
        let all: Vec<u32> = if full { (0..table.len() as u32).collect() } else { Vec::new() };
        let ids = if full { &all } else { table.changed() };
        for ids in ids.chunks(PIECE_ROWS) {
            let mut columns = key_columns(step, start_us, table, ids)?;
            let functions = table.accumulators().iter().zip(&step.plan.distinct);
            for (accumulator, _) in functions.filter(|(_, distinct)| distinct.is_none()) {
                columns.extend(accumulator.state(ids)?);
            }
            copies.push(RecordBatch::try_new(Arc::clone(&step.plan.groups), columns)?);
        }
    }
    Ok(copies)
}

fn copy_pairs(
    step: &mut Aggregate,
    function: usize,
    schema: &SchemaRef,
    full: bool,
) -> Result<Vec<RecordBatch>, StateError> {
    let mut copies = Vec::new();
    let starts: Vec<i64> = step.state.keys().copied().collect();
    for start_us in starts {
        let mut ranges = Vec::new();
        if let Some(pairs) =
            step.state.get_mut(&start_us).and_then(|table| table.accumulators_mut()[function].pairs())
        {
            let first = if full { 0 } else { pairs.copied() };
            for from in (first..pairs.len()).step_by(PIECE_ROWS) {
                ranges.push(pairs.copy(from..pairs.len().min(from + PIECE_ROWS))?);
            }
        }
        for (ids, values) in ranges {
            let mut columns = key_columns(step, start_us, &step.state[&start_us], &ids)?;
            columns.push(values);
            copies.push(RecordBatch::try_new(Arc::clone(schema), columns)?);
        }
    }
    Ok(copies)
}

/// Groups of one window, none of whose functions has distinct values, with the states of functions.
pub(super) fn chunk_of(step: &Aggregate, start_us: i64, rows: &ColdRows) -> Result<StateChunk, StateError> {
    let mut columns = vec![starts(step, start_us, rows.keys.len())];
    columns.extend(step.codec.decode(&rows.keys)?);
    columns.extend(rows.payload.iter().map(Arc::clone));
    let rows = RecordBatch::try_new(Arc::clone(&step.plan.groups), columns)?;
    Ok(StateChunk { table: GROUPS.to_owned(), rows })
}

fn starts(step: &Aggregate, start_us: i64, rows: usize) -> ArrayRef {
    match &step.plan.config.window {
        Some(_) => times(start_us, rows),
        None => arrow_array::new_null_array(&timestamp_us(), rows),
    }
}

/// The window's start and the keys of groups.
fn key_columns(
    step: &Aggregate,
    start_us: i64,
    table: &Table,
    ids: &[u32],
) -> Result<Vec<ArrayRef>, StateError> {
    let mut columns = vec![starts(step, start_us, ids.len())];
    columns.extend(table.keys(&step.codec, ids)?);
    Ok(columns)
}

fn chunks_of(
    table: &str,
    schema: &SchemaRef,
    copies: Vec<RecordBatch>,
) -> Result<Vec<StateChunk>, StepError> {
    let rows = pieces(schema, copies)?;
    Ok(rows.into_iter().map(|rows| StateChunk { table: table.to_owned(), rows }).collect())
}

fn closed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("closed_until", timestamp_us(), false)]))
}

fn early_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("given_until", timestamp_us(), false)]))
}

/// Takes back a chunk of state.
pub(super) fn restore(step: &mut Aggregate, chunk: &StateChunk) -> Result<(), StepError> {
    let rows = &chunk.rows;
    if chunk.table == CLOSED {
        check(chunk, &closed_schema())?;
        let closed = rows.column(0).as_primitive::<TimestampMicrosecondType>();
        step.closed_us = step.closed_us.max(closed.iter().flatten().max());
        step.closed_copied_us = step.closed_us;
        return Ok(());
    }
    if chunk.table == EARLY {
        check(chunk, &early_schema())?;
        let last = rows.column(0).as_primitive::<TimestampMicrosecondType>();
        let last_us = step.rhythm.last_us.max(last.iter().flatten().max());
        // Which groups were touched since then, they know themselves.
        step.rhythm = Rhythm { last_us, copied_us: last_us, pending: true };
        return Ok(());
    }
    if chunk.table == GROUPS {
        check(chunk, &step.plan.groups)?;
        return restore_rows(step, rows, None);
    }
    let named = chunk.table.strip_prefix(DISTINCT);
    let function =
        named.and_then(|name| step.plan.config.functions.iter().position(|other| other.name == name));
    match function.and_then(|function| Some((function, step.plan.distinct[function].clone()?))) {
        Some((function, schema)) => {
            check(chunk, &schema)?;
            restore_rows(step, rows, Some(function))
        }
        None => Err(StepError::State(format!(
            "the checkpoint has a table of state `{}`, which this aggregation does not: its functions have changed; \
             change them back, or start without the checkpoint",
            chunk.table
        ))),
    }
}

/// Takes back groups, or the distinct values of a function.
fn restore_rows(step: &mut Aggregate, rows: &RecordBatch, distinct: Option<usize>) -> Result<(), StepError> {
    let rows = owned(step, rows).map_err(foreign)?;
    for (start_us, run) in runs(&rows) {
        let start_us = start_of(step, start_us)?;
        // In pieces, so that what has no room leaves memory before more comes.
        for first in (0..run.num_rows()).step_by(RESTORED_ROWS) {
            let piece = run.slice(first, RESTORED_ROWS.min(run.num_rows() - first));
            restore_run(step, start_us, &piece, distinct).map_err(foreign)?;
            step.make_room().map_err(foreign)?;
        }
    }
    Ok(())
}

/// The rows whose keys this worker owns.
fn owned(step: &Aggregate, rows: &RecordBatch) -> Result<RecordBatch, StateError> {
    let (worker, workers) = (step.plan.config.worker, step.plan.config.workers);
    if workers == 1 {
        return Ok(rows.clone());
    }
    let keys = step.codec.encode(&rows.columns()[1..=step.plan.config.keys.len()], rows.num_rows())?;
    let owned = keys.hashes().into_iter().map(|hash| Some(owner(key_group(hash), workers) == worker));
    Ok(filter_record_batch(rows, &owned.collect::<BooleanArray>())?)
}

fn start_of(step: &Aggregate, start_us: Option<i64>) -> Result<i64, StepError> {
    match (start_us, start_us.and_then(|start_us| step.pane(start_us))) {
        (None, None) if step.plan.config.window.is_none() => Ok(0),
        (Some(start_us), Some(window)) if window.start_us == start_us => Ok(start_us),
        _ => {
            Err(StepError::State("the checkpoint's groups are not in the windows of this aggregation".into()))
        }
    }
}

fn restore_run(
    step: &mut Aggregate,
    start_us: i64,
    run: &RecordBatch,
    distinct: Option<usize>,
) -> Result<(), StateError> {
    let (keys, states) = run.columns()[1..].split_at(step.plan.config.keys.len());
    let keys = step.codec.encode(keys, run.num_rows())?;
    step.bring(start_us, &keys)?;
    let table = table_of(&mut step.state, &mut step.spare, &step.plan, start_us)?;
    let ids = &mut step.ids;
    table.find(&keys, ids)?;
    if let Some(function) = distinct {
        let pairs = table.accumulators_mut()[function].pairs();
        let pairs =
            pairs.ok_or_else(|| StateError::Mismatch("the function has no distinct values".into()))?;
        pairs.insert(ids, &states[0])?;
        pairs.mark_copied();
        return Ok(());
    }
    let mut states = states;
    let plain = table.accumulators_mut().iter_mut().zip(&step.plan.distinct);
    for (accumulator, _) in plain.filter(|(_, distinct)| distinct.is_none()) {
        let (own, rest) = states.split_at(accumulator.state_fields().len());
        accumulator.reset(ids);
        accumulator.merge(ids, own)?;
        states = rest;
    }
    Ok(())
}

fn check(chunk: &StateChunk, expected: &SchemaRef) -> Result<(), StepError> {
    let found = chunk.rows.schema();
    if &found == expected {
        return Ok(());
    }
    Err(StepError::State(format!(
        "the checkpoint's table `{}` is not of this aggregation's making: it has {}, but {} is expected; undo the \
         change to keys, window or functions, or start without the checkpoint",
        chunk.table,
        describe(&found),
        describe(expected)
    )))
}

fn describe(schema: &Schema) -> String {
    let columns = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let about = schema.metadata().values().map(|value| format!(" [{value}]")).collect::<String>();
    format!("({columns}){about}")
}

fn foreign(error: StateError) -> StepError {
    if let StateError::Scratch { .. } = error {
        return stored(error);
    }
    StepError::State(format!("the checkpoint cannot be taken over: {error}"))
}
