//! Which rows of a chunk belong to which window, and which come too late.

use arrow_array::{Array, TimestampMicrosecondArray};

use crate::batch::DeadLetterKind;
use crate::steps::RejectedRow;
use crate::steps::on_time::{show, without_time};
use crate::windows::{Window, Windows};

/// Where a chunk's rows belong.
pub(in crate::steps) enum Placement {
    /// All rows to one pane of open windows: the usual case, found without looking at each row.
    One(Window),
    /// Rows to several panes, these in ascending order; or some to none.
    Many {
        /// Each pane with its rows, both ascending.
        panes: Vec<(Window, Vec<u32>)>,
        /// Rows without a time, and rows whose window is closed.
        rejected: Vec<RejectedRow>,
    },
}

/// Finds where rows belong. There is at least one row.
pub(in crate::steps) fn place(
    windows: &Windows,
    times: &TimestampMicrosecondArray,
    time_name: &str,
    closed_us: Option<i64>,
) -> Placement {
    if times.null_count() == 0 {
        let (least, greatest) = bounds(times.values());
        let pane = windows.pane(least);
        if pane.contains(greatest) && !windows.last_of(pane).is_closed(closed_us) {
            return Placement::One(pane);
        }
    }
    let mut panes: Vec<(Window, Vec<u32>)> = Vec::new();
    let mut rejected = Vec::new();
    let mut last = 0;
    for (row, time_us) in (0u32..).zip(times) {
        let Some(time_us) = time_us else {
            rejected.push(without_time(row, time_name));
            continue;
        };
        // Neighbours are mostly in the same pane.
        if !panes.get(last).is_some_and(|(pane, _)| pane.contains(time_us)) {
            let pane = windows.pane(time_us);
            let window = windows.last_of(pane);
            if window.is_closed(closed_us) {
                rejected.push(late(row, time_us, window, closed_us));
                continue;
            }
            last = match panes.binary_search_by(|(other, _)| other.cmp(&pane)) {
                Ok(found) => found,
                Err(place) => {
                    panes.insert(place, (pane, Vec::new()));
                    place
                }
            };
        }
        panes[last].1.push(row);
    }
    Placement::Many { panes, rejected }
}

fn bounds(times_us: &[i64]) -> (i64, i64) {
    times_us
        .iter()
        .fold((i64::MAX, i64::MIN), |(least, greatest), &time_us| (least.min(time_us), greatest.max(time_us)))
}

fn late(row: u32, time_us: i64, window: Window, closed_us: Option<i64>) -> RejectedRow {
    let closed_us = closed_us.unwrap_or(i64::MIN);
    let short_us = (i128::from(closed_us) - i128::from(window.end_us) + 1).max(1);
    RejectedRow {
        row,
        kind: DeadLetterKind::Late,
        reason: format!(
            "the event time {} belongs to the window from {} to {}, which is closed, as the watermark (less the lateness) is {}: to take \
             such rows, raise `lateness`, or the delay of the source's event time, by {} s or more",
            show(time_us),
            show(window.start_us),
            show(window.end_us),
            show(closed_us),
            (short_us + 999_999) / 1_000_000,
        ),
    }
}
