//! `sum` and `avg`. Integers are added in 128 bits, so that neither the order of rows nor how they
//! were cut decides whether a sum overflows: only a result outside int64 is an error, and it fails
//! the step, as a wrong sum would be worse than none.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
};
use arrow_array::{ArrayRef, Decimal128Array, Float64Array, Int64Array};
use arrow_schema::{DataType, Field};

use super::null_rows::{each, nulls_of};
use super::{Accumulator, PairSet, StateError, required, typed};
use crate::batch::type_name;

/// What is made of a total and its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Sum,
    Average,
}

pub(super) fn build_sum(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("sum", Answer::Sum, arguments)
}

pub(super) fn build_avg(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("avg", Answer::Average, arguments)
}

fn build(name: &str, answer: Answer, arguments: &[DataType]) -> Result<Box<dyn Accumulator>, StateError> {
    Ok(match required(name, arguments)? {
        DataType::Int32 => Sum::<Int32Type, i128>::boxed(answer),
        DataType::Int64 => Sum::<Int64Type, i128>::boxed(answer),
        DataType::Float32 => Sum::<Float32Type, f64>::boxed(answer),
        DataType::Float64 => Sum::<Float64Type, f64>::boxed(answer),
        other => {
            return Err(StateError::Unsupported(format!(
                "{name} takes int32, int64, float32 or float64, not {}: cast the argument",
                type_name(other)
            )));
        }
    })
}

/// Totals of `A`'s values, kept as `T`.
struct Sum<A, T> {
    answer: Answer,
    cells: Vec<Cell<T>>,
    argument: PhantomData<fn(A)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell<T> {
    total: T,
    count: i64,
}

impl<T: Total> Cell<T> {
    #[inline(always)]
    fn add(&mut self, total: T, count: i64) {
        self.total = self.total.plus(total);
        self.count = self.count.saturating_add(count);
    }
}

impl<A, T> Sum<A, T>
where
    A: ArrowPrimitiveType,
    T: Total + From<A::Native>,
{
    fn boxed(answer: Answer) -> Box<dyn Accumulator> {
        Box::new(Self { answer, cells: Vec::new(), argument: PhantomData })
    }

    fn cells<'a>(&'a self, groups: &'a [u32]) -> impl Iterator<Item = Cell<T>> + 'a {
        groups.iter().map(|&group| self.cells[group as usize])
    }
}

impl<A, T> Accumulator for Sum<A, T>
where
    A: ArrowPrimitiveType,
    T: Total + From<A::Native>,
{
    fn data_type(&self) -> DataType {
        if self.answer == Answer::Sum { T::SUM } else { DataType::Float64 }
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("total", T::STATE, false), Field::new("count", DataType::Int64, false)]
    }

    fn resize(&mut self, groups: usize) {
        self.cells.resize(groups, Cell::default());
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let column = typed(arguments.first(), &A::DATA_TYPE)?;
        let cells = self.cells.as_mut_slice();
        each(groups, column.as_primitive::<A>().values(), nulls_of(column), |group, value| {
            cells[group].add(T::from(value), 1);
        });
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let totals = T::values(typed(state.first(), &T::STATE)?);
        let counts = typed(state.get(1), &DataType::Int64)?.as_primitive::<Int64Type>().values();
        for ((&group, &total), &count) in groups.iter().zip(totals).zip(counts) {
            self.cells[group as usize].add(total, count);
        }
        Ok(())
    }

    fn reset(&mut self, groups: &[u32]) {
        groups.iter().for_each(|&group| self.cells[group as usize] = Cell::default());
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        let counts: Int64Array = self.cells(groups).map(|cell| cell.count).collect();
        Ok(vec![T::column(self.cells(groups).map(|cell| cell.total))?, Arc::new(counts)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        if self.answer == Answer::Sum {
            return T::sums(self.cells(groups), groups);
        }
        let average = |cell: Cell<T>| (cell.count > 0).then(|| cell.total.over(cell.count));
        Ok(Arc::new(self.cells(groups).map(average).collect::<Float64Array>()))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.cells.clear();
    }

    fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell<T>>()
    }
}

/// What is added up: 128-bit integers, or floating-point numbers.
trait Total: Copy + Default + Send + 'static {
    const SUM: DataType;
    const STATE: DataType;
    fn plus(self, other: Self) -> Self;
    fn over(self, count: i64) -> f64;
    fn values(column: &ArrayRef) -> &[Self];
    fn column(totals: impl Iterator<Item = Self>) -> Result<ArrayRef, StateError>;
    fn sums(cells: impl Iterator<Item = Cell<Self>>, groups: &[u32]) -> Result<ArrayRef, StateError>;
}

impl Total for i128 {
    const SUM: DataType = DataType::Int64;
    const STATE: DataType = DataType::Decimal128(38, 0);

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // Cannot wrap before 2^64 rows have been added.
        self.wrapping_add(other)
    }

    fn over(self, count: i64) -> f64 {
        self as f64 / count as f64
    }

    fn values(column: &ArrayRef) -> &[Self] {
        column.as_primitive::<Decimal128Type>().values()
    }

    fn column(totals: impl Iterator<Item = Self>) -> Result<ArrayRef, StateError> {
        Ok(Arc::new(Decimal128Array::from_iter_values(totals).with_precision_and_scale(38, 0)?))
    }

    fn sums(cells: impl Iterator<Item = Cell<Self>>, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let sum = |(cell, &group): (Cell<Self>, &u32)| {
            let sum = (cell.count > 0).then(|| i64::try_from(cell.total)).transpose();
            sum.map_err(|_| StateError::Overflow {
                group,
                reason: format!("the sum {} does not fit int64: cast the argument to float64", cell.total),
            })
        };
        Ok(Arc::new(cells.zip(groups).map(sum).collect::<Result<Int64Array, _>>()?))
    }
}

impl Total for f64 {
    const SUM: DataType = DataType::Float64;
    const STATE: DataType = DataType::Float64;

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn over(self, count: i64) -> f64 {
        canonical(self) / count as f64
    }

    fn values(column: &ArrayRef) -> &[Self] {
        column.as_primitive::<Float64Type>().values()
    }

    fn column(totals: impl Iterator<Item = Self>) -> Result<ArrayRef, StateError> {
        Ok(Arc::new(Float64Array::from_iter_values(totals)))
    }

    fn sums(cells: impl Iterator<Item = Cell<Self>>, _: &[u32]) -> Result<ArrayRef, StateError> {
        let sum = |cell: Cell<Self>| (cell.count > 0).then_some(canonical(cell.total));
        Ok(Arc::new(cells.map(sum).collect::<Float64Array>()))
    }
}

/// One NaN for all, as its sign and payload depend on the order of the additions.
pub(super) fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN.abs() } else { value }
}
