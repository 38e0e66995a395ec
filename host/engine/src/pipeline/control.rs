//! What a pipeline is asked from outside, and what wakes its driver.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connect::Wake;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Go on; these dead letters are to be replayed.
    Go { replays: Vec<u64> },
    /// Finish what is there, then stop.
    Drain { replays: Vec<u64> },
    /// Stop after the current batch.
    Stop,
}

/// Requests, shared between whoever asks and the driver.
#[derive(Clone, Default)]
pub(crate) struct Controls {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Guards the requests; held for moments only.
    requests: Mutex<Requests>,
    changed: Condvar,
}

#[derive(Default)]
struct Requests {
    stop: bool,
    drain: bool,
    data: bool,
    replays: Vec<u64>,
}

impl Controls {
    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.inner.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Requests)) {
        change(&mut self.lock());
        self.inner.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.change(|requests| requests.stop = true);
    }

    pub(crate) fn drain(&self) {
        self.change(|requests| requests.drain = true);
    }

    pub(crate) fn replay(&self, ids: &[u64]) {
        self.change(|requests| requests.replays.extend(ids));
    }

    /// Wakes the driver because data came.
    pub(crate) fn wake(&self) -> Wake {
        let controls = self.clone();
        Arc::new(move || controls.change(|requests| requests.data = true))
    }

    /// What was asked since the last call.
    pub(crate) fn take(&self) -> Control {
        let mut requests = self.lock();
        requests.data = false;
        let replays = std::mem::take(&mut requests.replays);
        match (requests.stop, requests.drain) {
            (true, _) => Control::Stop,
            (false, true) => Control::Drain { replays },
            (false, false) => Control::Go { replays },
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stop
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.lock().drain
    }

    /// Waits for a request, or for data where that matters, at most so long.
    pub(crate) fn wait(&self, at_most: Duration, data_matters: bool) {
        let requests = self.lock();
        let nothing = |requests: &mut Requests| {
            !(requests.stop || !requests.replays.is_empty() || (data_matters && requests.data))
        };
        drop(self.inner.changed.wait_timeout_while(requests, at_most, nothing));
    }
}
