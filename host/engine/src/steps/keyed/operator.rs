//! What runs the turns: a plugin's operator, or in tests a native one.

use arrow_array::BinaryArray;
use millstream_wasm::{CallClock, CallError, Keyed, Outcome, Turn};

/// A keyed operator. A call that fails changes nothing, and can be made again with less.
pub trait Operator: Send {
    /// Gives it a turn.
    ///
    /// # Errors
    /// When it answers an error, or breaks.
    fn process(&mut self, clock: &CallClock, turn: &Turn<'_>) -> Result<Outcome, CallError>;

    /// Rewrites states of another version of it, one for one.
    ///
    /// # Errors
    /// When it cannot read them, or breaks.
    fn migrate(&mut self, from_version: &str, states: &BinaryArray) -> Result<BinaryArray, CallError>;
}

impl Operator for Keyed {
    fn process(&mut self, clock: &CallClock, turn: &Turn<'_>) -> Result<Outcome, CallError> {
        Keyed::process(self, clock, turn)
    }

    fn migrate(&mut self, from_version: &str, states: &BinaryArray) -> Result<BinaryArray, CallError> {
        Keyed::migrate(self, &CallClock::START, from_version, states)
    }
}
