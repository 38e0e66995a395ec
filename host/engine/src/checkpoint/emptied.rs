//! Files that something has emptied. SQLite takes an empty file for a new database, and what it held
//! would be forgotten without a word; so it is asked first whether it can be new. A file that is
//! missing is another matter: moving it away is how a person begins anew.

use std::path::{Path, PathBuf};

use super::store::{Checkpoint, FILE};
use crate::sqlite::StoreError;

/// Refuses an empty `checkpoint.db` beside files that come into being after it.
///
/// # Errors
/// When it was emptied.
pub(crate) fn check_store(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(FILE);
    let Ok(files) = std::fs::read_dir(dir) else { return Ok(()) };
    let mut names = files.flatten().filter(|file| file.metadata().is_ok_and(|data| data.len() > 0));
    let is_younger = |name: &str| name == "state.db" || name.starts_with("journal-") && name.ends_with(".db");
    if is_empty(&path) && names.any(|file| file.file_name().to_str().is_some_and(is_younger)) {
        return Err(emptied(path, "there are files that are made after it"));
    }
    Ok(())
}

/// Refuses an empty `state.db` or journal on which `checkpoint` stands.
///
/// # Errors
/// When one was emptied.
pub(crate) fn check_parts(dir: &Path, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let journals = checkpoint.positions.keys().map(|source| dir.join(format!("journal-{source}.db")));
    let found = std::iter::once(dir.join("state.db")).chain(journals).find(|path| is_empty(path));
    found.map_or(Ok(()), |path| Err(emptied(path, "a checkpoint stands on what it held")))
}

fn is_empty(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.len() == 0)
}

fn emptied(path: PathBuf, why: &str) -> StoreError {
    StoreError::Foreign { path, why: format!("it is empty, and {why}") }
}
