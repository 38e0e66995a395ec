//! `+ - * / %` and unary minus on numbers of one type.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_arith::arity::binary;
use arrow_arith::numeric;
use arrow_array::builder::PrimitiveBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, Datum, PrimitiveArray};
use arrow_schema::{ArrowError, DataType};

use crate::expr::value::{Args, Faults, Kernel, Value};

/// What a fault says about a zero divisor.
pub(in crate::expr) const DIVISION_BY_ZERO: &str =
    "division by zero; with NULLIF(divisor, 0) the result is NULL instead";
const OVERFLOW_32: &str = "the result does not fit int32; CAST an operand to int64";
pub(in crate::expr) const OVERFLOW_64: &str =
    "the result does not fit int64; CAST an operand to float64 if it need not be exact";

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expr) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// The kernel for two operands of the type, which is one of the four numeric ones.
pub(in crate::expr) fn kernel(operation: Operation, data_type: &DataType) -> Kernel {
    match data_type {
        DataType::Int32 => Arc::new(move |args, faults| integers::<Int32Type>(operation, args, faults)),
        DataType::Int64 => Arc::new(move |args, faults| integers::<Int64Type>(operation, args, faults)),
        DataType::Float32 => Arc::new(move |args, faults| floats::<Float32Type>(operation, args, faults)),
        _ => Arc::new(move |args, faults| floats::<Float64Type>(operation, args, faults)),
    }
}

/// The kernel of unary minus.
pub(in crate::expr) fn negate(data_type: &DataType) -> Kernel {
    match data_type {
        DataType::Int32 => Arc::new(negated::<Int32Type>),
        DataType::Int64 => Arc::new(negated::<Int64Type>),
        _ => Arc::new(|args, _| numeric::neg(args.values[0].array())),
    }
}

/// Floats as expressions see them.
pub(in crate::expr) trait Float: ArrowPrimitiveType {
    /// The value, or the one NaN that is the same on every machine.
    fn canonical(value: Self::Native) -> Self::Native;

    /// The value with one zero and one NaN, so that arrow's total order is SQL's.
    fn ordered(value: Self::Native) -> Self::Native;
}

impl Float for Float32Type {
    fn canonical(value: f32) -> f32 {
        if value.is_nan() { f32::NAN } else { value }
    }

    fn ordered(value: f32) -> f32 {
        // -0.0 + 0.0 is 0.0, and nothing else is changed.
        Self::canonical(value) + 0.0
    }
}

impl Float for Float64Type {
    fn canonical(value: f64) -> f64 {
        if value.is_nan() { f64::NAN } else { value }
    }

    fn ordered(value: f64) -> f64 {
        Self::canonical(value) + 0.0
    }
}

fn integers<T: ArrowPrimitiveType>(
    operation: Operation,
    args: &Args<'_>,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let (left, right) = (&args.values[0], &args.values[1]);
    let whole = match operation {
        Operation::Add => numeric::add(left, right),
        Operation::Subtract => numeric::sub(left, right),
        Operation::Multiply => numeric::mul(left, right),
        Operation::Divide => numeric::div(left, right),
        Operation::Remainder => numeric::rem(left, right),
    };
    match whole {
        Err(ArrowError::DivideByZero | ArrowError::ArithmeticOverflow(_)) => {
            row_by_row::<T>(args, faults, |l, r| integer::<T>(operation, l, r))
        }
        other => other,
    }
}

fn integer<T: ArrowPrimitiveType>(
    operation: Operation,
    left: T::Native,
    right: T::Native,
) -> Result<T::Native, &'static str> {
    let overflow = |_| if T::DATA_TYPE == DataType::Int32 { OVERFLOW_32 } else { OVERFLOW_64 };
    match operation {
        Operation::Add => left.add_checked(right).map_err(overflow),
        Operation::Subtract => left.sub_checked(right).map_err(overflow),
        Operation::Multiply => left.mul_checked(right).map_err(overflow),
        Operation::Divide | Operation::Remainder if right.is_zero() => Err(DIVISION_BY_ZERO),
        Operation::Divide => left.div_checked(right).map_err(overflow),
        // The least number modulo -1 is 0, not an overflow.
        Operation::Remainder => Ok(left.mod_wrapping(right)),
    }
}

fn floats<T: Float>(
    operation: Operation,
    args: &Args<'_>,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let divides = matches!(operation, Operation::Divide | Operation::Remainder);
    if divides && args.values[1].array().as_primitive::<T>().values().iter().any(|value| value.is_zero()) {
        return row_by_row::<T>(args, faults, |left, right| {
            if right.is_zero() { Err(DIVISION_BY_ZERO) } else { Ok(float::<T>(operation, left, right)) }
        });
    }
    match operation {
        Operation::Add => apply::<T>(args, |l, r| float::<T>(Operation::Add, l, r)),
        Operation::Subtract => apply::<T>(args, |l, r| float::<T>(Operation::Subtract, l, r)),
        Operation::Multiply => apply::<T>(args, |l, r| float::<T>(Operation::Multiply, l, r)),
        Operation::Divide => apply::<T>(args, |l, r| float::<T>(Operation::Divide, l, r)),
        Operation::Remainder => apply::<T>(args, |l, r| float::<T>(Operation::Remainder, l, r)),
    }
}

#[inline]
fn float<T: Float>(operation: Operation, left: T::Native, right: T::Native) -> T::Native {
    T::canonical(match operation {
        Operation::Add => left.add_wrapping(right),
        Operation::Subtract => left.sub_wrapping(right),
        Operation::Multiply => left.mul_wrapping(right),
        Operation::Divide => left.div_wrapping(right),
        Operation::Remainder => left.mod_wrapping(right),
    })
}

/// An operation that cannot fail, over columns and single values.
fn apply<T: ArrowPrimitiveType>(
    args: &Args<'_>,
    operation: impl Fn(T::Native, T::Native) -> T::Native,
) -> Result<ArrayRef, ArrowError> {
    let (left, left_is_single) = args.values[0].get();
    let (right, right_is_single) = args.values[1].get();
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let nothing = || Arc::new(PrimitiveArray::<T>::new_null(args.rows)) as ArrayRef;
    Ok(match (left_is_single, right_is_single) {
        (true, _) if left.is_null(0) => nothing(),
        (_, true) if right.is_null(0) => nothing(),
        (true, _) => {
            let left = left.value(0);
            Arc::new(right.unary::<_, T>(|right| operation(left, right)))
        }
        (false, true) => {
            let right = right.value(0);
            Arc::new(left.unary::<_, T>(|left| operation(left, right)))
        }
        (false, false) => Arc::new(binary::<_, _, _, T>(left, right, operation)?),
    })
}

/// An operation that failed for the whole, row by row.
fn row_by_row<T: ArrowPrimitiveType>(
    args: &Args<'_>,
    faults: &mut Faults,
    operation: impl Fn(T::Native, T::Native) -> Result<T::Native, &'static str>,
) -> Result<ArrayRef, ArrowError> {
    let left = args.values[0].array().as_primitive::<T>();
    let right = args.values[1].array().as_primitive::<T>();
    let (left_stride, right_stride) = (args.stride(0), args.stride(1));
    let nulls = args.nulls();
    let mut out = PrimitiveBuilder::<T>::with_capacity(args.rows);
    for row in 0..args.rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.append_null();
            continue;
        }
        match operation(left.value(row * left_stride), right.value(row * right_stride)) {
            Ok(value) => out.append_value(value),
            Err(cause) => {
                faults.push(row, args.text, Cow::Borrowed(cause));
                out.append_null();
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

fn negated<T: ArrowPrimitiveType>(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    match numeric::neg(args.values[0].array()) {
        Err(ArrowError::ArithmeticOverflow(_)) => {
            let zero = PrimitiveArray::<T>::from_value(T::Native::ZERO, 1);
            let values = [Value::Scalar(Arc::new(zero)), args.values[0].clone()];
            let args = Args { values: &values, rows: args.rows, text: args.text };
            row_by_row::<T>(&args, faults, |l, r| integer::<T>(Operation::Subtract, l, r))
        }
        other => other,
    }
}
