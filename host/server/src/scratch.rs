//! A folder for as long as it is needed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::random;

/// A folder that is removed when this is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A folder of this machine's, named after `what` it is for.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new(what: &str) -> io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("millstream-{what}-{}", random::hex::<8>()?));
        fs::create_dir(&dir)?;
        Ok(Self(dir))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, dir = %self.0.display(), "a folder that is not needed any more could not be removed");
        }
    }
}
