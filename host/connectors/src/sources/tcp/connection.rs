//! One TCP connection: reads, cuts at the last newline and offers whole lines, a read at a time.
//! An offer is decided before more is read, so lines stay in order and the journal sets the pace.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter, memrchr};
use millstream_engine::journal::{Inbox, Receipt, Received, Refused};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::oneshot;

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;
/// How often a connection asks again whether there is room.
const ROOM_PAUSE: Duration = Duration::from_millis(10);

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The pipeline takes nothing any more.
    Stopping,
    /// The other side closed or broke it.
    Peer {
        /// Something came before.
        received: bool,
    },
}

/// Reads until the connection or the pipeline ends.
pub(crate) async fn receive(
    mut stream: impl AsyncRead + Unpin,
    inbox: Arc<dyn Inbox>,
    record_bytes_max: usize,
) -> Ended {
    let mut lines = Lines { held: BytesMut::new(), record_bytes_max, skipping: false };
    let mut received = false;
    loop {
        while !inbox.has_room() {
            tokio::time::sleep(ROOM_PAUSE).await;
        }
        lines.held.reserve(READ_BYTES);
        let read = stream.read_buf(&mut lines.held).await;
        let is_end = !matches!(read, Ok(1..));
        received |= !is_end;
        while let Some(bytes) = lines.next(is_end) {
            // Decided before more is read: a refusal must not wait for the next bytes to come.
            if Offer::make(&*inbox, bytes).taken(&*inbox).await.is_err() {
                return Ended::Stopping;
            }
        }
        if is_end {
            break;
        }
    }
    Ended::Peer { received }
}

/// Bytes that have not been offered.
struct Lines {
    held: BytesMut,
    record_bytes_max: usize,
    /// The rest of a line that is too long goes by.
    skipping: bool,
}

impl Lines {
    /// Whole lines, or the head of one that is too long: one byte more than allowed, which makes it
    /// a dead letter when it is decoded.
    fn next(&mut self, is_end: bool) -> Option<Bytes> {
        if self.skipping {
            let Some(newline) = memchr(b'\n', &self.held) else {
                self.held.clear();
                return None;
            };
            let _rest = self.held.split_to(newline + 1);
            self.skipping = false;
        }
        if let Some(newline) = memrchr(b'\n', &self.held) {
            return Some(self.held.split_to(newline + 1).freeze());
        }
        // A carriage return at the limit belongs to the line's end.
        if self.held.len() > self.record_bytes_max + 1 {
            let head = self.held.split_to(self.record_bytes_max + 1).freeze();
            self.held.clear();
            self.skipping = true;
            return Some(head);
        }
        (is_end && !self.held.is_empty()).then(|| self.held.split().freeze())
    }
}

/// Lines that were offered and are not decided.
struct Offer {
    bytes: Bytes,
    decision: oneshot::Receiver<Result<Receipt, Refused>>,
}

impl Offer {
    fn make(inbox: &dyn Inbox, bytes: Bytes) -> Self {
        let (done, decision) = oneshot::channel();
        let newlines = memchr_iter(b'\n', &bytes).count();
        let unfinished = usize::from(bytes.last() != Some(&b'\n'));
        let received =
            Received { bytes: bytes.clone(), records: (newlines + unfinished) as u64, idempotency_key: None };
        // Who asked may be gone by then; nobody misses the answer.
        inbox.offer(received, Box::new(move |decided| drop(done.send(decided))));
        Self { bytes, decision }
    }

    /// Waits for the decision and offers again what was refused for now.
    async fn taken(self, inbox: &dyn Inbox) -> Result<(), ()> {
        let mut offer = self;
        loop {
            match offer.decision.await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(Refused::Closed)) | Err(_) => return Err(()),
                Ok(Err(Refused::Full)) => {}
                Ok(Err(why @ (Refused::NoRoom(_) | Refused::Failed(_) | Refused::KeyReused))) => {
                    tracing::warn!(%why, "received lines are offered again");
                }
            }
            tokio::time::sleep(ROOM_PAUSE).await;
            offer = Self::make(inbox, offer.bytes);
        }
    }
}
