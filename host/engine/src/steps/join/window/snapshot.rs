//! The state of a join by window as columns, and back: the rows of each side, whose times say in which pane
//! they are, and up to where windows were emitted.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;

use super::step::WindowJoin;
use crate::batch::timestamp_us;
use crate::steps::filter::failed;
use crate::steps::shuffle::owned;
use crate::steps::{Extent, StateChunk, StepError};

pub(super) const ROWS: [&str; 2] = ["left", "right"];
const CLOSED: &str = "closed";

/// Rows of one chunk of state.
const CHUNK_ROWS: usize = 16_384;
/// A piece of so many rows is large enough.
const PIECE_ROWS: usize = 4096;

impl WindowJoin {
    pub(super) fn state(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        let mut chunks = Vec::new();
        for (side, table) in ROWS.into_iter().enumerate() {
            let from = |saved: usize| if extent == Extent::Full { 0 } else { saved };
            let parts = self.panes.values().flat_map(|pane| &pane.sides[side][from(pane.saved[side])..]);
            let all = concat_batches(&self.plan.inputs[side].schema, parts).map_err(failed)?;
            for first in (0..all.num_rows()).step_by(CHUNK_ROWS) {
                let rows = all.slice(first, CHUNK_ROWS.min(all.num_rows() - first));
                chunks.push(StateChunk { table: table.to_owned(), rows });
            }
            for pane in self.panes.values_mut() {
                pane.sides[side] = together(&pane.sides[side])?;
                pane.saved[side] = pane.sides[side].len();
            }
        }
        if extent == Extent::Full || self.closed_us != self.saved_us {
            let times = TimestampMicrosecondArray::from_iter_values(self.closed_us).with_timezone("UTC");
            let rows = RecordBatch::try_new(closed_schema(), vec![Arc::new(times)]).map_err(failed)?;
            chunks.push(StateChunk { table: CLOSED.to_owned(), rows });
        }
        self.saved_us = self.closed_us;
        Ok(chunks)
    }

    /// The rows of both sides whose windows are open.
    pub(super) fn waiting(&self) -> Result<Vec<StateChunk>, StepError> {
        let side = |side: usize| {
            let parts = self.panes.values().flat_map(|pane| &pane.sides[side]);
            let rows = concat_batches(&self.plan.inputs[side].schema, parts).map_err(failed)?;
            Ok(StateChunk { table: ROWS[side].to_owned(), rows })
        };
        Ok(vec![side(0)?, side(1)?])
    }

    pub(super) fn take_back(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        let side = ROWS.iter().position(|table| *table == chunk.table);
        if let Some(side) = side.filter(|side| chunk.rows.schema() == self.plan.inputs[*side].schema) {
            let keys = self.plan.keys[side].of(&chunk.rows)?.keys;
            let keys = self.codec.encode(&keys, chunk.rows.num_rows()).map_err(failed)?;
            let rows = owned(&chunk.rows, &keys, self.worker, self.workers)?;
            self.keep(side, &rows)?;
            self.panes.values_mut().for_each(|pane| pane.saved[side] = pane.sides[side].len());
            self.make_room().map_err(StepError::of_state)?;
            return Ok(());
        }
        if chunk.table == CLOSED && chunk.rows.schema() == closed_schema() {
            let times = chunk.rows.column(0).as_primitive::<TimestampMicrosecondType>();
            times.values().iter().try_for_each(|closed_us| self.forget(*closed_us))?;
            self.saved_us = self.closed_us;
            return Ok(());
        }
        Err(StepError::State(format!(
            "the checkpoint's table `{}` is not of this `join`: undo the change to its inputs or keys, or start \
             without the checkpoint",
            chunk.table
        )))
    }
}

/// Puts small pieces together: what comes in small batches would weigh more than its rows. A piece that is
/// large enough is never copied again.
fn together(pieces: &[RecordBatch]) -> Result<Vec<RecordBatch>, StepError> {
    let (mut all, mut small, mut rows) = (Vec::new(), Vec::new(), 0);
    for (i, piece) in pieces.iter().enumerate() {
        small.push(piece);
        rows += piece.num_rows();
        let ends = pieces.get(i + 1).is_none_or(|next| rows >= PIECE_ROWS || next.num_rows() >= PIECE_ROWS);
        if ends {
            all.push(match small.as_slice() {
                [only] => (*only).clone(),
                several => concat_batches(piece.schema_ref(), several.iter().copied()).map_err(failed)?,
            });
            (small, rows) = (Vec::new(), 0);
        }
    }
    Ok(all)
}

fn closed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("time", timestamp_us(), false)]))
}
