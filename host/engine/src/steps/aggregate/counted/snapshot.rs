//! State to chunks for checkpoints and back: how many rows of each key came, and the panes that windows
//! still need.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::step::Counted;
use crate::state::StateError;
use crate::state::cold::Unlisted;
use crate::steps::aggregate::PIECE_ROWS;
use crate::steps::aggregate::table::failed;
use crate::steps::shuffle::owned;
use crate::steps::{Extent, StateChunk, StepError};

/// Rows of each key; a row here replaces the key's panes.
pub(super) const KEYS: &str = "keys";
/// Panes, those of a key in their order; behind `keys`.
const PANES: &str = "panes";

/// Copies the state: all of it, or what changed since the last copy.
pub(super) fn copy(step: &mut Counted, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
    let groups: Vec<u32> = match extent {
        Extent::Full => (0..step.state.groups().len() as u32).collect(),
        Extent::Delta => step.state.changed().to_vec(),
    };
    let mut chunks = Vec::new();
    for groups in groups.chunks(PIECE_ROWS) {
        chunks.extend(copy_keys(step, groups).map_err(failed)?);
    }
    step.state.mark_copied();
    Ok(chunks)
}

fn copy_keys(step: &Counted, groups: &[u32]) -> Result<Vec<StateChunk>, StateError> {
    let keys = |groups: &[u32]| step.codec.decode(&step.state.groups().keys().gather(groups)?);
    let counters = step.state.counters();
    let mut columns = keys(groups)?;
    let rows = groups.iter().map(|group| i64::try_from(counters[*group as usize].rows).unwrap_or(i64::MAX));
    columns.push(Arc::new(rows.collect::<Int64Array>()));
    let mut chunks = vec![chunk(KEYS, keys_schema(step), columns)?];
    let panes =
        groups.iter().flat_map(|group| counters[*group as usize].slots.iter().map(|slot| (*group, *slot)));
    let (owners, slots): (Vec<u32>, Vec<u32>) = panes.unzip();
    if !slots.is_empty() {
        let mut columns: Vec<ArrayRef> = keys(&owners)?;
        for accumulator in step.state.accumulators() {
            columns.extend(accumulator.state(&slots)?);
        }
        chunks.push(chunk(PANES, panes_schema(step), columns)?);
    }
    Ok(chunks)
}

/// Keys of the scratch file with their counts of rows and their panes, as chunks.
pub(super) fn chunks(
    step: &Counted,
    keys: &BinaryArray,
    rows: ArrayRef,
    panes: Unlisted,
) -> Result<Vec<StateChunk>, StateError> {
    let mut columns = step.codec.decode(keys)?;
    columns.push(rows);
    let mut chunks = vec![chunk(KEYS, keys_schema(step), columns)?];
    if !panes.keys.is_empty() {
        let mut columns = step.codec.decode(&panes.keys)?;
        columns.extend(panes.columns);
        chunks.push(chunk(PANES, panes_schema(step), columns)?);
    }
    Ok(chunks)
}

fn chunk(table: &str, schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<StateChunk, StateError> {
    Ok(StateChunk { table: table.to_owned(), rows: RecordBatch::try_new(schema, columns)? })
}

/// Takes back a chunk of state.
pub(super) fn restore(step: &mut Counted, chunk: &StateChunk) -> Result<(), StepError> {
    let expected = match chunk.table.as_str() {
        KEYS => Some(keys_schema(step)),
        PANES => Some(panes_schema(step)),
        _ => None,
    };
    if expected != Some(chunk.rows.schema()) {
        return Err(StepError::State(format!(
            "the checkpoint's table `{}` is not of these count windows: undo the change to keys, windows or functions, \
             or start without the checkpoint",
            chunk.table
        )));
    }
    let count = step.plan.config.keys.len();
    let encode = |step: &Counted, rows: &RecordBatch| {
        step.codec.encode(&rows.columns()[..count], rows.num_rows()).map_err(failed)
    };
    let keys = encode(step, &chunk.rows)?;
    let rows = owned(&chunk.rows, &keys, step.plan.config.worker, step.plan.config.workers)?;
    let keys = encode(step, &rows)?;
    // What the file has of them is older, or lacks the panes.
    step.bring(std::slice::from_ref(&keys)).map_err(StepError::of_state)?;
    let restored = if chunk.table == KEYS {
        step.state.restore_counts(&keys, rows.column(count).as_primitive::<Int64Type>().values())
    } else {
        step.state.restore_panes(&keys, &rows.columns()[count..])
    };
    restored.map_err(failed)?;
    step.make_room().map_err(StepError::of_state)
}

fn key_fields(step: &Counted) -> Vec<FieldRef> {
    // Behind the start of a window, which these groups do not have.
    step.plan.groups.fields()[1..=step.plan.config.keys.len()].to_vec()
}

fn keys_schema(step: &Counted) -> SchemaRef {
    let mut fields = key_fields(step);
    fields.push(Arc::new(Field::new("rows", DataType::Int64, false)));
    with_description(step, fields)
}

fn panes_schema(step: &Counted) -> SchemaRef {
    let mut fields = key_fields(step);
    for (function, accumulator) in step.plan.config.functions.iter().zip(step.state.accumulators()) {
        fields.extend(accumulator.state_fields().into_iter().map(|field| {
            let name = format!("{}.{}", function.name, field.name());
            Arc::new(field.with_name(name))
        }));
    }
    with_description(step, fields)
}

fn with_description(step: &Counted, fields: Vec<FieldRef>) -> SchemaRef {
    let mut metadata = step.plan.groups.metadata().clone();
    metadata.insert("millstream.count".to_owned(), step.description());
    Arc::new(Schema::new_with_metadata(fields, metadata))
}
