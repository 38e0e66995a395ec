//! The micro-batch engine: pipelines as graphs of named entries, batches that are planned, run,
//! written and committed, state that is checkpointed, and the traits that connectors implement.
//!
//! Rooms in reading order; an arrow between them always points down this list's dependencies:
//! `pipeline -> {steps, windows, checkpoint} -> {state, expr} -> batch`.

pub mod batch;
pub mod clock;
pub mod expr;
pub mod journal;
pub mod query;
pub mod sink;
pub mod source;
pub mod sqlite;
pub mod state;
pub mod table;
pub mod windows;

pub mod steps;

pub mod checkpoint;
pub mod pipeline;
