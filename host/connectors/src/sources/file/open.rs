//! Opens files for planning and reading: decompresses, goes to an offset, keeps to an end.

use std::fs::File;
use std::io::{self, Read};

use millstream_engine::source::SourceError;

use super::Compression;
use crate::formats::io_error;

/// How a file is really compressed.
pub(crate) fn compression_of(path: &str, compression: Compression) -> Compression {
    let ends = |extension: &str| {
        std::path::Path::new(path).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
    };
    match compression {
        Compression::Auto if ends("gz") => Compression::Gzip,
        Compression::Auto if ends("zst") => Compression::Zstd,
        Compression::Auto => Compression::None,
        given => given,
    }
}

/// Opens a file.
pub(crate) fn open_file(path: &str) -> Result<File, SourceError> {
    File::open(path).map_err(|error| io_error(path, &error))
}

/// The data of a file from its start, decompressed.
pub(crate) fn decoder(path: &str, compression: Compression) -> Result<Box<dyn Read + Send>, SourceError> {
    let file = open_file(path)?;
    Ok(match compression_of(path, compression) {
        Compression::None | Compression::Auto => Box::new(file),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(file))),
        Compression::Zstd => {
            Box::new(zstd::stream::read::Decoder::new(file).map_err(|error| io_error(path, &error))?)
        }
    })
}

/// A file lost data that a plan or a position counts on.
pub(crate) fn shorter(path: &str, now: u64, before: u64) -> SourceError {
    SourceError::Permanent(format!(
        "{path}: the file has {now} bytes and had at least {before} when it was planned: a file that is read must not \
         be cut or replaced; put the data back, or start the pipeline afresh"
    ))
}

/// Exactly so many bytes of some data; less is an error.
pub(crate) struct Exactly<R> {
    data: R,
    left: u64,
}

impl<R> Exactly<R> {
    /// The first `bytes` of `data`.
    pub(crate) fn new(data: R, bytes: u64) -> Self {
        Self { data, left: bytes }
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.data.read(&mut buffer[..wanted])?;
        if read == 0 {
            let message = format!("the file became shorter: {} planned bytes are missing", self.left);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
