//! A join of two streams by window: rows of one key in the same window belong together. Both sides are kept
//! in panes until their windows close; what belongs together is found then, all at once.

mod cold;
mod snapshot;
mod step;

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use self::step::WindowJoin;
use super::output::Output;
use super::{EqualKeys, JoinError, JoinInput, JoinKey, JoinKind, equal_keys};
use crate::batch::{EventTime, timestamp_us};
use crate::steps::{KeyedPlan, KeyedStep, Keys, StepError};
use crate::windows::Windows;

/// The columns that say which window it was.
const WINDOW: [&str; 2] = ["window_start", "window_end"];

/// What a [`WindowJoinPlan`] is made of.
#[derive(Clone, Debug)]
pub struct WindowJoinParts {
    /// Left and right.
    pub inputs: [JoinInput; 2],
    /// What must be equal.
    pub on: Vec<JoinKey>,
    /// What is emitted when a window closes.
    pub kind: JoinKind,
    /// The windows.
    pub windows: Windows,
    /// A window stays open for so many microseconds after the watermark has passed its end.
    pub lateness_us: i64,
}

/// What a join by window does.
#[derive(Clone, Debug)]
pub struct WindowJoinPlan {
    inputs: [JoinInput; 2],
    keys: [Keys; 2],
    kind: JoinKind,
    windows: Windows,
    lateness_us: i64,
    output: Output,
    schema: SchemaRef,
}

impl WindowJoinPlan {
    /// Checks the parts against each other.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn new(parts: WindowJoinParts) -> Result<Self, JoinError> {
        let WindowJoinParts { inputs, on, kind, windows, lateness_us } = parts;
        let schemas = inputs.each_ref().map(|input| &input.schema);
        let EqualKeys { keys, merged } = equal_keys(&on, schemas)?;
        let output = Output::new(schemas, &merged, kind)?;
        if let Some(taken) = WINDOW.into_iter().find(|name| output.schema().column_with_name(name).is_some())
        {
            let message = format!(
                "the output begins with `window_start` and `window_end`, and the rows have a column `{taken}` already: \
                 give it another name with a `select` before"
            );
            return Err(JoinError::new("window", message));
        }
        let window = WINDOW.map(|name| Field::new(name, timestamp_us(), false));
        let fields = output.schema().fields().iter().map(|field| field.as_ref().clone());
        let schema = Arc::new(Schema::new(window.into_iter().chain(fields).collect::<Vec<_>>()));
        Ok(Self { inputs, keys, kind, windows, lateness_us, output, schema })
    }

    /// When rows of the output happened: at the last moment inside of their window.
    #[must_use]
    pub fn event_time(&self) -> EventTime {
        EventTime { column: 1, shift_us: -1 }
    }

    /// The name of a side's event time, for people.
    fn time_name(&self, side: usize) -> &str {
        let JoinInput { schema, time } = &self.inputs[side];
        schema.field(time.column).name()
    }
}

impl KeyedPlan for WindowJoinPlan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What a batch closes was open at the watermark of the batch before.
    fn holds_back_us(&self) -> Option<i64> {
        Some(self.lateness_us)
    }

    fn can_spill(&self) -> bool {
        true
    }

    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError> {
        Ok(Box::new(WindowJoin::new(Arc::new(self.clone()), worker, workers)?))
    }
}

#[cfg(test)]
mod tests;
