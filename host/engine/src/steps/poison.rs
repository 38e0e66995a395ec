//! The search for the rows that break a plugin: rows that break it together (trap, time-out, invalid
//! output) are halved until the poison rows stand alone. That is possible because a plugin remembers
//! nothing and a call is deterministic.

use millstream_wasm::CallError;

use super::wasm::{FAULTS_IN_A_ROW_MAX, TIMEOUTS_IN_A_ROW_MAX, kind, reason};
use super::{RejectedRow, StepError};
use crate::batch::DeadLetterKind;

/// Rows on their way through a plugin, as a whole or in pieces.
pub(super) struct Search<'a> {
    operator: &'a str,
    rejected: Vec<RejectedRow>,
    faults_in_a_row: u32,
    timeouts_in_a_row: u32,
}

/// Gives so many rows, from the first on, to the plugin; answers with those that it rejects, counted
/// from the first, each with the reason.
pub(super) type Call<'a> = dyn FnMut(usize, usize) -> Result<Vec<(u32, String)>, CallError> + 'a;

impl<'a> Search<'a> {
    /// A search whose messages name the operator.
    pub(super) fn new(operator: &'a str) -> Self {
        Self { operator, rejected: Vec::new(), faults_in_a_row: 0, timeouts_in_a_row: 0 }
    }

    /// Gives `rows` rows from `from` on to the plugin, in as few calls as its faults allow.
    ///
    /// # Errors
    /// When the plugin cannot be called, or breaks by every row.
    pub(super) fn run(&mut self, from: usize, rows: usize, call: &mut Call<'_>) -> Result<(), StepError> {
        match call(from, rows) {
            Ok(rejected) => {
                (self.faults_in_a_row, self.timeouts_in_a_row) = (0, 0);
                let first = row_number(from);
                self.rejected.extend(rejected.into_iter().map(|(row, reason)| RejectedRow {
                    row: first + row,
                    kind: DeadLetterKind::Rejected,
                    reason,
                }));
                Ok(())
            }
            Err(error @ (CallError::Answered(_) | CallError::Broken(_))) if rows > 1 => {
                self.give_up_if_hopeless(&error, rows)?;
                let half = rows / 2;
                self.run(from, half, call)?;
                self.run(from + half, rows - half, call)
            }
            Err(error @ (CallError::Answered(_) | CallError::Broken(_))) if rows == 1 => {
                self.poison(from, &error)
            }
            Err(error) => Err(StepError::Failed(format!("{}: {error}", self.operator))),
        }
    }

    /// The rows that cannot be taken, rising.
    pub(super) fn finish(self) -> Vec<RejectedRow> {
        self.rejected
    }

    /// The row at `row` breaks the plugin by itself.
    fn poison(&mut self, row: usize, error: &CallError) -> Result<(), StepError> {
        let kind = kind(error);
        if !matches!(error, CallError::Answered(_)) {
            self.faults_in_a_row += 1;
        }
        if kind == DeadLetterKind::TimedOut {
            self.timeouts_in_a_row += 1;
        }
        self.give_up_if_hopeless(error, 1)?;
        let reason = reason(self.operator, error);
        self.rejected.push(RejectedRow { row: row_number(row), kind, reason });
        Ok(())
    }

    fn give_up_if_hopeless(&self, error: &CallError, rows: usize) -> Result<(), StepError> {
        let too_slow = self.timeouts_in_a_row >= TIMEOUTS_IN_A_ROW_MAX;
        if !too_slow && self.faults_in_a_row < FAULTS_IN_A_ROW_MAX {
            return Ok(());
        }
        let count = if too_slow { self.timeouts_in_a_row } else { self.faults_in_a_row };
        Err(StepError::Failed(format!(
            "{}: {count} rows one after the other break the plugin, so it is the plugin that is broken, and the batch \
             of {rows} rows waits: upload a repaired version and start the pipeline again. The last fault: {error}",
            self.operator
        )))
    }
}

fn row_number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}
