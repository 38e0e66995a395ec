//! Comparisons, `IN`, and the greatest and least of some values, in one order for each type: NaN
//! equals NaN and is greater than every other number, -0.0 equals 0.0, text is ordered by bytes.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_arith::boolean;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use arrow_select::zip::zip;

use super::arithmetic::Float;
use crate::expr::value::{Args, Kernel, Value};

/// A comparison of two values of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expr) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Distinct,
    NotDistinct,
}

/// The kernel of a comparison.
pub(in crate::expr) fn kernel(comparison: Comparison) -> Kernel {
    Arc::new(move |args, _| {
        Ok(Arc::new(compare(comparison, &ordered(&args.values[0]), &ordered(&args.values[1]))?))
    })
}

/// Compares values that are `ordered`.
fn compare(comparison: Comparison, left: &Value, right: &Value) -> Result<BooleanArray, ArrowError> {
    match comparison {
        Comparison::Equal => cmp::eq(left, right),
        Comparison::NotEqual => cmp::neq(left, right),
        Comparison::Less => cmp::lt(left, right),
        Comparison::LessOrEqual => cmp::lt_eq(left, right),
        Comparison::Greater => cmp::gt(left, right),
        Comparison::GreaterOrEqual => cmp::gt_eq(left, right),
        Comparison::Distinct => cmp::distinct(left, right),
        Comparison::NotDistinct => cmp::not_distinct(left, right),
    }
}

/// Floats with one zero and one NaN; everything else as it is.
pub(in crate::expr) fn ordered(value: &Value) -> Value {
    fn floats<T: Float>(value: &Value) -> Value {
        value.with(Arc::new(value.array().as_primitive::<T>().unary::<_, T>(T::ordered)))
    }
    match value.array().data_type() {
        DataType::Float32 => floats::<Float32Type>(value),
        DataType::Float64 => floats::<Float64Type>(value),
        _ => value.clone(),
    }
}

/// `first IN (the others)`.
pub(in crate::expr) fn is_in() -> Kernel {
    Arc::new(|args, _| {
        let needle = Value::Column(args.values[0].clone().into_column(args.rows)?);
        let needle = ordered(&needle);
        let mut found: Option<BooleanArray> = None;
        for item in &args.values[1..] {
            let equal = cmp::eq(&needle, &ordered(item))?;
            found = Some(match found {
                Some(found) => boolean::or_kleene(&found, &equal)?,
                None => equal,
            });
        }
        Ok(Arc::new(found.unwrap_or_else(|| BooleanArray::new(BooleanBuffer::new_unset(args.rows), None))))
    })
}

/// `first IN (literals)` by hashing; for types where equal means equal bytes, so none for floats.
pub(in crate::expr) fn is_in_set(items: &[ArrayRef]) -> Option<Kernel> {
    let with_null = items.iter().any(|item| item.is_null(0));
    let items: Vec<&ArrayRef> = items.iter().filter(|item| item.is_valid(0)).collect();
    match items.first()?.data_type() {
        DataType::Int32 => Some(numbers::<Int32Type>(&items, with_null)),
        DataType::Int64 => Some(numbers::<Int64Type>(&items, with_null)),
        DataType::Date32 => Some(numbers::<Date32Type>(&items, with_null)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Some(numbers::<TimestampMicrosecondType>(&items, with_null))
        }
        DataType::Utf8 => {
            let set: HashSet<Box<str>> =
                items.iter().map(|item| item.as_string::<i32>().value(0).into()).collect();
            Some(Arc::new(move |args, _| {
                let column = args.values[0].array().as_string::<i32>();
                Ok(members(column, with_null, |row| set.contains(column.value(row))))
            }))
        }
        _ => None,
    }
}

fn numbers<T: ArrowPrimitiveType>(items: &[&ArrayRef], with_null: bool) -> Kernel
where
    T::Native: std::hash::Hash + Eq,
{
    let set: HashSet<T::Native> = items.iter().map(|item| item.as_primitive::<T>().value(0)).collect();
    Arc::new(move |args, _| {
        let column = args.values[0].array().as_primitive::<T>();
        Ok(members(column, with_null, |row| set.contains(&column.value(row))))
    })
}

/// What is not found is unknown when the set has a NULL, for that might have been it.
fn members(column: &dyn Array, with_null: bool, is_member: impl Fn(usize) -> bool) -> ArrayRef {
    let found = BooleanBuffer::collect_bool(column.len(), |row| column.is_valid(row) && is_member(row));
    let nulls = if with_null { Some(found.clone().into()) } else { column.nulls().cloned() };
    Arc::new(BooleanArray::new(found, nulls))
}

/// The greatest (or least) of the arguments that are not NULL.
pub(in crate::expr) fn extreme(comparison: Comparison) -> Kernel {
    Arc::new(move |args: &Args<'_>, _| {
        let mut best = args.values[0].clone().into_column(args.rows)?;
        for value in &args.values[1..] {
            let value = value.clone().into_column(args.rows)?;
            let (left, right) = (Value::Column(value), Value::Column(best));
            let better = compare(comparison, &ordered(&left), &ordered(&right))?;
            let better = boolean::or_kleene(&boolean::is_null(right.array())?, &better)?;
            let better = boolean::and_kleene(&boolean::is_not_null(left.array())?, &better)?;
            best = zip(&better, &left, &right)?;
        }
        Ok(best)
    })
}
