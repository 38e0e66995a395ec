//! Runs a trial: the engine itself, on a folder that is gone afterwards.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_engine::checkpoint::{DeadLetterFilter, Records};
use millstream_engine::clock::{Clock, SharedClock, SystemClock};
use millstream_engine::pipeline::{
    Deployment, Environment, Events, LogLine, PipelineState, PluginMetric, Progress, Running, SpecError,
};

use super::connectors::{Out, TrialConnectors};
use super::infer;
use super::outcome::{DeadRow, Outcome};
use super::pipeline::{Plan, SOURCE, STEP, plan};
use super::spec::{TrialError, TrialSpec};
use super::workbench::Workbench;
use crate::connectors::ConnectorSet;
use crate::random;
use crate::registry::config_errors;
use crate::scratch::Scratch;
use crate::sync::lock;
use crate::totals::Totals;

/// Batches without rows behind the last row. Timers that set timers make one each; more than these, and they would
/// go on until the end of time.
const TIMER_BATCHES_MAX: u32 = 10_000;
/// Dead letters that are read at once.
const LETTERS_A_LOOK: u32 = 1_000;

impl Workbench {
    /// Gives the rows of `input` (NDJSON) to an operator and writes what it makes of them to `out`, as NDJSON. Blocks
    /// until the input has ended and all is written.
    ///
    /// # Errors
    /// When the operator cannot be opened with these rows, or the trial makes no sense. What goes wrong later is part
    /// of the outcome.
    pub fn run(&self, trial: &TrialSpec, mut input: impl Read, out: Out) -> Result<Outcome, TrialError> {
        let scratch = Scratch::new("trial").map_err(TrialError::new)?;
        let rows = scratch.path().join("input.ndjson");
        File::create(&rows)
            .and_then(|mut file| io::copy(&mut input, &mut file))
            .map_err(|error| TrialError(format!("the input cannot be read: {error}")))?;
        let operator = self.operator(trial.operator.as_deref())?;
        let schema = match &trial.schema {
            Some(schema) => schema.clone(),
            None => infer::schema(
                BufReader::new(File::open(&rows).map_err(TrialError::new)?),
                trial.time.as_deref(),
            )?,
        };
        let Plan { spec, closes } = plan(trial, operator, &schema).map_err(in_own_words)?;
        if let Some(config) = &trial.config {
            let wrong = config_errors(&operator.config_schema, config);
            if !wrong.is_empty() {
                return Err(wrong.into_iter().map(|error| error.under("config")).collect::<Vec<_>>().into());
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(TrialError::new)?;
        let all = ConnectorSet::new(runtime.handle().clone()).for_pipelines();
        let closing = trial.time.clone().filter(|_| closes);
        let environment = Environment {
            connectors: Arc::new(TrialConnectors { all, input: rows, closing, out }),
            plugins: self.plugins(),
            clock: clock(trial.now_us),
            // With a clock of its own a trial is the same each time.
            random: if trial.now_us.is_some() { Arc::new(|| 0) } else { Arc::new(random::word) },
        };
        let deployment = Deployment::plan(&spec, &environment).map_err(in_own_words)?;
        let dir = scratch.path().join("data");
        let mut outcome = drive(deployment, &dir, &environment)?;
        outcome.dead = dead_rows(&dir)?;
        Ok(outcome)
    }
}

/// The paths of the pipeline that nobody wrote are taken off.
fn in_own_words(errors: Vec<SpecError>) -> TrialError {
    let (step, source) = (format!("steps.{STEP}"), format!("sources.{SOURCE}"));
    let own = |error: SpecError| {
        let path = error.path.strip_prefix(&step).or_else(|| error.path.strip_prefix(&source));
        let path = path.unwrap_or(&error.path).trim_start_matches('.').to_owned();
        SpecError { path, message: error.message }
    };
    errors.into_iter().map(own).collect::<Vec<_>>().into()
}

fn drive(deployment: Deployment, dir: &Path, environment: &Environment) -> Result<Outcome, TrialError> {
    let (told, tellings) = channel();
    let ear = Arc::new(Ear { heard: Mutex::new(Heard::default()), told });
    let running =
        Running::start(deployment, dir, environment, Arc::clone(&ear) as _).map_err(TrialError::new)?;
    let is_restless = wait(&running, &tellings);
    let state = running.wait();
    drop(running);
    let heard = std::mem::take(&mut *lock(&ear.heard));
    let failure = match state {
        PipelineState::Failed { reason } => Some(reason.trim_start_matches(&format!("{STEP}: ")).to_owned()),
        _ if is_restless => Some(format!(
            "the operator's timers go on setting timers: {TIMER_BATCHES_MAX} batches after the last row there were more"
        )),
        _ => None,
    };
    Ok(Outcome { logged: heard.logged, numbers: heard.numbers, failure, dead: Vec::new() })
}

/// Until it is over; true when it had to be stopped.
fn wait(running: &Running, tellings: &Receiver<Telling>) -> bool {
    let mut is_restless = false;
    loop {
        match tellings.recv() {
            Ok(Telling::Over) | Err(_) => return is_restless,
            Ok(Telling::Restless) => {
                is_restless = true;
                running.stop();
            }
        }
    }
}

fn dead_rows(dir: &Path) -> Result<Vec<DeadRow>, TrialError> {
    let mut rows = Vec::new();
    let Some(records) = Records::open(dir).map_err(TrialError::new)? else { return Ok(rows) };
    let mut after = 0;
    loop {
        let letters = records
            .dead_letters(&DeadLetterFilter::default(), after, LETTERS_A_LOOK)
            .map_err(TrialError::new)?;
        let Some(last) = letters.last() else { return Ok(rows) };
        after = last.id;
        rows.extend(letters.into_iter().map(DeadRow::new));
    }
}

/// What the pipeline tells whoever waits for it.
enum Telling {
    Over,
    Restless,
}

struct Ear {
    /// Guards what was heard; held for moments.
    heard: Mutex<Heard>,
    told: Sender<Telling>,
}

#[derive(Default)]
struct Heard {
    logged: Vec<LogLine>,
    numbers: BTreeMap<String, Totals>,
    /// Batches without rows, since the last one with rows.
    rowless: u32,
}

impl Events for Ear {
    fn state(&self, state: &PipelineState) {
        if state.is_over() {
            // Whoever waited may have gone.
            let _ = self.told.send(Telling::Over);
        }
    }

    fn progress(&self, progress: &Progress) {
        let mut heard = lock(&self.heard);
        heard.rowless = if progress.num_input_rows == 0 { heard.rowless + 1 } else { 0 };
        if heard.rowless == TIMER_BATCHES_MAX {
            let _ = self.told.send(Telling::Restless);
        }
    }

    fn log(&self, line: LogLine) {
        lock(&self.heard).logged.push(line);
    }

    fn metric(&self, metric: PluginMetric) {
        lock(&self.heard).numbers.entry(metric.name).or_default().add(metric.value);
    }
}

/// The machine's clock, or one that stands still.
fn clock(now_us: Option<i64>) -> SharedClock {
    let machine = SystemClock::shared();
    match now_us {
        None => machine,
        Some(now_us) => Arc::new(Standing { now_us, machine }),
    }
}

struct Standing {
    now_us: i64,
    machine: SharedClock,
}

impl Clock for Standing {
    fn now_us(&self) -> i64 {
        self.now_us
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }
}
