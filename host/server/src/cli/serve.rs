//! `millstream serve`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::args::Serve;
use super::error::CliError;
use crate::config::{Access, Config};
use crate::server;
use crate::telemetry::log_to_stderr;

pub(super) fn serve(args: &Serve) -> Result<(), CliError> {
    let _log = log_to_stderr(args.log);
    let access = if args.require_token { Access::Token } else { Access::ByAddress };
    let config = Config { access, ..Config::new(&args.data_dir) };
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|error| CliError::Failed(cannot_listen(args.listen, &error)))?;
        let interrupted = interrupted()?;
        server::run(config, listener, interrupted).await.map_err(|error| CliError::Failed(error.to_string()))
    });
    // A plugin that never returns would keep the process for ever.
    runtime.shutdown_background();
    served
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: end it, or choose another address with --listen"
        }
        io::ErrorKind::AddrNotAvailable => "it is no address of this machine: choose one with --listen",
        _ => "choose another address with --listen",
    };
    format!("cannot listen on {address} ({error}): {what}")
}

/// The runtime of the program; pipelines have threads of their own.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    let built = Builder::new_multi_thread().enable_all().thread_name("millstream").build();
    built.map_err(|error| CliError::Failed(format!("no threads can be started: {error}")))
}

/// Done when the process is told to end.
pub(super) fn interrupted() -> Result<impl Future<Output = ()> + Send, CliError> {
    let fails = |error: std::io::Error| CliError::Failed(format!("signals cannot be received: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(fails)?;
    let mut int = signal(SignalKind::interrupt()).map_err(fails)?;
    Ok(async move {
        // Both lose nothing when dropped: a signal that came is kept by the stream.
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
