//! `millstream run`: one pipeline, the same engine, no server.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use millstream_engine::pipeline::{PipelineState, Progress};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::args::Run;
use super::error::CliError;
use super::output::Output;
use super::pipeline::read_spec;
use super::serve::{interrupted, runtime};
use crate::catalog::Wanted;
use crate::config::LogFormat;
use crate::scratch::Scratch;
use crate::station::Station;
use crate::supervisor::{Feed, Mode, SupervisorError};
use crate::telemetry::log_to_stderr;

pub(super) fn run(args: &Run, output: &mut Output) -> Result<(), CliError> {
    let _log = log_to_stderr(LogFormat::Text);
    let spec = read_spec(&args.file)?;
    let scratch;
    let dir = match &args.data_dir {
        Some(dir) => dir.as_path(),
        None => {
            scratch = Scratch::new("run").map_err(failed)?;
            scratch.path()
        }
    };
    let runtime = runtime()?;
    let station = Station::open(dir, Handle::clone(runtime.handle())).map_err(failed)?;
    for file in plugin_files(&args.plugins)? {
        let bytes = fs::read(&file).map_err(|error| at(&file, error))?;
        station.registry.upload(&bytes).map_err(|error| at(&file, error))?;
    }
    let (name, _) = station
        .supervisor
        .deploy(spec, Mode::Replace, Wanted::Running)
        .map_err(|error| wrong_spec(&args.file, error))?;
    let feed = station.supervisor.feed(&name).map_err(failed)?;
    runtime.block_on(watch(&station, &feed, output))?;
    match feed.told_state() {
        PipelineState::Failed { reason } => Err(CliError::Failed(format!("{name} failed: {reason}"))),
        _ => Ok(()),
    }
}

/// Shows batches until the pipeline is over; the first signal stops it with a checkpoint.
async fn watch(station: &Station, feed: &Arc<Feed>, output: &mut Output) -> Result<(), CliError> {
    let mut changes = feed.changes();
    let mut interrupted = pin!(interrupted()?);
    let mut shown = 0;
    let mut warned = 0;
    loop {
        let is_over = feed.is_over();
        for line in feed.lines(warned, usize::MAX) {
            warned = line.number;
            if line.line.level == "warn" {
                output.note(&format!("warning: {}", line.line.message));
            }
        }
        if let Some(progress) = feed.progress_now().filter(|progress| progress.batch_id > shown) {
            shown = progress.batch_id;
            output.note(&batch_line(&progress));
        }
        if is_over {
            break;
        }
        // Dropping either loses nothing: the newest change and the signal are kept.
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = &mut interrupted => {
                output.note("stopping");
                break;
            }
        }
    }
    let supervisor = Arc::clone(&station.supervisor);
    spawn_blocking(move || supervisor.stop_all()).await.map_err(failed)
}

fn batch_line(progress: &Progress) -> String {
    let rows_out: u64 = progress.sinks.iter().map(|sink| sink.num_output_rows).sum();
    let ms = progress.duration_ms.get("triggerExecution").copied().unwrap_or_default();
    let dead: u64 = progress.dead_letters.values().sum();
    let dead = if dead == 0 { String::new() } else { format!(", {dead} dead letters") };
    format!(
        "batch {}: {} rows in, {rows_out} out, {ms:.1} ms{dead}",
        progress.batch_id, progress.num_input_rows
    )
}

/// Files as they are given, folders' `.wasm` files by name.
fn plugin_files(given: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| at(path, error))? {
            let file = entry.map_err(|error| at(path, error))?.path();
            if file.extension().is_some_and(|extension| extension == "wasm") {
                inside.push(file);
            }
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// The same words that a server's problem document would have.
fn wrong_spec(file: &Path, error: SupervisorError) -> CliError {
    let SupervisorError::Invalid(errors) = error else { return failed(error) };
    let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
    CliError::Failed(format!("{} is wrong:{}", file.display(), lines.concat()))
}

fn at(path: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::Failed(format!("{}: {error}", path.display()))
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::Failed(error.to_string())
}
