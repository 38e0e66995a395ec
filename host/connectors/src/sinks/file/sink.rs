//! The sink at work: a temporary file while a batch comes, then its name, then its manifest line.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use millstream_engine::batch::BatchId;
use millstream_engine::pipeline::SinkCtx;
use millstream_engine::sink::{Sink, SinkError};

use super::super::io_error;
use super::FilePlan;
use super::manifest::{Entry, Manifest};
use super::part::{Part, PartError};

/// Writes the batches of one sink of one pipeline to its directory.
pub(super) struct FileSink {
    plan: FilePlan,
    ctx: SinkCtx,
    manifest: Manifest,
    batch: BatchId,
    /// From `begin` until the first error, commit or abort: only then there is something to commit.
    begun: bool,
    part: Option<Part>,
}

impl FileSink {
    /// Opens the directory, and removes what was never committed.
    pub(super) fn open(plan: FilePlan, ctx: SinkCtx) -> Result<Self, SinkError> {
        fs::create_dir_all(&plan.dir).map_err(|error| io_error(&plan.dir, &error))?;
        let manifest = Manifest::open(&plan.dir, &ctx)?;
        let sink = Self { plan, ctx, manifest, batch: BatchId::ZERO, begun: false, part: None };
        sink.remove_uncommitted()
            .and_then(|()| sink.sync_dir())
            .map_err(|error| io_error(&sink.plan.dir, &error))?;
        Ok(sink)
    }

    /// Temporary files, and whole ones whose manifest line a crash prevented.
    fn remove_uncommitted(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.plan.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let leftover = match name.strip_prefix('.') {
                Some(hidden) => hidden.strip_suffix(".tmp").and_then(batch_of).is_some(),
                None => batch_of(name).is_some_and(|batch| Some(batch) > self.manifest.newest()),
            };
            if leftover {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("part-{:012}.{}", self.batch.0, self.plan.format.extension())
    }

    fn final_path(&self) -> PathBuf {
        self.plan.dir.join(self.name())
    }

    fn temporary_path(&self) -> PathBuf {
        self.plan.dir.join(format!(".{}.tmp", self.name()))
    }

    fn is_committed(&self) -> bool {
        self.manifest.newest() >= Some(self.batch)
    }

    /// A new name is on the disk when its directory is.
    fn sync_dir(&self) -> io::Result<()> {
        if self.ctx.durable { File::open(&self.plan.dir)?.sync_all() } else { Ok(()) }
    }

    fn error(&self, error: PartError) -> SinkError {
        let path = self.temporary_path();
        match error {
            PartError::Io(error) => io_error(&path, &error),
            PartError::Rows(message) => {
                SinkError::Permanent(format!("{}: the rows cannot be written: {message}", path.display()))
            }
        }
    }

    fn forget(&mut self) {
        self.begun = false;
        if self.part.take().is_some() {
            // What stays is removed when the batch is written again or the sink is opened.
            let _ = fs::remove_file(self.temporary_path());
        }
    }

    fn publish(&mut self, part: Part) -> Result<(), SinkError> {
        let (temporary, path) = (self.temporary_path(), self.final_path());
        let finished = match part.finish(self.ctx.durable) {
            Ok(finished) => finished,
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                return Err(self.error(error));
            }
        };
        let entry = Entry {
            batch: self.batch,
            file: Some(self.name()),
            rows: finished.rows,
            bytes: finished.bytes,
            sha256: Some(finished.sha256),
        };
        let published = fs::rename(&temporary, &path)
            .and_then(|()| self.sync_dir())
            .and_then(|()| self.manifest.append(&entry));
        published.map_err(|error| {
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&path);
            io_error(&path, &error)
        })
    }
}

impl Sink for FileSink {
    fn committed(&mut self) -> Result<Option<BatchId>, SinkError> {
        Ok(self.manifest.newest())
    }

    fn begin(&mut self, batch: BatchId) -> Result<(), SinkError> {
        self.forget();
        self.batch = batch;
        self.begun = true;
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        if rows.num_rows() == 0 || self.is_committed() {
            return Ok(());
        }
        let mut part = match self.part.take() {
            Some(part) => part,
            None => Part::create(&self.temporary_path(), self.plan.format, &self.ctx.schema)
                .map_err(|error| self.error(error))?,
        };
        let written = part.write(rows);
        self.part = Some(part);
        written.map_err(|error| {
            self.forget();
            self.error(error)
        })
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        if !std::mem::take(&mut self.begun) {
            return Err(SinkError::Transient(format!("{}: no batch has begun", self.plan.dir.display())));
        }
        if self.is_committed() {
            return Ok(());
        }
        match self.part.take() {
            Some(part) => self.publish(part),
            // Nothing is there to be kept: a batch that is run again gives the same rows, none again.
            None => Ok(()),
        }
    }

    fn abort(&mut self) {
        self.forget();
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The batch whose file bears the name; none when it is not one of ours.
fn batch_of(name: &str) -> Option<BatchId> {
    let (digits, extension) = name.strip_prefix("part-")?.split_once('.')?;
    let ours = matches!(extension, "ndjson" | "csv" | "parquet")
        && digits.len() >= 12
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    ours.then(|| digits.parse().ok().map(BatchId)).flatten()
}
