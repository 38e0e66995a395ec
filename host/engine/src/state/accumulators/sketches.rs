//! A sketch a group: small summaries that are merged, and written as bytes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};

use super::{StateError, typed};
use crate::state::key_store::binary;

/// A summary of values in which their order and their cut leave no trace.
pub(super) trait Sketch: Clone + Default {
    /// Appends the sketch as bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes the values of a sketch that was written; answers false to what is none.
    fn merge(&mut self, written: &[u8]) -> bool;

    /// Bytes of memory outside of itself.
    fn bytes(&self) -> usize;
}

/// The sketches of groups.
pub(super) struct Sketches<S>(pub(super) Vec<S>);

impl<S: Sketch> Sketches<S> {
    pub(super) fn fields() -> Vec<Field> {
        vec![Field::new("sketch", DataType::Binary, false)]
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.0.resize(groups, S::default());
    }

    pub(super) fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let written = typed(state.first(), &DataType::Binary)?.as_binary::<i32>();
        for (row, &group) in groups.iter().enumerate() {
            if written.is_null(row) || !self.0[group as usize].merge(written.value(row)) {
                let message = "bytes of state that should be a sketch are none";
                return Err(StateError::Mismatch(message.to_owned()));
            }
        }
        Ok(())
    }

    pub(super) fn reset(&mut self, groups: &[u32]) {
        groups.iter().for_each(|&group| self.0[group as usize] = S::default());
    }

    pub(super) fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for &group in groups {
            self.0[group as usize].write(&mut bytes);
            ends.push(bytes.len());
        }
        let written = binary(ends.windows(2).map(|ends| &bytes[ends[0]..ends[1]]))?;
        Ok(vec![Arc::new(written)])
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<S>() + self.0.iter().map(Sketch::bytes).sum::<usize>()
    }
}
