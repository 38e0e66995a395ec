//! `min` and `max` of text and bytes, by byte order.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_schema::{DataType, Field};

use super::extreme::End;
use super::{Accumulator, PairSet, StateError, typed};

/// The least or greatest value of each group that has seen one.
pub(super) struct ExtremeText {
    end: End,
    data_type: DataType,
    /// Buffers stay when values change, so that a row costs no allocation.
    values: Vec<Option<Vec<u8>>>,
    payload_bytes: usize,
}

impl ExtremeText {
    pub(super) fn new(end: End, data_type: &DataType) -> Self {
        Self { end, data_type: data_type.clone(), values: Vec::new(), payload_bytes: 0 }
    }

    fn take(&mut self, group: u32, value: &[u8]) {
        match &mut self.values[group as usize] {
            Some(kept) => {
                let wins = match self.end {
                    End::Least => value < kept.as_slice(),
                    End::Greatest => value > kept.as_slice(),
                };
                if wins {
                    self.payload_bytes -= kept.capacity();
                    kept.clear();
                    kept.extend_from_slice(value);
                    self.payload_bytes += kept.capacity();
                }
            }
            empty => {
                self.payload_bytes += value.len();
                *empty = Some(value.to_vec());
            }
        }
    }

    fn column(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let value = |&group: &u32| self.values[group as usize].as_deref();
        let total: usize = groups.iter().filter_map(value).map(<[u8]>::len).sum();
        if i32::try_from(total).is_err() {
            let reason = "the least or greatest values take more than the 2 GiB that one batch can hold";
            return Err(StateError::TooLarge(reason.into()));
        }
        let column: BinaryArray = groups.iter().map(value).collect();
        Ok(match self.data_type {
            DataType::Utf8 => Arc::new(StringArray::try_from_binary(column)?),
            _ => Arc::new(column),
        })
    }
}

impl Accumulator for ExtremeText {
    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("value", self.data_type.clone(), true)]
    }

    fn resize(&mut self, groups: usize) {
        self.values.resize(groups, None);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let column = typed(arguments.first(), &self.data_type)?;
        if self.data_type == DataType::Utf8 {
            let values = groups.iter().zip(column.as_string::<i32>());
            values.for_each(|(&group, value)| {
                value.into_iter().for_each(|value| self.take(group, value.as_bytes()))
            });
        } else {
            let values = groups.iter().zip(column.as_binary::<i32>());
            values.for_each(|(&group, value)| value.into_iter().for_each(|value| self.take(group, value)));
        }
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        self.update(groups, state)
    }

    fn reset(&mut self, groups: &[u32]) {
        for &group in groups {
            if let Some(old) = self.values[group as usize].take() {
                self.payload_bytes -= old.capacity();
            }
        }
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        Ok(vec![self.column(groups)?])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        self.column(groups)
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.values.clear();
        self.payload_bytes = 0;
    }

    fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<Option<Vec<u8>>>() + self.payload_bytes
    }
}
