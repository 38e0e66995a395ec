//! How every database of a pipeline is opened: write-ahead log, format version, foreign files refused.
//! What is in them is the business of the rooms that open them. And how
//! columns become SQLite's values and back.

mod bind;
mod civil;
mod error;
pub(crate) mod memory;
mod values;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use bind::{BoundColumn, bound_columns};
pub use civil::{CivilText, write_date, write_timestamp};
pub(crate) use error::said;
pub use error::{StoreError, is_full};
pub use values::ValueColumn;

/// What a commit must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power failure: every commit reaches the disk.
    Power,
    /// The end of the process: the operating system writes when it likes.
    Process,
}

/// How long a connection waits for another process that holds the file (a backup, a shell).
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens or creates a database of format `version`, whose tables `schema` creates.
///
/// # Errors
/// When the file cannot be used; nothing in it was changed then.
pub fn open_database(
    path: &Path,
    application_id: i32,
    version: u32,
    schema: &str,
    durability: Durability,
) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(|cause| explain(path, cause))?;
    check(&db, path, application_id, version)?;
    let level = match durability {
        Durability::Power => "FULL",
        Durability::Process => "OFF",
    };
    prepare(&mut db, application_id, version, schema, level).map_err(|cause| explain(path, cause))?;
    Ok(db)
}

/// Turns SQLite's errors into ours: damage is told apart from what may pass.
pub(crate) fn explain(path: &Path, cause: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            StoreError::Foreign { path, why: "this is no SQLite database".into() }
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            StoreError::Foreign { path, why: format!("it is damaged ({cause})") }
        }
        _ => StoreError::Io { path, cause },
    }
}

fn check(db: &Connection, path: &Path, application_id: i32, version: u32) -> Result<(), StoreError> {
    let pragma = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|cause| explain(path, cause))
    };
    let (id, found) = (pragma("application_id")?, pragma("user_version")?);
    if id == 0 && found == 0 {
        let tables: i64 = db
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(|cause| explain(path, cause))?;
        if tables == 0 {
            return Ok(());
        }
    }
    if id != i64::from(application_id) {
        return Err(StoreError::Foreign { path: path.to_owned(), why: "another program's database".into() });
    }
    match u32::try_from(found).unwrap_or(u32::MAX) {
        found if found > version => Err(StoreError::Newer { path: path.to_owned(), found, known: version }),
        _ => Ok(()),
    }
}

fn prepare(
    db: &mut Connection,
    application_id: i32,
    version: u32,
    schema: &str,
    level: &str,
) -> Result<(), rusqlite::Error> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", level)?;
    let transaction = db.transaction()?;
    transaction.execute_batch(schema)?;
    transaction.pragma_update(None, "application_id", application_id)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}
