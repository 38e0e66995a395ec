//! The manifest: which batches of which sink are committed in a directory. The first line says
//! whose they are, each further line is a batch with its file; a line counts once its end has reached
//! the disk. A batch without rows has no line: a pipeline at rest must not fill a disk.
//! It is locked as long as the sink is open, so no other process writes to the directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use millstream_engine::batch::BatchId;
use millstream_engine::pipeline::SinkCtx;
use millstream_engine::sink::SinkError;
use serde::{Deserialize, Serialize};

use super::super::io_error;

/// The manifest's name in its directory.
pub(super) const NAME: &str = "_manifest.ndjson";
/// The only version of the manifest so far.
const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    version: u32,
    pipeline: String,
    pipeline_id: String,
    sink: String,
}

/// A committed batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The batch.
    pub(super) batch: BatchId,
    /// Its file; the first manifests had lines without one, for empty batches.
    pub(super) file: Option<String>,
    /// Rows in the file.
    pub(super) rows: u64,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// SHA-256 of the file in hexadecimal.
    pub(super) sha256: Option<String>,
}

/// The open manifest.
pub(super) struct Manifest {
    path: PathBuf,
    file: File,
    /// Bytes up to the end of the last whole line; what stands behind it is not there.
    length: u64,
    newest: Option<BatchId>,
    durable: bool,
}

impl Manifest {
    /// Opens the manifest of `dir`, or makes it; a last line without its end is cut off.
    pub(super) fn open(dir: &Path, ctx: &SinkCtx) -> Result<Self, SinkError> {
        let path = dir.join(NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| io_error(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SinkError::Transient(format!(
                    "{}: another sink is writing to this directory: give each its own",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(io_error(&path, &error)),
        }
        let mut manifest = Self { path, file, length: 0, newest: None, durable: ctx.durable };
        manifest.read(ctx)?;
        if manifest.length == 0 {
            let head = Head {
                version: VERSION,
                pipeline: ctx.pipeline.clone(),
                pipeline_id: ctx.pipeline_id.clone(),
                sink: ctx.entry.clone(),
            };
            manifest.append_line(&head).map_err(|error| io_error(&manifest.path, &error))?;
        }
        Ok(manifest)
    }

    /// The newest committed batch.
    pub(super) const fn newest(&self) -> Option<BatchId> {
        self.newest
    }

    /// Commits a batch: when this returns, it is there for good.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.append_line(entry)?;
        self.newest = Some(entry.batch);
        Ok(())
    }

    fn read(&mut self, ctx: &SinkCtx) -> Result<(), SinkError> {
        let file = self.file.try_clone().map_err(|error| io_error(&self.path, &error))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        let mut number = 0u64;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(|error| io_error(&self.path, &error))?;
            if read == 0 || line.last() != Some(&b'\n') {
                return Ok(());
            }
            number += 1;
            let result = if number == 1 { self.check_head(&line, ctx) } else { self.check_entry(&line) };
            if let Err(message) = result {
                let path = self.path.display();
                return Err(SinkError::Permanent(format!("{path}, line {number}: {message}")));
            }
            self.length += read as u64;
        }
    }

    fn check_head(&self, line: &[u8], ctx: &SinkCtx) -> Result<(), String> {
        let head: Head = serde_json::from_slice(line).map_err(|error| {
            format!("this is no manifest of a pipeline ({error}): give the sink a directory of its own")
        })?;
        if head.version != VERSION {
            return Err(format!(
                "the manifest has version {}, this program knows {VERSION}: use the newer program",
                head.version
            ));
        }
        if (&head.pipeline_id, &head.sink) != (&ctx.pipeline_id, &ctx.entry) {
            return Err(format!(
                "the directory holds the output of sink `{}` of pipeline `{}` (id {}): give this sink another directory, or move that output away",
                head.sink, head.pipeline, head.pipeline_id
            ));
        }
        Ok(())
    }

    fn check_entry(&mut self, line: &[u8]) -> Result<(), String> {
        let entry: Entry = serde_json::from_slice(line)
            .map_err(|error| format!("the line is damaged ({error}): restore the manifest"))?;
        self.newest = self.newest.max(Some(entry.batch));
        Ok(())
    }

    /// Writes a line behind the last whole one; what a failed write left there is cut off first.
    fn append_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        let written = self.file.write_all(&line).and_then(|()| match self.durable {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        if written.is_err() {
            // A whole line that was reported as failed must not count after a crash.
            let _ = self.file.set_len(self.length);
        }
        written?;
        self.length += line.len() as u64;
        Ok(())
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is being started may hold the file a moment longer.
        let _ = self.file.unlock();
    }
}
