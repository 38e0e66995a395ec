//! What a plugin can ask of the host: log lines, counters, distributions. In native tests they are
//! kept for [`crate::testing`] to look at.

use std::fmt;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every little step.
    Trace,
    /// For whoever debugs the operator.
    Debug,
    /// Normal and worth knowing.
    Info,
    /// Something is off, and the operator goes on.
    Warn,
    /// Something is wrong.
    Error,
}

/// Writes a line to the pipeline's log. The host bounds length and lines a second.
pub fn log(level: Level, message: fmt::Arguments<'_>) {
    imp::log(level, &message.to_string());
}

/// A counter of this operator, shown beside the host's own metrics.
#[derive(Clone, Copy, Debug)]
pub struct Counter<'a> {
    name: &'a str,
}

/// The counter of this name. Each [`Counter::add`] is a call to the host: add once a batch.
#[must_use]
pub fn counter(name: &str) -> Counter<'_> {
    Counter { name }
}

impl Counter<'_> {
    /// Counts `by` more.
    pub fn add(&self, by: u64) {
        imp::count(self.name, by);
    }
}

/// Records one value of a distribution of this operator.
pub fn observe(name: &str, value: f64) {
    imp::observe(name, value);
}

/// Logs a line at the level given, as by `format!`: `log!(Level::Info, "{} rows", n)`.
#[macro_export]
macro_rules! log {
    ($level:expr, $($words:tt)+) => {
        $crate::host::log($level, ::core::format_args!($($words)+))
    };
}

#[cfg(target_family = "wasm")]
mod imp {
    use super::Level;
    use crate::bindings::host;

    pub(super) fn log(level: Level, message: &str) {
        let level = match level {
            Level::Trace => host::Level::Trace,
            Level::Debug => host::Level::Debug,
            Level::Info => host::Level::Info,
            Level::Warn => host::Level::Warn,
            Level::Error => host::Level::Error,
        };
        host::log(level, message);
    }

    pub(super) fn count(name: &str, by: u64) {
        host::count(name, by);
    }

    pub(super) fn observe(name: &str, value: f64) {
        host::observe(name, value);
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) mod imp {
    use std::cell::RefCell;

    use super::Level;
    use crate::testing::Calls;

    thread_local! {
        static CALLS: RefCell<Calls> = RefCell::default();
    }

    /// What was asked since the last call.
    pub(crate) fn take() -> Calls {
        CALLS.take()
    }

    pub(super) fn log(level: Level, message: &str) {
        CALLS.with_borrow_mut(|calls| calls.logs.push((level, message.to_owned())));
    }

    pub(super) fn count(name: &str, by: u64) {
        CALLS.with_borrow_mut(|calls| *calls.counters.entry(name.to_owned()).or_default() += by);
    }

    pub(super) fn observe(name: &str, value: f64) {
        CALLS.with_borrow_mut(|calls| calls.observed.push((name.to_owned(), value)));
    }
}
