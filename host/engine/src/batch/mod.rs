//! The nouns that every room shares: batch ids, the context of one batch, chunks of rows and dead
//! letters. Depends on nothing of ours and does nothing by itself.

mod chunk;
mod context;
mod dead_letter;
mod event_time;
mod types;

pub use chunk::{BadRecord, Chunk};
pub use context::{BatchCtx, BatchId};
pub use dead_letter::{DeadLetter, DeadLetterKind, Payload, RejectedRow};
pub use event_time::EventTime;
pub use types::{TypeError, data_type, timestamp_us, type_name};
