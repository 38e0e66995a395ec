//! Rows that come too late for a step that remembers by event time, and rows without one.

use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use chrono::{DateTime, SecondsFormat};

use super::filter::failed;
use super::keys::kept_rows;
use super::{RejectedRow, StepError};
use crate::batch::{DeadLetterKind, EventTime};

/// Takes the rows at or after the watermark; answers also with the others, and why.
pub(super) fn on_time(
    input: &RecordBatch,
    time: EventTime,
    watermark_us: Option<i64>,
) -> Result<(RecordBatch, Vec<RejectedRow>), StepError> {
    let times = time.times(input);
    let watermark = watermark_us.unwrap_or(i64::MIN);
    if times.null_count() == 0 && times.values().iter().all(|time_us| *time_us >= watermark) {
        return Ok((input.clone(), Vec::new()));
    }
    let schema = input.schema();
    let name = schema.field(time.column).name();
    let refused: Vec<RejectedRow> = (0u32..)
        .zip(&times)
        .filter_map(|(row, time_us)| match time_us {
            None => Some(without_time(row, name)),
            Some(time_us) if time_us < watermark => Some(late(row, time_us, watermark)),
            Some(_) => None,
        })
        .collect();
    let kept = UInt32Array::from(kept_rows(input.num_rows(), &refused));
    Ok((take_record_batch(input, &kept).map_err(failed)?, refused))
}

/// A row has no event time.
pub(super) fn without_time(row: u32, time_name: &str) -> RejectedRow {
    RejectedRow {
        row,
        kind: DeadLetterKind::Rejected,
        reason: format!(
            "the event time `{time_name}` is null, so the row has no place in time: give it one, or filter such rows \
             out before"
        ),
    }
}

fn late(row: u32, time_us: i64, watermark_us: i64) -> RejectedRow {
    let short_us = i128::from(watermark_us) - i128::from(time_us);
    RejectedRow {
        row,
        kind: DeadLetterKind::Late,
        reason: format!(
            "the event time {} is before the watermark {}: to take such rows, raise the delay of the source's event \
             time by {} s or more",
            show(time_us),
            show(watermark_us),
            (short_us + 999_999) / 1_000_000,
        ),
    }
}

/// A time for a person.
pub(super) fn show(time_us: i64) -> String {
    match DateTime::from_timestamp_micros(time_us) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{time_us} us since 1970"),
    }
}
