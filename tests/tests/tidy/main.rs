//! What can be checked about the code itself is checked here instead of in reviews: which room may
//! use which, where the heavy engines live, headers, lengths, licences.

mod directions;
mod engines;
mod files;
mod licences;
mod source;
