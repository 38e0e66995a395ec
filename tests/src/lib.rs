//! What whole-system tests need: the real server on a data folder of its own, spoken to over REST as
//! a user would, and killed as a machine would.

mod plugins;
mod server;
mod wait;

pub use plugins::plugin;
pub use server::{Answer, Server, binary};
pub use wait::eventually;
