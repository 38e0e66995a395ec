//! The states of a worker as columns for checkpoints, and back: a row a key, which takes the place of
//! what was known of it; a row without state and timer says that there is nothing any more.
//!
//! Beside what the step does, a chunk says which version of the plugin wrote it. States of another
//! version go through the plugin's `migrate` on their way back.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::take::take;

use super::step::Step;
use super::turns::ended;
use super::{StateParts, TimerClock};
use crate::batch::timestamp_us;
use crate::state::NEVER;
use crate::state::cold::ColdRows;
use crate::steps::filter::failed;
use crate::steps::shuffle::owned;
use crate::steps::{Extent, StateChunk, StepError};

const KEYS: &str = "keys";
/// Whether there was a batch, so that initial rows do not come again: one row.
const BEGUN: &str = "begun";
/// The keys of the schema's metadata that say what wrote the state.
const DESCRIPTION: &str = "millstream.state";
const VERSION: &str = "millstream.plugin-version";

/// Bounds of one chunk.
const CHUNK_ROWS: usize = 65_536;
const CHUNK_BYTES: usize = 16 << 20;

/// The schema of state, with what this step does and the version of its plugin.
fn schema(parts: &StateParts) -> SchemaRef {
    let keys = parts.keys.fields().iter().map(|key| Field::new(key.name(), key.data_type().clone(), true));
    let kept = [
        Field::new("state", DataType::Binary, true),
        Field::new("timer", timestamp_us(), true),
        Field::new("touched", timestamp_us(), false),
    ];
    let names: Vec<String> = parts.keys.names().iter().map(|name| format!("{name:?}")).collect();
    let clock = match parts.timers {
        TimerClock::EventTime(_) => "event-time",
        TimerClock::ProcessingTime => "processing-time",
    };
    let about = format!("1; state {}; by {}; timers {clock}", parts.operator, names.join(", "));
    let metadata =
        HashMap::from([(DESCRIPTION.to_owned(), about), (VERSION.to_owned(), parts.version.clone())]);
    Arc::new(Schema::new(keys.chain(kept).collect::<Vec<_>>()).with_metadata(metadata))
}

impl Step {
    /// The table without rows.
    pub(super) fn empty_chunk(&self) -> StateChunk {
        StateChunk { table: KEYS.to_owned(), rows: RecordBatch::new_empty(schema(&self.parts)) }
    }

    pub(super) fn copy(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        let schema = schema(&self.parts);
        let all: Vec<u32>;
        let ids = match extent {
            Extent::Delta => self.store.changed(),
            Extent::Full => {
                all = (0..self.store.len() as u32).filter(|id| self.store.is_live(*id)).collect();
                &all
            }
        };
        let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (place, id) in ids.iter().enumerate() {
            bytes += self.store.state_bytes(*id);
            if place + 1 - start >= CHUNK_ROWS || bytes >= CHUNK_BYTES || place + 1 == ids.len() {
                chunks.push(self.chunk(&schema, &ids[start..=place])?);
                (start, bytes) = (place + 1, 0);
            }
        }
        if self.has_begun && (extent == Extent::Full || !self.beginning_saved) {
            let begun: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
            let rows = RecordBatch::try_from_iter([(BEGUN, begun)]).map_err(failed)?;
            chunks.push(StateChunk { table: BEGUN.to_owned(), rows });
        }
        self.beginning_saved = self.has_begun;
        self.store.saved();
        Ok(chunks)
    }

    /// Rows of the scratch file: state, timer, when it was touched, and what does not count here.
    pub(super) fn cold_chunk(&self, rows: ColdRows) -> Result<StateChunk, StepError> {
        let number = |column: usize| rows.payload[column].as_primitive::<Int64Type>();
        let timers = number(1).iter().map(|at_us| at_us.filter(|at_us| *at_us != NEVER));
        let timers: TimestampMicrosecondArray = timers.collect();
        let touched = TimestampMicrosecondArray::new(number(2).values().clone(), None);
        let mut columns = self.store.codec().decode(&rows.keys).map_err(failed)?;
        columns.push(Arc::clone(&rows.payload[0]));
        columns.push(Arc::new(timers.with_timezone("UTC")));
        columns.push(Arc::new(touched.with_timezone("UTC")));
        let rows = RecordBatch::try_new(schema(&self.parts), columns).map_err(failed)?;
        Ok(StateChunk { table: KEYS.to_owned(), rows })
    }

    fn chunk(&self, schema: &SchemaRef, ids: &[u32]) -> Result<StateChunk, StepError> {
        let mut columns = self.store.key_columns(ids).map_err(failed)?;
        columns.push(Arc::new(self.store.states(ids).map_err(failed)?));
        let timers = ids.iter().map(|id| Some(self.store.timer_us(*id)).filter(|at_us| *at_us != NEVER));
        columns.push(Arc::new(timers.collect::<TimestampMicrosecondArray>().with_timezone("UTC")));
        let touched = ids.iter().map(|id| self.store.touched_us(*id));
        let touched = TimestampMicrosecondArray::from_iter_values(touched);
        columns.push(Arc::new(touched.with_timezone("UTC")));
        let rows = RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)?;
        Ok(StateChunk { table: KEYS.to_owned(), rows })
    }

    pub(super) fn take_back(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        if chunk.table == BEGUN {
            (self.has_begun, self.beginning_saved) = (true, true);
            return Ok(());
        }
        let (found, own) = (chunk.rows.schema(), schema(&self.parts));
        let about = |schema: &Schema| schema.metadata().get(DESCRIPTION).cloned().unwrap_or_default();
        if chunk.table != KEYS || found.fields() != own.fields() || about(&found) != about(&own) {
            return Err(StepError::State(format!(
                "the checkpoint's table `{}` is not of this step: it is of [{}], and this step is [{}]; undo the change, \
                 or start without the checkpoint",
                chunk.table,
                about(&found),
                about(&own)
            )));
        }
        let key_columns = self.parts.keys.names().len();
        let keys = &chunk.rows.columns()[..key_columns];
        let keys = self.store.codec().encode(keys, chunk.rows.num_rows()).map_err(failed)?;
        let rows = owned(&chunk.rows, &keys, self.worker, self.workers)?;
        let states = rows.column(key_columns).as_binary::<i32>().clone();
        let version = found.metadata().get(VERSION).cloned().unwrap_or_default();
        let states = if version == self.parts.version { states } else { self.migrate(&version, &states)? };
        let times = |column: usize| rows.column(column).as_primitive::<TimestampMicrosecondType>();
        let (timers, touched) = (times(key_columns + 1), times(key_columns + 2));
        let keys = self.store.codec().encode(&rows.columns()[..key_columns], rows.num_rows());
        let (keys, mut ids) = (keys.map_err(failed)?, Vec::new());
        self.store.bring(std::slice::from_ref(&keys)).map_err(ended)?;
        self.store.find(&keys, &mut ids).map_err(ended)?;
        for (row, id) in ids.into_iter().enumerate() {
            let state = states.is_valid(row).then(|| states.value(row));
            self.store.set_state(id, state).map_err(ended)?;
            self.store.set_timer(id, if timers.is_valid(row) { timers.value(row) } else { NEVER });
            self.store.touch(id, touched.value(row));
        }
        if !self.has_migrated {
            self.store.saved();
        }
        self.store.take_removed();
        self.store.bury();
        self.store.make_room().map_err(ended)
    }

    /// States of another version of the plugin, as this one writes them.
    fn migrate(&mut self, from: &str, states: &BinaryArray) -> Result<BinaryArray, StepError> {
        let there: Vec<u32> = (0..states.len() as u32).filter(|row| states.is_valid(*row as usize)).collect();
        let mut migrated: Vec<Option<Vec<u8>>> = vec![None; states.len()];
        let (mut start, mut bytes) = (0, 0);
        for (place, row) in there.iter().enumerate() {
            bytes += states.value(*row as usize).len();
            if bytes < CHUNK_BYTES && place + 1 < there.len() {
                continue;
            }
            let part = &there[start..=place];
            let column: ArrayRef = take(states, &UInt32Array::from(part.to_vec()), None).map_err(failed)?;
            let new = self.operator.migrate(from, column.as_binary()).map_err(|error| {
                let (operator, version) = (&self.parts.operator, &self.parts.version);
                StepError::State(format!(
                    "the states that version {from} of {operator} wrote cannot be migrated to version {version}: {error}. \
                     They are as they were: go back to version {from}, or upload a version of the plugin whose `migrate` \
                     reads them and upgrade to it"
                ))
            })?;
            for (row, state) in part.iter().zip(&new) {
                migrated[*row as usize] = state.map(<[u8]>::to_vec);
            }
            (start, bytes) = (place + 1, 0);
        }
        Ok(migrated.iter().map(Option::as_deref).collect())
    }
}
