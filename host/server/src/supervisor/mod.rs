//! Pipelines that run: deploys, starts, stops and restores them, each on its own, so that one that
//! fails never disturbs another. Owns no batch and no state; those are the engine's.
//!
//! Everything here may block (a stop waits for a checkpoint): async callers use a blocking thread.

mod deploy;
mod error;
mod feed;
mod lifecycle;
mod managed;
mod state;
mod view;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use millstream_engine::checkpoint::{DeadLetterFilter, Records};
use millstream_engine::clock::SharedClock;
use millstream_engine::pipeline::{
    Deployment, Draft, Environment, PipelineSpec, PipelineState, Plugins, SpecError, TapRows, unknown_name,
};
use serde_json::Value;

pub(crate) use deploy::Mode;
pub(crate) use error::SupervisorError;
pub(crate) use feed::{Feed, NumberedLine};
pub(crate) use state::{QueryDocument, StateDocument, StatePart, StateSummary};
pub(crate) use view::{PipelineDocument, PipelineSummary, Soundness};

use crate::catalog::Catalog;
use crate::connectors::ConnectorSet;
use crate::data_dir::DataDir;
use crate::random;
use crate::registry::{Pinned, Registry};
use crate::sync::lock;
use crate::telemetry::Telemetry;
use managed::Managed;

/// The pipelines of a server.
pub(crate) struct Supervisor {
    env: Environment,
    data: DataDir,
    catalog: Arc<Catalog>,
    registry: Arc<Registry>,
    connectors: Arc<ConnectorSet>,
    telemetry: Arc<Telemetry>,
    /// Guards the table of pipelines, not the pipelines: held to look one up.
    pipelines: Mutex<BTreeMap<String, Arc<Managed>>>,
}

impl Supervisor {
    /// No pipeline yet; `restore` brings back those of the catalog.
    pub(crate) fn new(
        data: DataDir,
        catalog: Arc<Catalog>,
        registry: Arc<Registry>,
        connectors: Arc<ConnectorSet>,
        telemetry: Arc<Telemetry>,
        clock: SharedClock,
    ) -> Self {
        let env = Environment {
            connectors: connectors.for_pipelines(),
            plugins: Arc::clone(&registry) as Arc<dyn Plugins>,
            clock,
            random: Arc::new(random::word),
        };
        Self { env, data, catalog, registry, connectors, telemetry, pipelines: Mutex::default() }
    }

    /// What a pipeline tells while it runs.
    ///
    /// # Errors
    /// When there is no such pipeline.
    pub(crate) fn feed(&self, name: &str) -> Result<Arc<Feed>, SupervisorError> {
        self.existing(name).map(|managed| Arc::clone(&managed.feed))
    }

    /// What a pipeline has written down; none before its first start.
    ///
    /// # Errors
    /// When there is no such pipeline or its records cannot be read.
    pub(crate) fn records(&self, name: &str) -> Result<Option<Records>, SupervisorError> {
        self.existing(name)?;
        Records::open(&self.dir(name)).map_err(|error| SupervisorError::Engine(error.to_string()))
    }

    /// Gives rows that pass an entry to `give` until it answers false.
    ///
    /// # Errors
    /// When the pipeline or the entry is unknown or the pipeline does not run.
    pub(crate) fn tap(
        &self,
        name: &str,
        entry: &str,
        give: Box<dyn Fn(TapRows) -> bool + Send + Sync>,
    ) -> Result<(), SupervisorError> {
        let managed = self.existing(name)?;
        let Some(running) = managed.running() else {
            return Err(SupervisorError::NotRunning(name.to_owned()));
        };
        if running.tap(entry, give) {
            return Ok(());
        }
        let facts = managed.facts();
        let names: Vec<&str> =
            facts.iter().flat_map(|facts| facts.entries.iter()).map(|entry| entry.name.as_str()).collect();
        Err(SupervisorError::Unknown(unknown_name("entry", entry, &names)))
    }

    /// Sends dead letters through their entry again.
    ///
    /// # Errors
    /// When the pipeline is unknown or does not run.
    pub(crate) fn replay(&self, name: &str, which: &DeadLetterFilter) -> Result<u64, SupervisorError> {
        let managed = self.existing(name)?;
        let Some(running) = managed.running() else {
            return Err(SupervisorError::NotRunning(name.to_owned()));
        };
        running.replay_dead_letters(which).map_err(|error| SupervisorError::Engine(error.to_string()))
    }

    /// How many pipelines are in which state.
    pub(crate) fn by_state(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<&'static str, u64> = STATES.iter().map(|state| (*state, 0)).collect();
        for managed in self.all() {
            *counts.entry(state_name(&managed.state())).or_default() += 1;
        }
        counts
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.data.pipeline(name)
    }

    /// All pipelines that exist, by name.
    fn all(&self) -> Vec<Arc<Managed>> {
        lock(&self.pipelines).values().filter(|managed| managed.exists()).cloned().collect()
    }

    fn existing(&self, name: &str) -> Result<Arc<Managed>, SupervisorError> {
        let found = lock(&self.pipelines).get(name).filter(|managed| managed.exists()).cloned();
        found.ok_or_else(|| {
            let all = self.all();
            let names: Vec<&str> = all.iter().map(|managed| managed.name.as_str()).collect();
            SupervisorError::Unknown(unknown_name("pipeline", name, &names))
        })
    }

    /// Plans a spec: with the plugins of `pinned` where they still fit. A panic in there is the
    /// pipeline's failure, not the server's.
    fn plan(&self, spec: &PipelineSpec, pinned: &[String]) -> Result<Deployment, Vec<SpecError>> {
        let pinned: HashSet<String> = pinned.iter().cloned().collect();
        let mut errors = self.registry.check_configs(spec, &pinned);
        let env = self.environment(pinned);
        let planned = guarded(|| Deployment::plan(spec, &env))
            .unwrap_or_else(|panic| Err(vec![SpecError::new("", panic)]));
        match planned {
            Ok(deployment) if errors.is_empty() => Ok(deployment),
            Ok(_) => Err(errors),
            Err(more) => {
                add_errors(&mut errors, more);
                Err(errors)
            }
        }
    }

    /// Everything that is wrong with a document that is no spec.
    fn faults(&self, document: &Value) -> Vec<SpecError> {
        let draft = Draft::read(document);
        let none = HashSet::new();
        let mut errors =
            draft.spec().map(|spec| self.registry.check_configs(spec, &none)).unwrap_or_default();
        let env = self.environment(none);
        let more = guarded(|| Deployment::faults(&draft, &env))
            .unwrap_or_else(|panic| vec![SpecError::new("", panic)]);
        add_errors(&mut errors, more);
        errors
    }

    fn environment(&self, digests: HashSet<String>) -> Environment {
        let pinned = Pinned { registry: Arc::clone(&self.registry), digests };
        Environment { plugins: Arc::new(pinned), ..self.env.clone() }
    }
}

/// Adds what is not said already: a place that is known to be wrong, with more knowledge, stays so.
fn add_errors(errors: &mut Vec<SpecError>, more: Vec<SpecError>) {
    let known: Vec<String> = errors.iter().map(|error| error.path.clone()).collect();
    errors.extend(more.into_iter().filter(|error| !known.contains(&error.path)));
}

/// All states a pipeline can be in.
const STATES: [&str; 7] = ["starting", "running", "retrying", "draining", "stopped", "finished", "failed"];

/// The name of a state.
pub(crate) const fn state_name(state: &PipelineState) -> &'static str {
    match state {
        PipelineState::Starting => STATES[0],
        PipelineState::Running => STATES[1],
        PipelineState::Retrying { .. } => STATES[2],
        PipelineState::Draining => STATES[3],
        PipelineState::Stopped => STATES[4],
        PipelineState::Finished => STATES[5],
        PipelineState::Failed { .. } => STATES[6],
    }
}

/// Runs the engine's code for one pipeline; a panic becomes words.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        format!("a bug in millstream stopped the pipeline: {said}")
    })
}

#[cfg(test)]
mod tests;
