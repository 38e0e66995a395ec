//! Windows: which part of event time a row belongs to, and when that part is over. A file a kind;
//! knows nothing of keys and functions.

mod sliding;
mod tumbling;
mod zoned;

pub use sliding::Windows;
pub use tumbling::{Tumbling, WindowError};
pub use zoned::{Zoned, zone};

/// A stretch of event time: from `start_us` on, up to but without `end_us`, in microseconds since
/// the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Where it begins.
    pub start_us: i64,
    /// Where it ends.
    pub end_us: i64,
}

impl Window {
    /// Whether no more rows can come that belong to the window.
    #[must_use]
    pub fn is_closed(&self, watermark_us: Option<i64>) -> bool {
        watermark_us.is_some_and(|watermark_us| self.end_us <= watermark_us)
    }

    /// Whether a time lies in the window.
    #[must_use]
    pub fn contains(&self, time_us: i64) -> bool {
        self.start_us <= time_us && (time_us < self.end_us || self.end_us == i64::MAX)
    }
}
