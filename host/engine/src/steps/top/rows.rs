//! Rows that are kept, by slots: batches that are joined when they are alike in size, so that a row is
//! copied a few times and there are few batches; rows that are let go are left out then.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;

use crate::state::StateError;

/// A slot that has no row, and a row that has no slot.
const NONE: u32 = u32::MAX;

/// Kept rows.
pub(super) struct Rows {
    schema: SchemaRef,
    pieces: Vec<Piece>,
    /// By slot: the piece, and the row in it.
    places: Vec<(u32, u32)>,
    free: Vec<u32>,
}

struct Piece {
    rows: RecordBatch,
    /// By row: its slot.
    slots: Vec<u32>,
    live: usize,
}

impl Rows {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, pieces: Vec::new(), places: Vec::new(), free: Vec::new() }
    }

    /// Takes rows; answers with the slot of each.
    pub(super) fn insert(&mut self, rows: RecordBatch) -> Result<Vec<u32>, StateError> {
        let count = rows.num_rows();
        let mut slots = Vec::with_capacity(count);
        for row in 0..count as u32 {
            let place = (self.pieces.len() as u32, row);
            match self.free.pop() {
                Some(slot) => {
                    self.places[slot as usize] = place;
                    slots.push(slot);
                }
                None => {
                    let slot = u32::try_from(self.places.len()).ok().filter(|slot| *slot != NONE);
                    slots.push(slot.ok_or_else(|| {
                        StateError::TooLarge("more than four thousand million rows are kept".to_owned())
                    })?);
                    self.places.push(place);
                }
            }
        }
        self.pieces.push(Piece { rows, slots: slots.clone(), live: count });
        self.settle()?;
        Ok(slots)
    }

    /// Lets a row go.
    pub(super) fn remove(&mut self, slot: u32) {
        let (piece, row) = std::mem::replace(&mut self.places[slot as usize], (NONE, NONE));
        let piece = &mut self.pieces[piece as usize];
        piece.slots[row as usize] = NONE;
        piece.live -= 1;
        self.free.push(slot);
    }

    /// The rows of slots, in their order.
    pub(super) fn gather(&self, slots: &[u32]) -> Result<RecordBatch, StateError> {
        let places: Vec<(usize, usize)> = slots
            .iter()
            .map(|slot| {
                let (piece, row) = self.places[*slot as usize];
                (piece as usize, row as usize)
            })
            .collect();
        self.interleave(&places)
    }

    pub(super) fn bytes(&self) -> usize {
        let pieces = self.pieces.iter();
        let rows: usize =
            pieces.map(|piece| piece.rows.get_array_memory_size() + piece.slots.capacity() * 4).sum();
        rows + self.places.capacity() * 8 + self.free.capacity() * 4
    }

    /// Joins the last pieces while they are alike in size, and copies a piece that is mostly let go.
    fn settle(&mut self) -> Result<(), StateError> {
        while let [.., before, last] = self.pieces.as_slice() {
            if before.rows.num_rows() > 2 * last.rows.num_rows() {
                break;
            }
            self.join_from(self.pieces.len() - 2)?;
        }
        let wasteful = self.pieces.iter().position(|piece| piece.live * 2 < piece.rows.num_rows());
        // The pieces after it are smaller than it all together.
        wasteful.map_or(Ok(()), |first| self.join_from(first))
    }

    /// Makes one piece of those from `first` on.
    fn join_from(&mut self, first: usize) -> Result<(), StateError> {
        let mut from = Vec::new();
        let mut slots = Vec::new();
        for (number, piece) in self.pieces.iter().enumerate().skip(first) {
            for (row, slot) in piece.slots.iter().enumerate().filter(|(_, slot)| **slot != NONE) {
                from.push((number, row));
                slots.push(*slot);
            }
        }
        let rows = self.interleave(&from)?;
        for (row, slot) in (0u32..).zip(&slots) {
            self.places[*slot as usize] = (first as u32, row);
        }
        self.pieces.truncate(first);
        if !slots.is_empty() {
            let live = slots.len();
            self.pieces.push(Piece { rows, slots, live });
        }
        Ok(())
    }

    fn interleave(&self, places: &[(usize, usize)]) -> Result<RecordBatch, StateError> {
        if places.is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        let batches: Vec<&RecordBatch> = self.pieces.iter().map(|piece| &piece.rows).collect();
        Ok(interleave_record_batch(&batches, places)?)
    }
}
