//! What whole-system tests need: the real server on a data folder of its own, spoken to over REST as
//! a user would, and killed as a machine would.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has failed, and says what it saw"
)]

mod command;
mod plugins;
mod rows;
mod server;
mod wait;

/// The folder of this crate, asked when a test runs: a test that was compiled in another checkout reads
/// the files of this one.
pub fn folder() -> std::path::PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo").into()
}

pub use command::{Said, command, command_in, command_with_input};
pub use plugins::plugin;
pub use rows::{file_rows, table_rows};
pub use server::{Answer, Server, binary, target};
pub use wait::eventually;
