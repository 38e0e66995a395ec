//! Crashes and faults of the machine: what is left behind must equal an undisturbed run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has failed, and says what it saw"
)]

mod damage;
mod disk_full;
mod kill_files;
mod kill_pushes;
mod kill_states;
mod kill_tables;
mod kills;
mod large;
mod lock;
mod neighbours;
mod random;
mod stop;
mod support;
