//! Crashes and faults of the machine: what is left behind must equal an undisturbed run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damage;
mod disk_full;
mod kill_files;
mod kill_pushes;
mod kills;
mod large;
mod lock;
mod neighbours;
mod random;
mod stop;
mod support;
