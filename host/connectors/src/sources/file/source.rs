//! The file source itself: which files, in which order, how far.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use millstream_engine::clock::SharedClock;
use millstream_engine::pipeline::{SourceCtx, Warn};
use millstream_engine::source::{Limits, Poll, Position, Source, SourceError, Split, SplitReader};

use super::followed::Followed;
use super::kept::Kept;
use super::listing::Found;
use super::open::{compression_of, open_file, shorter};
use super::place::{FileSplit, Progress};
use super::plan::{Budget, FilePlanner, OpenScan};
use super::reader::{FileReader, rotated_away};
use super::{Compression, FileConfig};
use crate::formats::{FormatKind, io_error};

/// Looking for files may take one part in so many of the time.
const LISTING_SHARE: u32 = 10;
/// Looking for files is not rationed while it is as quick as this.
const LISTING_QUICK: Duration = Duration::from_millis(20);

/// Reads files.
pub(crate) struct FileSource {
    config: Arc<FileConfig>,
    clock: SharedClock,
    /// Only the files that are there at the first poll.
    fixed: bool,
    available_now: bool,
    progress: Progress,
    listing: Option<Listing>,
    warn: Warn,
    /// That there is no file is said once.
    warned: bool,
    pub(super) kept: Arc<Kept>,
    followed: Arc<Followed>,
    scan: Option<OpenScan>,
}

struct Listing {
    files: Vec<Found>,
    /// When to look again, on the monotonic clock.
    stale_at: Duration,
}

impl FileSource {
    /// A source at its beginning.
    pub(crate) fn new(config: Arc<FileConfig>, ctx: &SourceCtx) -> Self {
        Self {
            fixed: ctx.available_now || !config.watch,
            available_now: ctx.available_now,
            config,
            clock: Arc::clone(&ctx.clock),
            progress: Progress::default(),
            listing: None,
            warn: Arc::clone(&ctx.warn),
            warned: false,
            kept: Arc::default(),
            followed: Arc::default(),
            scan: None,
        }
    }

    /// Brings the listing up to date.
    fn look(&mut self) -> Result<(), SourceError> {
        let now = self.clock.monotonic();
        if self.listing.as_ref().is_some_and(|listing| self.fixed || now < listing.stale_at) {
            return Ok(());
        }
        let files = self.config.pattern.list(self.config.order, &self.progress.done)?;
        let pattern = &self.config.pattern;
        let nothing_known = self.progress == Progress::default();
        if self.fixed
            && files.is_empty()
            && nothing_known
            && pattern.is_plain()
            && !std::path::Path::new(pattern.path()).exists()
        {
            let message =
                format!("{}: there is no such file: correct `path` or put the file there", pattern.path());
            return Err(SourceError::Permanent(message));
        }
        if files.is_empty() && nothing_known && !std::mem::replace(&mut self.warned, true) {
            (self.warn)(format!(
                "{}; {}",
                pattern.nothing_found(),
                if self.fixed { "nothing is read" } else { "files that come later are read" }
            ));
        }
        let took = self.clock.monotonic().saturating_sub(now);
        let pause = if took < LISTING_QUICK { Duration::ZERO } else { took * LISTING_SHARE };
        self.listing = Some(Listing { files, stale_at: now + pause });
        Ok(())
    }

    /// Files that have more, the one that is being read first.
    fn waiting(&self) -> Vec<Found> {
        let files = self.listing.as_ref().map_or(&[][..], |listing| &listing.files);
        let is_open = |file: &&Found| !self.config.tail && self.progress.open.contains_key(&file.path);
        let open = files.iter().filter(is_open);
        let others = files.iter().filter(|file| !is_open(file) && file.bytes > 0);
        let others = others.filter(|file| !self.progress.done.contains(&file.path));
        let waiting: Vec<Found> = open.chain(others).cloned().collect();
        // What is followed may have been renamed, with data that was not read yet.
        let listed: HashSet<&str> = waiting.iter().map(|file| file.path.as_str()).collect();
        let followed = self.progress.inodes.keys();
        let gone = followed.filter(|path| !listed.contains(path.as_str())).map(|path| Found::gone(path));
        let gone: Vec<Found> = gone.collect();
        gone.into_iter().chain(waiting).collect()
    }

    /// A file that was begun must still be there; one that is followed is looked for where it is planned.
    fn check_open_files(&self) -> Result<(), SourceError> {
        if self.config.tail {
            return Ok(());
        }
        let files = self.listing.as_ref().map_or(&[][..], |listing| &listing.files);
        let gone = self.progress.open.keys().find(|path| !files.iter().any(|file| &file.path == *path));
        match gone {
            Some(path) => self.check_length(path, 0),
            None => Ok(()),
        }
    }

    fn check_length(&self, path: &str, at: u64) -> Result<(), SourceError> {
        let bytes = open_file(path)?.metadata().map_err(|error| io_error(path, &error))?.len();
        let counts_bytes = compression_of(path, self.config.compression) == Compression::None
            && self.config.format.kind() != FormatKind::Parquet;
        if counts_bytes && bytes < at { Err(shorter(path, bytes, at)) } else { Ok(()) }
    }

    fn check_followed(&self, split: &FileSplit, inode: u64) -> Result<(), SourceError> {
        let path = split.file.as_str();
        let file = self.followed.find(path, inode)?.ok_or_else(|| rotated_away(path))?;
        let bytes = file.metadata().map_err(|error| io_error(path, &error))?.len();
        if bytes < split.to { Err(shorter(path, bytes, split.to)) } else { Ok(()) }
    }

    fn plan_files(
        &mut self,
        waiting: &[Found],
        limits: Limits,
        splits: &mut Vec<FileSplit>,
    ) -> Result<(), SourceError> {
        let mut budget = Budget(limits);
        for file in waiting {
            if budget.is_spent() {
                break;
            }
            let path = file.path.as_str();
            if self.config.tail {
                self.plan_followed(file, &mut budget, splits)?;
                continue;
            }
            self.plan_file(path, now_bytes(path)?, None, false, &mut budget, splits)?;
            if !self.progress.done.contains(path) {
                // Files follow each other strictly: this one has more.
                break;
            }
        }
        Ok(())
    }

    fn plan_file(
        &mut self,
        path: &str,
        bytes: u64,
        followed: Option<(u64, Arc<File>)>,
        grows: bool,
        budget: &mut Budget,
        splits: &mut Vec<FileSplit>,
    ) -> Result<(), SourceError> {
        let (config, kept, scan, at) = (&*self.config, &self.kept, &mut self.scan, self.progress.at(path));
        let first = splits.len();
        let mut planner = FilePlanner { config, kept, scan, path, at, bytes, followed, grows };
        let planned = planner.plan(budget, splits);
        splits[first..].iter().for_each(|split| self.progress.advance(split));
        planned
    }

    /// The file that was begun at a path comes first, wherever it is now; when another with data is
    /// at the path, its writer has turned to that one, and the old file ends.
    fn plan_followed(
        &mut self,
        found: &Found,
        budget: &mut Budget,
        splits: &mut Vec<FileSplit>,
    ) -> Result<(), SourceError> {
        let path = found.path.as_str();
        let bytes_of =
            |file: &File| file.metadata().map(|found| found.len()).map_err(|error| io_error(path, &error));
        let now = self.followed.at_path(path)?;
        if let Some(inode) = self.progress.inodes.get(path).copied() {
            let next = now.as_ref().filter(|(other, _)| *other != inode);
            let is_replaced =
                next.map(|(_, file)| bytes_of(file)).transpose()?.is_some_and(|bytes| bytes > 0);
            match self.followed.find(path, inode)? {
                Some(file) => {
                    let is_here = now.as_ref().is_some_and(|(other, _)| *other == inode);
                    // To where it is now; under available-now to where it was.
                    let bytes = if self.available_now && is_here { found.bytes } else { bytes_of(&file)? };
                    let followed = Some((inode, file));
                    self.plan_file(path, bytes, followed, !is_replaced, budget, splits)?;
                    if is_replaced && self.progress.open.contains_key(path) && self.progress.at(path) >= bytes
                    {
                        self.end_followed(path, inode, splits);
                    }
                }
                None if is_replaced => {
                    tracing::warn!(
                        path,
                        byte = self.progress.at(path),
                        "the file was rotated and deleted while nothing held it: what was written to it after this byte \
                         is lost; going on with the new file"
                    );
                    self.end_followed(path, inode, splits);
                }
                None => {}
            }
            if self.progress.inodes.contains_key(path) {
                return Ok(());
            }
        }
        let Some((inode, file)) = now.filter(|_| !budget.is_spent()) else { return Ok(()) };
        let bytes = if self.available_now { found.bytes.min(bytes_of(&file)?) } else { bytes_of(&file)? };
        self.plan_file(path, bytes, Some((inode, file)), true, budget, splits)
    }

    /// Puts the end into the plan, because positions follow from plans.
    fn end_followed(&mut self, path: &str, inode: u64, splits: &mut Vec<FileSplit>) {
        let at = self.progress.at(path);
        let end = FileSplit { file: path.to_owned(), from: at, to: at, last: true, inode: Some(inode) };
        self.progress.advance(&end);
        splits.push(end);
    }

    fn backlog_bytes(&self, waiting: &[Found]) -> u64 {
        let rest = |file: &Found| match self.progress.done.contains(&file.path) {
            true => 0,
            // Rows and decompressed bytes say little about the file's own: one byte stands for the rest.
            false if !self.config.tail => file.bytes.saturating_sub(self.progress.at(&file.path)).max(1),
            false => file.bytes.saturating_sub(self.progress.at(&file.path)),
        };
        waiting.iter().map(rest).sum()
    }
}

fn now_bytes(path: &str) -> Result<u64, SourceError> {
    Ok(open_file(path)?.metadata().map_err(|error| io_error(path, &error))?.len())
}

impl Source for FileSource {
    fn restore(&mut self, position: Option<&Position>) -> Result<(), SourceError> {
        self.progress = position.map(Progress::read).transpose()?.unwrap_or_default();
        self.listing = None;
        self.scan = None;
        if self.config.tail {
            return Ok(());
        }
        self.progress.open.iter().try_for_each(|(path, at)| self.check_length(path, *at))
    }

    fn advance(&mut self, splits: &[Split]) -> Result<(), SourceError> {
        for split in splits {
            let split = FileSplit::read(split)?;
            match split.inode {
                None => self.check_length(&split.file, split.to)?,
                Some(inode) if split.from < split.to => self.check_followed(&split, inode)?,
                Some(_) => {}
            }
            self.progress.advance(&split);
        }
        Ok(())
    }

    fn poll(&mut self, limits: Limits) -> Result<Poll, SourceError> {
        self.look()?;
        self.check_open_files()?;
        let waiting = self.waiting();
        let mut splits = Vec::new();
        // What was planned before an error is given out; the error comes again with the next poll.
        let planned = self.plan_files(&waiting, limits, &mut splits);
        if splits.is_empty() {
            planned.clone()?;
        }
        let backlog_bytes = self.backlog_bytes(&waiting);
        // A followed file that was rotated may have more than its path says.
        let is_through = splits.is_empty() || (backlog_bytes == 0 && !self.config.tail);
        let may_end = self.available_now || (self.fixed && !self.config.tail);
        let spendable = limits.rows > 0 && limits.bytes > 0;
        let finished = may_end && is_through && spendable && planned.is_ok();
        let bytes = splits.iter().map(|split| split.to - split.from).sum();
        let splits = splits.into_iter().map(FileSplit::into_split).collect();
        Ok(Poll { splits, bytes, finished, backlog_bytes })
    }

    fn position(&self) -> Position {
        self.progress.position()
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        let (kept, followed) = (Arc::clone(&self.kept), Arc::clone(&self.followed));
        Arc::new(FileReader::new(Arc::clone(&self.config), kept, followed))
    }

    fn release(&mut self, position: &Position) -> Result<(), SourceError> {
        let covered = Progress::read(position)?;
        self.kept.release(&covered);
        let inodes = covered.inodes.values().chain(self.progress.inodes.values()).copied();
        self.followed.keep(&inodes.collect());
        Ok(())
    }
}
