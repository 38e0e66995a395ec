//! The state of a join as columns, and back.
//!
//! Four tables and a time: the rows of each side with whether they had a match, the places of old rows
//! that had one since, and the watermark, which says what is gone. Rows have no names of their own that
//! outlive a restart, and need none: whether a row has had a match depends on its key and its time
//! alone, because all that can match them is still here.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{Field, Schema, SchemaRef};

use super::super::filter::failed;
use super::super::shuffle::owned;
use super::super::{Extent, StateChunk, StepError};
use super::step::Join;
use crate::batch::timestamp_us;

pub(super) const ROWS: [&str; 2] = ["left", "right"];
const MATCHED: [&str; 2] = ["left-matched", "right-matched"];
const WATERMARK: &str = "watermark";

/// Rows of one chunk of state.
const CHUNK_ROWS: usize = 16_384;

impl Join {
    pub(super) fn state(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        let mut chunks = Vec::new();
        for side in 0..2 {
            self.rows(side, extent, &mut chunks)?;
            if extent == Extent::Delta && !self.sides[side].changed().is_empty() {
                chunks.push(self.matched(side)?);
            }
            self.sides[side].saved();
        }
        if extent == Extent::Delta && self.watermark_us != self.saved_us {
            let time = times(self.watermark_us.into_iter().collect());
            let rows = RecordBatch::try_new(watermark_schema(), vec![time]).map_err(failed)?;
            chunks.push(StateChunk { table: WATERMARK.to_owned(), rows });
        }
        self.saved_us = self.watermark_us;
        Ok(chunks)
    }

    /// The rows of both sides that wait for others.
    pub(super) fn waiting(&self) -> Result<Vec<StateChunk>, StepError> {
        let mut chunks = Vec::new();
        for (side, table) in ROWS.into_iter().enumerate() {
            let rows = RecordBatch::new_empty(self.rows_schema(side));
            chunks.push(StateChunk { table: table.to_owned(), rows });
            self.rows(side, Extent::Full, &mut chunks)?;
        }
        Ok(chunks)
    }

    pub(super) fn take_back(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        let is_of = |tables: [&str; 2]| tables.iter().position(|table| *table == chunk.table);
        let schema = chunk.rows.schema();
        if let Some(side) = is_of(ROWS).filter(|side| schema == self.rows_schema(*side)) {
            return self.take_rows_back(side, &chunk.rows);
        }
        if let Some(side) = is_of(MATCHED).filter(|_| schema == self.matched_schema()) {
            return self.take_matches_back(side, &chunk.rows);
        }
        if chunk.table == WATERMARK && schema == watermark_schema() {
            let times = chunk.rows.column(0).as_primitive::<TimestampMicrosecondType>();
            for (side, keep_us) in self.plan.keeps_us().into_iter().enumerate() {
                for us in times.values() {
                    let before_us = us.saturating_sub(keep_us);
                    self.expire_cold(side, before_us).map_err(StepError::of_state)?;
                    self.sides[side].expire(before_us, &mut Vec::new());
                }
                self.sides[side].release();
            }
            return Ok(());
        }
        Err(StepError::State(format!(
            "the checkpoint's table `{}` is not of this `join`: undo the change to its inputs or keys, or start \
             without the checkpoint",
            chunk.table
        )))
    }

    fn rows(&self, side: usize, extent: Extent, chunks: &mut Vec<StateChunk>) -> Result<(), StepError> {
        let store = &self.sides[side];
        let ids: Vec<u32> = store.ids(extent == Extent::Delta).collect();
        for ids in ids.chunks(CHUNK_ROWS) {
            let mut columns = store.gather(ids, self.plan.output.all()[side]).map_err(failed)?;
            let is_matched: Vec<bool> = ids.iter().map(|id| store.is_marked(*id)).collect();
            columns.push(Arc::new(BooleanArray::from(is_matched)));
            let rows = RecordBatch::try_new(self.rows_schema(side), columns).map_err(failed)?;
            chunks.push(StateChunk { table: ROWS[side].to_owned(), rows });
        }
        Ok(())
    }

    fn matched(&self, side: usize) -> Result<StateChunk, StepError> {
        let changed = self.sides[side].changed();
        let groups: Vec<u32> = changed.iter().map(|(group, _)| *group).collect();
        let mut columns =
            self.codec.decode(&self.groups.keys().gather(&groups).map_err(failed)?).map_err(failed)?;
        columns.push(times(changed.iter().map(|(_, time_us)| *time_us).collect()));
        let rows = RecordBatch::try_new(self.matched_schema(), columns).map_err(failed)?;
        Ok(StateChunk { table: MATCHED[side].to_owned(), rows })
    }

    fn take_rows_back(&mut self, side: usize, rows: &RecordBatch) -> Result<(), StepError> {
        let keys = self.plan.keys[side].of(rows)?.keys;
        let keys = self.codec.encode(&keys, rows.num_rows()).map_err(failed)?;
        let rows = owned(rows, &keys, self.worker, self.workers)?;
        let width = rows.num_columns() - 1;
        let is_matched = rows.column(width).as_boolean().clone();
        let columns = rows.columns()[..width].to_vec();
        let schema = Arc::clone(&self.plan.inputs[side].schema);
        let ids = self.keep(side, &RecordBatch::try_new(schema, columns).map_err(failed)?)?;
        for id in ids.zip(is_matched.values()).filter(|(_, matched)| *matched).map(|(id, _)| id) {
            self.sides[side].mark(id);
        }
        self.sides[side].saved();
        self.make_room().map_err(StepError::of_state)
    }

    fn take_matches_back(&mut self, side: usize, rows: &RecordBatch) -> Result<(), StepError> {
        let width = rows.num_columns() - 1;
        let keys = self.codec.encode(&rows.columns()[..width], rows.num_rows()).map_err(failed)?;
        let times = rows.column(width).as_primitive::<TimestampMicrosecondType>();
        if self.cold.is_some() {
            let mut bytes = BinaryBuilder::new();
            keys.for_each(|key| bytes.append_option(key));
            let reaches: Vec<(i64, i64)> = times.values().iter().map(|us| (*us, *us)).collect();
            self.invite(side, &bytes.finish(), &reaches).map_err(StepError::of_state)?;
        }
        let groups = self.groups.find(&keys);
        let store = &mut self.sides[side];
        let mut found = Vec::new();
        for (group, time_us) in groups.into_iter().zip(times.values()) {
            // Another worker's, or gone.
            let Some(group) = group else { continue };
            store.find(group, &(*time_us..=*time_us), &mut found);
            for id in &found {
                store.mark(*id);
                if self.plan.kind.is_filter() {
                    store.kill(*id);
                }
            }
        }
        self.see_off().map_err(StepError::of_state)?;
        let store = &mut self.sides[side];
        store.saved();
        store.release();
        Ok(())
    }

    pub(super) fn rows_schema(&self, side: usize) -> SchemaRef {
        let input = &self.plan.inputs[side].schema;
        let fields = input.fields().iter().map(|field| field.as_ref().clone());
        Arc::new(Schema::new(
            fields
                .chain([Field::new("(matched)", arrow_schema::DataType::Boolean, false)])
                .collect::<Vec<_>>(),
        ))
    }

    fn matched_schema(&self) -> SchemaRef {
        let keys = self.plan.keys[0].types().into_iter().zip(self.plan.keys[0].names());
        let keys = keys.map(|(data_type, name)| Field::new(name, data_type, true));
        Arc::new(Schema::new(keys.chain([Field::new("(time)", timestamp_us(), false)]).collect::<Vec<_>>()))
    }
}

fn watermark_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("time", timestamp_us(), false)]))
}

fn times(times_us: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(times_us).with_timezone("UTC"))
}
