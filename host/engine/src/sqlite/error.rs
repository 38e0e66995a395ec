//! What can go wrong with a pipeline's own files.

use std::fmt;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

/// A file of a pipeline's own cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// SQLite or the disk failed; the cause may pass (a full disk, a lock).
    Io {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// The file was written by a newer program.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this program reads.
        known: u32,
    },
    /// The file is no database, damaged, or another pipeline's.
    Foreign {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
}

impl StoreError {
    /// The cause may pass by itself or once a person made room.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// There is no room on the disk: it passes once a person makes room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if is_full(cause))
    }
}

/// Whether SQLite found no room on the disk. A write-ahead log's index that cannot grow is told as an
/// I/O error of its own, and means the same.
#[must_use]
pub fn is_full(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || cause.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, cause } if is_full(cause) => {
                write!(f, "{}: the disk is full: make room, that is enough ({cause})", path.display())
            }
            Self::Io { path, cause } => write!(f, "{}: {cause}", path.display()),
            Self::Newer { path, found, known } => write!(
                f,
                "{}: has format {found}, this program reads up to {known}: use the program that wrote it, or a newer one",
                path.display()
            ),
            Self::Foreign { path, why } => write!(
                f,
                "{}: {why}: restore the file from a backup, or move it away to begin anew (what it held is then lost)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// What SQLite says of a statement, without the statement.
pub(crate) fn said(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } | rusqlite::Error::SqliteFailure(_, Some(msg)) => {
            msg.clone()
        }
        other => other.to_string(),
    }
}
