//! Where rows say when they happened.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{RecordBatch, TimestampMicrosecondArray};

/// A timestamp column, and how far from its values the rows' times are.
///
/// The rows of a window carry its end, which is outside of it; their time is the last one inside, so
/// that windows of windows line up and nothing is late that was on time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// The column.
    pub column: usize,
    /// What is added to its values, in microseconds.
    pub shift_us: i64,
}

impl EventTime {
    /// The values of a column as they are.
    #[must_use]
    pub const fn of_column(column: usize) -> Self {
        Self { column, shift_us: 0 }
    }

    /// The times of rows. The column is copied only where it is shifted.
    #[must_use]
    pub fn times(&self, rows: &RecordBatch) -> TimestampMicrosecondArray {
        let times = rows.column(self.column).as_primitive::<TimestampMicrosecondType>();
        match self.shift_us {
            0 => times.clone(),
            shift_us => times.unary(|time_us| time_us.saturating_add(shift_us)),
        }
    }
}
