//! Sources, sinks and formats: what a pipeline reads from and writes to.

pub mod sinks;
