//! `count(*)` and `count(x)`: rows, and rows where the argument is not null.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::{DataType, Field};

use super::null_rows::{each, nulls_of};
use super::{Accumulator, PairSet, StateError, typed};

struct Count {
    counts: Vec<i64>,
}

pub(super) fn build(_: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    Ok(Box::new(Count { counts: Vec::new() }))
}

impl Count {
    fn gather(&self, groups: &[u32]) -> ArrayRef {
        Arc::new(groups.iter().map(|&group| self.counts[group as usize]).collect::<Int64Array>())
    }
}

impl Accumulator for Count {
    fn data_type(&self) -> DataType {
        DataType::Int64
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("count", DataType::Int64, false)]
    }

    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        match arguments.first().and_then(nulls_of) {
            None => {
                let counts = self.counts.as_mut_slice();
                groups.iter().for_each(|&group| counts[group as usize] += 1);
            }
            Some(nulls) => nulls.valid_indices().for_each(|row| self.counts[groups[row] as usize] += 1),
        }
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let counts = typed(state.first(), &DataType::Int64)?.as_primitive::<Int64Type>();
        each(groups, counts.values(), None, |group, count| {
            self.counts[group] = self.counts[group].saturating_add(count);
        });
        Ok(())
    }

    fn retracts(&self) -> bool {
        true
    }

    fn retract(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let counts = typed(state.first(), &DataType::Int64)?.as_primitive::<Int64Type>();
        each(groups, counts.values(), None, |group, count| {
            self.counts[group] = self.counts[group].saturating_sub(count);
        });
        Ok(())
    }

    fn reset(&mut self, groups: &[u32]) {
        groups.iter().for_each(|&group| self.counts[group as usize] = 0);
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        Ok(vec![self.gather(groups)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        Ok(self.gather(groups))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.counts.clear();
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
