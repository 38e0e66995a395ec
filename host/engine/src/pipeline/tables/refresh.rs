//! Looks for newer versions of tables on a thread of its own, and writes them down before it tells.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::{Watched, encode, loaded, lock, stays, version_of};
use crate::checkpoint::TableStore;
use crate::clock::SharedClock;
use crate::pipeline::attempt::Shared;
use crate::pipeline::connect::Wake;
use crate::pipeline::status::{SharedEvents, warner};
use crate::source::SourceError;
use crate::table::TableVersion;

/// The thread, seen from the driver; dropping it ends it, after the table that it reads.
pub(super) struct Refresher {
    stop: Option<Sender<()>>,
    news: Receiver<(usize, Arc<TableVersion>)>,
    thread: Option<JoinHandle<()>>,
}

impl Refresher {
    /// Starts to look at each table every so often.
    pub(super) fn start(
        shared: &Shared,
        pipeline: &str,
        tables: Vec<(Watched, Duration)>,
        store: &Arc<Mutex<TableStore>>,
    ) -> Result<Self, std::io::Error> {
        let (stop, stopped) = bounded(0);
        let (tell, news) = unbounded();
        let clock = Arc::clone(&shared.env.clock);
        let now = clock.monotonic();
        let worker = Worker {
            tables: tables
                .into_iter()
                .map(|(table, every)| Due { table, every, at: now + every, said: None })
                .collect(),
            store: Arc::clone(store),
            events: Arc::clone(&shared.events),
            wake: shared.controls.wake(),
            clock,
            tell,
        };
        let builder = std::thread::Builder::new().name(format!("{pipeline}-tables"));
        let thread = builder.spawn(move || worker.work(&stopped))?;
        Ok(Self { stop: Some(stop), news, thread: Some(thread) })
    }

    /// A version that was written down since the last call, and the place of its table.
    pub(super) fn next(&self) -> Option<(usize, Arc<TableVersion>)> {
        self.news.try_recv().ok()
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Worker {
    tables: Vec<Due>,
    store: Arc<Mutex<TableStore>>,
    events: SharedEvents,
    wake: Wake,
    clock: SharedClock,
    tell: Sender<(usize, Arc<TableVersion>)>,
}

/// A table and when it is looked at next, on the monotonic clock.
struct Due {
    table: Watched,
    every: Duration,
    at: Duration,
    /// What was said last of a table that cannot be read: it is said once.
    said: Option<String>,
}

impl Worker {
    fn work(mut self, stopped: &Receiver<()>) {
        while let Some(next) = self.tables.iter().map(|due| due.at).min() {
            let pause = next.saturating_sub(self.clock.monotonic());
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            for place in 0..self.tables.len() {
                if self.tables[place].at <= self.clock.monotonic() {
                    self.look(place);
                    self.tables[place].at = self.clock.monotonic() + self.tables[place].every;
                }
            }
        }
    }

    fn look(&mut self, place: usize) {
        let found = self.tables[place].table.next(&self.store);
        let Due { table, said, .. } = &mut self.tables[place];
        match found {
            Ok(None) => *said = None,
            Ok(Some(version)) => {
                *said = None;
                self.events.log(loaded(self.clock.now_us(), &table.name, version.number, &version.rows));
                // A driver that is gone needs no news.
                let _ = self.tell.send((table.place, Arc::new(version)));
                (self.wake)();
            }
            Err(error) => {
                let message = stays(table.kept.number, &error);
                if said.as_ref() != Some(&message) {
                    warner(&self.events, &self.clock, &table.name)(message.clone());
                }
                *said = Some(message);
            }
        }
    }
}

impl Watched {
    /// Reads the table again; the next version when it is another one, which is written down then.
    fn next(&mut self, store: &Mutex<TableStore>) -> Result<Option<TableVersion>, SourceError> {
        let seen = self.stamp.as_deref().filter(|_| self.is_sure);
        let Some(read) = self.reader.read(seen, self.bounds)? else { return Ok(None) };
        self.is_sure = self.stamp.as_ref() == Some(&read.stamp);
        let table = encode(&read.rows)?;
        let (kept, is_new) = version_of(Some(&self.kept), &self.kept.origin, &table.digest);
        if is_new {
            let written = lock(store).write(&self.name, &kept, &table);
            written.map_err(|error| SourceError::Transient(error.to_string()))?;
        }
        self.stamp = Some(read.stamp);
        let number = kept.number;
        self.kept = kept;
        Ok(is_new.then_some(TableVersion { number, rows: read.rows }))
    }
}
