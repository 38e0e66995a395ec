//! What planners and readers of compressed files hand to each other, so that normal running
//! decompresses each byte once and recovery once a worker. Only a help: whatever is not here is
//! read from the file.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use millstream_engine::source::SourceError;

use super::Compression;
use super::open::{decoder, shorter};
use super::place::{FileSplit, Progress};
use crate::formats::io_error;

/// Bytes that planning decompressed and that readers may still want.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Decoders that wait for the next split of their file: one a worker, and few enough for their
/// windows (some MB each) and file descriptors.
const IDLE_MAX: usize = 16;

/// What a source's planner and its readers share.
#[derive(Default)]
pub(crate) struct Kept {
    /// Guards short lists; never held while data is read.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Decompressed splits, oldest first.
    splits: VecDeque<(FileSplit, Bytes)>,
    /// Decoders that nobody uses, oldest first.
    idle: VecDeque<Idle>,
    /// How many decoders began at the start of a file.
    #[cfg(test)]
    begun: usize,
}

struct Idle {
    path: String,
    at: u64,
    data: Box<dyn Read + Send>,
}

impl Kept {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the bytes of a split, if need be in place of older ones.
    pub(crate) fn put(&self, split: FileSplit, bytes: Bytes) {
        let splits = &mut self.held().splits;
        splits.push_back((split, bytes));
        let mut held: usize = splits.iter().map(|(_, bytes)| bytes.len()).sum();
        while held > KEPT_BYTES_MAX {
            let Some((_, oldest)) = splits.pop_front() else { break };
            held -= oldest.len();
        }
    }

    /// The bytes of a split, if they are still here.
    pub(crate) fn get(&self, wanted: &FileSplit) -> Option<Bytes> {
        let held = self.held();
        held.splits.iter().find(|(split, _)| split == wanted).map(|(_, bytes)| bytes.clone())
    }

    /// Forgets what a checkpoint covers.
    pub(crate) fn release(&self, covered: &Progress) {
        let mut held = self.held();
        held.splits.retain(|(split, _)| {
            !covered.done.contains(&split.file) && split.from >= covered.at(&split.file)
        });
        held.idle.retain(|idle| !covered.done.contains(&idle.path));
    }

    /// The decompressed data of a file from `from` on. A decoder that stands before it goes on from
    /// there; only without one the file is begun again.
    pub(crate) fn data(
        self: &Arc<Self>,
        path: &str,
        compression: Compression,
        from: u64,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        let mut lent = match self.nearest(path, from) {
            Some(idle) => Lent { at: idle.at, idle: Some(idle), kept: Arc::clone(self) },
            None => {
                let idle = Idle { path: path.to_owned(), at: 0, data: decoder(path, compression)? };
                Lent { at: 0, idle: Some(idle), kept: Arc::clone(self) }
            }
        };
        let before = from - lent.at;
        let skipped = io::copy(&mut lent.by_ref().take(before), &mut io::sink());
        let skipped = skipped.map_err(|error| io_error(path, &error))?;
        if skipped < before { Err(shorter(path, lent.at, from)) } else { Ok(Box::new(lent)) }
    }

    /// The idle decoder that has the least to skip.
    fn nearest(&self, path: &str, from: u64) -> Option<Idle> {
        let mut held = self.held();
        let before = held.idle.iter().enumerate().filter(|(_, idle)| idle.path == path && idle.at <= from);
        let nearest = before.max_by_key(|(_, idle)| idle.at).map(|(index, _)| index);
        #[cfg(test)]
        if nearest.is_none() {
            held.begun += 1;
        }
        held.idle.remove(nearest?)
    }

    /// How many decoders began at the start of a file.
    #[cfg(test)]
    pub(crate) fn begun(&self) -> usize {
        self.held().begun
    }
}

/// A decoder that comes back when its user has enough.
struct Lent {
    at: u64,
    /// None after an error: nobody knows where the decoder stands.
    idle: Option<Idle>,
    kept: Arc<Kept>,
}

impl Read for Lent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(idle) = &mut self.idle else { return Err(io::ErrorKind::InvalidData.into()) };
        let read = idle.data.read(buffer);
        match &read {
            Ok(read) => self.at += *read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.idle = None,
        }
        read
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut idle) = self.idle.take() else { return };
        idle.at = self.at;
        let idle_now = &mut self.kept.held().idle;
        idle_now.push_back(idle);
        if idle_now.len() > IDLE_MAX {
            idle_now.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(from: u64) -> FileSplit {
        FileSplit { file: "a.gz".to_owned(), from, to: from + 1, last: false, inode: None }
    }

    #[test]
    fn the_oldest_splits_make_room() {
        let kept = Kept::default();
        let bytes = Bytes::from(vec![0; KEPT_BYTES_MAX / 4]);
        for from in 0..6 {
            kept.put(split(from), bytes.clone());
        }
        let is_there: Vec<bool> = (0..6).map(|from| kept.get(&split(from)).is_some()).collect();
        assert_eq!(is_there, [false, false, true, true, true, true]);
        kept.put(split(6), Bytes::from(vec![0; KEPT_BYTES_MAX + 1]));
        assert!((0..7).all(|from| kept.get(&split(from)).is_none()));
    }

    #[test]
    fn what_a_checkpoint_covers_is_forgotten() {
        let kept = Kept::default();
        (0..4).for_each(|from| kept.put(split(from), Bytes::from_static(b"x")));
        let mut covered = Progress::default();
        covered.advance(&split(1));
        kept.release(&covered);
        let is_there: Vec<bool> = (0..4).map(|from| kept.get(&split(from)).is_some()).collect();
        assert_eq!(is_there, [false, false, true, true]);
        covered.advance(&FileSplit { last: true, ..split(3) });
        kept.release(&covered);
        assert!(kept.held().splits.is_empty());
    }
}
