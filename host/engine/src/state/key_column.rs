//! The keys of a chunk as bytes: what hashing, grouping and comparing work on.

use arrow_array::{Array, BinaryArray};
use arrow_buffer::NullBuffer;

use super::key_hash;

/// Encoded keys, one a row. A null key is a key of its own, before all others.
#[derive(Clone, Debug)]
pub enum KeyColumn {
    /// Bytes of any length.
    Bytes(BinaryArray),
    /// Keys that all have the same, short length: the low `width` bytes of each word, lowest first.
    Words {
        /// The keys; the bytes above `width` are zero.
        words: Vec<u64>,
        /// Bytes of a key, at most 8.
        width: u8,
        /// Which rows have a key that is not null.
        nulls: Option<NullBuffer>,
    },
}

/// Stands for the hash of the null key. Any fixed number would do: it only deals the key to a key
/// group and a place in the table, and must never change while checkpoints live.
pub(super) const NULL_HASH: u64 = 0x9e37_79b9_7f4a_7c15;

impl KeyColumn {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(keys) => keys.len(),
            Self::Words { words, .. } => words.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hash of each row's key.
    #[must_use]
    pub fn hashes(&self) -> Vec<u64> {
        match self {
            Self::Bytes(keys) => keys.iter().map(|key| key.map_or(NULL_HASH, key_hash)).collect(),
            Self::Words { words, width, nulls } => (0..words.len())
                .map(|row| match nulls {
                    Some(nulls) if nulls.is_null(row) => NULL_HASH,
                    _ => key_hash(&words[row].to_le_bytes()[..usize::from(*width)]),
                })
                .collect(),
        }
    }

    /// The rows' keys, one after the other.
    pub fn for_each(&self, mut take: impl FnMut(Option<&[u8]>)) {
        match self {
            Self::Bytes(keys) => keys.iter().for_each(take),
            Self::Words { words, width, nulls } => {
                for (row, word) in words.iter().enumerate() {
                    if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                        take(None);
                    } else {
                        take(Some(&word.to_le_bytes()[..usize::from(*width)]));
                    }
                }
            }
        }
    }
}
