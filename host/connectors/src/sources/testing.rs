//! What tests of push sources share: a context and an inbox that remembers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use millstream_engine::clock::SystemClock;
use millstream_engine::journal::{Done, Inbox, Receipt, Received, Refused};
use millstream_engine::pipeline::SourceCtx;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A context for tests.
pub(crate) fn ctx(pipeline: &str) -> SourceCtx {
    SourceCtx {
        pipeline: pipeline.to_owned(),
        entry: "in".to_owned(),
        clock: SystemClock::shared(),
        available_now: false,
        wake: Arc::new(|| ()),
        warn: Arc::new(|_| ()),
    }
}

/// Hands on what is offered, after the refusals it was told to make.
pub(crate) struct TestInbox {
    taken: UnboundedSender<Received>,
    /// Answers in place of taking.
    pub(crate) refusals: Mutex<VecDeque<Refused>>,
    /// Whether there is room.
    pub(crate) room: AtomicBool,
}

impl TestInbox {
    /// An inbox with room, and what it takes.
    pub(crate) fn new() -> (Arc<Self>, UnboundedReceiver<Received>) {
        let (taken, receiver) = unbounded_channel();
        (Arc::new(Self { taken, refusals: Mutex::default(), room: AtomicBool::new(true) }), receiver)
    }
}

impl Inbox for TestInbox {
    fn offer(&self, received: Received, done: Done) {
        if let Some(why) = self.refusals.lock().unwrap().pop_front() {
            return done(Err(why));
        }
        self.taken.send(received).unwrap();
        done(Ok(Receipt { offset: 1, duplicate: false }));
    }

    fn has_room(&self) -> bool {
        self.room.load(Ordering::SeqCst)
    }
}
