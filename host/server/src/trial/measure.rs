//! What an operator costs: the same batch through one instance again and again, and what comes before the first batch.
//! Times are the least of many rounds, because a shared machine only ever adds.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use arrow_array::RecordBatch;
use millstream_engine::clock::{SharedClock, SystemClock};
use millstream_wasm::{Operator, Runtime, RuntimeConfig, cross};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::calls::Calls;
use super::spec::{TrialError, TrialSpec};
use super::workbench::Workbench;
use super::{infer, rows};
use crate::connectors::ConnectorSet;
use crate::scratch::Scratch;

/// Rows of a batch, where it is not said.
const BATCH_ROWS: usize = 10_000;
/// So long each measurement goes on.
const A_WHILE: Duration = Duration::from_secs(1);

/// What an operator costs.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// The plugin, as `name@version`.
    pub plugin: String,
    /// The operator.
    pub operator: String,
    /// Bytes of the component.
    pub component_bytes: u64,
    /// To compile it.
    pub compile_ms: f64,
    /// To load it when it was compiled before.
    pub cached_load_ms: f64,
    /// To make an instance and open the operator on it.
    pub instance_ms: f64,
    /// Memory of the instance, when it was opened.
    pub memory_bytes_opened: usize,
    /// Memory of the instance, after all batches.
    pub memory_bytes: usize,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Batches that were given to it.
    pub rounds: u64,
    /// A call, all in all, by the rows that went in.
    pub row_ns: f64,
    /// Of that about so much is the way in and out: buffers copied and checked, without the guest's part.
    pub boundary_row_ns: f64,
}

impl Workbench {
    /// Measures an operator on rows of a file, or on rows made up from the schema. `component` is loaded again, into an empty cache.
    ///
    /// # Errors
    /// When it cannot be opened or a call fails.
    pub fn measure(component: &Path, trial: &TrialSpec, input: Option<&Path>) -> Result<Cost, TrialError> {
        let watch = Watch(SystemClock::shared());
        let cache = Scratch::new("bench").map_err(TrialError::new)?;
        let (compile, workbench) = watch.time(|| Self::load_in(component, cache.path()));
        let workbench = workbench?;
        // As a server that starts: what the plugin says of itself is known, too.
        let runtime = Runtime::new(RuntimeConfig::new(cache.path())).map_err(TrialError::new)?;
        let (cached, is_cached) = watch.time(|| runtime.is_cached(workbench.plugin().digest()));
        if !is_cached {
            return Err(TrialError(format!("{}: its compiled form was not kept", cache.path().display())));
        }
        let operator = workbench.operator(trial.operator.as_deref())?;
        let batch = batch(trial, input)?;
        let description = workbench.plugin().description();
        let mut cost = Cost {
            plugin: format!("{}@{}", description.name, description.version),
            operator: operator.name.clone(),
            component_bytes: workbench.size_bytes(),
            compile_ms: ms(compile),
            cached_load_ms: ms(cached),
            instance_ms: 0.0,
            memory_bytes_opened: 0,
            memory_bytes: 0,
            batch_rows: batch.num_rows(),
            rounds: 0,
            row_ns: 0.0,
            boundary_row_ns: 0.0,
        };
        workbench.calls(trial, operator, &batch, &watch, &mut cost)?;
        Ok(cost)
    }

    fn calls(
        &self,
        trial: &TrialSpec,
        operator: &Operator,
        batch: &RecordBatch,
        watch: &Watch,
        cost: &mut Cost,
    ) -> Result<(), TrialError> {
        let config = trial.config.clone().unwrap_or_else(|| json!({})).to_string();
        let open = |rows: &RecordBatch| Calls::open(self.plugin(), operator, &config, rows, trial);
        let mut calls = open(batch)?;
        cost.memory_bytes_opened = calls.memory_bytes();
        // To find the groups of many rows is not the instance's work.
        let none = batch.slice(0, 0);
        let (opening, _) = watch.least(|| open(&none).map(drop))?;
        let mut output = None;
        let (call, rounds) = watch.least(|| {
            output = calls.call()?;
            Ok(())
        })?;
        let (way_in, _) = watch.least(|| cross(batch).map(drop).map_err(TrialError::new))?;
        let way_out = match &output {
            Some(output) => watch.least(|| cross(output).map(drop).map_err(TrialError::new))?.0,
            None => Duration::ZERO,
        };
        let by_row = |time: Duration| time.as_secs_f64() * 1e9 / batch.num_rows() as f64;
        cost.instance_ms = ms(opening);
        cost.memory_bytes = calls.memory_bytes();
        cost.rounds = rounds;
        cost.row_ns = by_row(call);
        cost.boundary_row_ns = by_row(way_in + way_out).min(cost.row_ns);
        Ok(())
    }
}

fn batch(trial: &TrialSpec, input: Option<&Path>) -> Result<RecordBatch, TrialError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(TrialError::new)?;
    let connectors = ConnectorSet::new(runtime.handle().clone()).for_pipelines();
    let wanted = trial.batch_rows.map_or(BATCH_ROWS, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
    match (input, &trial.schema) {
        (None, None) => Err(TrialError(
            "schema: rows are made up from it: name the columns, as in `{ line: utf8 }`, or give rows with --input".to_owned(),
        )),
        (None, Some(schema)) => rows::made_up(&*connectors, schema, wanted),
        (Some(file), schema) => {
            let schema: Map<String, Value> = match schema {
                Some(schema) => schema.clone(),
                None => {
                    let rows = File::open(file)
                        .map_err(|error| TrialError(format!("{}: {error}", file.display())))?;
                    infer::schema(BufReader::new(rows), trial.time.as_deref())?
                }
            };
            rows::of_file(&*connectors, file, &schema, wanted)
        }
    }
}

/// Takes times.
struct Watch(SharedClock);

impl Watch {
    fn time<T>(&self, act: impl FnOnce() -> T) -> (Duration, T) {
        let start = self.0.monotonic();
        let done = act();
        (self.0.monotonic().saturating_sub(start), done)
    }

    /// The least time of many rounds, and how many there were.
    fn least(
        &self,
        mut round: impl FnMut() -> Result<(), TrialError>,
    ) -> Result<(Duration, u64), TrialError> {
        let (begin, mut least, mut rounds) = (self.0.monotonic(), Duration::MAX, 0);
        while rounds < 3 || self.0.monotonic().saturating_sub(begin) < A_WHILE {
            let (time, done) = self.time(&mut round);
            done?;
            least = least.min(time);
            rounds += 1;
        }
        Ok((least, rounds))
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Words for people.
impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        writeln!(f, "{}, {}", self.plugin, self.operator)?;
        writeln!(f, "a row          {:.1} ns, in batches of {} rows", self.row_ns, self.batch_rows)?;
        writeln!(f, "the boundary   {:.1} ns of it", self.boundary_row_ns)?;
        writeln!(
            f,
            "memory         {:.1} MiB, {:.1} MiB when opened",
            mib(self.memory_bytes),
            mib(self.memory_bytes_opened)
        )?;
        writeln!(f, "an instance    {:.2} ms", self.instance_ms)?;
        writeln!(f, "cached load    {:.1} ms", self.cached_load_ms)?;
        writeln!(f, "compile        {:.0} ms", self.compile_ms)?;
        write!(f, "component      {:.0} KiB", self.component_bytes as f64 / 1024.0)
    }
}
