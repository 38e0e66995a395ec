//! `state`: a plugin's keyed operator, whose states and timers are kept here.
//!
//! In a batch, keys whose timer is due or that have rows are given to the operator in turns (`turns`):
//! all of a key at once, its rows in the order of their source. What a turn answers goes into the
//! `store`. A turn that breaks the plugin is halved until the rows at fault stand alone (`search`).
//!
//! Before that, in the order of their times, due timers are taken and states that nobody has touched for
//! long are dropped; so it does not matter how far the clock comes in one batch.

mod initial;
mod operator;
mod search;
mod snapshot;
mod step;
mod store;
mod turns;

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use super::{KeyedStep, Keys, StepError};
use crate::batch::{BatchCtx, EventTime};
use crate::state::StateError;

pub use initial::Initial;
pub use operator::Operator;

/// What a keyed operator's times are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerClock {
    /// The watermark; rows of the step have an event time, which says when their key was touched.
    EventTime(EventTime),
    /// The batch's own clock.
    ProcessingTime,
}

impl TimerClock {
    /// What time it is in a batch; none before the first event.
    fn now_us(self, ctx: &BatchCtx) -> Option<i64> {
        match self {
            Self::EventTime(_) => ctx.watermark_us,
            Self::ProcessingTime => Some(ctx.now_us),
        }
    }
}

/// What a `state` step is made of.
#[derive(Clone, Debug)]
pub struct StateParts {
    /// The key.
    pub keys: Keys,
    /// The rows that come in.
    pub input: SchemaRef,
    /// Which clock timers and `ttl_us` are on.
    pub timers: TimerClock,
    /// The state of a key that nobody touched for so long is dropped.
    pub ttl_us: Option<i64>,
    /// Rows come out so much earlier than what they come out for.
    pub delay_us: i64,
    /// `plugin/operator`.
    pub operator: String,
    /// The plugin's version.
    pub version: String,
    /// Memory of an instance of the plugin.
    pub memory_bytes: usize,
    /// Rows that come once, before all others.
    pub initial: Option<Initial>,
}

/// What a `state` step does, checked against its input.
#[derive(Clone, Debug)]
pub struct StatePlan {
    parts: StateParts,
}

impl StatePlan {
    /// Checks the parts.
    ///
    /// # Errors
    /// When a column's type cannot be a key.
    pub fn new(parts: StateParts) -> Result<Self, StateError> {
        parts.keys.codec()?;
        Ok(Self { parts })
    }

    /// The columns of a key, as the operator gets them.
    #[must_use]
    pub fn key_schema(keys: &Keys) -> SchemaRef {
        Arc::new(Schema::new(keys.fields().clone()))
    }

    /// What it is made of.
    #[must_use]
    pub fn parts(&self) -> &StateParts {
        &self.parts
    }

    /// The step on worker `worker` of `workers`, with an operator of its own.
    ///
    /// # Errors
    /// When a column's type cannot be a key.
    pub fn build(
        &self,
        operator: Box<dyn Operator>,
        worker: u32,
        workers: u32,
    ) -> Result<Box<dyn KeyedStep>, StepError> {
        Ok(Box::new(step::Step::new(self.parts.clone(), operator, worker, workers)?))
    }
}

#[cfg(test)]
mod tests;
