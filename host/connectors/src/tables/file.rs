//! `type: file`: a table out of files, in the formats of the file source, whose decoders read them.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use millstream_engine::batch::Chunk;
use millstream_engine::pipeline::{SpecError, read};
use millstream_engine::source::{ChunkStream, SourceError};
use millstream_engine::table::{TableBounds, TableRead, TableReader, TableRows};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::stamp;
use crate::formats::parquet::{open as open_row_group, row_groups};
use crate::formats::{
    CsvSpec, Cutter, CutterConfig, Format, FormatKind, FormatSpec, RecordStream, Tail, header, io_error,
};
use crate::sources::file::{Compression, Order, Pattern, decoder, open_file};

/// The keys of a table of files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTableSpec {
    /// A file, a directory or a pattern; several files are one table, in the order of their paths.
    path: String,
    /// The format of the files.
    format: FormatKind,
    /// Columns and their types, in order; not for text.
    #[schemars(with = "crate::formats::ColumnsSchema")]
    schema: Option<Map<String, Value>>,
    /// A longer record is an error.
    max_record_bytes: Option<u64>,
    /// How CSV is written.
    csv: Option<CsvSpec>,
    /// How files are compressed.
    #[serde(default)]
    compression: Compression,
}

struct FileTable {
    pattern: Pattern,
    format: Arc<Format>,
    compression: Compression,
}

/// Checks the spec.
pub(super) fn plan(config: Map<String, Value>) -> Result<Arc<dyn TableReader>, SpecError> {
    let spec: FileTableSpec = read(Value::Object(config))?;
    let format = FormatSpec {
        kind: spec.format,
        schema: spec.schema,
        max_record_bytes: spec.max_record_bytes,
        csv: spec.csv,
    };
    let format = format.check()?;
    let pattern = Pattern::new(&spec.path).map_err(|message| SpecError::new("path", message))?;
    Ok(Arc::new(FileTable { pattern, format, compression: spec.compression }))
}

impl FileTable {
    fn paths(&self) -> Result<Vec<String>, SourceError> {
        let found = self.pattern.list(Order::Name, &BTreeSet::new())?;
        if found.is_empty() {
            let message = format!("{}: correct `path` or put the file there", self.pattern.nothing_found());
            return Err(SourceError::Permanent(message));
        }
        Ok(found.into_iter().map(|file| file.path).collect())
    }

    fn stamp(&self, paths: &[String]) -> Result<String, SourceError> {
        let stamps = paths.iter().map(|path| {
            let file = fs::metadata(path).map_err(|error| gone(path, &error))?;
            Ok(stamp(path, &file))
        });
        Ok(stamps.collect::<Result<Vec<_>, SourceError>>()?.join("; "))
    }

    fn file(&self, path: &str, rows: &mut TableRows) -> Result<(), SourceError> {
        if self.format.kind() == FormatKind::Parquet {
            for group in row_groups(open_file(path)?, &self.format, path)? {
                let file = open_file(path)?;
                let stream = open_row_group(file, Arc::clone(&self.format), path.to_owned(), group.rows)?;
                drain(stream, rows)?;
            }
            return Ok(());
        }
        let config = CutterConfig {
            framing: self.format.framing(),
            max_record_bytes: self.format.max_record_bytes(),
            tail: Tail::Record,
            at: 0,
            skip_bom: true,
        };
        let mut cutter = Cutter::new(decoder(path, self.compression)?, config);
        let layout = if self.format.has_header() { header(&self.format, &mut cutter, path)? } else { None };
        drain(Box::new(RecordStream::new(Arc::clone(&self.format), cutter, layout, path.to_owned())), rows)
    }
}

impl TableReader for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.format.schema())
    }

    fn read(&self, seen: Option<&str>, bounds: TableBounds) -> Result<Option<TableRead>, SourceError> {
        let paths = self.paths()?;
        let stamp = self.stamp(&paths)?;
        if seen == Some(stamp.as_str()) {
            return Ok(None);
        }
        let mut rows = TableRows::new(self.schema(), bounds);
        for path in &paths {
            self.file(path, &mut rows)?;
        }
        if self.stamp(&paths)? != stamp {
            let message =
                "the files changed while they were read: write a new file beside the old one and rename it";
            return Err(SourceError::Transient(format!("{}: {message}", self.pattern.path())));
        }
        Ok(Some(TableRead { rows: rows.finish()?, stamp }))
    }
}

/// Takes all rows; a record that is no row spoils the table, because nobody would look for what it lacks.
fn drain(mut stream: Box<dyn ChunkStream>, rows: &mut TableRows) -> Result<(), SourceError> {
    while let Some(Chunk { rows: good, bad }) = stream.next()? {
        if let Some(bad) = bad.first() {
            let message =
                format!("{}: {}: mend the record, a table takes no bad ones", bad.position, bad.reason);
            return Err(SourceError::Permanent(message));
        }
        rows.push(good)?;
    }
    Ok(())
}

fn gone(path: &str, error: &std::io::Error) -> SourceError {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            SourceError::Transient(format!("{path}: the file went away while the table was read"))
        }
        _ => io_error(path, error),
    }
}
