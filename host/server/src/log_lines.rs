//! Log lines on their way to standard error. A thread of its own writes them, so that nobody who logs
//! waits for whoever reads: a pipe that nobody empties must not hold up a batch, a request or the end
//! of the process. What does not fit is dropped, counted, and told once there is room again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::sync::lock;

/// Bytes of lines that wait: some thousands of lines, and little beside what a pipeline needs.
const BYTES_MAX: usize = 1 << 20;

/// So long the process waits at its end for the last lines to be read.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Lines that wait to be written.
#[derive(Default)]
pub(crate) struct LogLines {
    /// Guards the queue; held for moments, never while something is written.
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    is_writing: bool,
}

impl LogLines {
    /// Starts to write what is pushed to `out`, for as long as the process lives.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let lines = Arc::new(Self::default());
        let taken = Arc::clone(&lines);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || taken.write_to(out))?;
        Ok(lines)
    }

    /// Queues a line, or drops it; never waits for a reader.
    fn push(&self, line: &[u8]) {
        let mut queue = lock(&self.queue);
        if queue.bytes + line.len() > BYTES_MAX {
            queue.dropped += 1;
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line.to_owned());
        self.changed.notify_all();
    }

    fn write_to(&self, mut out: impl Write) {
        loop {
            let (lines, dropped) = self.take();
            if dropped > 0 {
                // Comes behind the lines that were taken, where the dropped ones would have been.
                tracing::warn!(
                    lines = dropped,
                    "log lines were dropped: standard error was not read in time"
                );
            }
            // A standard error that is closed is nobody's loss.
            let _ = lines.iter().try_for_each(|line| out.write_all(line)).and_then(|()| out.flush());
            lock(&self.queue).is_writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits for lines; how many were dropped since the last call.
    fn take(&self) -> (VecDeque<Vec<u8>>, u64) {
        let queue = lock(&self.queue);
        let mut queue = self
            .changed
            .wait_while(queue, |queue| queue.lines.is_empty())
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        queue.bytes = 0;
        queue.is_writing = true;
        (std::mem::take(&mut queue.lines), std::mem::take(&mut queue.dropped))
    }

    fn wait_until_written(&self, at_most: Duration) {
        let unwritten = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        drop(self.changed.wait_timeout_while(lock(&self.queue), at_most, unwritten));
    }
}

/// A line for the log, as `tracing` writes it: whole, in one piece.
pub(crate) struct LogLine(pub(crate) Arc<LogLines>);

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Held until the process ends; then the last lines get a moment to be written.
#[must_use = "lines that wait when the process ends are lost without it"]
pub struct LogGuard(Option<Arc<LogLines>>);

impl LogGuard {
    /// For these lines; none when nothing waits.
    pub(crate) const fn new(lines: Option<Arc<LogLines>>) -> Self {
        Self(lines)
    }
}

impl std::fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogGuard")
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Some(lines) = &self.0 {
            lines.wait_until_written(LAST_LINES);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A pipe whose reader takes a line only when the test says so.
    struct Pipe {
        allowed: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed.recv().map_err(io::Error::other)?;
            self.written.send(bytes.to_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_dropped_is_counted() {
        let (allow, allowed) = channel();
        let (written, read) = channel();
        let lines = LogLines::start(Pipe { allowed, written }).unwrap();
        let mut line = LogLine(Arc::clone(&lines));
        line.write_all(b"first").unwrap();
        // The first one is stuck with the reader; then the queue fills up.
        let kilobyte = [b'x'; 1024];
        while lock(&lines.queue).dropped == 0 {
            line.write_all(&kilobyte).unwrap();
        }
        lines.wait_until_written(Duration::from_millis(1));
        allow.send(()).unwrap();
        assert_eq!(read.recv().unwrap(), b"first");
        drop(allow);
        lines.wait_until_written(Duration::from_secs(60));
        let queue = lock(&lines.queue);
        assert!(queue.lines.is_empty() && queue.bytes == 0 && queue.dropped == 0);
    }
}
