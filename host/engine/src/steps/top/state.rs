//! A `top` step's state to chunks for checkpoints and back: the rows of groups with their ranks. A
//! group in a chunk takes the place of what was known of it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;

use super::{Extent, StateChunk, StepError, Table, Top, TopPlan, failed};
use crate::batch::timestamp_us;
use crate::steps::shuffle::owned;

pub(super) const ROWS: &str = "rows";
/// Up to where groups are gone: one row.
const CLOSED: &str = "closed";
/// The key of the schema metadata that says what state is about.
const DESCRIPTION: &str = "millstream.top";

/// The schema of the table `rows`, with what the step does: state of another description is refused.
pub(super) fn schema(plan: &TopPlan) -> SchemaRef {
    let keys: Vec<String> = plan.keys.names().iter().map(|name| format!("{name:?}")).collect();
    let about = format!("version 1; by {}; order {}; n {}", keys.join(", "), plan.order, plan.rows_max);
    let schema = plan.schema.as_ref().clone();
    Arc::new(schema.with_metadata(HashMap::from([(DESCRIPTION.to_owned(), about)])))
}

fn closed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("closed_until", timestamp_us(), false)]))
}

/// Copies the state: all of it, or what changed since the last copy.
pub(super) fn copy(step: &mut Top, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
    let is_full = extent == Extent::Full;
    let mut chunks = Vec::new();
    if step.closed_us.is_some() && (is_full || step.closed_us != step.closed_copied_us) {
        let times = TimestampMicrosecondArray::from(vec![step.closed_us]).with_timezone("UTC");
        let rows = RecordBatch::try_new(closed_schema(), vec![Arc::new(times) as ArrayRef]);
        chunks.push(StateChunk { table: CLOSED.to_owned(), rows: rows.map_err(failed)? });
    }
    let mut copies = Vec::new();
    for table in step.tables.values() {
        let all: Vec<u32> = if is_full { (0..table.tops.len() as u32).collect() } else { Vec::new() };
        step.ranked(table, if is_full { &all } else { &table.changed }, &mut copies)?;
    }
    for rows in copies {
        let rows = rows.with_schema(Arc::clone(&step.state_schema)).map_err(failed)?;
        chunks.push(StateChunk { table: ROWS.to_owned(), rows });
    }
    step.closed_copied_us = step.closed_us;
    for table in step.tables.values_mut() {
        for id in std::mem::take(&mut table.changed) {
            table.tops[id as usize].is_changed = false;
        }
    }
    Ok(chunks)
}

/// The rows that are first in their groups.
pub(super) fn look(step: &mut Top) -> Result<Vec<StateChunk>, StepError> {
    let none =
        StateChunk { table: ROWS.to_owned(), rows: RecordBatch::new_empty(Arc::clone(&step.state_schema)) };
    let copied = copy(step, Extent::Full)?.into_iter().filter(|chunk| chunk.table == ROWS);
    Ok(std::iter::once(none).chain(copied).collect())
}

/// Takes back a chunk of state.
pub(super) fn restore(step: &mut Top, chunk: &StateChunk) -> Result<(), StepError> {
    let found = chunk.rows.schema();
    match chunk.table.as_str() {
        ROWS if found == step.state_schema => restore_rows(step, &chunk.rows),
        CLOSED if found == closed_schema() => {
            let times = chunk.rows.column(0).as_primitive::<TimestampMicrosecondType>();
            if let Some(closed_us) = times.iter().flatten().max() {
                step.close_cold(closed_us)?;
                let closed = step.close(closed_us);
                step.let_go(&closed);
                step.closed_copied_us = step.closed_us;
            }
            Ok(())
        }
        other => Err(StepError::State(format!(
            "the checkpoint's table `{other}` is not of this `top`: it is of {}, but this one is of {}; undo the change, \
             or start without the checkpoint",
            about(&found),
            about(&step.state_schema)
        ))),
    }
}

fn about(schema: &SchemaRef) -> String {
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let about = schema.metadata().get(DESCRIPTION).map(|about| format!(" [{about}]"));
    format!("({}){}", columns.join(", "), about.unwrap_or_default())
}

fn restore_rows(step: &mut Top, chunk: &RecordBatch) -> Result<(), StepError> {
    let keyed = step.plan.keys.of(&bare(step, chunk)?)?;
    if !keyed.refused.is_empty() {
        let message = "the checkpoint has rows whose keys cannot be computed: undo the change to `by`";
        return Err(StepError::State(message.to_owned()));
    }
    let keys = step.codec.encode(&keyed.keys, chunk.num_rows()).map_err(failed)?;
    let mine = owned(chunk, &keys, step.worker, step.workers)?;
    let ranks = mine.column(mine.num_columns() - 1).as_primitive::<Int64Type>();
    let firsts = filter_record_batch(&mine, &ranks.iter().map(|rank| Some(rank == Some(1))).collect());
    let firsts = bare(step, &firsts.map_err(failed)?)?;
    // What the file has of them is older.
    step.bring(std::iter::once(&firsts))?;
    for (time_us, rows) in step.by_time(&firsts)? {
        step.empty_groups(time_us, &rows)?;
    }
    step.take_rows(&bare(step, &mine)?)?;
    step.tables.values_mut().for_each(Table::forget_touched);
    if let Some(closed_us) = step.closed_us {
        let closed = step.close(closed_us);
        step.let_go(&closed);
    }
    step.make_room().map_err(StepError::of_state)
}

/// The rows without their ranks.
fn bare(step: &Top, rows: &RecordBatch) -> Result<RecordBatch, StepError> {
    let columns = rows.columns()[..rows.num_columns() - 1].to_vec();
    RecordBatch::try_new(Arc::clone(&step.plan.input), columns).map_err(failed)
}
