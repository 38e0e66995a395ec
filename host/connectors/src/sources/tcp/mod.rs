//! `type: tcp`: receives lines over TCP, as a server or as a client. The protocol has no
//! acknowledgement, so what the sockets held when the process died is gone.

mod connection;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use millstream_engine::journal::Inbox;
use millstream_engine::pipeline::{ByteSize, OpenSource, Replay, SourceCtx, SourcePlan, SpecError, read};
use millstream_engine::source::SourceError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::endpoints::{Endpoints, Listed};
use super::journal_bytes_max;
use crate::formats::{EntryStart, Format, FormatKind, FormatSpec, RecordDecoder};
use connection::{Ended, receive};

/// Connections that one source serves at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1024;
/// The pause before the first attempt to connect again; doubles with each.
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// The longest pause between attempts to connect.
const RECONNECT_LONGEST: Duration = Duration::from_secs(10);

/// The keys of a TCP source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpSpec {
    /// `host:port` to listen on; port 0 lets the machine choose. Either this or `connect`.
    listen: Option<String>,
    /// `host:port` to connect to, again and again.
    connect: Option<String>,
    /// `text` or `ndjson`.
    format: FormatKind,
    /// Columns and their types, in order; not for text.
    #[schemars(with = "crate::formats::ColumnsSchema")]
    schema: Option<Map<String, Value>>,
    /// A longer line is a dead letter.
    max_record_bytes: Option<u64>,
    /// Bytes that wait in the journal for a checkpoint; then nothing more is read. 1GiB when left out.
    journal_max: Option<ByteSize>,
}

/// Checks the spec of a TCP source.
pub(crate) fn plan(
    config: Map<String, Value>,
    handle: &Handle,
    endpoints: &Endpoints,
) -> Result<Box<dyn SourcePlan>, SpecError> {
    let spec: TcpSpec = read(Value::Object(config))?;
    if !matches!(spec.format, FormatKind::Text | FormatKind::Ndjson) {
        let message =
            format!("TCP carries lines, and {} is not made of lines: use text or ndjson", spec.format.name());
        return Err(SpecError::new("format", message));
    }
    let peer = match (spec.listen, spec.connect) {
        (Some(address), None) => Peer::Listen(address_of("listen", address)?),
        (None, Some(address)) => Peer::Connect(address_of("connect", address)?),
        _ => return Err(SpecError::new("", "give either `listen: host:port` or `connect: host:port`")),
    };
    let format = FormatSpec {
        kind: spec.format,
        schema: spec.schema,
        max_record_bytes: spec.max_record_bytes,
        csv: None,
    };
    let format = format.check()?;
    let journal_bytes_max = journal_bytes_max(spec.journal_max)?;
    let (handle, endpoints) = (handle.clone(), endpoints.clone());
    Ok(Box::new(TcpPlan { peer, format, handle, endpoints, journal_bytes_max }))
}

fn address_of(key: &str, address: String) -> Result<String, SpecError> {
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(address),
        _ => Err(SpecError::new(key, format!("`{address}` is no address: write `host:port`"))),
    }
}

enum Peer {
    Listen(String),
    Connect(String),
}

struct TcpPlan {
    peer: Peer,
    format: Arc<Format>,
    handle: Handle,
    endpoints: Endpoints,
    journal_bytes_max: u64,
}

impl SourcePlan for TcpPlan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.format.schema())
    }

    fn replay(&self) -> Replay {
        let caveat = "TCP has no acknowledgement: what was sent and had not been read from the socket when the \
                      process died is lost, and the sender is not told";
        Replay::Journaled { caveat: Some(caveat.to_owned()) }
    }

    fn open(self: Box<Self>, ctx: SourceCtx) -> Result<OpenSource, SourceError> {
        let Self { peer, format, handle, endpoints, journal_bytes_max } = *self;
        let record_bytes_max = format.max_record_bytes();
        let decoder = Arc::new(RecordDecoder::new(format, EntryStart::Stream));
        let receive: Receive = match peer {
            Peer::Listen(address) => {
                let (listener, listed) = bind(&address, &handle, &endpoints, &ctx)?;
                Box::new(move |inbox| {
                    let serving = handle.spawn(serve(listener, inbox, record_bytes_max));
                    Ok(Box::new(Receiving { task: serving.abort_handle(), _listed: Some(listed) }))
                })
            }
            Peer::Connect(address) => Box::new(move |inbox| {
                let connecting = handle.spawn(keep_connected(address, inbox, record_bytes_max));
                Ok(Box::new(Receiving { task: connecting.abort_handle(), _listed: None }))
            }),
        };
        Ok(OpenSource::Push { journal_bytes_max, decoder, receive })
    }
}

type Receive = Box<dyn FnOnce(Arc<dyn Inbox>) -> Result<Box<dyn Send>, SourceError> + Send>;

/// Ends the task, and with it all connections, when dropped.
struct Receiving {
    task: AbortHandle,
    _listed: Option<Listed>,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn bind(
    address: &str,
    handle: &Handle,
    endpoints: &Endpoints,
    ctx: &SourceCtx,
) -> Result<(TcpListener, Listed), SourceError> {
    let failed =
        |error: std::io::Error| SourceError::Transient(format!("cannot listen on {address}: {error}"));
    let listener = StdListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound: SocketAddr = listener.local_addr().map_err(failed)?;
    let _runtime = handle.enter();
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    tracing::info!(pipeline = ctx.pipeline, source = ctx.entry, address = %bound, "listening for TCP connections");
    Ok((listener, endpoints.insert((ctx.pipeline.clone(), ctx.entry.clone()), bound)))
}

/// Dropping this future drops the set, which ends all connections.
async fn serve(listener: TcpListener, inbox: Arc<dyn Inbox>, record_bytes_max: usize) {
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let inbox = Arc::clone(&inbox);
                connections.spawn(async move {
                    receive(stream, inbox, record_bytes_max).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Mostly a lack of file descriptors, which passes when connections end.
                tracing::warn!(%error, "cannot accept a TCP connection");
                tokio::time::sleep(RECONNECT_FIRST).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn keep_connected(address: String, inbox: Arc<dyn Inbox>, record_bytes_max: usize) {
    let mut pause = RECONNECT_FIRST;
    loop {
        match TcpStream::connect(&address).await {
            Ok(stream) => match receive(stream, Arc::clone(&inbox), record_bytes_max).await {
                Ended::Stopping => return,
                Ended::Peer { received: true } => pause = RECONNECT_FIRST,
                Ended::Peer { received: false } => {}
            },
            Err(error) => tracing::warn!(%address, %error, "cannot connect"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_LONGEST);
    }
}

#[cfg(test)]
mod tests;
