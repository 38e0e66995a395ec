//! Session windows: rows of one key whose gaps are short belong together.
//!
//! With several workers each one makes sessions of the rows that it has; what they have in common is
//! connected again by the worker that owns the key.

mod cold;
mod step;
mod table;

pub use step::Sessions;
