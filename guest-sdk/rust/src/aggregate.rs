//! Operators of the kind `aggregate`: one state a group, kept by the host. [`Aggregate`] sees one
//! row and one state at a time, [`ColumnAggregate`] whole columns, and [`fold`] makes one of closures.
//!
//! The law: adding rows in parts and merging the parts gives the same as adding them all to one
//! state, whatever the parts and their order.

use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::{Batch, Buffers};
use crate::error::{Error, Result};
use crate::output::{Finished, Output};
use crate::records::Records;
use crate::rows::Row;
use crate::schema::{Field, Schema};
use crate::states::States;

/// An aggregate over rows, with a state that serde knows. Nothing is remembered but the state.
///
/// ```
/// use millstream_plugin::prelude::*;
/// # use millstream_plugin::testing;
/// # use serde_json::json;
///
/// /// The longest text of a column.
/// #[derive(Deserialize, JsonSchema)]
/// struct Longest { column: String }
///
/// impl Aggregate for Longest {
///     type State = String;
///
///     fn output(&self) -> Result<Schema> {
///         Schema::of([Field::new("longest", DataType::Utf8)])
///     }
///     fn accumulate(&self, longest: &mut String, row: Row) -> Result<()> {
///         self.merge(longest, row.text(&self.column)?.unwrap_or_default().to_owned())
///     }
///     fn merge(&self, longest: &mut String, other: String) -> Result<()> {
///         // Of texts of one length the first in the alphabet, whatever their order.
///         if (other.len(), &*longest) > (longest.len(), &other) { *longest = other }
///         Ok(())
///     }
///     fn finish(&self, longest: String, out: &mut Records) -> Result<()> {
///         out.push((longest,))
///     }
/// }
///
/// plugin! { summary: "Texts.", operators: [aggregate "longest" => |config: Longest, _| Ok(config)] }
/// # fn main() -> Result<()> {
/// # let rows = testing::batch(json!([{"k": 1, "s": "a"}, {"k": 1, "s": "bcd"}, {"k": 2, "s": "e"}]))?;
/// # let ran = testing::aggregate(&plugin(), "longest", json!({"column": "s"}), &["k"], [rows])?;
/// # assert_eq!(ran.rows(), json!([{"k": 1, "longest": "bcd"}, {"k": 2, "longest": "e"}]));
/// # Ok(())
/// # }
/// ```
pub trait Aggregate: 'static {
    /// What is kept of a group; its default is that of a group without rows.
    type State: Default + Serialize + DeserializeOwned + 'static;

    /// Whether [`Aggregate::retract`] is there: each part of windows that overlap is then merged once.
    const RETRACTS: bool = false;

    /// The columns of the result. Called once an instance.
    ///
    /// # Errors
    /// When the operator refuses to be opened.
    fn output(&self) -> Result<Schema>;

    /// Adds a row to the state of its group.
    ///
    /// # Errors
    /// When the row cannot be taken; the host finds it out and makes it a dead letter.
    fn accumulate(&self, state: &mut Self::State, row: Row<'_>) -> Result<()>;

    /// Adds what another state has.
    ///
    /// # Errors
    /// When they do not go together.
    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<()>;

    /// Undoes `merge` with this other state, whatever else was merged since; to the last bit, which rules
    /// out sums of floating-point numbers.
    ///
    /// # Errors
    /// When the other state is not part of this one.
    fn retract(&self, _state: &mut Self::State, _other: Self::State) -> Result<()> {
        Err(no_retract())
    }

    /// Pushes the result of one group: one record.
    ///
    /// # Errors
    /// When the record does not fit the output's columns.
    fn finish(&self, state: Self::State, out: &mut Records) -> Result<()>;
}

/// An aggregate over columns, for speed. States are byte strings, or values of fixed width that
/// [`States::change_fixed`] changes in place.
pub trait ColumnAggregate: 'static {
    /// Whether [`ColumnAggregate::retract`] is there: each part of windows that overlap is then merged once.
    const RETRACTS: bool = false;

    /// The columns of the result. Called once an instance.
    ///
    /// # Errors
    /// When the operator refuses to be opened.
    fn output(&self) -> Result<Schema>;

    /// Adds rows: row r to state `groups[r]`. There is a state for each group that the rows touch.
    ///
    /// # Errors
    /// When a row cannot be taken; the host finds it out and makes it a dead letter.
    fn accumulate(&self, states: &mut States, groups: &[u32], input: &Batch) -> Result<()>;

    /// Adds state i of `others` to state i of `states`.
    ///
    /// # Errors
    /// When they do not go together.
    fn merge(&self, states: &mut States, others: &States) -> Result<()>;

    /// Undoes `merge` with these others, as [`Aggregate::retract`] does.
    ///
    /// # Errors
    /// When one is not part of the other.
    fn retract(&self, _states: &mut States, _others: &States) -> Result<()> {
        Err(no_retract())
    }

    /// Sets the columns of the result, one row a state.
    ///
    /// # Errors
    /// When a column does not fit the output.
    fn finish(&self, states: &States, out: &mut Output) -> Result<()>;
}

fn no_retract() -> Error {
    Error::new("this aggregate cannot undo a merge")
}

impl<A: Aggregate> ColumnAggregate for A {
    const RETRACTS: bool = A::RETRACTS;

    fn output(&self) -> Result<Schema> {
        Aggregate::output(self)
    }

    fn accumulate(&self, states: &mut States, groups: &[u32], input: &Batch) -> Result<()> {
        let mut changed: Vec<Option<A::State>> = states.decode()?;
        for (row, group) in input.rows().zip(groups) {
            let state =
                changed.get_mut(*group as usize).ok_or_else(|| Error::new("a group without a state"))?;
            Aggregate::accumulate(self, state.get_or_insert_default(), row)?;
        }
        states.encode(changed.iter().map(Option::as_ref))
    }

    fn merge(&self, states: &mut States, others: &States) -> Result<()> {
        let mut merged: Vec<Option<A::State>> = states.decode()?;
        for (state, other) in merged.iter_mut().zip(others.decode()?) {
            match (state, other) {
                (_, None) => {}
                (Some(state), Some(other)) => Aggregate::merge(self, state, other)?,
                (state, other) => *state = other,
            }
        }
        states.encode(merged.iter().map(Option::as_ref))
    }

    fn retract(&self, states: &mut States, others: &States) -> Result<()> {
        let mut left: Vec<Option<A::State>> = states.decode()?;
        for (state, other) in left.iter_mut().zip(others.decode()?) {
            if let Some(other) = other {
                Aggregate::retract(self, state.get_or_insert_default(), other)?;
            }
        }
        states.encode(left.iter().map(Option::as_ref))
    }

    fn finish(&self, states: &States, out: &mut Output) -> Result<()> {
        let mut records = Records::new(out.schema());
        for (i, state) in states.decode::<A::State>()?.into_iter().enumerate() {
            Aggregate::finish(self, state.unwrap_or_default(), &mut records)?;
            if records.len() != i + 1 {
                return Err(Error::new("`finish` must push exactly one record"));
            }
        }
        out.set_records(records)
    }
}

/// An aggregate of three functions, with one column as the result; see [`fold`].
pub struct Fold<S, V> {
    output: Field,
    accumulate: Accumulate<S>,
    merge: Merge<S>,
    finish: Box<dyn Fn(S) -> V>,
}

type Accumulate<S> = Box<dyn Fn(&mut S, Row<'_>) -> Result<()>>;
type Merge<S> = Box<dyn Fn(&mut S, S)>;

/// The shortest aggregate: how a row is added, how states are merged, what the result is.
///
/// ```
/// use millstream_plugin::prelude::*;
///
/// /// How many texts are longer than a bound.
/// #[derive(Deserialize, JsonSchema)]
/// struct Long { column: String, bound: usize }
///
/// fn long(config: Long, input: &Schema) -> Result<Fold<i64, i64>> {
///     input.key::<Utf8>(&config.column)?;
///     let add = move |count: &mut i64, row: Row| {
///         let text = row.text(&config.column)?.unwrap_or_default();
///         *count += i64::from(text.len() > config.bound);
///         Ok(())
///     };
///     Ok(fold(Field::new("long", DataType::Int64), add, |count, other| *count += other, |count| count))
/// }
///
/// plugin! { summary: "Texts.", operators: [aggregate "long" => long] }
/// # fn main() {}
/// ```
pub fn fold<S, V>(
    output: Field,
    accumulate: impl Fn(&mut S, Row<'_>) -> Result<()> + 'static,
    merge: impl Fn(&mut S, S) + 'static,
    finish: impl Fn(S) -> V + 'static,
) -> Fold<S, V> {
    Fold { output, accumulate: Box::new(accumulate), merge: Box::new(merge), finish: Box::new(finish) }
}

impl<S, V> Aggregate for Fold<S, V>
where
    S: Default + Serialize + DeserializeOwned + 'static,
    V: crate::records::Value + 'static,
{
    type State = S;

    fn output(&self) -> Result<Schema> {
        Schema::of([self.output.clone()])
    }

    fn accumulate(&self, state: &mut S, row: Row<'_>) -> Result<()> {
        (self.accumulate)(state, row)
    }

    fn merge(&self, state: &mut S, other: S) -> Result<()> {
        (self.merge)(state, other);
        Ok(())
    }

    fn finish(&self, state: S, out: &mut Records) -> Result<()> {
        out.push(((self.finish)(state),))
    }
}

impl<S, V> std::fmt::Debug for Fold<S, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fold").field("output", &self.output).finish_non_exhaustive()
    }
}

/// An aggregate of any type, opened.
pub struct OpenedAggregate {
    output: Rc<Schema>,
    aggregate: Box<dyn Erased>,
}

/// What is called of an aggregate; without the constant, which makes no object.
trait Erased {
    fn accumulate(&self, states: &mut States, groups: &[u32], input: &Batch) -> Result<()>;
    fn merge(&self, states: &mut States, others: &States) -> Result<()>;
    fn retract(&self, states: &mut States, others: &States) -> Result<()>;
    fn finish(&self, states: &States, out: &mut Output) -> Result<()>;
}

impl<A: ColumnAggregate> Erased for A {
    fn accumulate(&self, states: &mut States, groups: &[u32], input: &Batch) -> Result<()> {
        ColumnAggregate::accumulate(self, states, groups, input)
    }

    fn merge(&self, states: &mut States, others: &States) -> Result<()> {
        ColumnAggregate::merge(self, states, others)
    }

    fn retract(&self, states: &mut States, others: &States) -> Result<()> {
        ColumnAggregate::retract(self, states, others)
    }

    fn finish(&self, states: &States, out: &mut Output) -> Result<()> {
        ColumnAggregate::finish(self, states, out)
    }
}

impl OpenedAggregate {
    pub(crate) fn new(aggregate: impl ColumnAggregate) -> Result<Self> {
        let output = Rc::new(ColumnAggregate::output(&aggregate)?);
        Ok(Self { output, aggregate: Box::new(aggregate) })
    }

    /// The columns of the result.
    #[must_use]
    pub fn output(&self) -> &Schema {
        &self.output
    }

    /// Adds rows to states.
    ///
    /// # Errors
    /// As the operator says.
    pub fn accumulate(&self, states: Buffers, groups: &[u32], input: &Batch) -> Result<Buffers> {
        let mut states = States::new(states)?;
        self.aggregate.accumulate(&mut states, groups, input)?;
        Ok(states.into_column())
    }

    /// Merges states pairwise.
    ///
    /// # Errors
    /// As the operator says.
    pub fn merge(&self, left: Buffers, right: Buffers) -> Result<Buffers> {
        let mut states = States::new(left)?;
        self.aggregate.merge(&mut states, &States::new(right)?)?;
        Ok(states.into_column())
    }

    /// Undoes merging, pairwise.
    ///
    /// # Errors
    /// As the operator says.
    pub fn retract(&self, left: Buffers, right: Buffers) -> Result<Buffers> {
        let mut states = States::new(left)?;
        self.aggregate.retract(&mut states, &States::new(right)?)?;
        Ok(states.into_column())
    }

    /// The results of states.
    ///
    /// # Errors
    /// As the operator says, or when there is not one row a state.
    pub fn finish(&self, states: Buffers) -> Result<Finished> {
        let states = States::new(states)?;
        let mut output = Output::new(Rc::clone(&self.output));
        self.aggregate.finish(&states, &mut output)?;
        let finished = output.finish()?;
        if finished.rows == states.len() {
            return Ok(finished);
        }
        Err(Error::new(format!("the result has {} rows for {} groups", finished.rows, states.len())))
    }
}

impl std::fmt::Debug for OpenedAggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedAggregate").field("output", &self.output).finish_non_exhaustive()
    }
}
