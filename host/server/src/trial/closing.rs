//! The end of time: behind the last row of a trial comes one more with the latest time there is. It moves the watermark
//! behind all windows and timers and is dropped before the operator, which so sees what a drain that waits for
//! everything would show it.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};
use millstream_engine::batch::Chunk;
use millstream_engine::source::{
    ChunkStream, Limits, Poll, Position, Source, SourceError, Split, SplitReader,
};
use serde_json::json;

/// 9999-12-31T23:59:59.999999Z, the last microsecond that RFC 3339 can write.
const END_US: i64 = 253_402_300_799_999_999;
const END: &str = "9999-12-31T23:59:59.999999Z";

/// The rows that are not the end.
pub(super) fn filter(time: &str) -> String {
    let column = format!("\"{}\"", time.replace('"', "\"\""));
    format!("{column} IS NULL OR {column} < TIMESTAMP '{END}'")
}

/// A source with the end of time behind it.
pub(super) struct Closing {
    rows: Box<dyn Source>,
    time: String,
    /// The end is in a plan.
    closed: bool,
}

impl Closing {
    pub(super) fn new(rows: Box<dyn Source>, time: String) -> Self {
        Self { rows, time, closed: false }
    }
}

fn end() -> Split {
    Split(json!("end"))
}

impl Source for Closing {
    fn restore(&mut self, position: Option<&Position>) -> Result<(), SourceError> {
        let Some(Position(position)) = position else { return self.rows.restore(None) };
        self.closed = position["closed"] == json!(true);
        self.rows.restore(Some(&Position(position["rows"].clone())))
    }

    fn advance(&mut self, splits: &[Split]) -> Result<(), SourceError> {
        let (ends, rows): (Vec<Split>, Vec<Split>) =
            splits.iter().cloned().partition(|split| *split == end());
        self.closed |= !ends.is_empty();
        self.rows.advance(&rows)
    }

    fn poll(&mut self, limits: Limits) -> Result<Poll, SourceError> {
        let mut poll = self.rows.poll(limits)?;
        if poll.finished && poll.splits.is_empty() && !self.closed {
            self.closed = true;
            poll.splits.push(end());
        }
        poll.finished &= self.closed && poll.splits.is_empty();
        Ok(poll)
    }

    fn position(&self) -> Position {
        let Position(rows) = self.rows.position();
        Position(json!({ "rows": rows, "closed": self.closed }))
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        Arc::new(Reader { rows: self.rows.reader(), time: self.time.clone() })
    }

    fn release(&mut self, position: &Position) -> Result<(), SourceError> {
        self.rows.release(&Position(position.0["rows"].clone()))
    }
}

struct Reader {
    rows: Arc<dyn SplitReader>,
    time: String,
}

impl SplitReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn open(&self, split: &Split) -> Result<Box<dyn ChunkStream>, SourceError> {
        if *split != end() {
            return self.rows.open(split);
        }
        let rows = last_row(&self.schema(), &self.time)
            .map_err(|error| SourceError::Permanent(format!("the end of the input: {error}")))?;
        Ok(Box::new(Once(Some(rows))))
    }

    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError> {
        self.rows.decode(records)
    }
}

struct Once(Option<RecordBatch>);

impl ChunkStream for Once {
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        Ok(self.0.take().map(|rows| Chunk { rows, bad: Vec::new() }))
    }
}

fn last_row(schema: &SchemaRef, time: &str) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| {
        if field.name() == time {
            Arc::new(TimestampMicrosecondArray::from(vec![END_US]).with_timezone("UTC"))
        } else if field.is_nullable() {
            new_null_array(field.data_type(), 1)
        } else {
            some_value(field)
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

/// Any value of a column that has no nulls: nobody gets to see it.
fn some_value(field: &Field) -> ArrayRef {
    match field.data_type() {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![false])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![0])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![0])),
        DataType::Float32 => Arc::new(Float32Array::from(vec![0.0])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![0.0])),
        DataType::Utf8 => Arc::new(StringArray::from(vec![""])),
        DataType::Binary => Arc::new(BinaryArray::from(vec![&b""[..]])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![0])),
        _ => Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
    }
}
