//! SQL expressions for `filter`, `select` and aggregate arguments: parsed once, typed at deployment
//! against an arrow schema, evaluated on arrow's kernels a whole batch at a time. Knows columns and
//! nothing of pipelines.
//!
//! What a deployer should know:
//! - Logic is SQL's, with three values; `filter` keeps the rows where the expression is TRUE.
//! - A row whose value cannot be computed (division by zero, integer overflow, a CAST that fails, the
//!   root of a negative number) is a *fault*: the array has NULL there, and the list of faults says
//!   why, so that the row becomes a dead letter. The other rows go on. `TRY_CAST` gives NULL instead.
//! - `CASE`, `COALESCE`, `AND` and `OR` read from left to right: a fault counts only where its part
//!   decides. `b <> 0 AND a / b > 1` is safe.
//! - int32, int64, float32 and float64 widen to what both sides fit in; a plain number takes the type
//!   of what it stands beside (`int32_column + 1` is int32). Beside a timestamp or a date, a string
//!   literal is read as one. Nothing else is converted without a CAST.
//! - Integers divide towards zero. Floats divided by zero fault like integers; overflow gives infinity.
//! - NaN equals NaN and is greater than every other number; -0.0 equals 0.0. NaNs that are computed are
//!   the canonical one.
//! - `length`, `substr` and their like count characters, not bytes.
//! - Parts without columns are computed at deployment; one that always fails is refused then.

mod error;
mod parse;

mod bind;
mod coerce;
mod literal;

mod evaluate;
mod tree;
mod value;

mod functions;
mod kernels;

mod predicate;
mod projection;

#[cfg(test)]
mod tests;

pub use error::{EvalError, ExprError, Position, Problem, RowFault};
pub use parse::{Call, Parsed};
pub use predicate::{Filtered, Predicate};
pub use projection::{Projected, Projection};
pub use tree::{Evaluated, Expr};
