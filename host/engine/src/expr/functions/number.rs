//! Functions of numbers.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType};
use arrow_schema::{ArrowError, DataType};

use super::output::{Missing, Numbers, numbers};
use super::{Argument, Built, Function, Parameter};
use crate::expr::kernels::arithmetic::{Float, OVERFLOW_64};
use crate::expr::value::{Args, Faults};

use Parameter::{Double, Integer, Number};

pub(super) const TABLE: &[Function] = &[
    Function {
        name: "abs",
        signature: "abs(number)",
        parameters: &[Number],
        required: 1,
        repeats: false,
        build: abs,
    },
    Function {
        name: "sign",
        signature: "sign(number)",
        parameters: &[Number],
        required: 1,
        repeats: false,
        build: sign,
    },
    Function {
        name: "ceil",
        signature: "ceil(number)",
        parameters: &[Number],
        required: 1,
        repeats: false,
        build: |args| whole(args, f32::ceil, f64::ceil),
    },
    Function {
        name: "floor",
        signature: "floor(number)",
        parameters: &[Number],
        required: 1,
        repeats: false,
        build: |args| whole(args, f32::floor, f64::floor),
    },
    Function {
        name: "round",
        signature: "round(number [, digits])",
        parameters: &[Number, Integer],
        required: 1,
        repeats: false,
        build: round,
    },
    Function {
        name: "sqrt",
        signature: "sqrt(number)",
        parameters: &[Double],
        required: 1,
        repeats: false,
        build: |_| {
            Ok(double(|x| if x < 0.0 { Err("the square root of a negative number") } else { Ok(x.sqrt()) }))
        },
    },
    Function {
        name: "exp",
        signature: "exp(number)",
        parameters: &[Double],
        required: 1,
        repeats: false,
        build: |_| Ok(double(|x| Ok(x.exp()))),
    },
    Function {
        name: "ln",
        signature: "ln(number)",
        parameters: &[Double],
        required: 1,
        repeats: false,
        build: |_| Ok(double(|x| logarithm(x, f64::ln))),
    },
    Function {
        name: "log10",
        signature: "log10(number)",
        parameters: &[Double],
        required: 1,
        repeats: false,
        build: |_| Ok(double(|x| logarithm(x, f64::log10))),
    },
    Function {
        name: "log2",
        signature: "log2(number)",
        parameters: &[Double],
        required: 1,
        repeats: false,
        build: |_| Ok(double(|x| logarithm(x, f64::log2))),
    },
    Function {
        name: "power",
        signature: "power(base, exponent)",
        parameters: &[Double, Double],
        required: 2,
        repeats: false,
        build: |_| Ok(Built::new(DataType::Float64, Arc::new(power))),
    },
];

/// A function of one float64 that some values have no result for.
fn double(function: fn(f64) -> Result<f64, &'static str>) -> Built {
    Built::new(
        DataType::Float64,
        Arc::new(move |args, faults| {
            let input = Numbers::<Float64Type>::new(args, 0);
            Ok(Arc::new(numbers::<Float64Type>(args, faults, |row| {
                function(input.at(row)).map(Float64Type::canonical).map_err(Missing::fault)
            })))
        }),
    )
}

fn logarithm(x: f64, function: fn(f64) -> f64) -> Result<f64, &'static str> {
    if x <= 0.0 { Err("the logarithm of a number that is not positive") } else { Ok(function(x)) }
}

fn power(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let (base, exponent) = (Numbers::<Float64Type>::new(args, 0), Numbers::<Float64Type>::new(args, 1));
    Ok(Arc::new(numbers::<Float64Type>(args, faults, |row| {
        let (base, exponent) = (base.at(row), exponent.at(row));
        if base == 0.0 && exponent < 0.0 {
            return Err(Missing::fault("zero to a negative power"));
        }
        let result = base.powf(exponent);
        if result.is_nan() && !base.is_nan() && !exponent.is_nan() {
            return Err(Missing::fault("a negative number to a power that is not whole"));
        }
        Ok(Float64Type::canonical(result))
    })))
}

/// For a type, a function of one value of the type that keeps it.
fn same<T: ArrowPrimitiveType>(
    data_type: &DataType,
    function: fn(T::Native) -> Result<T::Native, &'static str>,
) -> Built {
    Built::new(
        data_type.clone(),
        Arc::new(move |args, faults| {
            let input = Numbers::<T>::new(args, 0);
            Ok(Arc::new(numbers::<T>(args, faults, |row| function(input.at(row)).map_err(Missing::fault))))
        }),
    )
}

fn abs(args: &[Argument<'_>]) -> Result<Built, String> {
    let data_type = args[0].data_type;
    Ok(match data_type {
        DataType::Int32 => {
            same::<Int32Type>(data_type, |x| x.checked_abs().ok_or("the result does not fit int32"))
        }
        DataType::Int64 => same::<Int64Type>(data_type, |x| x.checked_abs().ok_or(OVERFLOW_64)),
        DataType::Float32 => same::<Float32Type>(data_type, |x| Ok(Float32Type::canonical(x.abs()))),
        _ => same::<Float64Type>(data_type, |x| Ok(Float64Type::canonical(x.abs()))),
    })
}

/// -1, 0 or 1 in the type of the argument; NaN for NaN.
fn sign(args: &[Argument<'_>]) -> Result<Built, String> {
    let data_type = args[0].data_type;
    Ok(match data_type {
        DataType::Int32 => same::<Int32Type>(data_type, |x| Ok(x.signum())),
        DataType::Int64 => same::<Int64Type>(data_type, |x| Ok(x.signum())),
        DataType::Float32 => same::<Float32Type>(data_type, |x| {
            Ok(if x.is_zero() { 0.0 } else { Float32Type::canonical(x.signum()) })
        }),
        _ => same::<Float64Type>(data_type, |x| {
            Ok(if x.is_zero() { 0.0 } else { Float64Type::canonical(x.signum()) })
        }),
    })
}

/// Rounding to whole numbers, which keeps the type; integers are whole.
fn whole(args: &[Argument<'_>], single: fn(f32) -> f32, double: fn(f64) -> f64) -> Result<Built, String> {
    let data_type = args[0].data_type;
    Ok(match data_type {
        DataType::Float32 => Built::new(
            data_type.clone(),
            Arc::new(move |args, _| {
                let input = args.values[0].array().as_primitive::<Float32Type>();
                Ok(Arc::new(input.unary::<_, Float32Type>(|x| Float32Type::canonical(single(x)))))
            }),
        ),
        DataType::Float64 => Built::new(
            data_type.clone(),
            Arc::new(move |args, _| {
                let input = args.values[0].array().as_primitive::<Float64Type>();
                Ok(Arc::new(input.unary::<_, Float64Type>(|x| Float64Type::canonical(double(x)))))
            }),
        ),
        _ => Built::new(data_type.clone(), Arc::new(|args, _| Ok(Arc::clone(args.values[0].array())))),
    })
}

/// Halves go away from zero. With digits the result is a float64.
fn round(args: &[Argument<'_>]) -> Result<Built, String> {
    if args.len() == 1 {
        return whole(args, f32::round, f64::round);
    }
    Ok(Built::new(
        DataType::Float64,
        Arc::new(|args, faults| {
            let input = arrow_cast::cast(args.values[0].array(), &DataType::Float64)?;
            let values = [args.values[0].with(input), args.values[1].clone()];
            let args = Args { values: &values, ..*args };
            let (input, digits) =
                (Numbers::<Float64Type>::new(&args, 0), Numbers::<Int64Type>::new(&args, 1));
            Ok(Arc::new(numbers::<Float64Type>(&args, faults, |row| {
                Ok(rounded(input.at(row), digits.at(row)))
            })))
        }),
    ))
}

/// Beyond 22 digits a power of ten is not exact, and a float64 has no such digits to round.
fn rounded(x: f64, digits: i64) -> f64 {
    const DIGITS_MAX: i64 = 22;
    let exponent = i32::try_from(digits.clamp(-DIGITS_MAX, DIGITS_MAX)).unwrap_or_default();
    let scale = 10f64.powi(exponent.abs());
    let scaled = if exponent >= 0 { x * scale } else { x / scale };
    if !scaled.is_finite() {
        return Float64Type::canonical(x);
    }
    if exponent >= 0 { scaled.round() / scale } else { scaled.round() * scale }
}
