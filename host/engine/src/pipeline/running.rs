//! A pipeline at work on threads of its own, seen from outside: started, asked, stopped. Attempts
//! that fail for a cause that may pass are made again, with longer and longer pauses.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::attempt::{Attempt, Shared};
use super::control::Controls;
use super::deployment::{Deployment, Environment};
use super::failure::{End, Failure};
use super::graph::{Feed, Graph};
use super::patience::Patience;
use super::spec::PipelineSpec;
use super::status::{LogLine, PipelineState, SharedEvents};
use super::tap::{TapFn, Taps};
use crate::batch::BatchId;
use crate::checkpoint::{DeadLetterFilter, Records};
use crate::sqlite::StoreError;

/// A pipeline on its own threads; dropping it stops it.
pub struct Running {
    shared: Arc<Shared>,
    state: Arc<StateCell>,
    graph: Graph,
    driver: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a pipeline whose data is in `dir`. It recovers on its own thread; what goes wrong there
    /// shows in its state.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start(
        deployment: Deployment,
        dir: &Path,
        env: &Environment,
        events: SharedEvents,
    ) -> Result<Self, std::io::Error> {
        let graph = deployment.graph.clone();
        let state = Arc::new(StateCell::default());
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            env: env.clone(),
            events: Arc::clone(&events),
            taps: Arc::new(Taps::new(graph.nodes.len())),
            controls: Controls::default(),
            run_id: format!("{:016x}", (env.random)()),
        });
        let driver = std::thread::Builder::new().name(deployment.spec().name.clone()).spawn({
            let (shared, state) = (Arc::clone(&shared), Arc::clone(&state));
            move || Driver { shared, state, patience: Patience::default() }.run(deployment)
        })?;
        Ok(Self { shared, state, graph, driver: Some(driver) })
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> PipelineState {
        self.state.get()
    }

    /// Asks it to stop after the batch that runs, with a checkpoint.
    pub fn stop(&self) {
        self.shared.controls.stop();
    }

    /// Asks it to finish what is there, then stop; from now on it is draining.
    pub fn drain(&self) {
        self.shared.controls.drain();
        self.state.set_draining();
    }

    /// Blocks until it is over.
    #[must_use]
    pub fn wait(&self) -> PipelineState {
        self.state.wait()
    }

    /// Gives rows that pass an entry to `tap` until that answers false. False: there is no such entry.
    #[must_use]
    pub fn tap(&self, entry: &str, tap: TapFn) -> bool {
        let place = self.graph.find_port(entry);
        if let Some(Feed { entry, port }) = place {
            self.shared.taps.add(entry, port, tap);
        }
        place.is_some()
    }

    /// Sends dead letters through their entries again with the next batch; answers how many.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn replay_dead_letters(&self, which: &DeadLetterFilter) -> Result<u64, StoreError> {
        let Some(records) = Records::open(&self.shared.dir)? else { return Ok(0) };
        let ids = records.replayable(which)?;
        self.shared.controls.replay(&ids);
        Ok(ids.len() as u64)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(driver) = self.driver.take() {
            // A panic there was reported where it happened.
            let _ = driver.join();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The state, and whoever waits for its end.
struct StateCell {
    state: Mutex<PipelineState>,
    changed: Condvar,
}

impl Default for StateCell {
    fn default() -> Self {
        Self { state: Mutex::new(PipelineState::Starting), changed: Condvar::new() }
    }
}

impl StateCell {
    fn lock(&self) -> MutexGuard<'_, PipelineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> PipelineState {
        self.lock().clone()
    }

    fn set(&self, state: PipelineState) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Not where it is over, nor where it says why it tries again.
    fn set_draining(&self) {
        let mut state = self.lock();
        if matches!(*state, PipelineState::Starting | PipelineState::Running) {
            *state = PipelineState::Draining;
            self.changed.notify_all();
        }
    }

    fn wait(&self) -> PipelineState {
        let over = self.changed.wait_while(self.lock(), |state| !state.is_over());
        over.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes attempts until the pipeline is over.
struct Driver {
    shared: Arc<Shared>,
    state: Arc<StateCell>,
    patience: Patience,
}

impl Driver {
    fn run(mut self, deployment: Deployment) {
        let spec = deployment.spec().clone();
        deployment.warnings().into_iter().for_each(|warning| self.log("warn", warning));
        let mut next = Some(deployment);
        let end = loop {
            let attempt = match next.take() {
                Some(deployment) => Ok(deployment),
                None => plan_again(&spec, &self.shared.env),
            };
            match attempt.and_then(|deployment| self.attempt(deployment)) {
                Ok(End::Stopped) => break PipelineState::Stopped,
                Ok(End::Finished) => break PipelineState::Finished,
                Err(failure) => match self.patience.pause(failure.persistence) {
                    None => {
                        self.log("error", failure.message.clone());
                        break PipelineState::Failed { reason: failure.message };
                    }
                    Some(pause) => {
                        if !self.pause(&failure, pause) {
                            break PipelineState::Stopped;
                        }
                    }
                },
            }
        };
        self.shared.events.state(&end);
        self.state.set(end);
    }

    fn tell(&self, state: PipelineState) {
        self.shared.events.state(&state);
        self.state.set(state);
    }

    fn log(&self, level: &str, message: String) {
        let time_us = self.shared.env.clock.now_us();
        self.shared.events.log(LogLine { time_us, level: level.to_owned(), entry: None, message });
    }

    fn attempt(&mut self, deployment: Deployment) -> Result<End, Failure> {
        let shared = Arc::clone(&self.shared);
        let mut attempt = Attempt::open(&shared, deployment)?;
        self.tell(PipelineState::Running);
        // Asked for before the pipeline ran, or an attempt ago.
        if shared.controls.is_draining() {
            self.state.set_draining();
        }
        let first: BatchId = attempt.batch();
        let end = attempt.drive();
        if attempt.batch() > first {
            self.patience = Patience::default();
        }
        end
    }

    /// Waits before the next attempt; false when the pipeline was asked to stop meanwhile.
    fn pause(&self, failure: &Failure, pause: Duration) -> bool {
        self.log("warn", format!("{failure}; trying again in {} ms", pause.as_millis()));
        self.tell(PipelineState::Retrying {
            reason: failure.message.clone(),
            attempt: self.patience.failures(),
        });
        self.shared.controls.wait(pause, false);
        !self.shared.controls.is_stopping()
    }
}

/// What was planned at deployment is used up by an attempt; the spec is planned anew.
fn plan_again(spec: &PipelineSpec, env: &Environment) -> Result<Deployment, Failure> {
    Deployment::plan(spec, env).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::permanent(texts.join("; "))
    })
}
