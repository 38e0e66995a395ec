//! Count windows: so many rows of one key, in the order of their source, whatever their times.
//!
//! Which row of its key a row is, is known only where all of them come together: rows go to the worker
//! that owns their key as they are.

mod cold;
mod snapshot;
mod step;
mod table;

pub use step::{CountConfig, Counted};
