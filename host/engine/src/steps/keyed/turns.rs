//! A batch cut into turns: each with whole keys, and as much as a plugin can take at once.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave;
use arrow_select::take::take_record_batch;
use millstream_wasm::DueTimer;

use super::store::Store;
use crate::state::{NONE, StateError};
use crate::steps::filter::failed;
use crate::steps::{Parcel, StepError};

/// Rows of a turn: enough that the call itself costs nothing, few enough that a slow plugin stays
/// within its deadline.
pub(super) const ROWS_MAX: usize = 16_384;
/// Keys of a turn, each with a state that is copied there and back.
const KEYS_MAX: usize = 16_384;
/// A plugin makes of what it gets several times as much: states that it reads, records that it writes.
const MEMORY_SHARE: usize = 16;

/// Keys with all that they have in a batch.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// Ids in the store.
    pub(super) ids: Vec<u32>,
    pub(super) keys: RecordBatch,
    pub(super) rows: RecordBatch,
    /// For each row, its key as an index of `ids`.
    pub(super) row_keys: Vec<u32>,
    pub(super) due: Vec<DueTimer>,
}

impl Work {
    /// Some of the keys with all that is theirs.
    pub(super) fn of_keys(&self, keys: Range<usize>) -> Result<Self, StepError> {
        let (first, end) = (keys.start as u32, keys.end as u32);
        let own = first..end;
        let numbered = (0u32..).zip(&self.row_keys).filter(|(_, key)| own.contains(key));
        let (rows, row_keys): (Vec<u32>, Vec<u32>) = numbered.map(|(row, key)| (row, key - first)).unzip();
        let due = self.due.iter().filter(|due| own.contains(&due.key));
        Ok(Self {
            ids: self.ids[keys.clone()].to_vec(),
            keys: self.keys.slice(keys.start, keys.len()),
            rows: take_record_batch(&self.rows, &UInt32Array::from(rows)).map_err(failed)?,
            row_keys,
            due: due.map(|due| DueTimer { key: due.key - first, ..*due }).collect(),
        })
    }

    /// Of a single key, some of the rows and no timer.
    pub(super) fn of_rows(&self, from: usize, rows: usize) -> Self {
        Self {
            ids: self.ids.clone(),
            keys: self.keys.clone(),
            rows: self.rows.slice(from, rows),
            row_keys: self.row_keys[from..from + rows].to_vec(),
            due: Vec::new(),
        }
    }

    /// The timers alone.
    pub(super) fn of_timers(&self) -> Self {
        Self { due: self.due.clone(), ..self.of_rows(0, 0) }
    }

    /// Rows of a key that are given at once, where a batch has too many of one key.
    pub(super) fn rows_at_once(&self, memory_bytes: usize) -> usize {
        let rows = self.rows.num_rows().max(1);
        let row_bytes = (bytes_of(&self.rows) / rows).max(1);
        (memory_bytes / MEMORY_SHARE / row_bytes).clamp(1, ROWS_MAX)
    }
}

/// A batch, cut.
pub(super) struct Turns<'a> {
    parcels: &'a [Parcel],
    /// The timers that are due; their keys are the first ones.
    due: &'a [(i64, u32)],
    /// Ids: those with a due timer in the order of their times, then in the order of first rows.
    keys: Vec<u32>,
    /// By turn: a range of `keys`.
    cuts: Vec<Range<usize>>,
    /// By turn: a range of `places` and `row_keys`.
    row_cuts: Vec<Range<usize>>,
    /// Parcel and row, by turn and in order; empty when there is only one turn.
    places: Vec<(usize, usize)>,
    /// For each row, its key as an index of `keys`.
    row_keys: Vec<u32>,
}

impl<'a> Turns<'a> {
    /// Cuts a batch whose rows, parcel by parcel, have the keys `ids`. `scratch` is for this alone.
    pub(super) fn cut(
        store: &Store,
        scratch: &mut Vec<u32>,
        due: &'a [(i64, u32)],
        parcels: &'a [Parcel],
        ids: &[u32],
        memory_bytes: usize,
    ) -> Self {
        scratch.resize(store.len().max(scratch.len()), NONE);
        let mut keys: Vec<u32> = Vec::new();
        let mut place = |id: u32| {
            let place = &mut scratch[id as usize];
            if *place == NONE {
                *place = keys.len() as u32;
                keys.push(id);
            }
            *place
        };
        for (_, id) in due {
            place(*id);
        }
        let row_keys: Vec<u32> = ids.iter().map(|id| place(*id)).collect();
        let mut counts = vec![0usize; keys.len()];
        row_keys.iter().for_each(|key| counts[*key as usize] += 1);
        keys.iter().for_each(|id| scratch[*id as usize] = NONE);
        let cuts = cuts(store, &keys, &counts, row_bytes(parcels), memory_bytes / MEMORY_SHARE);
        let mut turns = Self { parcels, due, keys, cuts, row_cuts: Vec::new(), places: Vec::new(), row_keys };
        turns.deal(&counts);
        turns
    }

    pub(super) fn len(&self) -> usize {
        self.cuts.len()
    }

    pub(super) fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// What is done in a turn. Rows are copied once, or not at all where they came in one piece. `none` is
    /// no rows of the step's input, whose schema holds for all pieces.
    pub(super) fn work(&self, turn: usize, store: &Store, none: &RecordBatch) -> Result<Work, StepError> {
        let keys = self.cuts[turn].clone();
        let row_keys = &self.row_keys[self.row_cuts[turn].clone()];
        let schema = none.schema();
        let rows = match self.parcels {
            _ if row_keys.is_empty() => Ok(none.clone()),
            [only] if self.cuts.len() == 1 => Ok(only.rows.clone()),
            all if self.cuts.len() == 1 => concat_batches(&schema, all.iter().map(|parcel| &parcel.rows)),
            all => {
                let places = &self.places[self.row_cuts[turn].clone()];
                let column = |column: usize| {
                    let arrays: Vec<&dyn Array> =
                        all.iter().map(|parcel| parcel.rows.column(column).as_ref()).collect();
                    interleave(&arrays, places)
                };
                let columns = (0..schema.fields().len()).map(column).collect::<Result<Vec<_>, _>>();
                columns.and_then(|columns| RecordBatch::try_new(schema, columns))
            }
        };
        let due = self.due.iter().enumerate().take(keys.end).skip(keys.start);
        let first = keys.start as u32;
        Ok(Work {
            ids: self.keys[keys.clone()].to_vec(),
            keys: store.keys(&self.keys[keys.clone()]).map_err(failed)?,
            rows: rows.map_err(failed)?,
            row_keys: row_keys.iter().map(|key| key - first).collect(),
            due: due.map(|(key, (at_us, _))| DueTimer { key: key as u32 - first, at_us: *at_us }).collect(),
        })
    }

    /// Puts the rows of each turn together, in their order.
    fn deal(&mut self, counts: &[usize]) {
        let mut end = 0;
        for keys in &self.cuts {
            let start = end;
            end += counts[keys.clone()].iter().sum::<usize>();
            self.row_cuts.push(start..end);
        }
        if self.cuts.len() < 2 {
            return;
        }
        let mut turn_of = vec![0u32; self.keys.len()];
        for (turn, keys) in (0..).zip(&self.cuts) {
            turn_of[keys.clone()].fill(turn);
        }
        let mut next: Vec<usize> = self.row_cuts.iter().map(|rows| rows.start).collect();
        let mut row_keys = vec![0; self.row_keys.len()];
        self.places = vec![(0, 0); self.row_keys.len()];
        let rows = (0..).zip(self.parcels).flat_map(|(number, parcel): (usize, _)| {
            (0..parcel.rows.num_rows()).map(move |row| (number, row))
        });
        for (place, key) in rows.zip(&self.row_keys) {
            let at = &mut next[turn_of[*key as usize] as usize];
            (self.places[*at], row_keys[*at]) = (place, *key);
            *at += 1;
        }
        self.row_keys = row_keys;
    }
}

/// Cuts keys so that each turn is within its bounds, if it has more than one.
fn cuts(
    store: &Store,
    keys: &[u32],
    counts: &[usize],
    row_bytes: usize,
    bytes_max: usize,
) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let (mut start, mut rows, mut bytes) = (0, 0, 0);
    for (key, (id, count)) in keys.iter().zip(counts).enumerate() {
        let own_bytes = store.state_bytes(*id) + count * row_bytes;
        let is_over = rows + count > ROWS_MAX || bytes + own_bytes > bytes_max || key - start >= KEYS_MAX;
        if is_over && key > start {
            cuts.push(start..key);
            (start, rows, bytes) = (key, 0, 0);
        }
        rows += count;
        bytes += own_bytes;
    }
    if start < keys.len() {
        cuts.push(start..keys.len());
    }
    cuts
}

/// Bytes of a row, about.
fn row_bytes(parcels: &[Parcel]) -> usize {
    let rows: usize = parcels.iter().map(|parcel| parcel.rows.num_rows()).sum();
    parcels.iter().map(|parcel| bytes_of(&parcel.rows)).sum::<usize>() / rows.max(1)
}

/// Bytes of rows, whatever their buffers hold besides.
fn bytes_of(rows: &RecordBatch) -> usize {
    let column = |column: &arrow_array::ArrayRef| {
        let length = |offsets: &[i32]| offsets[offsets.len() - 1].abs_diff(offsets[0]) as usize;
        let values = match column.data_type() {
            DataType::Utf8 => length(column.as_string::<i32>().value_offsets()),
            DataType::Binary => length(column.as_binary::<i32>().value_offsets()),
            other => other.primitive_width().unwrap_or(1) * column.len(),
        };
        values + 4 * column.len()
    };
    rows.columns().iter().map(column).sum()
}

/// An error of the store that ends the batch.
pub(super) fn ended(error: StateError) -> StepError {
    StepError::of_state(error)
}
