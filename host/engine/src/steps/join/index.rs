//! Rows by key, for whoever looks up all of them at once.

use arrow_array::{ArrayRef, RecordBatch};

use super::super::StepError;
use super::super::filter::failed;
use super::step::by_key;
use crate::state::{GroupTable, KeyCodec};

/// Rows by key, each key's in their order.
#[derive(Debug)]
pub(super) struct Index {
    /// Those that have a key.
    pub(super) rows: RecordBatch,
    pub(super) groups: GroupTable,
    /// By group, where its rows begin in `members`; one more for the end.
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Index {
    /// An index of rows with these keys; and the rows without a key, which nothing finds.
    pub(super) fn new(
        rows: RecordBatch,
        keys: Vec<ArrayRef>,
        codec: &KeyCodec,
    ) -> Result<(Self, Option<RecordBatch>), StepError> {
        let (rows, keys, without) = by_key(rows, keys)?;
        let keys = codec.encode(&keys, rows.num_rows()).map_err(failed)?;
        let (mut groups, mut ids) = (GroupTable::default(), Vec::new());
        groups.groups(&keys, &mut ids).map_err(failed)?;
        let mut starts = vec![0u32; groups.len() + 1];
        ids.iter().for_each(|group| starts[*group as usize + 1] += 1);
        for group in 0..groups.len() {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut members = vec![0; ids.len()];
        for (row, group) in (0u32..).zip(&ids) {
            let place = &mut next[*group as usize];
            members[*place as usize] = row;
            *place += 1;
        }
        Ok((Self { rows, groups, starts, members }, without))
    }

    /// The rows of a key.
    pub(super) fn of_group(&self, group: u32) -> &[u32] {
        let at = group as usize;
        &self.members[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}
