//! Sources: a file or folder a kind. Each reads its spec here, opens nothing until it is told to,
//! and keeps the law of `millstream_engine::source::Source`.

pub mod endpoints;
pub(crate) mod file;
pub(crate) mod generate;
pub mod http;
pub(crate) mod tcp;

#[cfg(test)]
pub(crate) mod testing;
