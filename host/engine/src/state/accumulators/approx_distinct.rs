//! `approx_count_distinct(x)`: about how many different values, in bounded memory. Nulls do not count.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::{DataType, Field};

use super::hyper_log_log::HyperLogLog;
use super::sketches::Sketches;
use super::{Accumulator, PairSet, StateError, required, typed};
use crate::state::KeyCodec;

pub(super) fn build(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    let argument = required("approx_count_distinct", arguments)?.clone();
    let codec = KeyCodec::new(vec![argument.clone()])?;
    Ok(Box::new(ApproxDistinct { argument, codec, sketches: Sketches(Vec::new()) }))
}

struct ApproxDistinct {
    argument: DataType,
    codec: KeyCodec,
    sketches: Sketches<HyperLogLog>,
}

impl Accumulator for ApproxDistinct {
    fn data_type(&self) -> DataType {
        DataType::Int64
    }

    fn state_fields(&self) -> Vec<Field> {
        Sketches::<HyperLogLog>::fields()
    }

    fn resize(&mut self, groups: usize) {
        self.sketches.resize(groups);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let column = typed(arguments.first(), &self.argument)?;
        let hashes = self.codec.encode(std::slice::from_ref(column), column.len())?.hashes();
        for (row, (&group, hash)) in groups.iter().zip(hashes).enumerate() {
            if column.is_valid(row) {
                self.sketches.0[group as usize].insert(hash);
            }
        }
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        self.sketches.merge(groups, state)
    }

    fn reset(&mut self, groups: &[u32]) {
        self.sketches.reset(groups);
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        self.sketches.state(groups)
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let estimate = |&group: &u32| self.sketches.0[group as usize].estimate().round() as i64;
        Ok(Arc::new(Int64Array::from_iter_values(groups.iter().map(estimate))))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.sketches.0.clear();
    }

    fn bytes(&self) -> usize {
        self.sketches.bytes()
    }
}
