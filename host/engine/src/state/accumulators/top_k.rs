//! `top_k(x, k)`: the most frequent values of a group with their counts, as JSON: `[["a",12],["b",7]]`. Equal
//! counts are in the order of values. Counts are exact: sketches of bounded size that find frequent values
//! (Space-Saving, Misra-Gries) depend on the order of rows and on how they were cut, which a batch that
//! runs again on other workers may not. The bound is on the different values instead.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, Field};

use super::listed::{bound, foreign, json, read, write, written};
use super::{Accumulator, PairSet, StateError, required, typed};
use crate::state::KeyCodec;
use crate::state::key_store::binary;

/// Values that a result has at most.
const K_MAX: u32 = 1_000;

/// Different values of a group: the state of a group is written whole when it has changed.
const DIFFERENT_MAX: usize = 100_000;

pub(super) fn build(arguments: &[DataType], numbers: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    let argument = required("top_k", arguments)?.clone();
    let codec = KeyCodec::new(vec![argument.clone()])?;
    let k = bound("top_k(x, 10)", numbers, K_MAX)?;
    Ok(Box::new(TopK { argument, codec, k, counts: Vec::new(), bytes: 0 }))
}

/// How often each encoded value came.
type Counts = BTreeMap<Box<[u8]>, u64>;

struct TopK {
    argument: DataType,
    codec: KeyCodec,
    k: usize,
    /// By group.
    counts: Vec<Counts>,
    /// About so many in the counts.
    bytes: usize,
}

/// About the bytes that an entry of a map takes besides those of the value.
const ENTRY_BYTES: usize = 40;

impl TopK {
    fn add(&mut self, group: u32, value: &[u8], times: u64) -> Result<(), StateError> {
        let counts = &mut self.counts[group as usize];
        if let Some(count) = counts.get_mut(value) {
            *count = count.saturating_add(times);
            return Ok(());
        }
        if counts.len() == DIFFERENT_MAX {
            return Err(StateError::Overflow {
                group,
                reason: format!(
                    "top_k counts at most {DIFFERENT_MAX} different values of a group: for more of them, count by value \
                     in an `aggregate` step and take the first rows of a `top` step behind it"
                ),
            });
        }
        counts.insert(value.into(), times);
        self.bytes += value.len() + ENTRY_BYTES;
        Ok(())
    }

    fn text(&self, counts: &Counts) -> Result<Option<String>, StateError> {
        if counts.is_empty() {
            return Ok(None);
        }
        let mut frequent: Vec<(&[u8], u64)> =
            counts.iter().map(|(value, count)| (&**value, *count)).collect();
        // They are in the order of values, and stay so among equals.
        frequent.sort_by_key(|(_, count)| Reverse(*count));
        frequent.truncate(self.k);
        let values = json(&self.codec, frequent.iter().map(|(value, _)| *value))?;
        let pairs = values.iter().zip(&frequent).map(|(value, (_, count))| format!("[{value},{count}]"));
        Ok(Some(format!("[{}]", pairs.collect::<Vec<_>>().join(","))))
    }
}

impl Accumulator for TopK {
    fn data_type(&self) -> DataType {
        DataType::Utf8
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("counts", DataType::Binary, false)]
    }

    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, Counts::new());
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let values = typed(arguments.first(), &self.argument)?;
        let encoded = self.codec.encode(std::slice::from_ref(values), values.len())?;
        let (mut row, mut taken) = (0, Ok(()));
        encoded.for_each(|value| {
            if let (Some(value), Ok(())) = (value, &taken) {
                taken = self.add(groups[row], value, 1);
            }
            row += 1;
        });
        taken
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        for (group, counts) in groups.iter().zip(written(state)?) {
            let mut counts = counts.ok_or_else(foreign)?;
            while !counts.is_empty() {
                let (value, count) = read::<8>(&mut counts).ok_or_else(foreign)?;
                self.add(*group, value, u64::from_le_bytes(count))?;
            }
        }
        Ok(())
    }

    fn reset(&mut self, groups: &[u32]) {
        for group in groups {
            let gone = std::mem::take(&mut self.counts[*group as usize]);
            self.bytes -= gone.keys().map(|value| value.len() + ENTRY_BYTES).sum::<usize>();
        }
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        let mut all = Vec::with_capacity(groups.len());
        for group in groups {
            let mut bytes = Vec::new();
            for (value, count) in &self.counts[*group as usize] {
                write(value, &mut bytes);
                bytes.extend_from_slice(&count.to_le_bytes());
            }
            all.push(bytes);
        }
        Ok(vec![Arc::new(binary(all.iter().map(Vec::as_slice))?)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let texts = groups.iter().map(|group| self.text(&self.counts[*group as usize]));
        Ok(Arc::new(StringArray::from(texts.collect::<Result<Vec<_>, StateError>>()?)))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.counts.clear();
        self.bytes = 0;
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<Counts>() + self.bytes
    }
}
