//! Sources: a file or folder a kind. Each reads its spec here, opens nothing until it is told to,
//! and keeps the law of `millstream_engine::source::Source`.

pub mod endpoints;
pub(crate) mod file;
pub(crate) mod generate;
pub mod http;
pub(crate) mod tcp;

use millstream_engine::pipeline::{ByteSize, JOURNAL_BYTES_MAX, SpecError};

/// What `journal_max` of a push source means.
fn journal_bytes_max(given: Option<ByteSize>) -> Result<u64, SpecError> {
    match given {
        Some(ByteSize(0)) => {
            Err(SpecError::new("journal_max", "nothing could be taken: write a size such as 64MiB"))
        }
        Some(ByteSize(bytes)) => Ok(bytes),
        None => Ok(JOURNAL_BYTES_MAX),
    }
}

#[cfg(test)]
pub(crate) mod testing;
