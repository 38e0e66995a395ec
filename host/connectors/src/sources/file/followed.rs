//! Files that grow, known by their inode: a log that is rotated stays readable under its path's old
//! file. Handles are held from the first look until a checkpoint covers the file, so that even a
//! file that was deleted can be read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_engine::source::SourceError;

use crate::formats::io_error;

/// Open handles by inode; shared by a source and its readers.
#[derive(Default)]
pub(crate) struct Followed(Mutex<BTreeMap<u64, Arc<File>>>);

impl Followed {
    /// The file that is at a path now, with its inode; none when there is nothing.
    pub(crate) fn at_path(&self, path: &str) -> Result<Option<(u64, Arc<File>)>, SourceError> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.ino(), file)));
        match opened {
            Ok((inode, file)) => Ok(Some((inode, self.hold(inode, file)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(path, &error)),
        }
    }

    /// The file of an inode that was at a path: held, still there, or renamed in its directory.
    pub(crate) fn find(&self, path: &str, inode: u64) -> Result<Option<Arc<File>>, SourceError> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&inode).cloned();
        if held.is_some() {
            return Ok(held);
        }
        if let Some((_, file)) = self.at_path(path)?.filter(|(now, _)| *now == inode) {
            return Ok(Some(file));
        }
        let renamed = renamed(Path::new(path), inode).map_err(|error| io_error(path, &error))?;
        Ok(renamed.map(|file| self.hold(inode, file)))
    }

    fn hold(&self, inode: u64, file: File) -> Arc<File> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.entry(inode).or_insert_with(|| Arc::new(file)))
    }

    /// Closes all files but these.
    pub(crate) fn keep(&self, inodes: &BTreeSet<u64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|inode, _| inodes.contains(inode));
    }
}

/// Looks for an inode among the files beside a path.
fn renamed(path: &Path, inode: u64) -> io::Result<Option<File>> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_wanted = |metadata: Metadata| metadata.ino() == inode && metadata.is_file();
    for entry in entries {
        let entry = entry?;
        if !entry.metadata().is_ok_and(is_wanted) {
            continue;
        }
        let file = File::open(entry.path())?;
        if file.metadata().is_ok_and(is_wanted) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// A place in a file that others read as well: it has an offset of its own.
pub(crate) struct Place {
    file: Arc<File>,
    at: u64,
}

impl Place {
    /// In `file`, at byte `at`.
    pub(crate) fn new(file: Arc<File>, at: u64) -> Self {
        Self { file, at }
    }
}

impl Read for Place {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Place {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
