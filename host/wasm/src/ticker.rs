//! The clock behind deadlines: one thread that moves the engine's epoch while calls are under way
//! and sleeps when there are none.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// Length of an epoch. Deadlines are exact to about this.
const TICK_MS: u64 = 10;
/// Ticks without a call after which the thread goes to sleep, so that a stream of short calls need
/// not wake it each time.
const IDLE_TICKS: u32 = 100;

/// Epochs after which a call with this deadline is stopped; one more than it divides to, because
/// the current epoch may be about to end.
pub(crate) fn epochs(deadline_ms: u64) -> u64 {
    deadline_ms.div_ceil(TICK_MS).saturating_add(1)
}

/// Moves the epoch of one engine. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicUsize,
    asleep: AtomicBool,
    /// Guards nothing but the waiting itself.
    stop: Mutex<bool>,
    wake: Condvar,
}

/// A call is under way as long as this lives.
#[derive(Debug)]
pub(crate) struct Ticking<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("wasm-ticker".into()).spawn({
            let (shared, engine) = (Arc::clone(&shared), engine.clone());
            move || shared.run(&engine)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps the epoch moving until the answer is dropped.
    pub(crate) fn tick(&self) -> Ticking<'_> {
        // Sequentially consistent, as is the thread's side: either it sees this call, or this call
        // sees that it sleeps.
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            drop(self.shared.lock());
            self.shared.wake.notify_one();
        }
        Ticking(&self.shared)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic, and if it had there would be nobody to tell.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, engine: &Engine) {
        let mut idle = 0;
        let mut stop = self.lock();
        while !*stop {
            idle = if self.calls.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
            if idle > IDLE_TICKS {
                stop = self.sleep(stop);
                idle = 0;
                continue;
            }
            let tick = self.wake.wait_timeout(stop, Duration::from_millis(TICK_MS));
            stop = tick.unwrap_or_else(PoisonError::into_inner).0;
            engine.increment_epoch();
        }
    }

    fn sleep<'a>(&'a self, mut stop: MutexGuard<'a, bool>) -> MutexGuard<'a, bool> {
        self.asleep.store(true, Ordering::SeqCst);
        while self.calls.load(Ordering::SeqCst) == 0 && !*stop {
            stop = self.wake.wait(stop).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.store(false, Ordering::SeqCst);
        stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets other threads run until it is so.
    fn until(so: impl Fn() -> bool) {
        while !so() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn thread_sleeps_without_calls_and_wakes_for_the_next() {
        let ticker = Ticker::start(&Engine::default()).unwrap();
        let asleep = || ticker.shared.asleep.load(Ordering::SeqCst);
        for _ in 0..2 {
            until(asleep);
            let ticking = ticker.tick();
            until(|| !asleep());
            drop(ticking);
        }
    }

    #[test]
    fn deadline_is_never_shorter_than_asked_for() {
        assert_eq!([0, 1, 10, 11, 1_000].map(epochs), [1, 2, 2, 3, 101]);
        assert_eq!(epochs(u64::MAX), u64::MAX / TICK_MS + 2);
    }
}
