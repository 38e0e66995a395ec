//! Where keyed state lives: which worker owns a key, how keys become bytes, tables from keys to
//! dense group ids, and columns of values by group id. Knows nothing of windows, watermarks or steps.

pub mod accumulators;
mod byte_store;
pub mod cold;
mod error;
mod group_table;
mod key_codec;
mod key_column;
mod key_group;
mod key_rows;
mod key_store;
mod probe;
mod row_store;
mod time_queue;

pub use byte_store::ByteStore;
pub use error::StateError;
pub use group_table::GroupTable;
pub use key_codec::KeyCodec;
pub use key_column::KeyColumn;
pub use key_group::{KEY_GROUPS, key_group, key_hash, owner};
pub use key_store::KeyStore;
pub use row_store::{NONE, RowStore};
pub use time_queue::{NEVER, TimeQueue};
