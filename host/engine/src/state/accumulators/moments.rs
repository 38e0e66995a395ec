//! `variance`, `stddev` and those of a whole population, by count, mean and sum of squared distances
//! from the mean. Two such triples are merged as in T. Chan, G. Golub, R. LeVeque, "Updating Formulae
//! and a Pairwise Algorithm for Computing Sample Variances" (1979): unlike sums of squares, it does not
//! lose digits where values are large and close together.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array};
use arrow_schema::{DataType, Field};

use super::numbers::{each_number, number_type};
use super::sum::canonical;
use super::{Accumulator, PairSet, StateError, typed};

/// What is made of the squared distances.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// The rows stand for more than themselves: one degree of freedom is used up by their mean.
    is_sample: bool,
    is_root: bool,
}

pub(super) fn build_stddev(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("stddev", Answer { is_sample: true, is_root: true }, arguments)
}

pub(super) fn build_stddev_pop(
    arguments: &[DataType],
    _: &[f64],
) -> Result<Box<dyn Accumulator>, StateError> {
    build("stddev_pop", Answer { is_sample: false, is_root: true }, arguments)
}

pub(super) fn build_variance(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("variance", Answer { is_sample: true, is_root: false }, arguments)
}

pub(super) fn build_var_pop(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("var_pop", Answer { is_sample: false, is_root: false }, arguments)
}

fn build(name: &str, answer: Answer, arguments: &[DataType]) -> Result<Box<dyn Accumulator>, StateError> {
    Ok(Box::new(Moments { answer, argument: number_type(name, arguments)?, cells: Vec::new() }))
}

struct Moments {
    answer: Answer,
    argument: DataType,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    count: i64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Cell {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    fn merge(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
        } else if other.count > 0 {
            let count = self.count.saturating_add(other.count);
            let share = other.count as f64 / count as f64;
            let distance = other.mean - self.mean;
            self.mean += distance * share;
            self.squares += other.squares + distance * distance * self.count as f64 * share;
            self.count = count;
        }
    }

    fn answer(self, answer: Answer) -> Option<f64> {
        let freedom = self.count - i64::from(answer.is_sample);
        let variance = (freedom > 0).then(|| canonical(self.squares / freedom as f64))?;
        Some(if answer.is_root { variance.sqrt() } else { variance })
    }
}

impl Accumulator for Moments {
    fn data_type(&self) -> DataType {
        DataType::Float64
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![
            Field::new("count", DataType::Int64, false),
            Field::new("mean", DataType::Float64, false),
            Field::new("squares", DataType::Float64, false),
        ]
    }

    fn resize(&mut self, groups: usize) {
        self.cells.resize(groups, Cell::default());
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let column = typed(arguments.first(), &self.argument)?;
        let cells = self.cells.as_mut_slice();
        each_number(groups, column, |group, value| cells[group].add(value));
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let counts = typed(state.first(), &DataType::Int64)?.as_primitive::<Int64Type>().values();
        let means = typed(state.get(1), &DataType::Float64)?.as_primitive::<Float64Type>().values();
        let squares = typed(state.get(2), &DataType::Float64)?.as_primitive::<Float64Type>().values();
        for (row, &group) in groups.iter().enumerate() {
            let other = Cell { count: counts[row], mean: means[row], squares: squares[row] };
            self.cells[group as usize].merge(other);
        }
        Ok(())
    }

    fn reset(&mut self, groups: &[u32]) {
        groups.iter().for_each(|&group| self.cells[group as usize] = Cell::default());
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        let cells = || groups.iter().map(|&group| self.cells[group as usize]);
        Ok(vec![
            Arc::new(cells().map(|cell| cell.count).collect::<Int64Array>()),
            Arc::new(Float64Array::from_iter_values(cells().map(|cell| cell.mean))),
            Arc::new(Float64Array::from_iter_values(cells().map(|cell| cell.squares))),
        ])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let answer = |&group: &u32| self.cells[group as usize].answer(self.answer);
        Ok(Arc::new(groups.iter().map(answer).collect::<Float64Array>()))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.cells.clear();
    }

    fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
    }
}
