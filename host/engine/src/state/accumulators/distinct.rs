//! `count(distinct x)`, exact: a set of pairs of group and value beside the groups. Nulls do not count.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, ListArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};

use super::{Accumulator, StateError, required, typed};
use crate::state::key_store::binary;
use crate::state::{GroupTable, KeyCodec, KeyColumn};

/// Bytes of a pair's key that are the group.
const GROUP_BYTES: usize = size_of::<u32>();

pub(super) fn build(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    let argument = required("count(distinct)", arguments)?;
    Ok(Box::new(CountDistinct { pairs: PairSet::new(argument)? }))
}

struct CountDistinct {
    pairs: PairSet,
}

/// Pairs of group and value, in the order of their first appearance.
pub struct PairSet {
    data_type: DataType,
    codec: KeyCodec,
    pairs: GroupTable,
    counts: Vec<i64>,
    /// Pairs that were there when the last copy was taken.
    copied: usize,
    ids: Vec<u32>,
}

impl PairSet {
    fn new(data_type: &DataType) -> Result<Self, StateError> {
        Ok(Self {
            data_type: data_type.clone(),
            codec: KeyCodec::new(vec![data_type.clone()])?,
            pairs: GroupTable::default(),
            counts: Vec::new(),
            copied: 0,
            ids: Vec::new(),
        })
    }

    /// The type of the values.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Takes values; row `i` belongs to `groups[i]`.
    ///
    /// # Errors
    /// When the column is not of the pairs' type, or there are too many pairs.
    pub fn insert(&mut self, groups: &[u32], values: &ArrayRef) -> Result<(), StateError> {
        typed(Some(values), &self.data_type)?;
        let keys = self.codec.encode(std::slice::from_ref(values), values.len())?;
        self.insert_encoded(groups, &keys)
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Number of pairs that there were at the last [`Self::mark_copied`]; those after it are new.
    #[must_use]
    pub fn copied(&self) -> usize {
        self.copied
    }

    /// The pairs of these numbers: groups and values.
    ///
    /// # Errors
    /// When they do not fit one column.
    pub fn copy(&self, pairs: Range<usize>) -> Result<(Vec<u32>, ArrayRef), StateError> {
        let ids = pairs.start as u32..pairs.end as u32;
        let groups = ids.clone().map(|id| self.pair(id).0).collect();
        let values = binary(ids.map(|id| self.pair(id).1))?;
        let column = self.codec.decode(&values)?.pop();
        let column = column.ok_or_else(|| StateError::Mismatch("distinct values have no column".into()))?;
        Ok((groups, column))
    }

    /// Takes note that all pairs have been copied.
    pub fn mark_copied(&mut self) {
        self.copied = self.pairs.len();
    }

    fn insert_encoded(&mut self, groups: &[u32], values: &KeyColumn) -> Result<(), StateError> {
        let mut bytes = Vec::with_capacity(groups.len() * 12);
        let mut ends = Vec::with_capacity(groups.len() + 1);
        ends.push(0i32);
        let mut row = 0;
        let mut fits = true;
        values.for_each(|value| {
            if let Some(value) = value {
                bytes.extend_from_slice(&groups[row].to_le_bytes());
                bytes.extend_from_slice(value);
                match i32::try_from(bytes.len()) {
                    Ok(end) => ends.push(end),
                    Err(_) => fits = false,
                }
            }
            row += 1;
        });
        if !fits {
            return Err(StateError::TooLarge("a chunk's distinct values take more than 2 GiB".into()));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let keys = KeyColumn::Bytes(BinaryArray::try_new(offsets, Buffer::from_vec(bytes), None)?);
        let before = self.pairs.len();
        self.pairs.groups(&keys, &mut self.ids)?;
        for id in before..self.pairs.len() {
            let (group, _) = self.pair(id as u32);
            self.counts[group as usize] += 1;
        }
        Ok(())
    }

    fn pair(&self, id: u32) -> (u32, &[u8]) {
        let (group, value) = self.pairs.keys().get(id).unwrap_or_default().split_at(GROUP_BYTES);
        let mut bytes = [0; GROUP_BYTES];
        bytes.copy_from_slice(group);
        (u32::from_le_bytes(bytes), value)
    }

    /// The encoded values of each group, as lists.
    fn lists(&self, groups: &[u32]) -> Result<ListArray, StateError> {
        let mut ends = vec![0usize; self.counts.len() + 1];
        for (group, &count) in self.counts.iter().enumerate() {
            ends[group + 1] = ends[group] + count as usize;
        }
        let mut by_group = vec![0u32; self.pairs.len()];
        let mut next = ends.clone();
        for id in 0..self.pairs.len() as u32 {
            let place = &mut next[self.pair(id).0 as usize];
            by_group[*place] = id;
            *place += 1;
        }
        let ids = |group: u32| &by_group[ends[group as usize]..ends[group as usize + 1]];
        let offsets = OffsetBuffer::from_lengths(groups.iter().map(|&group| ids(group).len()));
        let ordered: Vec<u32> = groups.iter().flat_map(|&group| ids(group)).copied().collect();
        let values = binary(ordered.iter().map(|&id| self.pair(id).1))?;
        Ok(ListArray::try_new(Arc::new(item()), offsets, Arc::new(values), None)?)
    }
}

fn item() -> Field {
    Field::new("item", DataType::Binary, false)
}

fn list_type() -> DataType {
    DataType::List(Arc::new(item()))
}

impl Accumulator for CountDistinct {
    fn data_type(&self) -> DataType {
        DataType::Int64
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("values", list_type(), false)]
    }

    fn resize(&mut self, groups: usize) {
        self.pairs.counts.resize(groups, 0);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let argument = typed(arguments.first(), &self.pairs.data_type)?;
        self.pairs.insert(groups, argument)
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let lists = typed(state.first(), &list_type())?.as_list::<i32>();
        let offsets = lists.value_offsets();
        let mut repeated = Vec::new();
        for (&group, ends) in groups.iter().zip(offsets.windows(2)) {
            repeated.extend(std::iter::repeat_n(group, (ends[1] - ends[0]) as usize));
        }
        let first = offsets.first().map_or(0, |&first| first as usize);
        let values = lists.values().slice(first, repeated.len());
        let values = values.as_binary::<i32>().clone();
        self.pairs.insert_encoded(&repeated, &KeyColumn::Bytes(values))
    }

    /// Sets only grow, and pairs come back beside the groups: nothing is to be replaced.
    fn reset(&mut self, _: &[u32]) {}

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        Ok(vec![Arc::new(self.pairs.lists(groups)?)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let counts = groups.iter().map(|&group| self.pairs.counts[group as usize]);
        Ok(Arc::new(counts.collect::<Int64Array>()))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        Some(&mut self.pairs)
    }

    fn clear(&mut self) {
        self.pairs.pairs.clear();
        self.pairs.counts.clear();
        self.pairs.copied = 0;
    }

    fn bytes(&self) -> usize {
        self.pairs.pairs.bytes() + self.pairs.counts.capacity() * size_of::<i64>()
    }
}
