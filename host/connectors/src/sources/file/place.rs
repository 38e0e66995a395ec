//! Splits and positions of the file source as they stand in plans and checkpoints: JSON, short.

use std::collections::{BTreeMap, BTreeSet};

use millstream_engine::source::{Position, SourceError, Split};
use serde::{Deserialize, Serialize};

/// A part of one file: bytes of its (decompressed) data, or rows of a Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileSplit {
    /// The file.
    pub(crate) file: String,
    /// First byte or row.
    pub(crate) from: u64,
    /// Behind the last byte or row.
    pub(crate) to: u64,
    /// Nothing of the file follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) last: bool,
    /// Of a file that is followed: another file may come to its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inode: Option<u64>,
}

impl FileSplit {
    /// As a plan holds it.
    pub(crate) fn into_split(self) -> Split {
        Split(serde_json::to_value(self).expect("strings and numbers are always JSON"))
    }

    /// Out of a plan.
    pub(crate) fn read(split: &Split) -> Result<Self, SourceError> {
        serde_json::from_value(split.0.clone()).map_err(|error| {
            SourceError::Permanent(format!("the plan holds no split of a file source: {error}"))
        })
    }
}

/// How far the files are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Files that are read to their end; remembered, so that a new one may sort before them.
    pub(crate) done: BTreeSet<String>,
    /// Files that have more, and where it begins.
    pub(crate) open: BTreeMap<String, u64>,
    /// Which file it is that is open at a path, for files that are followed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) inodes: BTreeMap<String, u64>,
}

impl Progress {
    /// Out of a checkpoint.
    pub(crate) fn read(position: &Position) -> Result<Self, SourceError> {
        serde_json::from_value(position.0.clone())
            .map_err(|error| SourceError::Permanent(format!("the position is not of a file source: {error}")))
    }

    /// For a checkpoint.
    pub(crate) fn position(&self) -> Position {
        Position(serde_json::to_value(self).expect("strings and numbers are always JSON"))
    }

    /// Moves behind a split.
    pub(crate) fn advance(&mut self, split: &FileSplit) {
        if split.last {
            self.open.remove(&split.file);
            self.inodes.remove(&split.file);
            // After a file that was followed, another may come to its path.
            if split.inode.is_none() {
                self.done.insert(split.file.clone());
            }
            return;
        }
        self.open.insert(split.file.clone(), split.to);
        if let Some(inode) = split.inode {
            self.inodes.insert(split.file.clone(), inode);
        }
    }

    /// Where a file is to be read on.
    pub(crate) fn at(&self, file: &str) -> u64 {
        self.open.get(file).copied().unwrap_or(0)
    }
}
