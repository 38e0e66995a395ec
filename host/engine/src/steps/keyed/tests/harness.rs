//! An operator whose rows say what they do, and workers that run it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use millstream_wasm::{CallClock, CallError, Fault, Outcome, Turn};

use crate::batch::{BatchCtx, BatchId, DeadLetterKind, EventTime, timestamp_us};
use crate::state::cold::{MemoryBudget, Spill};
use crate::steps::keyed::{Operator, StateParts, StatePlan, TimerClock};
use crate::steps::{Extent, KeyedStep, Keys, LostTimer, Parcel, StateChunk, StateSize, StepError};

/// What a row does to the operator: it adds a number to the key's sum, or one of these.
pub(super) const TRAPS: i64 = -1;
pub(super) const IS_SLOW: i64 = -2;
pub(super) const IS_REJECTED: i64 = -3;
pub(super) const IS_TOO_LARGE: i64 = -4;
pub(super) const CLEARS: i64 = -5;
pub(super) const IS_REFUSED_ALOUD: i64 = -6;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) at: Option<i64>,
    pub(super) key: Option<&'static str>,
    pub(super) does: i64,
    pub(super) id: i64,
}

/// Key, sum, and the row or the timer that it came out for.
pub(super) type Emitted = (Option<String>, i64, i64);

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("at", timestamp_us(), true),
        Field::new("key", DataType::Utf8, true),
        Field::new("does", DataType::Int64, false),
        Field::new("id", DataType::Int64, false),
    ]))
}

fn output_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, true),
        Field::new("sum", DataType::Int64, false),
        Field::new("for", DataType::Int64, false),
    ]))
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let times: TimestampMicrosecondArray = rows.iter().map(|row| row.at).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| row.key).collect::<StringArray>()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.does))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// What a timer does, given the sum of its key: as rows do.
pub(super) fn timer_does(sum: i64) -> i64 {
    match sum.rem_euclid(11) {
        5 => TRAPS,
        6 => IS_SLOW,
        _ => 0,
    }
}

/// Where a row sets the timer of its key; an earlier time than the row's own is in the past.
pub(super) fn timer_of(row_at: i64, number: i64) -> Option<i64> {
    (number % 3 != 0).then_some(row_at + number - 6)
}

/// Adds numbers. A timer gives the sum; an odd one is kept and gets another timer.
pub(super) struct Sums {
    /// Nothing exceeds its time.
    pub(super) is_fast: bool,
}

impl Sums {
    fn fault(&self, does: i64) -> Result<(), CallError> {
        Err(CallError::Broken(match does {
            TRAPS => Fault::Trapped { what: "on purpose".into(), stdio: String::new() },
            IS_SLOW if !self.is_fast => Fault::TimedOut { deadline_ms: 1, stdio: String::new() },
            IS_REFUSED_ALOUD => return Err(CallError::Answered("not this".into())),
            _ => return Ok(()),
        }))
    }
}

impl Operator for Sums {
    fn process(&mut self, _: &CallClock, turn: &Turn<'_>) -> Result<Outcome, CallError> {
        let keys = turn.keys.column(0).as_string::<i32>();
        let key = |key: u32| keys.is_valid(key as usize).then(|| keys.value(key as usize).to_owned());
        let read = |state: Option<&[u8]>| state.map(|state| i64::from_le_bytes(state.try_into().unwrap()));
        let mut sums: Vec<Option<i64>> = turn.states.iter().map(read).collect();
        let (mut out, mut timers, mut rejected): (Vec<Emitted>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        for due in turn.due {
            let sum = &mut sums[due.key as usize];
            self.fault(timer_does(sum.unwrap_or(0)))?;
            out.push((key(due.key), sum.unwrap_or(-1), due.at_us));
            if sum.is_some_and(|sum| sum % 2 == 1) {
                timers.push((due.key, due.at_us + 7));
            } else {
                *sum = None;
            }
        }
        let times = turn.rows.column(0).as_primitive::<TimestampMicrosecondType>();
        let does = turn.rows.column(2).as_primitive::<Int64Type>();
        let ids = turn.rows.column(3).as_primitive::<Int64Type>();
        let mut too_large = None;
        for (row, key_index) in turn.row_keys.iter().enumerate() {
            let sum = &mut sums[*key_index as usize];
            self.fault(does.value(row))?;
            match does.value(row) {
                IS_REJECTED => rejected.push((row as u32, "rejected on purpose".to_owned())),
                IS_TOO_LARGE => too_large = Some(*key_index),
                CLEARS => *sum = None,
                number => {
                    let total = sum.unwrap_or(0) + number.max(0);
                    *sum = Some(total);
                    timers.extend(timer_of(times.value(row), number.max(0)).map(|at_us| (*key_index, at_us)));
                    if number % 5 == 0 {
                        out.push((key(*key_index), total, ids.value(row)));
                    }
                }
            }
        }
        if let Some(key) = too_large {
            return Err(CallError::Broken(Fault::StateTooLarge { key, bytes: 9, limit_bytes: 8 }));
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(out.iter().map(|row| row.0.as_deref()).collect::<StringArray>()),
            Arc::new(Int64Array::from_iter_values(out.iter().map(|row| row.1))),
            Arc::new(Int64Array::from_iter_values(out.iter().map(|row| row.2))),
        ];
        Ok(Outcome {
            rows: RecordBatch::try_new(output_schema(), columns).unwrap(),
            states: sums.iter().map(|sum| sum.map(i64::to_le_bytes)).collect(),
            timers,
            rejected,
        })
    }

    fn migrate(&mut self, from_version: &str, states: &BinaryArray) -> Result<BinaryArray, CallError> {
        if from_version == "0.0.1" {
            return Err(CallError::Answered("states of 0.0.1 are unknown".into()));
        }
        let double = |state: &[u8]| (2 * i64::from_le_bytes(state.try_into().unwrap())).to_le_bytes();
        Ok(states.iter().map(|state| state.map(double)).collect())
    }
}

pub(super) fn parts(event_time: bool, ttl_us: Option<i64>) -> StateParts {
    StateParts {
        keys: Keys::new(&[("key".to_owned(), "key".to_owned())], &schema()).unwrap(),
        input: schema(),
        timers: if event_time {
            TimerClock::EventTime(EventTime::of_column(0))
        } else {
            TimerClock::ProcessingTime
        },
        ttl_us,
        delay_us: 0,
        operator: "test/sums".to_owned(),
        version: "1.0.0".to_owned(),
        memory_bytes: 1 << 20,
        initial: None,
    }
}

/// What a batch gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ran {
    pub(super) emitted: Vec<Emitted>,
    /// Ids of rows, and why.
    pub(super) refused: Vec<(i64, DeadLetterKind)>,
    pub(super) lost: Vec<(String, DeadLetterKind)>,
}

impl Ran {
    pub(super) fn sorted(mut self) -> Self {
        self.emitted.sort();
        self.refused.sort_by_key(|(id, kind)| (*id, kind.to_string()));
        self.lost.sort_by(|left, right| left.0.cmp(&right.0));
        self
    }
}

/// The workers of one step.
pub(super) struct Workers {
    pub(super) steps: Vec<Box<dyn KeyedStep>>,
    /// Where their scratch files are.
    _dir: Option<tempfile::TempDir>,
}

impl Workers {
    pub(super) fn new(parts: &StateParts, workers: u32, is_fast: bool) -> Self {
        let plan = StatePlan::new(parts.clone()).unwrap();
        let build = |worker| plan.build(Box::new(Sums { is_fast }), worker, workers).unwrap();
        Self { steps: (0..workers).map(build).collect(), _dir: None }
    }

    /// Workers whose states may take so many bytes of memory, if there is a bound.
    pub(super) fn with_budget(parts: &StateParts, workers: u32, is_fast: bool, bytes: Option<u64>) -> Self {
        let mut built = Self::new(parts, workers, is_fast);
        let Some(bytes) = bytes else { return built };
        let (dir, budget) = (tempfile::tempdir().unwrap(), Arc::new(MemoryBudget::new(bytes)));
        for (worker, step) in built.steps.iter_mut().enumerate() {
            let path = dir.path().join(format!("{worker}.db"));
            step.spill_to(Spill { path, budget: Arc::clone(&budget) }).unwrap();
        }
        built._dir = Some(dir);
        built
    }

    /// Runs a batch whose chunks go around the workers.
    pub(super) fn try_run(
        &mut self,
        now_us: i64,
        watermark_us: Option<i64>,
        chunks: &[Vec<Row>],
        timed_out: &HashMap<String, String>,
    ) -> Result<Ran, StepError> {
        let ctx = |order| BatchCtx { batch: BatchId(1), now_us, watermark_us, seed: 0, order };
        let mut ran = Ran::default();
        let ids = |rows: &RecordBatch| rows.column(3).as_primitive::<Int64Type>().clone();
        let workers = self.steps.len();
        for (order, chunk) in (0u64..).zip(chunks) {
            let rows = batch(chunk);
            let refused = self.steps[order as usize % workers].accumulate(&ctx(order), 0, &rows)?;
            ran.refused.extend(refused.iter().map(|row| (ids(&rows).value(row.row as usize), row.kind)));
        }
        let mut gathered: Vec<Vec<Parcel>> = vec![Vec::new(); workers];
        for step in &mut self.steps {
            step.exchange()?.into_iter().zip(&mut gathered).for_each(|(part, to)| to.extend(part));
        }
        for (step, mut parcels) in self.steps.iter_mut().zip(gathered) {
            parcels.sort_by_key(|parcel| parcel.order);
            step.forewarn(timed_out);
            step.merge(&ctx(0), &parcels)?;
            ran.emitted.extend(step.emit(&ctx(0))?.iter().flat_map(emitted));
            let refusals = step.refusals();
            for piece in refusals.rows {
                let ids = ids(&piece.rows);
                ran.refused.extend(piece.refused.iter().map(|row| (ids.value(row.row as usize), row.kind)));
            }
            ran.lost.extend(refusals.timers.into_iter().map(|LostTimer { text, kind, .. }| (text, kind)));
        }
        Ok(ran.sorted())
    }

    pub(super) fn run(&mut self, now_us: i64, watermark_us: Option<i64>, chunks: &[Vec<Row>]) -> Ran {
        self.try_run(now_us, watermark_us, chunks, &HashMap::new()).unwrap()
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

    pub(super) fn keys(&self) -> u64 {
        self.steps.iter().map(|step| step.size().keys).sum()
    }

    pub(super) fn size(&self) -> StateSize {
        self.steps.iter().map(|step| step.size()).fold(StateSize::default(), |all, size| StateSize {
            keys: all.keys + size.keys,
            bytes: all.bytes + size.bytes,
            updated: all.updated + size.updated,
            removed: all.removed + size.removed,
            keys_cold: all.keys_cold + size.keys_cold,
            bytes_cold: all.bytes_cold + size.bytes_cold,
        })
    }

    pub(super) fn earliest_timer_us(&mut self) -> Option<i64> {
        self.steps.iter_mut().filter_map(|step| step.earliest_timer_us()).min()
    }
}

fn emitted(rows: &RecordBatch) -> Vec<Emitted> {
    let keys = rows.column(0).as_string::<i32>();
    let number = |column: usize, row: usize| rows.column(column).as_primitive::<Int64Type>().value(row);
    let key = |row: usize| keys.is_valid(row).then(|| keys.value(row).to_owned());
    (0..rows.num_rows()).map(|row| (key(row), number(1, row), number(2, row))).collect()
}
