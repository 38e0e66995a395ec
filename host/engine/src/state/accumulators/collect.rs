//! `collect(x, n)` and `collect_distinct(x, n)`: the values of a group as a JSON array, in their order. Of
//! more than `n` those that come first in it are kept: so memory is bounded, and neither the order of rows
//! nor how they were cut leaves a trace. Nulls do not count.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, Field};

use super::listed::{bound, foreign, json, read, write, written};
use super::{Accumulator, PairSet, StateError, required, typed};
use crate::state::KeyCodec;
use crate::state::key_store::binary;

/// Values of a group that can be kept: the state of a group is written whole when it has changed.
const VALUES_MAX: u32 = 10_000;

pub(super) fn build(arguments: &[DataType], numbers: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    boxed("collect", false, arguments, bound("collect(x, 100)", numbers, VALUES_MAX)?)
}

pub(super) fn build_distinct(
    arguments: &[DataType],
    numbers: &[f64],
) -> Result<Box<dyn Accumulator>, StateError> {
    boxed("collect_distinct", true, arguments, bound("collect_distinct(x, 100)", numbers, VALUES_MAX)?)
}

fn boxed(
    name: &str,
    distinct: bool,
    arguments: &[DataType],
    most: usize,
) -> Result<Box<dyn Accumulator>, StateError> {
    let argument = required(name, arguments)?.clone();
    let codec = KeyCodec::new(vec![argument.clone()])?;
    Ok(Box::new(Collect { argument, codec, distinct, most, lists: Vec::new(), payload_bytes: 0 }))
}

struct Collect {
    argument: DataType,
    codec: KeyCodec,
    distinct: bool,
    most: usize,
    /// By group, encoded, in the order of values.
    lists: Vec<Vec<Box<[u8]>>>,
    payload_bytes: usize,
}

impl Collect {
    fn take(&mut self, group: u32, value: &[u8]) {
        let list = &mut self.lists[group as usize];
        let is_full = list.len() == self.most;
        if is_full && list.last().is_some_and(|last| **last <= *value) {
            return;
        }
        let place = match list.binary_search_by(|other| (**other).cmp(value)) {
            Ok(_) if self.distinct => return,
            Ok(place) | Err(place) => place,
        };
        if is_full {
            self.payload_bytes -= list.pop().map_or(0, |gone| gone.len());
        }
        list.insert(place, value.into());
        self.payload_bytes += value.len();
    }
}

impl Accumulator for Collect {
    fn data_type(&self) -> DataType {
        DataType::Utf8
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("values", DataType::Binary, false)]
    }

    fn resize(&mut self, groups: usize) {
        self.lists.resize(groups, Vec::new());
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let values = typed(arguments.first(), &self.argument)?;
        let encoded = self.codec.encode(std::slice::from_ref(values), values.len())?;
        let mut row = 0;
        encoded.for_each(|value| {
            if let Some(value) = value {
                self.take(groups[row], value);
            }
            row += 1;
        });
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        for (group, list) in groups.iter().zip(written(state)?) {
            let mut list = list.ok_or_else(foreign)?;
            while !list.is_empty() {
                let (value, []) = read::<0>(&mut list).ok_or_else(foreign)?;
                self.take(*group, value);
            }
        }
        Ok(())
    }

    fn reset(&mut self, groups: &[u32]) {
        for group in groups {
            let gone = std::mem::take(&mut self.lists[*group as usize]);
            self.payload_bytes -= gone.iter().map(|value| value.len()).sum::<usize>();
        }
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        let mut lists = Vec::with_capacity(groups.len());
        for group in groups {
            let mut bytes = Vec::new();
            self.lists[*group as usize].iter().for_each(|value| write(value, &mut bytes));
            lists.push(bytes);
        }
        Ok(vec![Arc::new(binary(lists.iter().map(Vec::as_slice))?)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let text = |group: &u32| {
            let list = &self.lists[*group as usize];
            if list.is_empty() {
                return Ok(None);
            }
            json(&self.codec, list.iter().map(|value| &**value))
                .map(|all| Some(format!("[{}]", all.join(","))))
        };
        let texts = groups.iter().map(text).collect::<Result<Vec<_>, StateError>>()?;
        Ok(Arc::new(StringArray::from(texts)))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.lists.clear();
        self.payload_bytes = 0;
    }

    fn bytes(&self) -> usize {
        let kept: usize = self.lists.iter().map(|list| list.capacity() * size_of::<Box<[u8]>>()).sum();
        self.lists.capacity() * size_of::<Vec<Box<[u8]>>>() + kept + self.payload_bytes
    }
}
