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
        // Looked at before anything is set: a file that is refused stays as it is.
        let found = format_of(&db).map_err(at)?;
        match found {
            Found::Format(FORMAT) | Found::Nothing => {}
            Found::Format(found) => return Err(CatalogError::Format { path: path.to_owned(), found }),
            Found::Foreign => return Err(CatalogError::Foreign { path: path.to_owned() }),
        }
        if found == Found::Nothing && has_pipelines(path) {
            return Err(CatalogError::Emptied { path: path.to_owned() });
        }
        db.pragma_update(None, "journal_mode", "WAL").map_err(at)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(at)?;
        db.pragma_update(None, "foreign_keys", true).map_err(at)?;
        if found == Found::Nothing {
            db.execute_batch(SCHEMA).map_err(at)?;
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

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// No table: it was made just now, or emptied.
    Nothing,
    /// A catalog of this format.
    Format(i64),
    /// Tables, and none of ours.
    Foreign,
}

fn format_of(db: &Connection) -> rusqlite::Result<Found> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Found::Nothing);
    }
    let made: bool =
        db.query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))?;
    if !made {
        return Ok(Found::Foreign);
    }
    let format =
        db.query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get(0)).optional()?;
    Ok(format.map_or(Found::Foreign, Found::Format))
}

/// Pipelines have folders beside the catalog; with an empty catalog nobody would ask for them again.
fn has_pipelines(catalog: &Path) -> bool {
    let folders = catalog.parent().and_then(|root| std::fs::read_dir(root.join("pipelines")).ok());
    folders.is_some_and(|mut folders| {
        folders
            .any(|folder| folder.is_ok_and(|folder| !folder.file_name().to_string_lossy().starts_with('.')))
    })
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
    /// The file is another program's.
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The file is empty, and there are pipelines it should know.
    Emptied {
        /// The database.
        path: PathBuf,
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
            Self::Foreign { path } => write!(
                f,
                "{} is another program's database and no catalog: restore it from a backup, or choose another data directory",
                path.display()
            ),
            Self::Emptied { path } => write!(
                f,
                "the catalog {} is empty, and there are pipelines beside it: restore it from a backup, or move the folder `pipelines` away to begin anew",
                path.display()
            ),
        }
    }
}

impl std::error::Error for CatalogError {}

#[cfg(test)]
mod tests;
