//! How an attempt to run a pipeline ends: as asked, or with a failure that says whether to try again.

use std::fmt;
use std::io;
use std::path::Path;

use super::lane::LaneFailure;
use crate::sink::SinkError;
use crate::source::SourceError;
use crate::sqlite::StoreError;

/// How an attempt ends when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Finished,
}

/// How long a failure stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It may pass by itself: worth some attempts.
    Passing,
    /// A disk is full. It passes when a person makes room, and nothing else needs to be done then:
    /// worth any number of attempts.
    UntilRoom,
    /// Another attempt would end in the same way.
    Lasting,
}

impl Persistence {
    pub(crate) const fn of_transient(transient: bool) -> Self {
        if transient { Self::Passing } else { Self::Lasting }
    }
}

/// Why an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) persistence: Persistence,
}

impl Failure {
    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), persistence: Persistence::Lasting }
    }

    pub(crate) fn of_source(entry: &str, error: &SourceError) -> Self {
        let persistence = Persistence::of_transient(matches!(error, SourceError::Transient(_)));
        Self { message: format!("source {entry}: {error}"), persistence }
    }

    pub(crate) fn of_table(entry: &str, error: &SourceError) -> Self {
        let persistence = Persistence::of_transient(matches!(error, SourceError::Transient(_)));
        Self { message: format!("table {entry}: {error}"), persistence }
    }

    pub(crate) fn of_sink(entry: &str, error: &SinkError) -> Self {
        let persistence = match error {
            SinkError::Transient(_) => Persistence::Passing,
            SinkError::Full(_) => Persistence::UntilRoom,
            SinkError::Permanent(_) => Persistence::Lasting,
        };
        Self { message: format!("sink {entry}: {error}"), persistence }
    }

    /// The pipeline's own folder cannot be made.
    pub(crate) fn of_dir(dir: &Path, error: &io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let persistence = if full { Persistence::UntilRoom } else { Persistence::Passing };
        Self { message: format!("{}: {error}", dir.display()), persistence }
    }

    pub(crate) fn of_thread(error: &io::Error) -> Self {
        let message = format!("the system gives no more threads ({error})");
        Self { message, persistence: Persistence::Passing }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<LaneFailure> for Failure {
    fn from(failure: LaneFailure) -> Self {
        let message = match failure.entry.as_str() {
            "" => failure.message,
            entry => format!("{entry}: {}", failure.message),
        };
        Self { message, persistence: failure.persistence }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let persistence = match error.is_full() {
            true => Persistence::UntilRoom,
            false => Persistence::of_transient(error.is_transient()),
        };
        Self { message: error.to_string(), persistence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_sqlite(code: i32) -> Failure {
        let cause = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        StoreError::Io { path: "/data/checkpoint.db".into(), cause }.into()
    }

    #[test]
    fn a_full_disk_is_told_from_what_passes_by_itself() {
        let full = of_sqlite(rusqlite::ffi::SQLITE_FULL);
        assert_eq!(full.persistence, Persistence::UntilRoom);
        assert!(full.message.starts_with("/data/checkpoint.db: the disk is full: make room"), "{full}");
        assert_eq!(of_sqlite(rusqlite::ffi::SQLITE_IOERR_SHMSIZE).persistence, Persistence::UntilRoom);
        assert_eq!(of_sqlite(rusqlite::ffi::SQLITE_IOERR_WRITE).persistence, Persistence::Passing);
        assert_eq!(of_sqlite(rusqlite::ffi::SQLITE_BUSY).persistence, Persistence::Passing);
        for (kind, persistence) in [
            (io::ErrorKind::StorageFull, Persistence::UntilRoom),
            (io::ErrorKind::QuotaExceeded, Persistence::UntilRoom),
            (io::ErrorKind::PermissionDenied, Persistence::Passing),
        ] {
            assert_eq!(Failure::of_dir(Path::new("/data"), &kind.into()).persistence, persistence, "{kind}");
        }
        for (error, persistence) in [
            (SinkError::Full("x".into()), Persistence::UntilRoom),
            (SinkError::Transient("x".into()), Persistence::Passing),
            (SinkError::Permanent("x".into()), Persistence::Lasting),
        ] {
            assert_eq!(Failure::of_sink("out", &error).persistence, persistence);
        }
    }
}
