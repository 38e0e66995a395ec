//! `min` and `max` of fixed-width values. Floating-point numbers are in total order: `-0.0` is less
//! than `0.0`, and NaN is greater than everything.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_schema::{DataType, Field, TimeUnit};

use super::extreme_text::ExtremeText;
use super::null_rows::each;
use super::{Accumulator, PairSet, StateError, required, typed};
use crate::batch::type_name;

/// Which end is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Least,
    Greatest,
}

pub(super) fn build_min(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("min", End::Least, arguments)
}

pub(super) fn build_max(arguments: &[DataType], _: &[f64]) -> Result<Box<dyn Accumulator>, StateError> {
    build("max", End::Greatest, arguments)
}

fn build(name: &str, end: End, arguments: &[DataType]) -> Result<Box<dyn Accumulator>, StateError> {
    let argument = required(name, arguments)?;
    Ok(match argument {
        DataType::Boolean => Box::new(ExtremeFlag(Extreme::new(end, &DataType::Int32))),
        DataType::Int32 => Box::new(Extreme::<Int32Type>::new(end, argument)),
        DataType::Int64 => Box::new(Extreme::<Int64Type>::new(end, argument)),
        DataType::Float32 => Box::new(Extreme::<Float32Type>::new(end, argument)),
        DataType::Float64 => Box::new(Extreme::<Float64Type>::new(end, argument)),
        DataType::Date32 => Box::new(Extreme::<Date32Type>::new(end, argument)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Box::new(Extreme::<TimestampMicrosecondType>::new(end, argument))
        }
        DataType::Utf8 | DataType::Binary => Box::new(ExtremeText::new(end, argument)),
        other => {
            return Err(StateError::Unsupported(format!(
                "{name} does not take {}: it takes boolean, int32, int64, float32, float64, utf8, binary, date \
                 and timestamp",
                type_name(other)
            )));
        }
    })
}

/// The least or greatest value of each group that has seen one.
struct Extreme<A: ArrowPrimitiveType> {
    end: End,
    data_type: DataType,
    values: Vec<A::Native>,
    seen: Vec<bool>,
}

impl<A: ArrowPrimitiveType<Native: Ordered>> Extreme<A> {
    fn new(end: End, data_type: &DataType) -> Self {
        Self { end, data_type: data_type.clone(), values: Vec::new(), seen: Vec::new() }
    }

    fn take(&mut self, groups: &[u32], column: &PrimitiveArray<A>) {
        match self.end {
            End::Least => self.keep(groups, column, |value, kept| value.less(kept)),
            End::Greatest => self.keep(groups, column, |value, kept| kept.less(value)),
        }
    }

    #[inline(always)]
    fn keep(
        &mut self,
        groups: &[u32],
        column: &PrimitiveArray<A>,
        wins: impl Fn(A::Native, A::Native) -> bool,
    ) {
        let (kept, seen) = (self.values.as_mut_slice(), self.seen.as_mut_slice());
        each(groups, column.values(), column.nulls(), |group, value| {
            let value = value.canonical();
            if !seen[group] || wins(value, kept[group]) {
                kept[group] = value;
                seen[group] = true;
            }
        });
    }

    fn column(&self, groups: &[u32]) -> ArrayRef {
        let value = |&group: &u32| self.seen[group as usize].then(|| self.values[group as usize]);
        let column: PrimitiveArray<A> = groups.iter().map(value).collect();
        Arc::new(column.with_data_type(self.data_type.clone()))
    }
}

impl<A: ArrowPrimitiveType<Native: Ordered>> Accumulator for Extreme<A> {
    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("value", self.data_type.clone(), true)]
    }

    fn resize(&mut self, groups: usize) {
        self.values.resize(groups, A::Native::default());
        self.seen.resize(groups, false);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let column = typed(arguments.first(), &self.data_type)?;
        self.take(groups, column.as_primitive::<A>());
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        self.update(groups, state)
    }

    fn reset(&mut self, groups: &[u32]) {
        groups.iter().for_each(|&group| self.seen[group as usize] = false);
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        Ok(vec![self.column(groups)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        Ok(self.column(groups))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.values.clear();
        self.seen.clear();
    }

    fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<A::Native>() + self.seen.capacity()
    }
}

/// Values whose order depends on nothing but themselves.
trait Ordered: Copy {
    /// The one value that stands for all that should be alike.
    fn canonical(self) -> Self;
    fn less(self, other: Self) -> bool;
}

macro_rules! ordered_integers {
    ($($native:ty),*) => {$(
        impl Ordered for $native {
            #[inline(always)]
            fn canonical(self) -> Self {
                self
            }

            #[inline(always)]
            fn less(self, other: Self) -> bool {
                self < other
            }
        }
    )*};
}

macro_rules! ordered_floats {
    ($($native:ty),*) => {$(
        impl Ordered for $native {
            #[inline(always)]
            fn canonical(self) -> Self {
                if self.is_nan() { Self::NAN.abs() } else { self }
            }

            #[inline(always)]
            fn less(self, other: Self) -> bool {
                self.total_cmp(&other).is_lt()
            }
        }
    )*};
}

ordered_integers!(i32, i64);
ordered_floats!(f32, f64);

/// `min` and `max` of booleans, false being less: kept as 0 and 1.
struct ExtremeFlag(Extreme<Int32Type>);

impl ExtremeFlag {
    fn column(&self, groups: &[u32]) -> ArrayRef {
        let values = self.0.column(groups);
        let flag = |value: Option<i32>| value.map(|value| value != 0);
        Arc::new(values.as_primitive::<Int32Type>().iter().map(flag).collect::<BooleanArray>())
    }
}

impl Accumulator for ExtremeFlag {
    fn data_type(&self) -> DataType {
        DataType::Boolean
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("value", DataType::Boolean, true)]
    }

    fn resize(&mut self, groups: usize) {
        self.0.resize(groups);
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let flags = typed(arguments.first(), &DataType::Boolean)?.as_boolean();
        let values: Vec<i32> = flags.values().iter().map(i32::from).collect();
        self.0.take(groups, &PrimitiveArray::new(values.into(), flags.nulls().cloned()));
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        self.update(groups, state)
    }

    fn reset(&mut self, groups: &[u32]) {
        self.0.reset(groups);
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        Ok(vec![self.column(groups)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        Ok(self.column(groups))
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
