//! Time comes in here: nothing else in the engine asks the machine what time it is.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the engine gets its time.
pub trait Clock: Send + Sync {
    /// Microseconds since the Unix epoch.
    fn now_us(&self) -> i64;
    /// Time since some fixed moment; never falls. For durations only.
    fn monotonic(&self) -> Duration;
}

/// A clock that can be shared.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clock, shared.
    #[must_use]
    pub fn shared() -> SharedClock {
        #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
        Arc::new(Self { start: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now_us(&self) -> i64 {
        #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
