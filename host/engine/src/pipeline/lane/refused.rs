//! What becomes of rows that an entry cannot take.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;

use super::{Lane, LaneFailure, LateRows, Persistence, Run, Stop};
use crate::batch::{BatchCtx, DeadLetter, DeadLetterKind, Payload};
use crate::checkpoint::TimedOut;
use crate::pipeline::kinds::FaultPolicy;
use crate::pipeline::letter::row_letters;
use crate::pipeline::verdict::verdicts;
use crate::steps::{LostTimer, Refusals, RejectedRow};

impl Lane {
    /// Remembers the rows that exceeded their time, for the batch's plan.
    pub(super) fn keep_verdicts(
        &mut self,
        run: &Run,
        entry: usize,
        rows: &RecordBatch,
        refused: &[RejectedRow],
    ) -> Result<(), Stop> {
        let name = &self.entries[entry].name;
        let new = verdicts(name, rows, refused).map_err(|error| self.failed(entry, error.to_string()))?;
        self.keep_timed_out(run, entry, new)
    }

    fn keep_timed_out(&mut self, run: &Run, entry: usize, new: Vec<TimedOut>) -> Result<(), Stop> {
        let name = &self.entries[entry].name;
        if let (true, Some(first)) = (run.settled, new.first()) {
            let message = format!(
                "batch {} was run before, and what passed then exceeds its time now: {}; a larger `deadline` of \
                 the step gives a slower machine more time",
                run.ctx.batch, first.reason
            );
            let persistence = Persistence::Passing;
            return Err(Stop::Failed(LaneFailure { entry: name.to_string(), message, persistence }));
        }
        self.report.timed_out.extend(new);
        Ok(())
    }

    /// What a keyed step found out that it cannot take.
    pub(super) fn refuse_all(
        &mut self,
        ctx: &BatchCtx,
        run: &Run,
        entry: usize,
        refusals: Refusals,
    ) -> Result<(), Stop> {
        for piece in &refusals.rows {
            self.keep_verdicts(run, entry, &piece.rows, &piece.refused)?;
            self.refuse(ctx, run, entry, piece.port, &piece.rows, &piece.refused)?;
        }
        // Those that the plan knows of are in it already.
        let is_new = |timer: &&LostTimer| {
            timer.kind == DeadLetterKind::TimedOut
                && !run.verdicts.get(&entry).is_some_and(|known| known.all().contains_key(&timer.text))
        };
        let step = self.entries[entry].name.to_string();
        let timed_out = refusals.timers.iter().filter(is_new).map(|timer| TimedOut {
            step: step.clone(),
            row: timer.text.clone(),
            reason: timer.reason.clone(),
        });
        self.keep_timed_out(run, entry, timed_out.collect())?;
        refusals.timers.into_iter().try_for_each(|timer| self.lose_timer(ctx, entry, timer))
    }

    fn lose_timer(&mut self, ctx: &BatchCtx, entry: usize, timer: LostTimer) -> Result<(), Stop> {
        let LostTimer { text, kind, reason } = timer;
        match self.entries[entry].on_fault {
            FaultPolicy::Fail => {
                let message = format!("on_fault is `fail`, and a timer was lost, {text}: {reason} ({kind})");
                Err(self.failed(entry, message))
            }
            FaultPolicy::Drop => {
                self.report.counts[entry].dropped += 1;
                Ok(())
            }
            FaultPolicy::DeadLetter => {
                let name = Arc::clone(&self.entries[entry].name);
                let origin = format!("batch {}, a timer of {name}", ctx.batch);
                let payload = Payload::Raw(text.into_bytes());
                self.report.letters.push(DeadLetter { entry: name, kind, reason, origin, payload });
                Ok(())
            }
        }
    }

    pub(super) fn refuse(
        &mut self,
        ctx: &BatchCtx,
        run: &Run,
        entry: usize,
        input: usize,
        rows: &RecordBatch,
        refused: &[RejectedRow],
    ) -> Result<(), Stop> {
        if refused.is_empty() {
            return Ok(());
        }
        let is_late = |row: &&RejectedRow| row.kind == DeadLetterKind::Late;
        self.report.counts[entry].late += refused.iter().filter(is_late).count() as u64;
        if !refused.iter().any(|row| is_late(&row)) {
            return self.refuse_rest(ctx, entry, input, rows, refused);
        }
        let (late_rows, rest): (Vec<RejectedRow>, Vec<RejectedRow>) =
            refused.iter().cloned().partition(|row| is_late(&row));
        self.refuse_rest(ctx, entry, input, rows, &rest)?;
        match self.entries[entry].late {
            LateRows::DeadLetters => self.letters(ctx, entry, input, rows, &late_rows),
            LateRows::Output(port) => {
                let numbers: UInt32Array = late_rows.iter().map(|row| row.row).collect();
                let rows = take_record_batch(rows, &numbers);
                let rows = rows.map_err(|error| self.failed(entry, error.to_string()))?;
                self.deliver(ctx, run, entry, port, rows)
            }
            LateRows::Dropped => {
                self.report.counts[entry].dropped += late_rows.len() as u64;
                Ok(())
            }
        }
    }

    /// Refused rows that are not late.
    fn refuse_rest(
        &mut self,
        ctx: &BatchCtx,
        entry: usize,
        input: usize,
        rows: &RecordBatch,
        refused: &[RejectedRow],
    ) -> Result<(), Stop> {
        let Some(first) = refused.first() else { return Ok(()) };
        match self.entries[entry].on_fault {
            FaultPolicy::Fail => {
                let message =
                    format!("on_fault is `fail`, and a row was refused: {} ({})", first.reason, first.kind);
                Err(self.failed(entry, message))
            }
            FaultPolicy::Drop => {
                self.report.counts[entry].dropped += refused.len() as u64;
                Ok(())
            }
            FaultPolicy::DeadLetter => self.letters(ctx, entry, input, rows, refused),
        }
    }

    fn letters(
        &mut self,
        ctx: &BatchCtx,
        entry: usize,
        input: usize,
        rows: &RecordBatch,
        refused: &[RejectedRow],
    ) -> Result<(), Stop> {
        let name = Arc::clone(&self.entries[entry].name);
        let letters = row_letters(&name, input, ctx.batch, rows, refused);
        self.report.letters.extend(letters.map_err(|error| self.failed(entry, error))?);
        Ok(())
    }
}

/// The rows without those whose time is after `limit_us`, and these.
pub(super) fn without_future(
    rows: &RecordBatch,
    time_column: usize,
    limit_us: i64,
) -> Result<(RecordBatch, Vec<RejectedRow>), ArrowError> {
    let times = rows.column(time_column).as_primitive::<TimestampMicrosecondType>();
    let kept: BooleanArray = times.iter().map(|time_us| Some(time_us <= Some(limit_us))).collect();
    let schema = rows.schema();
    let name = schema.field(time_column).name();
    let ahead = (0u32..).zip(times).filter(|(_, time_us)| *time_us > Some(limit_us)).map(|(row, time_us)| {
        let seconds = (i128::from(time_us.unwrap_or_default()) - i128::from(limit_us) + 999_999) / 1_000_000;
        let reason = format!(
            "the event time `{name}` is {seconds} s further ahead of the clock than `max_future` allows: it would close \
             the windows of all other rows; mend the sender's clock, or raise `max_future`"
        );
        RejectedRow { row, kind: DeadLetterKind::Rejected, reason }
    });
    let ahead = ahead.collect();
    Ok((filter_record_batch(rows, &kept)?, ahead))
}
