//! Plans and reads ranges of generated rows.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use millstream_engine::batch::Chunk;
use millstream_engine::clock::SharedClock;
use millstream_engine::source::{
    ChunkStream, Limits, Poll, Position, Source, SourceError, Split, SplitReader,
};
use serde::{Deserialize, Serialize};

use super::GenerateConfig;

/// Bytes of a split.
const SPLIT_BYTES: u64 = 4 * 1024 * 1024;

/// Rows of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rows {
    from: u64,
    to: u64,
    began_us: i64,
}

/// Where the source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    row: u64,
    /// When the pipeline read first: event times count from there.
    began_us: Option<i64>,
}

/// Makes rows up.
pub(crate) struct GenerateSource {
    config: Arc<GenerateConfig>,
    clock: SharedClock,
    place: Place,
    /// The rate counts from here: a row, and a time in microseconds.
    paced_from: Option<(u64, i64)>,
}

impl GenerateSource {
    /// A source at its first row.
    pub(crate) fn new(config: Arc<GenerateConfig>, clock: SharedClock) -> Self {
        Self { config, clock, place: Place { row: 0, began_us: None }, paced_from: None }
    }

    /// The first row that is not due yet.
    fn due(&mut self, now_us: i64) -> u64 {
        let Some(rate) = self.config.rows_per_second else { return self.config.rows };
        let (row, since_us) = *self.paced_from.get_or_insert((self.place.row, now_us));
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is about"
        )]
        let rows = (now_us.saturating_sub(since_us).max(0) as f64 * rate / 1_000_000.0) as u64;
        row.saturating_add(rows).min(self.config.rows)
    }
}

fn foreign(error: &serde_json::Error) -> SourceError {
    SourceError::Permanent(format!("this is not of a generator: {error}"))
}

fn rows_of(split: &Split) -> Result<Rows, SourceError> {
    let rows: Rows = serde_json::from_value(split.0.clone()).map_err(|error| foreign(&error))?;
    if rows.to < rows.from {
        return Err(SourceError::Permanent(format!("the plan ends at row {} before {}", rows.to, rows.from)));
    }
    Ok(rows)
}

impl Source for GenerateSource {
    fn restore(&mut self, position: Option<&Position>) -> Result<(), SourceError> {
        self.paced_from = None;
        self.place = match position {
            None => Place { row: 0, began_us: None },
            Some(position) => serde_json::from_value(position.0.clone()).map_err(|error| foreign(&error))?,
        };
        Ok(())
    }

    fn advance(&mut self, splits: &[Split]) -> Result<(), SourceError> {
        for split in splits {
            let rows = rows_of(split)?;
            self.place = Place { row: rows.to, began_us: Some(rows.began_us) };
        }
        Ok(())
    }

    fn poll(&mut self, limits: Limits) -> Result<Poll, SourceError> {
        let now_us = self.clock.now_us();
        let due = self.due(now_us);
        let row_bytes = self.config.row_bytes.max(1);
        let wanted = limits.rows.min(limits.bytes.div_ceil(row_bytes));
        let end = due.min(self.place.row.saturating_add(wanted));
        let split_rows = (SPLIT_BYTES / row_bytes).max(1);
        let bytes = end.saturating_sub(self.place.row).saturating_mul(row_bytes);
        let mut splits = Vec::new();
        while self.place.row < end {
            let began_us = *self.place.began_us.get_or_insert(now_us);
            let from = self.place.row;
            let to = end.min(from.saturating_add(split_rows));
            self.place.row = to;
            let rows = Rows { from, to, began_us };
            splits.push(Split(serde_json::to_value(rows).expect("numbers are always JSON")));
        }
        let backlog_bytes = (due - end.min(due)).saturating_mul(row_bytes);
        Ok(Poll { splits, bytes, finished: self.place.row >= self.config.rows, backlog_bytes })
    }

    fn position(&self) -> Position {
        Position(serde_json::to_value(self.place).expect("numbers are always JSON"))
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        Arc::new(GenerateReader(Arc::clone(&self.config)))
    }

    fn release(&mut self, _position: &Position) -> Result<(), SourceError> {
        Ok(())
    }
}

struct GenerateReader(Arc<GenerateConfig>);

impl SplitReader for GenerateReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn open(&self, split: &Split) -> Result<Box<dyn ChunkStream>, SourceError> {
        Ok(Box::new(RowStream { config: Arc::clone(&self.0), rows: rows_of(split)? }))
    }

    fn decode(&self, records: &[&[u8]]) -> Result<Chunk, SourceError> {
        if records.is_empty() {
            return Ok(Chunk { rows: RecordBatch::new_empty(self.schema()), bad: Vec::new() });
        }
        Err(SourceError::Permanent("generated rows are never dead letters of their source".to_owned()))
    }
}

struct RowStream {
    config: Arc<GenerateConfig>,
    rows: Rows,
}

impl ChunkStream for RowStream {
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        let from = self.rows.from;
        let to = self.rows.to.min(from.saturating_add(Chunk::ROWS_TARGET as u64));
        if from >= to {
            return Ok(None);
        }
        self.rows.from = to;
        let columns = self.config.columns.iter().map(|column| column.values(from..to, self.rows.began_us));
        let rows = RecordBatch::try_new(Arc::clone(&self.config.schema), columns.collect());
        let rows = rows.map_err(|error| SourceError::Permanent(error.to_string()))?;
        Ok(Some(Chunk { rows, bad: Vec::new() }))
    }
}
