//! What became of the rows.

use std::collections::BTreeMap;

use millstream_engine::batch::DeadLetterKind;
use millstream_engine::checkpoint::DeadLetterRecord;
use millstream_engine::pipeline::LogLine;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::totals::Totals;

/// What became of the rows of a trial.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rows that could not be used, in the order in which that was found out.
    pub dead: Vec<DeadRow>,
    /// What the operator logged.
    pub logged: Vec<LogLine>,
    /// What it counted and observed, by name.
    pub numbers: BTreeMap<String, Totals>,
    /// Why the pipeline failed, if it did: nothing further was read.
    pub failure: Option<String>,
}

/// A row that could not be used, and why.
#[derive(Debug, Serialize)]
pub struct DeadRow {
    /// The row as JSON; the text of a record that is no JSON.
    pub row: Box<RawValue>,
    /// malformed, rejected, late, trapped and so on.
    pub kind: DeadLetterKind,
    /// Why.
    pub reason: String,
}

impl DeadRow {
    pub(super) fn new(record: DeadLetterRecord) -> Self {
        let text = record.text.or(record.hex).unwrap_or_default();
        // As it is written: a number of 64 bits must not pass through a float.
        let row =
            RawValue::from_string(text.trim().to_owned()).or_else(|_| serde_json::value::to_raw_value(&text));
        Self {
            row: row.unwrap_or_else(|_| RawValue::NULL.to_owned()),
            kind: record.kind,
            reason: record.reason,
        }
    }
}
