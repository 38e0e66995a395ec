//! `parquet`: columns are found by name and checked against the spec's types; row groups are read on
//! their own. Widening is fine, guessing is not.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use arrow_select::filter::filter_record_batch;
use millstream_engine::batch::{BadRecord, Chunk, type_name};
use millstream_engine::source::{ChunkStream, SourceError};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::column::{Wire, epoch_us};
use super::{Format, bad_record};

/// One row group of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowGroup {
    /// Its rows, counted over the whole file.
    pub(crate) rows: Range<u64>,
    /// Its bytes, decompressed.
    pub(crate) bytes: u64,
}

/// The row groups of a file, after its columns were checked.
pub(crate) fn row_groups(file: File, format: &Format, origin: &str) -> Result<Vec<RowGroup>, SourceError> {
    let builder = builder(file, origin)?;
    check(format, builder.schema(), origin)?;
    let mut start = 0;
    let groups = builder.metadata().row_groups().iter().map(|group| {
        let rows = start..start + u64::try_from(group.num_rows()).unwrap_or(0);
        start = rows.end;
        RowGroup { rows, bytes: u64::try_from(group.total_byte_size()).unwrap_or(0) }
    });
    Ok(groups.filter(|group| !group.rows.is_empty()).collect())
}

/// Reads rows that lie in one row group.
pub(crate) fn open(
    file: File,
    format: Arc<Format>,
    origin: String,
    rows: Range<u64>,
) -> Result<Box<dyn ChunkStream>, SourceError> {
    let builder = builder(file, &origin)?;
    check(&format, builder.schema(), &origin)?;
    let mut start = 0;
    let groups = builder.metadata().row_groups().iter().enumerate().map(|(index, group)| {
        let first = start;
        start += u64::try_from(group.num_rows()).unwrap_or(0);
        (index, first..start)
    });
    let group = groups.filter(|(_, group)| group.contains(&rows.start) && group.end >= rows.end).last();
    let Some((index, group)) = group else {
        if rows.is_empty() {
            return Ok(Box::new(NoRows));
        }
        let message = format!(
            "{origin}: rows {} to {} were planned and are not in one row group any more: a file that is read must not be \
             replaced; put it back, or start the pipeline afresh",
            rows.start, rows.end
        );
        return Err(SourceError::Permanent(message));
    };
    let names = format.schema().fields().iter().map(|field| field.name().as_str());
    let roots = builder.schema().fields().iter().enumerate();
    let names: Vec<&str> = names.collect();
    let wanted = roots.filter(|(_, field)| names.contains(&field.name().as_str())).map(|(index, _)| index);
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.collect::<Vec<_>>());
    let as_size = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
    let reader = builder
        .with_projection(mask)
        .with_row_groups(vec![index])
        .with_offset(as_size(rows.start - group.start))
        .with_limit(as_size(rows.end - rows.start))
        .with_batch_size(Chunk::ROWS_TARGET)
        .build()
        .map_err(|error| damaged(&origin, &error))?;
    Ok(Box::new(RowGroupStream { reader, format, origin, row: rows.start, end: rows.end }))
}

fn builder(file: File, origin: &str) -> Result<ParquetRecordBatchReaderBuilder<File>, SourceError> {
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(origin, &error))
}

fn damaged(origin: &str, error: &dyn std::fmt::Display) -> SourceError {
    SourceError::Permanent(format!("{origin}: no readable Parquet file: {error}"))
}

/// Whether a file's columns are those of the spec.
fn check(format: &Format, found: &Schema, origin: &str) -> Result<(), SourceError> {
    for (index, field) in format.schema().fields().iter().enumerate() {
        let column = found.field_with_name(field.name()).map_err(|_| {
            let names =
                found.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("{origin}: there is no column `{}`; the file has: {names}", field.name());
            SourceError::Permanent(message)
        })?;
        if !widens(column.data_type(), field, format.columns().wire(index)) {
            let message = format!(
                "{origin}: column `{}` is {} in the file and {} in the spec: correct `schema`",
                field.name(),
                type_name(column.data_type()),
                type_name(field.data_type())
            );
            return Err(SourceError::Permanent(message));
        }
    }
    Ok(())
}

/// Whether every value of a type is a value of the column.
fn widens(from: &DataType, to: &Field, wire: Wire) -> bool {
    use DataType::{
        Binary, Boolean, Date32, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8,
    };
    use DataType::{BinaryView, Dictionary, UInt8, UInt16, UInt32, Utf8, Utf8View};
    let small = matches!(from, Int8 | Int16 | UInt8 | UInt16);
    if let Wire::Epoch(_) = wire {
        return small || matches!(from, Int32 | Int64 | UInt32);
    }
    match (from, to.data_type()) {
        (Dictionary(_, values), _) => widens(values, to, wire),
        (Boolean, Boolean) | (Date32, Date32) | (Float32, Float32) | (Float64 | Float32, Float64) => true,
        (Int32, Int32) | (Int32 | Int64 | UInt32, Int64) => true,
        (_, Int32 | Int64) => small,
        (Utf8 | LargeUtf8 | Utf8View, Utf8) => true,
        (Binary | LargeBinary | BinaryView | DataType::FixedSizeBinary(_), Binary) => true,
        // Nanoseconds lose digits, as they do everywhere in the engine.
        (DataType::Timestamp(_, _), DataType::Timestamp(TimeUnit::Microsecond, _)) => true,
        _ => false,
    }
}

struct NoRows;

impl ChunkStream for NoRows {
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        Ok(None)
    }
}

struct RowGroupStream {
    reader: ParquetRecordBatchReader,
    format: Arc<Format>,
    origin: String,
    row: u64,
    end: u64,
}

impl ChunkStream for RowGroupStream {
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        let Some(rows) = self.reader.next() else {
            if self.row < self.end {
                let message = format!("rows end at {} instead of {}", self.row, self.end);
                return Err(damaged(&self.origin, &message));
            }
            return Ok(None);
        };
        let chunk = rows.and_then(|rows| self.chunk(&rows));
        chunk.map(Some).map_err(|error| damaged(&self.origin, &error))
    }
}

impl RowGroupStream {
    fn chunk(&mut self, read: &RecordBatch) -> Result<Chunk, ArrowError> {
        let row = self.row;
        self.row += read.num_rows() as u64;
        let schema = self.format.schema();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let column = read
                .column_by_name(field.name())
                .ok_or_else(|| ArrowError::SchemaError(format!("no column `{}`", field.name())))?;
            columns.push(shaped(column, field, self.format.columns().wire(index))?);
        }
        let nulls = self.forbidden_nulls(&columns);
        let Some(forbidden) = nulls else {
            return Ok(Chunk { rows: RecordBatch::try_new(Arc::clone(schema), columns)?, bad: Vec::new() });
        };
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let all = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)?;
        let good: BooleanArray = forbidden.iter().map(|column| Some(column.is_none())).collect();
        let rows = filter_record_batch(&all, &good)?;
        let rows = RecordBatch::try_new(Arc::clone(schema), rows.columns().to_vec())?;
        let mut bad = Vec::new();
        for (index, column) in forbidden.iter().enumerate() {
            if let Some(column) = column {
                bad.push(self.reject(&read.slice(index, 1), row + index as u64, column)?);
            }
        }
        Ok(Chunk { rows, bad })
    }

    /// For each row the first column whose null is forbidden; none when there are no such rows.
    fn forbidden_nulls(&self, columns: &[ArrayRef]) -> Option<Vec<Option<String>>> {
        let fields = self.format.schema().fields().iter();
        let strict: Vec<_> = fields
            .zip(columns)
            .filter(|(field, column)| !field.is_nullable() && column.null_count() > 0)
            .collect();
        let rows = strict.first()?.1.len();
        let first = |row| {
            strict.iter().find(|(_, column)| column.is_null(row)).map(|(field, _)| field.name().clone())
        };
        Some((0..rows).map(first).collect())
    }

    /// A row as a JSON object as the file has it, so that it can be read again.
    fn reject(&self, row: &RecordBatch, index: u64, column: &str) -> Result<BadRecord, ArrowError> {
        let mut json = arrow_json::LineDelimitedWriter::new(Vec::new());
        json.write(row)?;
        let bytes = json.into_inner();
        let reason =
            format!("column `{column}` is null and may not be: allow it in `schema`, or correct the file");
        Ok(bad_record(format!("{}, row {index}", self.origin), bytes.trim_ascii_end(), reason))
    }
}

/// Arrow would make null of what does not fit; that must be said instead.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow_cast::display::FormatOptions::new() };

fn shaped(column: &ArrayRef, field: &Field, wire: Wire) -> Result<ArrayRef, ArrowError> {
    let Wire::Epoch(unit_us) = wire else { return cast_with_options(column, field.data_type(), &STRICT) };
    let numbers = cast_with_options(column, &DataType::Int64, &STRICT)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    let times = numbers.try_unary::<_, TimestampMicrosecondType, _>(|value| {
        epoch_us(value, unit_us).ok_or_else(|| ArrowError::ComputeError(format!("{value} is no timestamp")))
    })?;
    Ok(Arc::new(times.with_data_type(field.data_type().clone())))
}
