//! A server: a station behind a socket. `run` takes a bound socket and any future that ends it, so
//! that tests use the same door as the program.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::api::{Api, Service, router};
use crate::config::{Access, Config};
use crate::random;
use crate::station::Station;

/// Requests that are under way when the server ends get so long.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Batches that are under way when the server ends get so long, less than the 30 seconds after which
/// a container is killed. A plugin may take hours for one; what is not committed runs again.
const LAST_BATCHES: Duration = Duration::from_secs(20);

/// Serves until `shutdown` is done; then stops all pipelines with checkpoints and returns.
///
/// # Errors
/// When the server cannot start.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StartError> {
    let server = Server::start(config, listener).await?;
    shutdown.await;
    server.stop().await;
    Ok(())
}

/// A server that runs until it is stopped.
pub struct Server {
    address: SocketAddr,
    station: Station,
    closing: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
    restoring: JoinHandle<()>,
    _stopped: oneshot::Sender<()>,
}

impl Server {
    /// Locks the data folder, answers requests, and begins to restore pipelines.
    ///
    /// # Errors
    /// When the folder is in use or unusable, or a token is needed and there is none.
    pub async fn start(config: Config, listener: TcpListener) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let (dir, handle) = (config.data_dir.clone(), Handle::current());
        let station = spawn_blocking(move || Station::open(&dir, handle))
            .await
            .map_err(|error| StartError::Listen(io::Error::other(error)))?
            .map_err(|error| StartError::Open(error.to_string()))?;
        Self::with(station, &config, listener, address)
    }

    pub(crate) fn with(
        station: Station,
        config: &Config,
        listener: TcpListener,
        address: SocketAddr,
    ) -> Result<Self, StartError> {
        let token_needed = config.access == Access::Token || !address.ip().is_loopback();
        if token_needed {
            let tokens = station.catalog.tokens().map_err(|error| StartError::Open(error.to_string()))?;
            if tokens.is_empty() {
                return Err(StartError::NoToken { address });
            }
        }
        let (closing, closing_seen) = watch::channel(false);
        let service = Arc::new(Service {
            token_needed,
            own_ip: address.ip(),
            plugin_bytes_max: config.plugin_bytes_max,
            ingest_bytes_max: config.ingest_bytes_max,
            ready: AtomicBool::new(false),
            closing: closing_seen,
            request_prefix: random::hex::<4>().map_err(StartError::Listen)?,
            requests: AtomicU64::new(1),
        });
        let router = router(Api { station: station.clone(), service: Arc::clone(&service) });
        let (stopped, stop) = oneshot::channel::<()>();
        let until = async move {
            // Sent never; dropped with the server.
            let _dropped = stop.await;
        };
        // A tap's events are small and must not wait for the acknowledgement of the ones before: without
        // this, Nagle's algorithm and a viewer's delayed acknowledgement cost up to 40 ms.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection stays without TCP_NODELAY");
            }
        });
        let serving =
            tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(until).await });
        let supervisor = Arc::clone(&station.supervisor);
        let restoring = spawn_blocking(move || {
            if let Err(error) = supervisor.restore() {
                tracing::error!(%error, "pipelines could not be restored");
            }
            service.ready.store(true, Ordering::Release);
        });
        tracing::info!(%address, token_needed, data_dir = %config.data_dir.display(), "serving");
        Ok(Self { address, station, closing, serving, restoring, _stopped: stopped })
    }

    /// Where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops all pipelines with checkpoints, lets requests end, and gives the data folder back.
    pub async fn stop(self) {
        let Self { station, closing, serving, restoring, _stopped, .. } = self;
        closing.send_replace(true);
        drop(_stopped);
        // A pipeline that is still being restored would come back after the others stopped.
        let _restored = restoring.await;
        let supervisor = Arc::clone(&station.supervisor);
        let stopping = spawn_blocking(move || supervisor.stop_all());
        // Past the limit the threads go on until the process ends; nothing waits for them.
        match tokio::time::timeout(LAST_BATCHES, stopping).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("a pipeline could not be stopped"),
            Err(_) => tracing::warn!("a batch did not end in time: it is run again at the next start"),
        }
        let abort = serving.abort_handle();
        if tokio::time::timeout(LAST_REQUESTS, serving).await.is_err() {
            abort.abort();
        }
        tracing::info!("stopped");
    }
}

/// Why a server cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The data folder cannot be worked on: why, and what to do.
    Open(String),
    /// Other machines could reach the server, and nobody has a token.
    NoToken {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// The socket cannot be used.
    Listen(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(why) => f.write_str(why),
            Self::NoToken { address } => write!(
                f,
                "clients of {address} need a token and there is none: make one with `millstream token create NAME`, or listen on 127.0.0.1"
            ),
            Self::Listen(cause) => write!(f, "cannot listen: {cause}"),
        }
    }
}

impl std::error::Error for StartError {}
