//! The runtime against a real guest: batches there and back, every way to break, every batch that
//! must not be believed, plugins that are none, the cache, and determinism.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod aggregates;
mod batches;
mod cache;
mod determinism;
mod faults;
mod keyeds;
mod kit;
mod loading;
mod room;
mod support;
