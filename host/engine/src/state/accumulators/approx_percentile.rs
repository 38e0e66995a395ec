//! `approx_percentile(x, share)` and `approx_median(x)`: the value below which a share of the values
//! lies, up to a relative error. Nulls do not count.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::{DataType, Field};

use super::numbers::{each_number, number_type};
use super::rounded::Rounded;
use super::sketches::Sketches;
use super::{Accumulator, PairSet, StateError, typed};

pub(super) fn build(arguments: &[DataType], numbers: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    let argument = number_type("approx_percentile", arguments)?;
    match numbers.first() {
        Some(share) if (0.0..=1.0).contains(share) => Ok(boxed(argument, *share)),
        _ => Err(StateError::Unsupported(
            "the second argument of approx_percentile is a share between 0 and 1, such as 0.99".to_owned(),
        )),
    }
}

pub(super) fn build_median(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    Ok(boxed(number_type("approx_median", arguments)?, 0.5))
}

fn boxed(argument: DataType, share: f64) -> Box<dyn Accumulator> {
    Box::new(ApproxPercentile { argument, share, sketches: Sketches(Vec::new()) })
}

struct ApproxPercentile {
    argument: DataType,
    share: f64,
    sketches: Sketches<Rounded>,
}

impl Accumulator for ApproxPercentile {
    fn data_type(&self) -> DataType {
        DataType::Float64
    }

    fn state_fields(&self) -> Vec<Field> {
        Sketches::<Rounded>::fields()
    }

    fn resize(&mut self, groups: usize) {
        self.sketches.resize(groups);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let column = typed(arguments.first(), &self.argument)?;
        let sketches = self.sketches.0.as_mut_slice();
        each_number(groups, column, |group, value| sketches[group].insert(value));
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
        let percentile = |&group: &u32| self.sketches.0[group as usize].percentile(self.share);
        Ok(Arc::new(groups.iter().map(percentile).collect::<Float64Array>()))
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
