//! The file of one batch while it is being written: bytes are counted and hashed on their way.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use super::super::text::{write_csv, write_hex, write_ndjson};
use super::Format;

/// Why rows are not in the file.
pub(super) enum PartError {
    /// The machine refused.
    Io(io::Error),
    /// The rows cannot be written in the format.
    Rows(String),
}

impl From<io::Error> for PartError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a finished file holds.
pub(super) struct Finished {
    /// Rows.
    pub(super) rows: u64,
    /// Bytes.
    pub(super) bytes: u64,
    /// SHA-256 in hexadecimal.
    pub(super) sha256: String,
}

/// A file that is being written.
pub(super) struct Part {
    encoder: Encoder,
    rows: u64,
}

enum Encoder {
    Ndjson(Output),
    Csv(Output),
    Parquet(Box<ArrowWriter<Output>>),
}

impl Part {
    /// Makes the file, or empties it.
    pub(super) fn create(path: &Path, format: Format, schema: &SchemaRef) -> Result<Self, PartError> {
        let output = Output::new(File::create(path)?);
        let encoder = match format {
            Format::Ndjson => Encoder::Ndjson(output),
            Format::Csv => Encoder::Csv(output),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(output, Arc::clone(schema), Some(properties));
                Encoder::Parquet(Box::new(writer.map_err(parquet_error)?))
            }
        };
        Ok(Self { encoder, rows: 0 })
    }

    /// Writes rows.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), PartError> {
        match &mut self.encoder {
            Encoder::Ndjson(output) => {
                let written = write_ndjson(rows, &mut *output);
                output.check(written)?;
            }
            Encoder::Csv(output) => {
                let written = write_csv(rows, self.rows == 0, &mut *output);
                output.check(written)?;
            }
            Encoder::Parquet(writer) => writer.write(rows).map_err(parquet_error)?,
        }
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// Writes what is left, and waits until the disk has it when `durable`.
    pub(super) fn finish(self, durable: bool) -> Result<Finished, PartError> {
        let mut output = match self.encoder {
            Encoder::Ndjson(output) | Encoder::Csv(output) => output,
            Encoder::Parquet(writer) => writer.into_inner().map_err(parquet_error)?,
        };
        output.file.flush()?;
        if durable {
            output.file.get_ref().sync_all()?;
        }
        let mut sha256 = String::with_capacity(64);
        write_hex(&output.hash.finalize(), &mut sha256);
        Ok(Finished { rows: self.rows, bytes: output.bytes, sha256 })
    }
}

fn parquet_error(error: ParquetError) -> PartError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => PartError::Io(*error),
            Err(cause) => PartError::Rows(cause.to_string()),
        },
        other => PartError::Rows(other.to_string()),
    }
}

/// A file behind a buffer. Text writers wrap an I/O error in one of their own, so it is kept here.
struct Output {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    failed: Option<io::Error>,
}

/// Bytes that go to the file in one system call.
const BUFFER_BYTES: usize = 256 * 1024;

impl Output {
    fn new(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hash: Sha256::new(),
            bytes: 0,
            failed: None,
        }
    }

    fn check(&mut self, written: Result<(), arrow_schema::ArrowError>) -> Result<(), PartError> {
        match (self.failed.take(), written) {
            (Some(error), _) => Err(PartError::Io(error)),
            (None, Err(error)) => Err(PartError::Rows(error.to_string())),
            (None, Ok(())) => Ok(()),
        }
    }

    fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            self.failed.get_or_insert(copy);
        }
        result
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        let written = self.keep(written)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Text writers flush after every chunk; the file is flushed once, when it is finished.
        Ok(())
    }
}
