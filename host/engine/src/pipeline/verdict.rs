//! Time-outs: the one outcome of a row that a wall clock decides. What it decided when the batch ran
//! first is in the batch's plan before any sink commits, and holds when the batch is run again.

use std::collections::HashMap;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;

use super::letter::rows_as_json;
use crate::batch::DeadLetterKind;
use crate::checkpoint::TimedOut;
use crate::steps::RejectedRow;

/// The rows of one step that exceeded their time: each as JSON, with the reason.
///
/// A row is known by its content, which is the same however rows are dealt to workers; a row that
/// equals one of these is treated as that one.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(HashMap<String, String>);

impl Verdicts {
    /// Adds a row of the plan.
    pub(crate) fn add(&mut self, verdict: &TimedOut) {
        self.0.insert(verdict.row.clone(), verdict.reason.clone());
    }

    /// All of them, for steps that have more than rows.
    pub(crate) fn all(&self) -> &HashMap<String, String> {
        &self.0
    }

    /// Those of `rows` that exceeded their time, and the rows without them.
    pub(crate) fn set_aside(
        &self,
        rows: &RecordBatch,
    ) -> Result<(Vec<RejectedRow>, RecordBatch), ArrowError> {
        let texts = rows_as_json(rows)?;
        let reasons: Vec<Option<&String>> = texts.iter().map(|text| self.0.get(text)).collect();
        let kept: BooleanArray = reasons.iter().map(|reason| Some(reason.is_none())).collect();
        let numbered = (0..).zip(reasons).filter_map(|(row, reason)| {
            reason.map(|reason| RejectedRow { row, kind: DeadLetterKind::TimedOut, reason: reason.clone() })
        });
        Ok((numbered.collect(), filter_record_batch(rows, &kept)?))
    }
}

/// What a plan keeps of refused rows.
pub(crate) fn verdicts(
    step: &str,
    rows: &RecordBatch,
    refused: &[RejectedRow],
) -> Result<Vec<TimedOut>, ArrowError> {
    let timed_out = refused.iter().filter(|row| row.kind == DeadLetterKind::TimedOut);
    timed_out
        .map(|refused| {
            let text = rows_as_json(&rows.slice(refused.row as usize, 1))?.swap_remove(0);
            Ok(TimedOut { step: step.to_owned(), row: text, reason: refused.reason.clone() })
        })
        .collect()
}
