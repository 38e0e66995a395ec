//! Random rows, faults, timers, cuts, workers, restarts and replays against a plain model.

mod behaviour;
mod cold;
mod harness;
mod model;
