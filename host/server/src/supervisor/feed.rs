//! What a pipeline tells while it runs: its newest progress, its last log lines, its plugins'
//! numbers. Bounded, and never blocks the pipeline for longer than a short section.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use millstream_engine::clock::SharedClock;
use millstream_engine::pipeline::{Events, LogLine, PipelineState, PluginMetric, Progress};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::sync::lock;
use crate::telemetry::Telemetry;
use crate::totals::Totals;

/// So many lines of each pipeline are kept in memory.
const LINES_MAX: usize = 1000;

/// A plugin chooses the names of its numbers; one that makes up names must not fill the memory.
const NUMBERS_MAX: usize = 100;

/// What one pipeline tells.
pub(crate) struct Feed {
    pipeline: String,
    telemetry: Arc<Telemetry>,
    clock: SharedClock,
    /// Guards what was told last; every section is a few moves.
    told: Mutex<Told>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Told {
    state: Option<PipelineState>,
    progress: Option<Progress>,
    lines: VecDeque<LogLine>,
    /// Lines that were dropped from the front: the number of the first that is kept.
    lines_gone: u64,
    numbers: BTreeMap<(String, String), Totals>,
    numbers_refused: bool,
}

/// A log line with its number.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct NumberedLine {
    /// Counts up from 1 since the server started.
    pub(crate) number: u64,
    /// time_us, level, entry, message.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub(crate) line: LogLine,
}

/// A number that a plugin keeps.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PluginNumber {
    /// The step.
    pub(crate) entry: String,
    /// The plugin's name for it.
    pub(crate) name: String,
    /// What it has come to.
    #[serde(flatten)]
    pub(crate) totals: Totals,
}

impl Feed {
    /// Nothing told yet.
    pub(crate) fn new(pipeline: &str, telemetry: Arc<Telemetry>, clock: SharedClock) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            telemetry,
            clock,
            told: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// The state that was told last; stopped before that.
    pub(crate) fn told_state(&self) -> PipelineState {
        lock(&self.told).state.clone().unwrap_or(PipelineState::Stopped)
    }

    /// It was told that the pipeline is over; before anything is told, it has yet to begin.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.told).state.as_ref().is_some_and(PipelineState::is_over)
    }

    /// The newest batch.
    pub(crate) fn progress_now(&self) -> Option<Progress> {
        lock(&self.told).progress.clone()
    }

    /// Lines with numbers above `after`, at most `limit`: the oldest of them.
    pub(crate) fn lines(&self, after: u64, limit: usize) -> Vec<NumberedLine> {
        let told = lock(&self.told);
        let first = told.lines_gone + 1;
        let skip = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        let numbered = told.lines.iter().enumerate().skip(skip).take(limit);
        numbered.map(|(n, line)| NumberedLine { number: first + n as u64, line: line.clone() }).collect()
    }

    /// The last `limit` lines.
    pub(crate) fn last_lines(&self, limit: usize) -> Vec<NumberedLine> {
        let after = {
            let told = lock(&self.told);
            told.lines_gone + told.lines.len().saturating_sub(limit) as u64
        };
        self.lines(after, limit)
    }

    /// What plugins count.
    pub(crate) fn numbers(&self) -> Vec<PluginNumber> {
        let told = lock(&self.told);
        let shown = told.numbers.iter().map(|((entry, name), totals)| PluginNumber {
            entry: entry.clone(),
            name: name.clone(),
            totals: *totals,
        });
        shown.collect()
    }

    /// Changes whenever something is told.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A line of the supervisor's own.
    pub(crate) fn note(&self, level: &str, message: String) {
        self.log(LogLine { time_us: self.clock.now_us(), level: level.to_owned(), entry: None, message });
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut lock(&self.told));
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Events for Feed {
    fn state(&self, state: &PipelineState) {
        match state {
            PipelineState::Failed { reason } => tracing::error!(pipeline = self.pipeline, reason, "failed"),
            state => tracing::info!(pipeline = self.pipeline, state = super::state_name(state), "state"),
        }
        let message = match state {
            PipelineState::Failed { reason } => format!("failed: {reason}"),
            state => super::state_name(state).to_owned(),
        };
        self.note(if matches!(state, PipelineState::Failed { .. }) { "error" } else { "info" }, message);
        self.tell(|told| told.state = Some(state.clone()));
    }

    fn progress(&self, progress: &Progress) {
        self.telemetry.batch(progress, self.clock.now_us());
        self.tell(|told| told.progress = Some(progress.clone()));
    }

    fn log(&self, line: LogLine) {
        tracing::debug!(pipeline = self.pipeline, entry = line.entry, level = line.level, "{}", line.message);
        self.tell(|told| {
            if told.lines.len() == LINES_MAX {
                told.lines.pop_front();
                told.lines_gone += 1;
            }
            told.lines.push_back(line);
        });
    }

    fn metric(&self, metric: PluginMetric) {
        let key = (metric.entry.clone(), metric.name.clone());
        let mut refused_first = false;
        let mut taken = true;
        self.tell(|told| {
            if told.numbers.len() >= NUMBERS_MAX && !told.numbers.contains_key(&key) {
                taken = false;
                refused_first = !std::mem::replace(&mut told.numbers_refused, true);
                return;
            }
            told.numbers.entry(key).or_default().add(metric.value);
        });
        if taken {
            self.telemetry.plugin(&self.pipeline, &metric);
        } else if refused_first {
            let message = format!(
                "more than {NUMBERS_MAX} plugin numbers: `{}` and other new ones are dropped",
                metric.name
            );
            self.note("warn", message);
        }
    }
}
