//! Reads the splits of files, from any worker.

use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use millstream_engine::batch::Chunk;
use millstream_engine::source::{ChunkStream, SourceError, Split, SplitReader};

use super::followed::{Followed, Place};
use super::kept::Kept;
use super::open::{Exactly, compression_of, decoder, open_file, shorter};
use super::place::FileSplit;
use super::{Compression, FileConfig};
use crate::formats::{Cutter, CutterConfig, FormatKind, RecordStream, Tail, header, io_error, parquet};

/// A header is mostly shorter than this; a longer one is read in more steps.
const HEADER_BYTES: usize = 4 * 1024;

/// Opens the splits of files.
pub(crate) struct FileReader {
    config: Arc<FileConfig>,
    kept: Arc<Kept>,
    followed: Arc<Followed>,
}

impl FileReader {
    /// A reader that shares what planning keeps and holds.
    pub(crate) fn new(config: Arc<FileConfig>, kept: Arc<Kept>, followed: Arc<Followed>) -> Self {
        Self { config, kept, followed }
    }

    /// The file of a split that is not compressed.
    fn file(&self, split: &FileSplit) -> Result<Arc<File>, SourceError> {
        match split.inode {
            None => Ok(Arc::new(open_file(&split.file)?)),
            Some(inode) => self.followed.find(&split.file, inode)?.ok_or_else(|| rotated_away(&split.file)),
        }
    }

    /// All data from the start, for a header.
    fn start(&self, split: &FileSplit) -> Result<Box<dyn Read + Send>, SourceError> {
        match compression_of(&split.file, self.config.compression) {
            Compression::None => Ok(Box::new(Place::new(self.file(split)?, 0))),
            compression => decoder(&split.file, compression),
        }
    }

    fn bytes(&self, split: &FileSplit) -> Result<Box<dyn Read + Send>, SourceError> {
        if let Some(bytes) = self.kept.get(split) {
            return Ok(Box::new(Cursor::new(bytes)));
        }
        let path = &split.file;
        let data: Box<dyn Read + Send> = if compression_of(path, self.config.compression) == Compression::None
        {
            let file = self.file(split)?;
            let now = file.metadata().map_err(|error| io_error(path, &error))?.len();
            if now < split.to {
                return Err(shorter(path, now, split.to));
            }
            Box::new(Place::new(file, split.from))
        } else {
            self.kept.data(path, self.config.compression, split.from)?
        };
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
        if split.from == split.to && split.inode.is_some() {
            // Says only that the file is done with; it may be gone.
            return Ok(Box::new(NoChunks));
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
                let mut cutter = self.cutter(self.start(&split)?, 0);
                cutter.set_block(HEADER_BYTES);
                header(format, &mut cutter, &split.file)?
            }
        };
        Ok(Box::new(RecordStream::new(Arc::clone(format), cutter, layout, split.file)))
    }

    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError> {
        self.config.format.single_records(records).map_err(|error| SourceError::Permanent(error.to_string()))
    }
}

/// A file that was followed is neither at its path nor beside it.
pub(crate) fn rotated_away(path: &str) -> SourceError {
    SourceError::Permanent(format!(
        "{path}: the file that was followed here is gone before all of it was read: put it back beside its path under \
         any name, or start the pipeline afresh; let logs be rotated by renaming, and deleted only later"
    ))
}

struct NoChunks;

impl ChunkStream for NoChunks {
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        Ok(None)
    }
}
