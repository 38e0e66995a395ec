//! Turns on their way through the operator. One that breaks it is halved by keys, and at a single key
//! its rows are halved, until what breaks it stands alone; the state of a key is never what a call left
//! that broke.

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_select::filter::filter_record_batch;
use chrono::{DateTime, SecondsFormat};
use millstream_wasm::{CallClock, CallError, Fault, Outcome, Turn};
use serde_json::{Map, Value, json};

use super::operator::Operator;
use super::store::Store;
use super::turns::{Work, ended};
use super::{StateParts, TimerClock};
use crate::batch::DeadLetterKind;
use crate::state::NEVER;
use crate::steps::filter::failed;
use crate::steps::wasm::{FAULTS_IN_A_ROW_MAX, TIMEOUTS_IN_A_ROW_MAX, kind, reason};
use crate::steps::{LostTimer, RefusedRows, RejectedRow, StepError};

/// So many rows of one key, one after the other, each breaking the plugin by itself: it is the key's
/// state that breaks it, and the rest of its rows in the batch is not tried.
const FAULTS_OF_A_KEY_MAX: u32 = 8;
/// The same for time-outs, each of which costs a whole deadline and a search of its own.
const TIMEOUTS_OF_A_KEY_MAX: u32 = 3;

/// What the turns of a batch have given so far.
#[derive(Default)]
pub(super) struct Given {
    /// Rows that go on.
    pub(super) rows: Vec<RecordBatch>,
    pub(super) refused: Vec<RefusedRows>,
    pub(super) lost: Vec<LostTimer>,
    /// Rows and timers one after the other that broke the plugin, each by itself.
    faults_in_a_row: u32,
    timeouts_in_a_row: u32,
    /// Rows and timers that broke it, or were not tried because of others of their key.
    broken: u64,
    /// Some call came back.
    succeeded: bool,
}

/// The operator with all that its calls change.
pub(super) struct Search<'a> {
    pub(super) parts: &'a StateParts,
    pub(super) operator: &'a mut dyn Operator,
    pub(super) store: &'a mut Store,
    pub(super) clock: CallClock,
    pub(super) given: &'a mut Given,
}

/// Why the rows of a key were not all tried.
enum Stop {
    Failed(StepError),
    /// Its state would be too large: the key's rows are refused together.
    TooLarge(CallError),
    /// The rows from here on are not tried.
    Hopeless {
        from: usize,
        error: CallError,
    },
    /// This row exceeds its time by itself.
    TimedOut {
        row: usize,
        error: CallError,
    },
}

impl From<StepError> for Stop {
    fn from(error: StepError) -> Self {
        Self::Failed(error)
    }
}

impl Search<'_> {
    /// Gives a turn to the operator.
    pub(super) fn run(&mut self, work: Work) -> Result<(), StepError> {
        if work.ids.len() == 1 {
            return self.run_key(&work);
        }
        match self.call(&work) {
            Ok(outcome) => self.take(&work, &outcome),
            Err(error) => {
                self.check(&error)?;
                let half = work.ids.len() / 2;
                self.run(work.of_keys(0..half)?)?;
                self.run(work.of_keys(half..work.ids.len())?)
            }
        }
    }

    /// Whether the plugin breaks whatever it is given, as far as this batch can tell.
    pub(super) fn check_batch(&self) -> Result<(), StepError> {
        if self.given.succeeded || self.given.broken < u64::from(FAULTS_IN_A_ROW_MAX) {
            return Ok(());
        }
        Err(self.plugin_is_broken(self.given.broken, "the dead letters before have the reasons"))
    }

    /// A key by itself, in pieces where it has more rows than can be given at once.
    fn run_key(&mut self, work: &Work) -> Result<(), StepError> {
        let rows = work.rows.num_rows();
        let at_once = work.rows_at_once(self.parts.memory_bytes);
        if rows <= at_once {
            return self.try_key(work);
        }
        let first = Work { due: work.due.clone(), ..work.of_rows(0, at_once) };
        self.try_key(&first)?;
        for from in (at_once..rows).step_by(at_once) {
            self.try_key(&work.of_rows(from, at_once.min(rows - from)))?;
        }
        Ok(())
    }

    fn try_key(&mut self, work: &Work) -> Result<(), StepError> {
        let error = match self.call(work) {
            Ok(outcome) => return self.take(work, &outcome),
            Err(error) => error,
        };
        self.check(&error)?;
        match (work.due.is_empty(), work.rows.num_rows()) {
            (false, 0) => self.lose_timer(work, &error),
            (false, _) => {
                self.try_key(&work.of_timers())?;
                self.try_key(&work.of_rows(0, work.rows.num_rows()))
            }
            (true, _) => self.search_rows(work.clone(), error),
        }
    }

    /// Rows of one key, which were tried together.
    fn search_rows(&mut self, mut work: Work, error: CallError) -> Result<(), StepError> {
        let id = work.ids[0];
        let before = self.store.copy_of(id);
        let mut known = Some(error);
        let mut timeouts = 0;
        while work.rows.num_rows() > 0 {
            let (given, refused) = (self.given.rows.len(), self.given.refused.len());
            let mut faults = 0;
            let stop = match self.halve(&work, 0, work.rows.num_rows(), known.take(), &mut faults) {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            match stop {
                Stop::Failed(error) => return Err(error),
                Stop::Hopeless { from, error } => {
                    let rest = from..work.rows.num_rows();
                    self.given.broken += rest.len() as u64;
                    let said = format!(
                        "not tried, as {FAULTS_OF_A_KEY_MAX} rows of its key broke the plugin: {error}"
                    );
                    self.refuse(&work, rest, kind(&error), &said);
                    return Ok(());
                }
                Stop::TooLarge(error) => {
                    self.undo(id, &before, given, refused)?;
                    let said = self.too_large(&work, &error);
                    self.refuse(&work, 0..work.rows.num_rows(), kind(&error), &said);
                    return Ok(());
                }
                Stop::TimedOut { row, error } => {
                    // Whoever runs the batch again knows such rows by their content alone: those that are
                    // equal go with it, and the others are given as if it had not come.
                    self.undo(id, &before, given, refused)?;
                    timeouts += 1;
                    let all_go = timeouts >= TIMEOUTS_OF_A_KEY_MAX;
                    let goes = |other: usize| all_go || is_same(&work.rows, row, other);
                    let gone: BooleanArray =
                        (0..work.rows.num_rows()).map(|other| Some(goes(other))).collect();
                    let stays = arrow_arith::boolean::not(&gone).map_err(failed)?;
                    let of = |rows: &BooleanArray| {
                        let rows = filter_record_batch(&work.rows, rows).map_err(failed)?;
                        let row_keys = vec![0; rows.num_rows()];
                        Ok(Work { rows, row_keys, ..work.of_rows(0, 0) })
                    };
                    let (gone, stays) = (of(&gone)?, of(&stays)?);
                    self.given.broken += gone.rows.num_rows() as u64;
                    self.refuse(
                        &gone,
                        0..gone.rows.num_rows(),
                        DeadLetterKind::TimedOut,
                        &reason(&self.parts.operator, &error),
                    );
                    work = stays;
                }
            }
        }
        Ok(())
    }

    /// Some rows of a key; `known` is what they were answered before.
    fn halve(
        &mut self,
        work: &Work,
        from: usize,
        rows: usize,
        known: Option<CallError>,
        faults: &mut u32,
    ) -> Result<(), Stop> {
        let part = work.of_rows(from, rows);
        let answer = known.map_or_else(|| self.call(&part), Err);
        let error = match answer {
            Ok(outcome) => {
                *faults = 0;
                return Ok(self.take(&part, &outcome)?);
            }
            Err(error) => error,
        };
        self.check(&error)?;
        if matches!(error, CallError::Broken(Fault::StateTooLarge { .. })) {
            return Err(Stop::TooLarge(error));
        }
        if rows > 1 {
            let half = rows / 2;
            self.halve(work, from, half, None, faults)?;
            return self.halve(work, from + half, rows - half, None, faults);
        }
        self.count(&error)?;
        if kind(&error) == DeadLetterKind::TimedOut {
            return Err(Stop::TimedOut { row: from, error });
        }
        self.refuse(&part, 0..1, kind(&error), &reason(&self.parts.operator, &error));
        if matches!(error, CallError::Broken(_)) {
            self.given.broken += 1;
            *faults += 1;
        }
        if *faults >= FAULTS_OF_A_KEY_MAX {
            return Err(Stop::Hopeless { from: from + 1, error });
        }
        Ok(())
    }

    fn call(&mut self, work: &Work) -> Result<Outcome, CallError> {
        self.clock.chunk += 1;
        let states = self.store.states(&work.ids).map_err(|error| CallError::Answered(error.to_string()))?;
        let turn = Turn {
            keys: &work.keys,
            states: &states,
            rows: &work.rows,
            row_keys: &work.row_keys,
            due: &work.due,
        };
        self.operator.process(&self.clock, &turn)
    }

    /// Keeps what a turn answered.
    fn take(&mut self, work: &Work, outcome: &Outcome) -> Result<(), StepError> {
        let given = &mut *self.given;
        (given.faults_in_a_row, given.timeouts_in_a_row, given.succeeded) = (0, 0, true);
        for (key, id) in work.ids.iter().enumerate() {
            let state = outcome.states.is_valid(key).then(|| outcome.states.value(key));
            self.store.set_state(*id, state).map_err(ended)?;
        }
        for (key, at_us) in &outcome.timers {
            self.store.set_timer(work.ids[*key as usize], *at_us);
        }
        self.touch(work);
        let given = &mut *self.given;
        if outcome.rows.num_rows() > 0 {
            given.rows.push(outcome.rows.clone());
        }
        if !outcome.rejected.is_empty() {
            let rejected = outcome.rejected.iter().map(|(row, reason)| RejectedRow {
                row: *row,
                kind: DeadLetterKind::Rejected,
                reason: reason.clone(),
            });
            given.refused.push(RefusedRows { port: 0, rows: work.rows.clone(), refused: rejected.collect() });
        }
        Ok(())
    }

    fn touch(&mut self, work: &Work) {
        match self.parts.timers {
            TimerClock::ProcessingTime => {
                work.ids.iter().for_each(|id| self.store.touch(*id, self.clock.now_us));
            }
            TimerClock::EventTime(time) => {
                work.due.iter().for_each(|due| self.store.touch(work.ids[due.key as usize], due.at_us));
                let mut newest_us = vec![i64::MIN; work.ids.len()];
                for (key, time_us) in work.row_keys.iter().zip(time.times(&work.rows).values()) {
                    let newest_us = &mut newest_us[*key as usize];
                    *newest_us = (*newest_us).max(*time_us);
                }
                for (id, newest_us) in work.ids.iter().zip(newest_us) {
                    self.store.touch(*id, newest_us);
                }
            }
        }
    }

    /// Takes back what calls for a key have changed.
    fn undo(
        &mut self,
        id: u32,
        before: &super::store::Kept,
        given: usize,
        refused: usize,
    ) -> Result<(), StepError> {
        self.given.rows.truncate(given);
        self.given.refused.truncate(refused);
        self.store.put_back(id, before).map_err(ended)
    }

    fn refuse(&mut self, work: &Work, rows: std::ops::Range<usize>, kind: DeadLetterKind, reason: &str) {
        let refused = rows.map(|row| RejectedRow {
            row: u32::try_from(row).unwrap_or(u32::MAX),
            kind,
            reason: reason.to_owned(),
        });
        self.given.refused.push(RefusedRows { port: 0, rows: work.rows.clone(), refused: refused.collect() });
    }

    /// A timer breaks the plugin, or is refused, without any row: it is gone, the state stays.
    fn lose_timer(&mut self, work: &Work, error: &CallError) -> Result<(), StepError> {
        self.count(error)?;
        let due = work.due[0];
        let text = timer_text(&work.keys, 0, due.at_us);
        let why = reason(&self.parts.operator, error);
        let reason = format!("the timer is dropped, the state of its key stays: {why}");
        self.given.broken += u64::from(matches!(error, CallError::Broken(_)));
        self.given.lost.push(LostTimer { text, kind: kind(error), reason });
        Ok(())
    }

    /// An error that more tries cannot cure ends the batch.
    fn check(&self, error: &CallError) -> Result<(), StepError> {
        match error {
            CallError::Answered(_) | CallError::Broken(_) => Ok(()),
            other => Err(StepError::Failed(format!("{}: {other}", self.parts.operator))),
        }
    }

    /// A row or a timer broke the plugin by itself.
    fn count(&mut self, error: &CallError) -> Result<(), StepError> {
        let given = &mut *self.given;
        given.faults_in_a_row += u32::from(matches!(error, CallError::Broken(_)));
        given.timeouts_in_a_row += u32::from(kind(error) == DeadLetterKind::TimedOut);
        let count = if given.timeouts_in_a_row >= TIMEOUTS_IN_A_ROW_MAX {
            given.timeouts_in_a_row
        } else if given.faults_in_a_row >= FAULTS_IN_A_ROW_MAX {
            given.faults_in_a_row
        } else {
            return Ok(());
        };
        Err(self.plugin_is_broken(u64::from(count), &format!("the last fault: {error}")))
    }

    fn plugin_is_broken(&self, count: u64, why: &str) -> StepError {
        StepError::Failed(format!(
            "{}: {count} rows or timers one after the other break the plugin, so it is the plugin that is broken, and \
             the batch waits: upload a repaired version and start the pipeline again; {why}",
            self.parts.operator
        ))
    }

    fn too_large(&self, work: &Work, error: &CallError) -> String {
        let CallError::Broken(Fault::StateTooLarge { bytes, limit_bytes, .. }) = error else {
            return error.to_string();
        };
        format!(
            "with these rows the state of the key {} would have {bytes} bytes, and at most {limit_bytes} are kept: it \
             stays as it was before; let the operator keep less of a key",
            key_text(&work.keys, 0)
        )
    }
}

/// Whether two rows have the same bytes.
fn is_same(rows: &RecordBatch, row: usize, other: usize) -> bool {
    rows.columns().iter().all(|column| column.slice(row, 1).to_data() == column.slice(other, 1).to_data())
}

/// A key for a person and for dead letters.
fn key_text(keys: &RecordBatch, key: usize) -> Value {
    let schema = keys.schema();
    let columns = schema.fields().iter().zip(keys.columns());
    let value = |column: &arrow_array::ArrayRef| {
        if column.is_null(key) {
            Value::Null
        } else {
            array_value_to_string(column, key).map_or(Value::Null, Value::String)
        }
    };
    Value::Object(columns.map(|(field, column)| (field.name().clone(), value(column))).collect::<Map<_, _>>())
}

/// A timer as a dead letter and a plan have it.
pub(super) fn timer_text(keys: &RecordBatch, key: usize, at_us: i64) -> String {
    let at = match DateTime::from_timestamp_micros(at_us).filter(|_| at_us != NEVER) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::Micros, true),
        None => at_us.to_string(),
    };
    json!({ "timer": at, "key": key_text(keys, key) }).to_string()
}
