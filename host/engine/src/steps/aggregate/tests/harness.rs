//! Rows, configurations and several workers driven by hand.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use tempfile::TempDir;

use super::super::*;
use crate::batch::{BatchId, EventTime, timestamp_us};
use crate::state::cold::{MemoryBudget, Spill};
use crate::windows::Tumbling;

/// Columns of the input.
pub(super) const TIME: usize = 0;
pub(super) const TEXT: usize = 1;
pub(super) const INT: usize = 2;
pub(super) const FLOAT: usize = 3;

/// A row of the input.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) time: Option<i64>,
    pub(super) text: Option<String>,
    pub(super) int: Option<i64>,
    pub(super) float: Option<f64>,
}

/// A row with a text and a number at a time.
pub(super) fn row(time: i64, text: &str, int: i64) -> Row {
    Row { time: Some(time), text: Some(text.into()), int: Some(int), float: None }
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", timestamp_us(), true),
        Field::new("text", DataType::Utf8, true),
        Field::new("int", DataType::Int64, true),
        Field::new("float", DataType::Float64, true),
    ]))
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let times: TimestampMicrosecondArray = rows.iter().map(|row| row.time).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| row.text.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.int).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.float).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub(super) fn context(watermark_us: Option<i64>) -> BatchCtx {
    BatchCtx { batch: BatchId(1), now_us: 0, watermark_us, seed: 0, order: 0 }
}

/// A function as `(function, argument, distinct)`.
pub(super) type Call = (&'static str, Option<usize>, bool);

pub(super) fn config(keys: &[usize], window_us: Option<i64>, calls: &[Call], emit: Emit) -> AggregateConfig {
    let function = |(number, &(function, argument, distinct)): (usize, &Call)| {
        let name = format!("f{number}");
        // Those that need a time take the one of the row.
        let time = matches!(function, "first" | "last").then_some(TIME);
        let arguments = argument.into_iter().chain(time).collect();
        let numbers = match function {
            "approx_percentile" => vec![0.9],
            "collect" => vec![4.0],
            "collect_distinct" | "top_k" => vec![3.0],
            _ => Vec::new(),
        };
        let call = FunctionCall::BuiltIn { function: function.into(), numbers, distinct };
        FunctionConfig { name, call, arguments }
    };
    AggregateConfig {
        input: schema(),
        keys: keys
            .iter()
            .map(|&column| KeyConfig { name: schema().field(column).name().clone(), column })
            .collect(),
        window: window_us.map(|size| WindowConfig {
            kind: WindowKind::Fixed(Tumbling::new(size, 0).unwrap().into()),
            time: EventTime::of_column(TIME),
            lateness_us: 0,
        }),
        functions: calls.iter().enumerate().map(function).collect(),
        emit,
        worker: 0,
        workers: 1,
    }
}

/// The workers of one step.
pub(super) struct Workers {
    pub(super) steps: Vec<Aggregate>,
    /// Where the groups are that memory has no room for.
    _dir: Option<TempDir>,
}

impl Workers {
    pub(super) fn new(config: &AggregateConfig, workers: u32) -> Self {
        let step = |worker| Aggregate::new(AggregateConfig { worker, workers, ..config.clone() }).unwrap();
        Self { steps: (0..workers).map(step).collect(), _dir: None }
    }

    /// The same, with so many bytes of memory for the state of all.
    pub(super) fn with_budget(config: &AggregateConfig, workers: u32, bytes: u64) -> Self {
        let mut all = Self::new(config, workers);
        let dir = tempfile::tempdir().unwrap();
        let budget = Arc::new(MemoryBudget::new(bytes));
        for (worker, step) in all.steps.iter_mut().enumerate() {
            let path = dir.path().join(format!("{worker}.db"));
            step.spill_to(Spill { path, budget: Arc::clone(&budget) }).unwrap();
        }
        Self { _dir: Some(dir), ..all }
    }

    /// Runs a batch whose chunks go around the workers; answers with results and rejected rows.
    pub(super) fn run(
        &mut self,
        watermark_us: Option<i64>,
        chunks: &[Vec<Row>],
    ) -> Result<(Vec<Vec<String>>, Vec<RejectedRow>), StepError> {
        self.run_at(0, watermark_us, chunks)
    }

    /// The same at a time of the plan's clock.
    pub(super) fn run_at(
        &mut self,
        now_us: i64,
        watermark_us: Option<i64>,
        chunks: &[Vec<Row>],
    ) -> Result<(Vec<Vec<String>>, Vec<RejectedRow>), StepError> {
        let context = BatchCtx { now_us, ..context(watermark_us) };
        let workers = self.steps.len();
        let mut rejected = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            rejected.extend(self.steps[number % workers].accumulate(&context, &batch(chunk))?);
        }
        let gathered = self.steps.iter_mut().map(Aggregate::exchange).collect::<Result<Vec<_>, _>>()?;
        let mut results = Vec::new();
        for (worker, step) in self.steps.iter_mut().enumerate() {
            for from in &gathered {
                step.merge(&context, &from[worker])?;
            }
            for batch in step.emit(&context)? {
                assert_eq!(batch.schema(), step.schema());
                results.extend(show(&batch));
            }
        }
        Ok((results, rejected))
    }

    pub(super) fn snapshot(&mut self, extent: Extent) -> Vec<StateChunk> {
        let mut all = Vec::new();
        for step in &mut self.steps {
            all.extend(step.snapshot(extent).unwrap());
            while let Some(more) = step.snapshot_more().unwrap() {
                all.extend(more);
            }
        }
        all
    }

    pub(super) fn restore(&mut self, chunks: &[StateChunk]) {
        for step in &mut self.steps {
            chunks.iter().for_each(|chunk| step.restore(chunk).unwrap());
        }
    }
}

/// The cells of a batch as text.
pub(super) fn show(batch: &RecordBatch) -> Vec<Vec<String>> {
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| show_cell(column, row)).collect())
        .collect()
}

fn show_cell(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "null".into();
    }
    match column.data_type() {
        DataType::Utf8 => format!("{:?}", column.as_string::<i32>().value(row)),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
        _ => column.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
    }
}
