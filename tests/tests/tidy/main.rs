//! What can be checked about the code itself is checked here instead of in reviews: which room may
//! use which, where the heavy engines live, headers, lengths, licences.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has failed, and says what it saw"
)]

mod directions;
mod engines;
mod files;
mod licences;
mod source;
