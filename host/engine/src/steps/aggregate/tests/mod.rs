//! The aggregation against a plain model, and its edge cases by name.

mod behaviour;
mod cold;
mod counted;
mod early;
mod harness;
mod model;
mod overlaps;
mod restoring;
mod sessions;
