//! `millstream serve`.

use std::future::Future;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::args::Serve;
use super::error::CliError;
use crate::config::{Access, Config};
use crate::server;
use crate::telemetry::log_to_stderr;

pub(super) fn serve(args: &Serve) -> Result<(), CliError> {
    log_to_stderr(args.log);
    let access = if args.require_token { Access::Token } else { Access::ByAddress };
    let config = Config { access, ..Config::new(&args.data_dir) };
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|error| CliError::Failed(format!("cannot listen on {}: {error}", args.listen)))?;
        let interrupted = interrupted()?;
        server::run(config, listener, interrupted).await.map_err(|error| CliError::Failed(error.to_string()))
    });
    // A plugin that never returns would keep the process for ever.
    runtime.shutdown_background();
    served
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
