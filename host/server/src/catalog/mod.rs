//! `catalog.db`: what a server knows across restarts (plugins, pipelines, tokens). Speaks SQL and
//! keeps rows; what rows mean is decided elsewhere. One connection, short sections.

mod pipelines;
mod plugins;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use millstream_engine::clock::SharedClock;
use rusqlite::{Connection, OptionalExtension};

pub(crate) use pipelines::{PipelineRow, Wanted};
pub(crate) use plugins::{NewPlugin, PluginRow};

use crate::sync::lock;

/// The format that this program writes; older ones are migrated, newer ones refused.
const FORMAT: i64 = 1;

/// A command line that makes a token waits so long for the server that writes.
const BUSY: Duration = Duration::from_secs(5);

/// The catalog of one data folder.
pub(crate) struct Catalog {
    /// Guards the only connection; held for one statement or one short transaction.
    db: Mutex<Connection>,
    path: PathBuf,
    clock: SharedClock,
}

impl Catalog {
    /// Opens the catalog, makes it if it is missing.
    ///
    /// # Errors
    /// When the file cannot be used or was written by a newer program.
    pub(crate) fn open(path: &Path, clock: SharedClock) -> Result<Self, CatalogError> {
        let at = |cause| CatalogError::Sqlite { path: path.to_owned(), cause };
        let db = Connection::open(path).map_err(at)?;
        db.busy_timeout(BUSY).map_err(at)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(at)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(at)?;
        db.pragma_update(None, "foreign_keys", true).map_err(at)?;
        let found = format_of(&db).map_err(at)?;
        match found {
            None => db.execute_batch(SCHEMA).map_err(at)?,
            Some(FORMAT) => {}
            Some(found) => return Err(CatalogError::Format { path: path.to_owned(), found }),
        }
        Ok(Self { db: Mutex::new(db), path: path.to_owned(), clock })
    }

    /// One statement or one short transaction.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, CatalogError> {
        work(&mut lock(&self.db)).map_err(|cause| CatalogError::Sqlite { path: self.path.clone(), cause })
    }

    fn now_us(&self) -> i64 {
        self.clock.now_us()
    }
}

/// The format of an existing catalog.
fn format_of(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let made: bool =
        db.query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))?;
    if !made {
        return Ok(None);
    }
    db.query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get(0)).optional()
}

/// `bytes` comes last: SQLite reads a row up to the column that is asked for, so lists never touch it.
const SCHEMA: &str = "
BEGIN;
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE plugins (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    manifest TEXT NOT NULL,
    uploaded_at_us INTEGER NOT NULL,
    size INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (name, version)
) STRICT;
CREATE TABLE pipelines (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    wanted TEXT NOT NULL CHECK (wanted IN ('running', 'stopped')),
    created_at_us INTEGER NOT NULL
) STRICT;
CREATE TABLE pipeline_versions (
    pipeline TEXT NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    spec TEXT NOT NULL,
    digests TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    PRIMARY KEY (pipeline, version)
) STRICT;
CREATE TABLE tokens (
    hash BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at_us INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES ('format', 1);
COMMIT;
";

/// Why the catalog cannot answer.
#[derive(Debug)]
pub(crate) enum CatalogError {
    /// SQLite says no.
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        cause: rusqlite::Error,
    },
    /// The file is of a newer program.
    Format {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, cause } => write!(f, "the catalog {}: {cause}", path.display()),
            Self::Format { path, found } => write!(
                f,
                "the catalog {} has format {found}, this program knows formats up to {FORMAT}: use a newer millstream",
                path.display()
            ),
        }
    }
}

impl std::error::Error for CatalogError {}

#[cfg(test)]
mod tests;
