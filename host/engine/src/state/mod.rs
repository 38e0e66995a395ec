//! Where keyed state lives: which worker owns a key. Tables of groups come beside it.

mod key_group;

pub use key_group::{KEY_GROUPS, key_group, key_hash, owner};
