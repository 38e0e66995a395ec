//! Aggregate functions as columns of values by group id: a file a family. A new function is a new
//! file and a line in [`FUNCTIONS`].

mod count;
mod distinct;
mod extreme;
mod extreme_text;
mod null_rows;
mod sum;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field};

use super::StateError;

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

    /// Makes room for so many groups; new ones have seen no row.
    fn resize(&mut self, groups: usize);

    /// Takes a chunk: row `i` of the argument belongs to `groups[i]`. `count(*)` has no argument.
    ///
    /// # Errors
    /// When the argument is not of the type that the function was made for.
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>) -> Result<(), StateError>;

    /// Takes what another accumulator's `state` gave: row `i` belongs to `groups[i]`.
    ///
    /// # Errors
    /// When the columns are not those of `state_fields`.
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError>;

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

/// Makes the accumulator of a function for an argument of this type; none stands for `*`.
type Build = fn(Option<&DataType>) -> Result<Box<dyn Accumulator>, StateError>;

/// The functions by name.
const FUNCTIONS: &[(&str, Build)] = &[
    ("count", count::build),
    ("count distinct", distinct::build),
    ("sum", sum::build_sum),
    ("avg", sum::build_avg),
    ("min", extreme::build_min),
    ("max", extreme::build_max),
];

/// The accumulator of a function; `count distinct` is the name of `count(distinct x)`.
///
/// # Errors
/// When there is no such function, or not for this argument; the message says what there is.
pub fn build(function: &str, argument: Option<&DataType>) -> Result<Box<dyn Accumulator>, StateError> {
    match FUNCTIONS.iter().find(|(name, _)| *name == function) {
        Some((_, build)) => build(argument),
        None => Err(StateError::Unsupported(format!(
            "no aggregate function is called `{function}`; there are {}",
            names().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

/// The argument, where a function cannot do without.
fn required<'a>(function: &str, argument: Option<&'a DataType>) -> Result<&'a DataType, StateError> {
    argument.ok_or_else(|| StateError::Unsupported(format!("{function}(*) does not exist: name a column")))
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
