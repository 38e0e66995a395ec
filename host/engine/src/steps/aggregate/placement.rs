//! Which rows of a chunk belong to which window, and which come too late.

use arrow_array::{Array, TimestampMicrosecondArray};
use chrono::{DateTime, SecondsFormat};

use crate::batch::DeadLetterKind;
use crate::steps::RejectedRow;
use crate::windows::{Tumbling, Window};

/// Where a chunk's rows belong.
pub(super) enum Placement {
    /// All rows to one window that is open: the usual case, found without looking at windows.
    One(Window),
    /// Rows to several windows, these in ascending order; or some to none.
    Many {
        /// Each window with its rows, both ascending.
        windows: Vec<(Window, Vec<u32>)>,
        /// Rows without a time, and rows whose window is closed.
        rejected: Vec<RejectedRow>,
    },
}

/// Finds where rows belong. There is at least one row.
pub(super) fn place(
    tumbling: &Tumbling,
    times: &TimestampMicrosecondArray,
    time_name: &str,
    watermark_us: Option<i64>,
) -> Placement {
    if times.null_count() == 0 {
        let (least, greatest) = bounds(times.values());
        let window = tumbling.window(least);
        if window.contains(greatest) && !window.is_closed(watermark_us) {
            return Placement::One(window);
        }
    }
    let mut windows: Vec<(Window, Vec<u32>)> = Vec::new();
    let mut rejected = Vec::new();
    let mut last = 0;
    for (row, time_us) in (0u32..).zip(times) {
        let Some(time_us) = time_us else {
            rejected.push(without_time(row, time_name));
            continue;
        };
        // Neighbours are mostly in the same window.
        if !windows.get(last).is_some_and(|(window, _)| window.contains(time_us)) {
            let window = tumbling.window(time_us);
            if window.is_closed(watermark_us) {
                rejected.push(late(row, time_us, window, watermark_us));
                continue;
            }
            last = match windows.binary_search_by(|(other, _)| other.cmp(&window)) {
                Ok(found) => found,
                Err(place) => {
                    windows.insert(place, (window, Vec::new()));
                    place
                }
            };
        }
        windows[last].1.push(row);
    }
    Placement::Many { windows, rejected }
}

fn bounds(times_us: &[i64]) -> (i64, i64) {
    times_us
        .iter()
        .fold((i64::MAX, i64::MIN), |(least, greatest), &time_us| (least.min(time_us), greatest.max(time_us)))
}

fn without_time(row: u32, time_name: &str) -> RejectedRow {
    RejectedRow {
        row,
        kind: DeadLetterKind::Rejected,
        reason: format!(
            "the event time `{time_name}` is null, so the row belongs to no window: give it a time, or filter such rows out before"
        ),
    }
}

fn late(row: u32, time_us: i64, window: Window, watermark_us: Option<i64>) -> RejectedRow {
    let watermark_us = watermark_us.unwrap_or(i64::MIN);
    let short_us = (i128::from(watermark_us) - i128::from(window.end_us) + 1).max(1);
    RejectedRow {
        row,
        kind: DeadLetterKind::Late,
        reason: format!(
            "the event time {} belongs to the window from {} to {}, which is closed, as the watermark is {}: to take \
             such rows, raise the delay of the source's event time by {} s or more",
            time(time_us),
            time(window.start_us),
            time(window.end_us),
            time(watermark_us),
            (short_us + 999_999) / 1_000_000,
        ),
    }
}

/// A time for a person.
pub(super) fn time(time_us: i64) -> String {
    match DateTime::from_timestamp_micros(time_us) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{time_us} us since 1970"),
    }
}
