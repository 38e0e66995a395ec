//! Whole rows on their way to the workers that own their keys.

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;

use super::filter::failed;
use super::{Parcel, StepError};
use crate::state::{KeyCodec, KeyColumn, key_group, owner};

/// What a worker has for each worker in the current batch.
#[derive(Debug)]
pub(super) struct Shuffle {
    parcels: Vec<Vec<Parcel>>,
}

impl Shuffle {
    pub(super) fn new(workers: u32) -> Self {
        Self { parcels: vec![Vec::new(); workers as usize] }
    }

    /// Deals the rows of a chunk by their keys; each worker's keep their order.
    pub(super) fn deal(
        &mut self,
        port: usize,
        order: u64,
        rows: RecordBatch,
        codec: &KeyCodec,
        keys: &[ArrayRef],
    ) -> Result<(), StepError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if let [only] = self.parcels.as_mut_slice() {
            only.push(Parcel { port, order, rows });
            return Ok(());
        }
        let keys = codec.encode(keys, rows.num_rows()).map_err(failed)?;
        let workers = self.parcels.len() as u32;
        let mut dealt: Vec<Vec<u32>> = vec![Vec::new(); workers as usize];
        for (row, hash) in (0..).zip(keys.hashes()) {
            dealt[owner(key_group(hash), workers) as usize].push(row);
        }
        for (parcels, numbers) in self.parcels.iter_mut().zip(dealt) {
            if !numbers.is_empty() {
                let rows = take_record_batch(&rows, &UInt32Array::from(numbers)).map_err(failed)?;
                parcels.push(Parcel { port, order, rows });
            }
        }
        Ok(())
    }

    /// Gives everything away.
    pub(super) fn take(&mut self) -> Vec<Vec<Parcel>> {
        self.parcels.iter_mut().map(std::mem::take).collect()
    }
}

/// Those of the rows whose keys `worker` of `workers` owns.
pub(super) fn owned(
    rows: &RecordBatch,
    keys: &KeyColumn,
    worker: u32,
    workers: u32,
) -> Result<RecordBatch, StepError> {
    if workers == 1 {
        return Ok(rows.clone());
    }
    let owned = keys.hashes().into_iter().map(|hash| Some(owner(key_group(hash), workers) == worker));
    filter_record_batch(rows, &owned.collect::<BooleanArray>()).map_err(failed)
}
