//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` finds something.
///
/// # Panics
/// When it finds nothing for two minutes; the message says `what` was awaited.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    #[allow(clippy::disallowed_methods, reason = "a test's time limit is real time")]
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "waited two minutes for {what}");
        std::thread::sleep(PAUSE);
    }
}
