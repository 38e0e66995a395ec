//! What a plugin tells: log lines and metrics, bounded in number, length and names before anybody
//! hears of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bindings::millstream::plugin::host;
use crate::convert::cut;
use crate::limits::Limits;

/// How important a plugin finds a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every detail.
    Trace,
    /// For whoever looks for a mistake.
    Debug,
    /// Worth knowing.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
}

/// Hears what an operator tells. Called from within a call of the plugin, on its thread; must not block.
pub trait Observer: Send + Sync {
    /// A log line, already cut to its limit.
    fn log(&self, level: Level, message: &str);
    /// A counter grew.
    fn count(&self, name: &str, by: u64);
    /// A value of a distribution.
    fn observe(&self, name: &str, value: f64);
    /// After a call that told more than it may: how many log lines and how many metrics were
    /// dropped.
    fn dropped(&self, log_lines: u64, metrics: u64);
}

/// The names of metrics that an operator has used; outlives its instances, because whoever keeps
/// the metrics keeps each name for ever.
pub(crate) type MetricNames = Arc<Mutex<BTreeSet<String>>>;

/// Lets through what is within the limits of one call, and counts the rest.
pub(crate) struct Gate {
    observer: Arc<dyn Observer>,
    names: MetricNames,
    limits: Arc<Limits>,
    lines: u64,
    metrics: u64,
    lines_dropped: u64,
    metrics_dropped: u64,
}

impl Gate {
    pub(crate) fn new(observer: Arc<dyn Observer>, names: MetricNames, limits: Arc<Limits>) -> Self {
        Self { observer, names, limits, lines: 0, metrics: 0, lines_dropped: 0, metrics_dropped: 0 }
    }

    /// A call has ended, well or not: reports what was dropped and starts to count anew.
    pub(crate) fn end_call(&mut self) {
        if self.lines_dropped + self.metrics_dropped > 0 {
            self.observer.dropped(self.lines_dropped, self.metrics_dropped);
        }
        (self.lines, self.metrics, self.lines_dropped, self.metrics_dropped) = (0, 0, 0, 0);
    }

    fn admit_metric(&mut self, name: &str) -> bool {
        let admitted = self.metrics < u64::from(self.limits.metrics_max) && self.know(name);
        if admitted {
            self.metrics += 1;
        } else {
            self.metrics_dropped += 1;
        }
        admitted
    }

    /// Whether the name is an operator's usual one: short, plain, and not one too many.
    fn know(&self, name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(name) {
            return true;
        }
        let good = (1..=METRIC_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
        good && names.len() < self.limits.metric_names_max && names.insert(name.to_owned())
    }
}

/// Bytes of a metric's name.
const METRIC_NAME_BYTES_MAX: usize = 64;

impl host::Host for Gate {
    fn log(&mut self, level: host::Level, message: String) {
        if self.lines >= u64::from(self.limits.log_lines_max) {
            self.lines_dropped += 1;
            return;
        }
        self.lines += 1;
        let level = match level {
            host::Level::Trace => Level::Trace,
            host::Level::Debug => Level::Debug,
            host::Level::Info => Level::Info,
            host::Level::Warn => Level::Warn,
            host::Level::Error => Level::Error,
        };
        self.observer.log(level, cut(&message, self.limits.log_line_bytes_max));
    }

    fn count(&mut self, name: String, by: u64) {
        if self.admit_metric(&name) {
            self.observer.count(&name, by);
        }
    }

    fn observe(&mut self, name: String, value: f64) {
        if self.admit_metric(&name) {
            self.observer.observe(&name, value);
        }
    }
}

/// Hears nothing: for `describe`, when there is no operator yet.
pub(crate) struct Deaf;

impl Observer for Deaf {
    fn log(&self, _: Level, _: &str) {}
    fn count(&self, _: &str, _: u64) {}
    fn observe(&self, _: &str, _: f64) {}
    fn dropped(&self, _: u64, _: u64) {}
}
