//! What a pipeline writes down about itself: plans, commits, dead letters, progress, checkpoints.
//!
//! Three files, one writer each, so that no writer waits for another: `checkpoint.db` (plans, commits
//! and what belongs to them; written by the driver, one transaction a batch), `state.db` (chunks
//! of state; written in the background) and `tables.db` (versions of tables). The journal has another.

mod emptied;
mod letters;
mod plan;
mod records;
mod state_store;
mod state_view;
mod store;
mod table_store;

pub(crate) use emptied::{check_parts, check_store};
pub use letters::{DeadLetterFilter, DeadLetterRecord, StoredLetter};
pub use plan::{BatchPlan, SourcePart, TimedOut};
pub use records::{BatchRecord, CheckpointRecord, Look, Records};
pub use state_store::{StateFile, StateStore, StoredChunk, Writing};
pub use state_view::StateView;
pub use store::{Chain, Checkpoint, CommitRow, Store, Unfinished};
pub use table_store::{EncodedTable, KeptTable, TableStore};
