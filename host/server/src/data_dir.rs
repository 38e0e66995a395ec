//! The folder of all data: where things are in it, and the lock that keeps a second server out.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The data folder, locked until this is dropped (or the process ends in whatever way).
#[derive(Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if it is missing, and locks it.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be written.
    pub(crate) fn lock(root: &Path) -> Result<Self, DataDirError> {
        let fails = |cause| DataDirError::Io { dir: root.to_owned(), cause };
        fs::create_dir_all(root.join("pipelines")).map_err(fails)?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(root.join("lock"))
            .map_err(fails)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(fails)?;
                return Err(DataDirError::Held { dir: root.to_owned(), pid: pid.trim().to_owned() });
            }
            Err(errno) => return Err(fails(errno.into())),
        }
        write_pid(&mut file).map_err(fails)?;
        Ok(Self { root: root.to_owned(), _lock: file })
    }

    /// The catalog's database.
    pub(crate) fn catalog(&self) -> PathBuf {
        catalog_in(&self.root)
    }

    /// Compiled components; safe to delete.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// A pipeline's own folder.
    pub(crate) fn pipeline(&self, name: &str) -> PathBuf {
        self.root.join("pipelines").join(name)
    }

    /// Where a pipeline's folder goes in the moment it is deleted. No pipeline has a dot in its name.
    pub(crate) fn trash(&self, id: &str) -> PathBuf {
        self.root.join("pipelines").join(format!(".deleted-{id}"))
    }

    /// Removes what a crash left of deleted pipelines.
    ///
    /// # Errors
    /// When the folder cannot be read or cleaned.
    pub(crate) fn empty_trash(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join("pipelines"))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(".deleted-") {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The catalog of a data folder that may be in use by a server.
pub(crate) fn catalog_in(root: &Path) -> PathBuf {
    root.join("catalog.db")
}

/// For the message that a second server gives; the lock itself is the kernel's.
fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

/// Why a data folder cannot be used.
#[derive(Debug)]
pub(crate) enum DataDirError {
    /// Another process holds the lock.
    Held {
        /// The folder.
        dir: PathBuf,
        /// Its process id.
        pid: String,
    },
    /// The folder cannot be made, read or written.
    Io {
        /// The folder.
        dir: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl fmt::Display for DataDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { dir, pid } => write!(
                f,
                "the data directory {} is in use by process {pid}: stop that server, or choose another directory with --data-dir",
                dir.display()
            ),
            Self::Io { dir, cause } => {
                write!(f, "the data directory {} cannot be used: {cause}", dir.display())
            }
        }
    }
}

impl std::error::Error for DataDirError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_directory_and_process() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::lock(dir.path()).unwrap();
        let error = DataDir::lock(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        DataDir::lock(dir.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = DataDir::lock(&path).unwrap_err().to_string();
        assert!(error.contains("file"), "{error}");
    }

    #[test]
    fn emptying_the_trash_leaves_pipelines_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::lock(dir.path()).unwrap();
        fs::create_dir_all(data.pipeline("words")).unwrap();
        fs::create_dir_all(data.trash("0a")).unwrap();
        data.empty_trash().unwrap();
        assert!(data.pipeline("words").exists());
        assert!(!data.trash("0a").exists());
    }
}
