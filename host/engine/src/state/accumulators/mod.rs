//! Aggregate functions as columns of values by group id: a file a family. A new function is a new
//! file and a line in [`FUNCTIONS`].

mod approx_distinct;
mod approx_percentile;
mod at_end;
mod collect;
mod count;
mod distinct;
mod extreme;
mod extreme_text;
mod hyper_log_log;
mod listed;
mod moments;
mod null_rows;
mod numbers;
mod rounded;
mod sketches;
mod sum;
mod top_k;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field};

use super::StateError;
use crate::batch::RejectedRow;

pub use distinct::PairSet;

/// An aggregate function's values for the groups of one table.
///
/// The law: `update` over rows in any cut, and `merge` of the states of any split of the rows over
/// several accumulators, give the same `finish`; sums of floating-point numbers may differ in their
/// last bits. Group ids are always below what `resize` was told.
pub trait Accumulator: Send {
    /// The type of what `finish` gives.
    fn data_type(&self) -> DataType;

    /// The columns of `state`; their names are suffixes to the function's output name.
    fn state_fields(&self) -> Vec<Field>;

    /// Makes room for so many groups; new ones have seen no row. Fewer than before only when those behind
    /// have seen none.
    fn resize(&mut self, groups: usize);

    /// Called before `update` with what that would be given, where a step has functions that may refuse
    /// rows: those that this one cannot take, rising. If there are any, it is called again without them.
    ///
    /// # Errors
    /// When the arguments are not of the types that the function was made for.
    fn refusals(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<Vec<RejectedRow>, StateError> {
        // What is built in takes every row.
        let _ = (groups, arguments);
        Ok(Vec::new())
    }

    /// Takes a chunk: row `i` of the arguments belongs to `groups[i]`. `count(*)` has none.
    ///
    /// # Errors
    /// When the arguments are not of the types that the function was made for.
    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError>;

    /// Takes what another accumulator's `state` gave: row `i` belongs to `groups[i]`.
    ///
    /// # Errors
    /// When the columns are not those of `state_fields`.
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError>;

    /// Whether [`Accumulator::retract`] undoes `merge` to the last bit.
    fn retracts(&self) -> bool {
        false
    }

    /// Undoes a `merge` with the same arguments, whatever was merged since. Called only where `retracts` says so.
    ///
    /// # Errors
    /// When the columns are not those of `state_fields`, or the function does not retract.
    fn retract(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let _ = (groups, state);
        Err(StateError::Unsupported("the function does not take out again what was merged".into()))
    }

    /// Makes groups as if they had seen no row, so that `merge` replaces what they were.
    fn reset(&mut self, groups: &[u32]);

    /// The state of groups, for `merge` and for checkpoints.
    ///
    /// # Errors
    /// When it does not fit into columns.
    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError>;

    /// The results of groups.
    ///
    /// # Errors
    /// When a result does not fit its type.
    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError>;

    /// The set of pairs that takes the place of `state` in checkpoints, for functions whose groups
    /// grow without bound: only new pairs are copied, instead of whole groups.
    fn pairs(&mut self) -> Option<&mut PairSet>;

    /// Forgets all groups and keeps the memory.
    fn clear(&mut self);

    /// Bytes of memory.
    fn bytes(&self) -> usize;
}

/// Makes the accumulator of a function for arguments of these types, none standing for `*`, and for
/// the numbers that are written after them.
type Build = fn(&[DataType], &[f64]) -> Result<Box<dyn Accumulator>, StateError>;

/// A function, and how it is called.
struct Function {
    name: &'static str,
    shape: Shape,
    build: Build,
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// A call as an example.
    pub example: &'static str,
    /// Arguments that are columns; they come first.
    pub columns: usize,
    /// Arguments that are numbers, the same for all rows.
    pub numbers: usize,
}

const fn function(name: &'static str, example: &'static str, build: Build) -> Function {
    Function { name, shape: Shape { example, columns: 1, numbers: 0 }, build }
}

/// The functions by name.
const FUNCTIONS: &[Function] = &[
    function("count", "count(x)", count::build),
    function("count distinct", "count(distinct x)", distinct::build),
    function("sum", "sum(x)", sum::build_sum),
    function("avg", "avg(x)", sum::build_avg),
    function("min", "min(x)", extreme::build_min),
    function("max", "max(x)", extreme::build_max),
    function("stddev", "stddev(x)", moments::build_stddev),
    function("stddev_pop", "stddev_pop(x)", moments::build_stddev_pop),
    function("variance", "variance(x)", moments::build_variance),
    function("var_pop", "var_pop(x)", moments::build_var_pop),
    Function {
        name: "first",
        shape: Shape { example: "first(x, at)", columns: 2, numbers: 0 },
        build: at_end::build_first,
    },
    Function {
        name: "last",
        shape: Shape { example: "last(x, at)", columns: 2, numbers: 0 },
        build: at_end::build_last,
    },
    function("approx_count_distinct", "approx_count_distinct(x)", approx_distinct::build),
    function("approx_median", "approx_median(x)", approx_percentile::build_median),
    Function {
        name: "approx_percentile",
        shape: Shape { example: "approx_percentile(x, 0.99)", columns: 1, numbers: 1 },
        build: approx_percentile::build,
    },
    Function {
        name: "collect",
        shape: Shape { example: "collect(x, 100)", columns: 1, numbers: 1 },
        build: collect::build,
    },
    Function {
        name: "collect_distinct",
        shape: Shape { example: "collect_distinct(x, 100)", columns: 1, numbers: 1 },
        build: collect::build_distinct,
    },
    Function {
        name: "top_k",
        shape: Shape { example: "top_k(x, 10)", columns: 1, numbers: 1 },
        build: top_k::build,
    },
];

fn named(function: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|known| known.name == function)
}

/// How a function is called, if there is one of this name.
#[must_use]
pub fn shape(function: &str) -> Option<Shape> {
    named(function).map(|known| known.shape)
}

/// The accumulator of a function for columns of these types, followed by these numbers;
/// `count distinct` is the name of `count(distinct x)`.
///
/// # Errors
/// When there is no such function, or not for these arguments; the message says what there is.
pub fn build(
    function: &str,
    arguments: &[DataType],
    numbers: &[f64],
) -> Result<Box<dyn Accumulator>, StateError> {
    match named(function) {
        Some(known) => (known.build)(arguments, numbers),
        None => Err(StateError::Unsupported(format!(
            "no aggregate function is called `{function}`; there are {}",
            names().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|known| known.name)
}

/// The first argument, where a function cannot do without.
fn required<'a>(function: &str, arguments: &'a [DataType]) -> Result<&'a DataType, StateError> {
    arguments
        .first()
        .ok_or_else(|| StateError::Unsupported(format!("{function}(*) does not exist: name a column")))
}

/// The column, checked for its type.
fn typed<'a>(column: Option<&'a ArrayRef>, data_type: &DataType) -> Result<&'a ArrayRef, StateError> {
    match column {
        Some(column) if column.data_type() == data_type => Ok(column),
        Some(column) => Err(StateError::Mismatch(format!(
            "a column of an aggregate function should be {data_type} but is {}",
            column.data_type()
        ))),
        None => Err(StateError::Mismatch(format!("a column of type {data_type} is missing"))),
    }
}
