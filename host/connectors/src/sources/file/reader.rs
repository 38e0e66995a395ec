//! Reads the splits of files, from any worker.

use std::collections::VecDeque;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::SchemaRef;
use bytes::Bytes;
use millstream_engine::batch::Chunk;
use millstream_engine::source::{ChunkStream, SourceError, Split, SplitReader};

use super::FileConfig;
use super::open::{Exactly, compression_of, data, open_file, shorter};
use super::place::FileSplit;
use super::{Compression, place::Progress};
use crate::formats::{Cutter, CutterConfig, FormatKind, RecordStream, Tail, header, io_error, parquet};

/// Bytes that planning decompressed and that readers may still want.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Opens the splits of files.
pub(crate) struct FileReader {
    config: Arc<FileConfig>,
    kept: Arc<Kept>,
}

impl FileReader {
    /// A reader that shares what planning keeps.
    pub(crate) fn new(config: Arc<FileConfig>, kept: Arc<Kept>) -> Self {
        Self { config, kept }
    }

    fn bytes(&self, split: &FileSplit) -> Result<Box<dyn Read + Send>, SourceError> {
        if let Some(bytes) = self.kept.get(split) {
            return Ok(Box::new(Cursor::new(bytes)));
        }
        let path = &split.file;
        if compression_of(path, self.config.compression) == Compression::None {
            let now = open_file(path)?.metadata().map_err(|error| io_error(path, &error))?.len();
            if now < split.to {
                return Err(shorter(path, now, split.to));
            }
        }
        let data = data(path, self.config.compression, split.from)?;
        Ok(Box::new(Exactly::new(data, split.to - split.from)))
    }

    fn cutter(&self, input: Box<dyn Read + Send>, at: u64) -> Cutter {
        let format = &self.config.format;
        let config = CutterConfig {
            framing: format.framing(),
            max_record_bytes: format.max_record_bytes(),
            tail: Tail::Record,
            at,
            skip_bom: true,
        };
        Cutter::new(input, config)
    }
}

impl SplitReader for FileReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.config.format.schema())
    }

    fn open(&self, split: &Split) -> Result<Box<dyn ChunkStream>, SourceError> {
        let split = FileSplit::read(split)?;
        let format = &self.config.format;
        if split.to < split.from {
            let message = format!("{}: the plan ends at {} before {}", split.file, split.to, split.from);
            return Err(SourceError::Permanent(message));
        }
        if format.kind() == FormatKind::Parquet {
            let file = open_file(&split.file)?;
            return parquet::open(file, Arc::clone(format), split.file, split.from..split.to);
        }
        let mut cutter = self.cutter(self.bytes(&split)?, split.from);
        let layout = match format.has_header() {
            false => None,
            true if split.from == 0 => header(format, &mut cutter, &split.file)?,
            true => {
                let start = data(&split.file, self.config.compression, 0)?;
                header(format, &mut self.cutter(start, 0), &split.file)?
            }
        };
        Ok(Box::new(RecordStream::new(Arc::clone(format), cutter, layout, split.file)))
    }

    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError> {
        self.config.format.single_records(records).map_err(|error| SourceError::Permanent(error.to_string()))
    }
}

/// What planning decompressed, so that readers need not do it again. Only a help: whatever is not
/// here is read from the file.
#[derive(Default)]
pub(crate) struct Kept {
    /// Oldest first; guards a short list, never held while data is read.
    splits: Mutex<VecDeque<(FileSplit, Bytes)>>,
}

impl Kept {
    /// Keeps the bytes of a split, if need be in place of older ones.
    pub(crate) fn put(&self, split: FileSplit, bytes: Bytes) {
        let mut splits = self.splits.lock().unwrap_or_else(PoisonError::into_inner);
        splits.push_back((split, bytes));
        let mut held: usize = splits.iter().map(|(_, bytes)| bytes.len()).sum();
        while held > KEPT_BYTES_MAX {
            let Some((_, oldest)) = splits.pop_front() else { break };
            held -= oldest.len();
        }
    }

    /// Forgets what a checkpoint covers.
    pub(crate) fn release(&self, covered: &Progress) {
        let mut splits = self.splits.lock().unwrap_or_else(PoisonError::into_inner);
        splits.retain(|(split, _)| {
            !covered.done.contains(&split.file) && split.from >= covered.at(&split.file)
        });
    }

    fn get(&self, wanted: &FileSplit) -> Option<Bytes> {
        let splits = self.splits.lock().unwrap_or_else(PoisonError::into_inner);
        splits.iter().find(|(split, _)| split == wanted).map(|(_, bytes)| bytes.clone())
    }
}
