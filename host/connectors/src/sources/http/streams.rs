//! Who takes which stream, and how a body gets to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use millstream_engine::journal::{Inbox, Receipt, Received, Refused};
use millstream_engine::source::SourceError;
use tokio::sync::oneshot;

use super::body::{check_content_type, records};
use super::{HttpFormat, PushError};
use crate::formats::Format;

/// Who takes which stream; shared by the server and all pipelines.
#[derive(Clone, Default)]
pub struct HttpStreams(Arc<Mutex<BTreeMap<String, Arc<Taker>>>>);

/// A source that is running.
pub(super) struct Taker {
    /// Its pipeline.
    pub(super) pipeline: String,
    /// The format of bodies.
    pub(super) http_format: HttpFormat,
    /// The format of what is stored.
    pub(super) format: Arc<Format>,
    /// Where bodies go.
    pub(super) inbox: Arc<dyn Inbox>,
}

impl fmt::Debug for HttpStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl HttpStreams {
    /// The names of the streams that are taken now.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Hands a body to the pipeline that takes the stream; resolves once it is safe.
    ///
    /// # Errors
    /// When nobody takes the stream, the body is not what the stream takes, or the journal refuses.
    pub async fn push(
        &self,
        stream: &str,
        content_type: Option<&str>,
        body: Bytes,
        idempotency_key: Option<String>,
    ) -> Result<Receipt, PushError> {
        let taker = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream).cloned();
        let taker = taker
            .ok_or_else(|| PushError::UnknownStream { stream: stream.to_owned(), known: self.names() })?;
        check_content_type(taker.http_format, content_type)?;
        let (bytes, records) = records(&taker, body)?;
        let (done, decision) = oneshot::channel();
        let received = Received { bytes, records, idempotency_key };
        // A client that is gone does not wait for the answer.
        taker.inbox.offer(received, Box::new(move |decided| drop(done.send(decided))));
        decision.await.unwrap_or(Err(Refused::Closed)).map_err(PushError::Refused)
    }

    /// Whether nobody takes the stream yet.
    pub(super) fn check_free(&self, stream: &str) -> Result<(), SourceError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream) {
            Some(taker) => Err(taken(stream, &taker.pipeline)),
            None => Ok(()),
        }
    }

    /// Gives the stream to `taker` until what is returned is dropped.
    pub(super) fn register(&self, stream: String, taker: Taker) -> Result<Registered, SourceError> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = streams.get(&stream) {
            return Err(taken(&stream, &other.pipeline));
        }
        streams.insert(stream.clone(), Arc::new(taker));
        Ok(Registered { streams: self.clone(), stream })
    }
}

fn taken(stream: &str, pipeline: &str) -> SourceError {
    SourceError::Permanent(format!(
        "stream `{stream}` is taken by pipeline `{pipeline}`: choose another name or stop that pipeline"
    ))
}

/// A stream that is taken.
pub(super) struct Registered {
    streams: HttpStreams,
    stream: String,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.streams.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.stream);
    }
}
