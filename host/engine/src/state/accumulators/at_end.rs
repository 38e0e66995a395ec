//! `first(x, at)` and `last(x, at)`: the value of the row whose time is least or greatest. Of rows at
//! one time it is the least or greatest value, so that the order of arrival says nothing. Rows without
//! a value or without a time do not count.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BinaryArray, TimestampMicrosecondArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, TimeUnit};

use super::extreme::End;
use super::{Accumulator, PairSet, StateError, required, typed};
use crate::batch::type_name;
use crate::state::KeyCodec;
use crate::state::key_store::binary;

pub(super) fn build_first(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("first", End::Least, arguments)
}

pub(super) fn build_last(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("last", End::Greatest, arguments)
}

fn build(name: &str, end: End, arguments: &[DataType]) -> Result<Box<dyn Accumulator>, StateError> {
    let value = required(name, arguments)?;
    let time = match arguments.get(1) {
        Some(time @ DataType::Timestamp(TimeUnit::Microsecond, _)) => time,
        Some(other) => {
            return Err(StateError::Unsupported(format!(
                "the second argument of {name} says when a row was: it has to be a timestamp, not {}",
                type_name(other)
            )));
        }
        None => {
            let message = format!("{name} needs a second argument, the time: `{name}(x, at)`");
            return Err(StateError::Unsupported(message));
        }
    };
    Ok(Box::new(AtEnd {
        end,
        value: value.clone(),
        time: time.clone(),
        codec: KeyCodec::new(vec![value.clone()])?,
        cells: Vec::new(),
        payload_bytes: 0,
    }))
}

struct AtEnd {
    end: End,
    value: DataType,
    time: DataType,
    codec: KeyCodec,
    cells: Vec<Option<Cell>>,
    payload_bytes: usize,
}

#[derive(Clone, Debug)]
struct Cell {
    time_us: i64,
    /// Encoded, in the order of keys. The buffer stays when the value changes.
    value: Vec<u8>,
}

impl AtEnd {
    fn take(&mut self, group: u32, time_us: i64, value: &[u8]) {
        match &mut self.cells[group as usize] {
            Some(kept) => {
                let (new, old) = ((time_us, value), (kept.time_us, kept.value.as_slice()));
                let wins = if self.end == End::Least { new < old } else { new > old };
                if wins {
                    self.payload_bytes -= kept.value.capacity();
                    kept.time_us = time_us;
                    kept.value.clear();
                    kept.value.extend_from_slice(value);
                    self.payload_bytes += kept.value.capacity();
                }
            }
            empty => {
                self.payload_bytes += value.len();
                *empty = Some(Cell { time_us, value: value.to_vec() });
            }
        }
    }

    fn values(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let cell = |&group: &u32| self.cells[group as usize].as_ref();
        let values = groups.iter().map(|group| cell(group).map_or(&[][..], |cell| &cell.value));
        let (offsets, bytes, _) = binary(values)?.into_parts();
        let nulls: NullBuffer = groups.iter().map(|group| cell(group).is_some()).collect();
        let encoded = BinaryArray::try_new(offsets, bytes, Some(nulls))?;
        let decoded = self.codec.decode(&encoded)?.pop();
        decoded.ok_or_else(|| StateError::Mismatch("encoded values have no column".into()))
    }
}

impl Accumulator for AtEnd {
    fn data_type(&self) -> DataType {
        self.value.clone()
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("value", self.value.clone(), true), Field::new("time", self.time.clone(), true)]
    }

    fn resize(&mut self, groups: usize) {
        self.cells.resize(groups, None);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let values = typed(arguments.first(), &self.value)?;
        let times = typed(arguments.get(1), &self.time)?.as_primitive::<TimestampMicrosecondType>();
        let encoded = self.codec.encode(std::slice::from_ref(values), values.len())?;
        let mut row = 0;
        encoded.for_each(|value| {
            if let Some(value) = value.filter(|_| times.is_valid(row)) {
                self.take(groups[row], times.value(row), value);
            }
            row += 1;
        });
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        self.update(groups, state)
    }

    fn reset(&mut self, groups: &[u32]) {
        for &group in groups {
            if let Some(old) = self.cells[group as usize].take() {
                self.payload_bytes -= old.value.capacity();
            }
        }
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        let time = |&group: &u32| self.cells[group as usize].as_ref().map(|cell| cell.time_us);
        let times: TimestampMicrosecondArray = groups.iter().map(time).collect();
        Ok(vec![self.values(groups)?, Arc::new(times.with_data_type(self.time.clone()))])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        self.values(groups)
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.payload_bytes = 0;
    }

    fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Option<Cell>>() + self.payload_bytes
    }
}
