//! Cuts one file into splits. Lines of plain files are found by small reads near each split's end;
//! everything else is gone through in order.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use memchr::{memchr, memrchr};
use millstream_engine::batch::Chunk;
use millstream_engine::source::{Limits, SourceError};

use super::followed::Place;
use super::kept::Kept;
use super::open::{compression_of, open_file, shorter};
use super::place::FileSplit;
use super::{Compression, FileConfig};
use crate::formats::{Cutter, CutterConfig, FormatKind, Tail, header_of, io_error, parquet};

/// Bytes of a split: enough to make opening a file cheap, few enough for workers to share a plan.
pub(crate) const SPLIT_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that one poll goes through when it has to look at each of them.
const SCAN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of one read in search of a line's end.
const PROBE_BYTES: usize = 4 * 1024;

/// What a poll may still take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(pub(crate) Limits);

impl Budget {
    /// Nothing more.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.rows == 0 || self.0.bytes == 0
    }

    fn spend(&mut self, rows: u64, bytes: u64) {
        self.0.bytes = self.0.bytes.saturating_sub(bytes);
        if self.0.rows != u64::MAX {
            self.0.rows = self.0.rows.saturating_sub(rows);
        }
    }
}

/// A file that is gone through in order stays open between polls.
pub(crate) struct OpenScan {
    path: String,
    cutter: Cutter,
}

/// Plans one file.
pub(crate) struct FilePlanner<'a> {
    /// The source's spec.
    pub(crate) config: &'a FileConfig,
    /// Where decompressed bytes go.
    pub(crate) kept: &'a Arc<Kept>,
    /// The file that is open, if any.
    pub(crate) scan: &'a mut Option<OpenScan>,
    /// The file.
    pub(crate) path: &'a str,
    /// Where its rest begins.
    pub(crate) at: u64,
    /// A growing file is looked at only so far.
    pub(crate) bytes: u64,
    /// The file itself, if it is followed.
    pub(crate) followed: Option<(u64, Arc<File>)>,
    /// More may come: an unfinished last record waits for its end.
    pub(crate) grows: bool,
}

impl FilePlanner<'_> {
    /// Splits of the file's rest within the budget, appended to `splits`; those there are good even
    /// when an error comes after them.
    pub(crate) fn plan(
        &mut self,
        budget: &mut Budget,
        splits: &mut Vec<FileSplit>,
    ) -> Result<(), SourceError> {
        let compression = compression_of(self.path, self.config.compression);
        if self.config.format.kind() == FormatKind::Parquet {
            return self.row_groups(budget, splits);
        }
        if compression == Compression::None && self.bytes < self.at {
            return Err(shorter(self.path, self.bytes, self.at));
        }
        if self.config.tail && compression != Compression::None {
            let message = format!("{}: a compressed file cannot be followed: leave `tail` out", self.path);
            return Err(SourceError::Permanent(message));
        }
        let by_lines = self.config.format.kind() != FormatKind::Csv;
        if by_lines && compression == Compression::None && budget.0.rows == u64::MAX {
            let file = self.open_plain()?;
            return self.lines(file, budget, splits).map_err(|error| io_error(self.path, &error));
        }
        let scanned = self.scan(compression, budget, splits);
        if scanned.is_err() {
            *self.scan = None;
        }
        scanned
    }

    fn split(&mut self, to: u64, last: bool) -> FileSplit {
        let from = std::mem::replace(&mut self.at, to);
        let inode = self.followed.as_ref().map(|(inode, _)| *inode);
        FileSplit { file: self.path.to_owned(), from, to, last, inode }
    }

    fn open_plain(&self) -> Result<Place, SourceError> {
        let file = match &self.followed {
            Some((_, file)) => Arc::clone(file),
            None => Arc::new(open_file(self.path)?),
        };
        Ok(Place::new(file, self.at))
    }

    fn lines(&mut self, mut file: Place, budget: &mut Budget, splits: &mut Vec<FileSplit>) -> io::Result<()> {
        let end = if self.grows { last_line_end(&mut file, self.at, self.bytes)? } else { self.bytes };
        while self.at < end && !budget.is_spent() {
            let target = self.at.saturating_add(SPLIT_BYTES.min(budget.0.bytes));
            let to = if target < end { line_end(&mut file, target - 1, end)? } else { end };
            budget.spend(0, to - self.at);
            let last = to == end && !self.grows;
            splits.push(self.split(to, last));
        }
        Ok(())
    }

    fn scan(
        &mut self,
        compression: Compression,
        budget: &mut Budget,
        splits: &mut Vec<FileSplit>,
    ) -> Result<(), SourceError> {
        let mut cutter = self.cutter(compression)?;
        let failed = |error: io::Error| io_error(self.path, &error);
        let keeps = compression != Compression::None;
        let path = self.path.to_owned();
        let poll_end = self.at.saturating_add(SCAN_BYTES_MAX.min(budget.0.bytes));
        let mut is_end = false;
        while !is_end && !budget.is_spent() && self.at < poll_end {
            let mut kept = keeps.then(Vec::new);
            while !budget.is_spent() && cutter.offset() - self.at < SPLIT_BYTES {
                let before = cutter.offset();
                cutter.set_block(usize::try_from(budget.0.bytes).unwrap_or(usize::MAX));
                let rows_max = usize::try_from(budget.0.rows).unwrap_or(usize::MAX).min(Chunk::ROWS_TARGET);
                let Some(cut) = cutter.next(rows_max).map_err(failed)? else { break };
                if before == 0 && self.config.format.has_header() {
                    header_of(&self.config.format, &cut, self.path)?;
                }
                match &mut kept {
                    Some(kept) if cut.complete => kept.extend_from_slice(cut.bytes),
                    _ => kept = None,
                }
                let rows = (cut.spans.len() + cut.bad.len()) as u64;
                budget.spend(rows, cutter.offset() - before);
            }
            let to = cutter.offset();
            is_end = cutter.is_at_end().map_err(failed)?;
            if to == self.at && (!is_end || self.grows) {
                break;
            }
            let split = self.split(to, is_end && !self.grows);
            if let Some(kept) = kept.filter(|kept| kept.len() as u64 == to - split.from) {
                self.kept.put(split.clone(), Bytes::from(kept));
            }
            splits.push(split);
        }
        *self.scan = (!is_end && keeps).then_some(OpenScan { path, cutter });
        Ok(())
    }

    /// The open file if it stands where it should, or a fresh start.
    fn cutter(&mut self, compression: Compression) -> Result<Cutter, SourceError> {
        if let Some(scan) =
            self.scan.take().filter(|scan| scan.path == self.path && scan.cutter.offset() == self.at)
        {
            return Ok(scan.cutter);
        }
        let input: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(self.open_plain()?.take(self.bytes - self.at)),
            _ => self.kept.data(self.path, self.config.compression, self.at)?,
        };
        let config = CutterConfig {
            framing: self.config.format.framing(),
            max_record_bytes: self.config.format.max_record_bytes(),
            tail: if self.grows { Tail::Waits } else { Tail::Record },
            at: self.at,
            skip_bom: true,
        };
        Ok(Cutter::new(input, config))
    }

    fn row_groups(&mut self, budget: &mut Budget, splits: &mut Vec<FileSplit>) -> Result<(), SourceError> {
        let groups = parquet::row_groups(open_file(self.path)?, &self.config.format, self.path)?;
        let rows = groups.last().map_or(0, |group| group.rows.end);
        if rows < self.at {
            return Err(shorter(self.path, rows, self.at));
        }
        if rows == 0 {
            splits.push(self.split(0, true));
        }
        for group in groups {
            while self.at < group.rows.end && !budget.is_spent() {
                let to = group.rows.end.min(self.at.saturating_add(budget.0.rows));
                let share =
                    group.bytes.saturating_mul(to - self.at) / (group.rows.end - group.rows.start).max(1);
                budget.spend(to - self.at, share.max(1));
                splits.push(self.split(to, to == rows));
            }
        }
        Ok(())
    }
}

/// Behind the first newline at `from` or after it; `end` when there is none.
fn line_end(file: &mut Place, from: u64, end: u64) -> io::Result<u64> {
    let mut probe = [0; PROBE_BYTES];
    let mut at = from;
    file.seek(SeekFrom::Start(at))?;
    while at < end {
        let wanted = PROBE_BYTES.min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let read = file.read(&mut probe[..wanted])?;
        if read == 0 {
            let message = format!("the file became shorter: it ends at byte {at} instead of {end}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if let Some(newline) = memchr(b'\n', &probe[..read]) {
            return Ok(at + newline as u64 + 1);
        }
        at += read as u64;
    }
    Ok(end)
}

/// Behind the last newline between `from` and `end`; `from` when there is none.
fn last_line_end(file: &mut Place, from: u64, end: u64) -> io::Result<u64> {
    let mut probe = [0; PROBE_BYTES];
    let mut to = end;
    while to > from {
        let wanted = PROBE_BYTES.min(usize::try_from(to - from).unwrap_or(usize::MAX));
        let start = to - wanted as u64;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut probe[..wanted])?;
        if let Some(newline) = memrchr(b'\n', &probe[..wanted]) {
            return Ok(start + newline as u64 + 1);
        }
        to = start;
    }
    Ok(from)
}
