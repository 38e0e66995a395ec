//! The only place that names the connectors: sources and sinks for pipelines, streams for ingest
//! requests, schemas for the spec's documentation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use millstream_connectors::Registry;
pub(crate) use millstream_connectors::sinks::line_sink;
use millstream_connectors::sources::http::{HttpStreams, PushError};
use millstream_engine::journal::{Receipt, Refused};
use millstream_engine::pipeline::Connectors;
use serde_json::Value;
use tokio::runtime::Handle;

/// All connectors of a server.
pub(crate) struct ConnectorSet {
    registry: Arc<Registry>,
    streams: HttpStreams,
}

impl ConnectorSet {
    /// Connectors that do their waiting on `handle`.
    pub(crate) fn new(handle: Handle) -> Self {
        let registry = Arc::new(Registry::new(handle));
        Self { streams: registry.streams().clone(), registry }
    }

    /// What pipelines use.
    pub(crate) fn for_pipelines(&self) -> Arc<dyn Connectors> {
        Arc::clone(&self.registry) as Arc<dyn Connectors>
    }

    /// JSON Schemas of the connectors' keys, by `source-<type>` and `sink-<type>`.
    pub(crate) fn json_schemas() -> BTreeMap<String, Value> {
        Registry::json_schemas()
    }

    /// Gives a body to the pipeline that listens to `stream`; done when it is durable. Dropping the
    /// future loses the answer, not the body.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(crate) async fn push(&self, stream: &str, body: PushBody) -> Result<Receipt, PushRefused> {
        let PushBody { content_type, bytes, idempotency_key } = body;
        let pushed = self.streams.push(stream, content_type.as_deref(), bytes, idempotency_key).await;
        pushed.map_err(|error| {
            let said = error.to_string();
            match error {
                PushError::UnknownStream { .. } => PushRefused::Unknown(said),
                PushError::ContentType { .. } => PushRefused::ContentType(said),
                PushError::Malformed { .. } | PushError::Empty => PushRefused::Malformed(said),
                PushError::Refused(why) => PushRefused::Refused(why),
            }
        })
    }

    /// Where a pipeline's sources listen, by source.
    pub(crate) fn addresses(&self, pipeline: &str) -> BTreeMap<String, String> {
        let all = self.registry.endpoints().all();
        let own = all.into_iter().filter(|((owner, _), _)| owner == pipeline);
        own.map(|((_, entry), address)| (entry, address.to_string())).collect()
    }
}

/// An ingest request.
pub(crate) struct PushBody {
    /// What the client says it is.
    pub(crate) content_type: Option<String>,
    /// Whole records.
    pub(crate) bytes: Bytes,
    /// The same key again is answered with the first receipt.
    pub(crate) idempotency_key: Option<String>,
}

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PushRefused {
    /// No running pipeline has this stream; says which there are.
    Unknown(String),
    /// The stream reads another format; says which.
    ContentType(String),
    /// The body as a whole is no records; says why.
    Malformed(String),
    /// The journal did not take it.
    Refused(Refused),
}

impl fmt::Display for PushRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) | Self::ContentType(why) | Self::Malformed(why) => f.write_str(why),
            Self::Refused(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for PushRefused {}
