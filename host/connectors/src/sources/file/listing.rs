//! Finds the files that a path or pattern means; bounded in depth and number.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{GlobBuilder, GlobMatcher};
use millstream_engine::source::SourceError;

use super::Order;

/// Directories below each other that a `**` follows.
const DEPTH_MAX: usize = 32;
/// Entries that one look at a pattern goes through; beyond it a pattern is surely a mistake.
const ENTRIES_MAX: usize = 1_000_000;

/// What a path in a spec means.
#[derive(Debug)]
pub(crate) struct Pattern {
    path: String,
    /// The directory above the first component with a wildcard.
    base: PathBuf,
    /// None for a plain path.
    matcher: Option<GlobMatcher>,
    depth: usize,
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path, as a position names it.
    pub(crate) path: String,
    /// Its length now.
    pub(crate) bytes: u64,
    modified: SystemTime,
}

impl Found {
    /// A file that is not at its path any more.
    pub(crate) fn gone(path: &str) -> Self {
        Self { path: path.to_owned(), bytes: 0, modified: SystemTime::UNIX_EPOCH }
    }
}

impl Pattern {
    /// Reads a path or pattern.
    pub(crate) fn new(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Err("the path is empty".to_owned());
        }
        let is_wild = |text: &str| text.contains(['*', '?', '[', '{']);
        if !is_wild(path) {
            return Ok(Self { path: path.to_owned(), base: PathBuf::from(path), matcher: None, depth: 1 });
        }
        let glob = GlobBuilder::new(path).literal_separator(true).build();
        let matcher = glob.map_err(|error| format!("the pattern is wrong: {error}"))?.compile_matcher();
        let wild_at = path.find(['*', '?', '[', '{']).unwrap_or(0);
        let base = path[..wild_at].rfind('/').map_or("", |slash| &path[..slash.max(1)]);
        let depth = if path.contains("**") { DEPTH_MAX } else { path[wild_at..].matches('/').count() + 1 };
        Ok(Self { path: path.to_owned(), base: PathBuf::from(base), matcher: Some(matcher), depth })
    }

    /// The path as it stands in the spec.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// It means one file or directory.
    pub(crate) fn is_plain(&self) -> bool {
        self.matcher.is_none()
    }

    /// That there is no such file, and where it was looked for: a relative path depends on where the
    /// server was started, and a directory may be missing.
    pub(crate) fn nothing_found(&self) -> String {
        let is_dir = self.base.is_dir();
        let what = match (self.is_plain(), is_dir) {
            (true, true) => "holds no file",
            (true, false) => "is no file",
            (false, _) => "matches no file",
        };
        let base = if self.base.as_os_str().is_empty() { Path::new(".") } else { &self.base };
        let place = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
        let missing = if base.exists() { "" } else { ", which does not exist" };
        format!("path `{}` {what}: looked in {}{missing}", self.path, place.display())
    }

    /// The files there are now, in order, but for those that are done.
    ///
    /// # Errors
    /// When a directory cannot be read; one that does not exist holds nothing.
    pub(crate) fn list(&self, order: Order, done: &BTreeSet<String>) -> Result<Vec<Found>, SourceError> {
        let mut walk = Walk { pattern: self, done, found: Vec::new(), entries: 0 };
        match &self.matcher {
            Some(_) => walk.directory(&self.base, self.depth)?,
            None => match fs::metadata(&self.base) {
                Ok(metadata) if metadata.is_dir() => walk.directory(&self.base, 1)?,
                Ok(metadata) => walk.file(&self.base, &metadata)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(cannot_list(&self.base, &error)),
            },
        }
        let mut found = walk.found;
        match order {
            Order::Name => found.sort_unstable_by(|a, b| a.path.cmp(&b.path)),
            Order::Modified => {
                found.sort_unstable_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
            }
        }
        Ok(found)
    }
}

struct Walk<'a> {
    pattern: &'a Pattern,
    done: &'a BTreeSet<String>,
    found: Vec<Found>,
    entries: usize,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, depth: usize) -> Result<(), SourceError> {
        let readable = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let entries = match fs::read_dir(readable) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot_list(readable, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| cannot_list(readable, &error))?;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                let message = format!(
                    "path `{}` leads through more than {ENTRIES_MAX} files: make the pattern narrower",
                    self.pattern.path
                );
                return Err(SourceError::Permanent(message));
            }
            self.entry(&path.join(entry.file_name()), &entry, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, entry: &fs::DirEntry, depth: usize) -> Result<(), SourceError> {
        let file_type = entry.file_type().map_err(|error| cannot_list(path, &error))?;
        if file_type.is_dir() {
            return if depth > 1 { self.directory(path, depth - 1) } else { Ok(()) };
        }
        let wanted = match &self.pattern.matcher {
            Some(matcher) => matcher.is_match(path),
            // Hidden files in a directory are other programs' unfinished work.
            None => !entry.file_name().as_encoded_bytes().starts_with(b"."),
        };
        let is_done = path.to_str().is_some_and(|path| self.done.contains(path));
        if !wanted || is_done {
            return Ok(());
        }
        // Follows links; what has gone since the directory was read was never there.
        match fs::metadata(path) {
            Ok(metadata) => self.file(path, &metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(cannot_list(path, &error)),
        }
    }

    fn file(&mut self, path: &Path, metadata: &fs::Metadata) -> Result<(), SourceError> {
        if !metadata.is_file() {
            return Ok(());
        }
        let Some(name) = path.to_str() else {
            let message = format!("{}: the file's name is not UTF-8: rename it", path.display());
            return Err(SourceError::Permanent(message));
        };
        if self.done.contains(name) {
            return Ok(());
        }
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        self.found.push(Found { path: name.to_owned(), bytes: metadata.len(), modified });
        Ok(())
    }
}

fn cannot_list(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Transient(format!("{}: cannot look for files: {error}", path.display()))
}
