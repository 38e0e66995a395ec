//! `join`: rows of two streams with one key whose event times are within a bound of each other.
//!
//! Both sides are kept by key until the watermark says that no match can come. A pair is found when
//! the later of its rows comes, so what comes out does not depend on the order of rows.

mod cold;
mod index;
mod output;
mod snapshot;
mod step;
mod stretches;
mod table;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use self::output::Output;
use self::step::Join;
pub use self::table::{TableJoin, TableJoinParts, TableJoinPlan};
pub use self::window::{WindowJoinParts, WindowJoinPlan};
use super::{KeyedPlan, KeyedStep, Keys, StepError};
use crate::batch::{EventTime, type_name};
use crate::expr::Expr;

/// Which rows a `join` emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without a match.
    Left,
    /// Pairs, and right rows without a match.
    Right,
    /// Pairs, and rows of either side without a match.
    Full,
    /// Left rows with a match, once.
    Semi,
    /// Left rows without a match.
    Anti,
}

impl JoinKind {
    /// Whether the output is left rows alone.
    fn is_filter(self) -> bool {
        matches!(self, Self::Semi | Self::Anti)
    }

    /// By side: whether rows without a match are emitted.
    fn emits_alone(self) -> [bool; 2] {
        let left = matches!(self, Self::Left | Self::Full | Self::Anti);
        [left, matches!(self, Self::Right | Self::Full)]
    }
}

/// One side of a join.
#[derive(Clone, Debug)]
pub struct JoinInput {
    /// Its rows.
    pub schema: SchemaRef,
    /// When they happened.
    pub time: EventTime,
}

/// What must be equal: an expression over each side.
#[derive(Clone, Debug)]
pub struct JoinKey {
    /// What the spec calls it.
    pub name: String,
    /// Over the left side.
    pub left: String,
    /// Over the right side.
    pub right: String,
}

/// What a [`JoinPlan`] is made of.
#[derive(Clone, Debug)]
pub struct JoinParts {
    /// Left and right.
    pub inputs: [JoinInput; 2],
    /// What must be equal.
    pub on: Vec<JoinKey>,
    /// What is emitted.
    pub kind: JoinKind,
    /// A right row matches from so many microseconds before the left row on...
    pub before_us: i64,
    /// ...until so many after it.
    pub after_us: i64,
}

/// Why there can be no such step: where in the spec, below `join`, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinError {
    /// `on.order`, `right`, or nothing.
    pub path: String,
    /// Why.
    pub message: String,
}

impl JoinError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for JoinError {}

/// What a `join` step does.
#[derive(Clone, Debug)]
pub struct JoinPlan {
    inputs: [JoinInput; 2],
    keys: [Keys; 2],
    kind: JoinKind,
    before_us: i64,
    after_us: i64,
    output: Output,
}

impl JoinPlan {
    /// Checks the parts against each other.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn new(parts: JoinParts) -> Result<Self, JoinError> {
        let JoinParts { inputs, on, kind, before_us, after_us } = parts;
        let schemas = inputs.each_ref().map(|input| &input.schema);
        let EqualKeys { keys, merged } = equal_keys(&on, schemas)?;
        let output = Output::new(schemas, &merged, kind)?;
        Ok(Self { inputs, keys, kind, before_us, after_us, output })
    }

    /// Which column of the output says when a row happened: that of the side whose rows all come out.
    #[must_use]
    pub fn event_time(&self) -> Option<EventTime> {
        match self.kind {
            JoinKind::Full => None,
            JoinKind::Right => {
                let time = self.inputs[1].time;
                self.output.right_column(time.column).map(|column| EventTime { column, ..time })
            }
            _ => Some(self.inputs[0].time),
        }
    }

    /// By side: for how long after its time a row can match one that comes on time.
    fn keeps_us(&self) -> [i64; 2] {
        [self.after_us, self.before_us]
    }
}

/// The keys of both sides.
struct EqualKeys {
    keys: [Keys; 2],
    /// Left and right column that are the same key.
    merged: Vec<(usize, usize)>,
}

fn equal_keys(on: &[JoinKey], schemas: [&SchemaRef; 2]) -> Result<EqualKeys, JoinError> {
    if on.is_empty() {
        return Err(JoinError::new("on", "name at least one column whose values must be equal: `on: [id]`"));
    }
    let mut merged = Vec::new();
    for key in on {
        merged.extend(plain_columns(key, schemas)?);
    }
    let keys = |side: usize| {
        let texts = on.iter().map(|key| (key.name.clone(), [&key.left, &key.right][side].clone()));
        let texts: Vec<_> = texts.collect();
        Keys::new(&texts, schemas[side])
            .map_err(|(name, error)| JoinError::new(format!("on.{name}"), error.to_string()))
    };
    let keys = [keys(0)?, keys(1)?];
    keys[0].codec().map_err(|error| JoinError::new("on", error.to_string()))?;
    Ok(EqualKeys { keys, merged })
}

/// Checks that both sides of a key are of one type; their columns, where both are nothing else.
fn plain_columns(key: &JoinKey, schemas: [&SchemaRef; 2]) -> Result<Option<(usize, usize)>, JoinError> {
    let compile = |text: &str, side: usize| {
        Expr::compile(text, schemas[side]).map_err(|error| {
            let side = ["left", "right"][side];
            JoinError::new(format!("on.{}", key.name), format!("on the {side} side: {error}"))
        })
    };
    let (left, right) = (compile(&key.left, 0)?, compile(&key.right, 1)?);
    if left.data_type() != right.data_type() {
        let message = format!(
            "{} on the left side and {} on the right, so no two are equal: make them alike, as in \
             `on: {{ \"CAST({} AS text)\": \"CAST({} AS text)\" }}`",
            type_name(left.data_type()),
            type_name(right.data_type()),
            key.left.replace('"', "\\\""),
            key.right.replace('"', "\\\""),
        );
        return Err(JoinError::new(format!("on.{}", key.name), message));
    }
    Ok(left.pass_through().zip(right.pass_through()))
}

impl KeyedPlan for JoinPlan {
    fn schema(&self) -> &SchemaRef {
        self.output.schema()
    }

    /// Let W be the watermark of the batch before. A row that came before this batch was kept then, so
    /// its time is at least W less what its side keeps; one that comes now is at W or later. So is each
    /// row of a pair, whichever of both time columns those downstream live by.
    fn holds_back_us(&self) -> Option<i64> {
        let [left_us, right_us] = self.keeps_us();
        Some(if self.kind.is_filter() { left_us } else { left_us.max(right_us) })
    }

    fn can_spill(&self) -> bool {
        true
    }

    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError> {
        Ok(Box::new(Join::new(Arc::new(self.clone()), worker, workers)?))
    }
}
