//! Start, stop, drain, restart, delete and restore. Each change of a pipeline waits for its turn at
//! that pipeline and at no other.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use millstream_engine::pipeline::{
    Deployment, Events, PipelineSpec, PipelineState, Running, SharedEvents, SpecError,
};

use super::feed::Feed;
use super::managed::{Facts, Managed};
use super::{Supervisor, SupervisorError, guarded};
use crate::catalog::{CatalogError, PipelineRow, Wanted};
use crate::sync::lock;

impl Supervisor {
    /// Starts a pipeline where it stopped; one that runs goes on.
    ///
    /// # Errors
    /// When it is unknown or its spec no longer holds; that it then fails is a state, not an error.
    pub(crate) fn start(&self, name: &str) -> Result<(), SupervisorError> {
        self.in_turn(
            || self.existing(name),
            |managed| {
                self.want(managed, Wanted::Running)?;
                self.start_again(managed)
            },
        )
    }

    /// Stops a pipeline with a checkpoint and waits for it.
    ///
    /// # Errors
    /// When it is unknown.
    pub(crate) fn stop(&self, name: &str) -> Result<(), SupervisorError> {
        self.in_turn(
            || self.existing(name),
            |managed| {
                self.want(managed, Wanted::Stopped)?;
                self.halt(managed);
                Ok(())
            },
        )
    }

    /// Lets a pipeline finish what is there and stop; does not wait. A server that restarts in
    /// between does not start it again.
    ///
    /// # Errors
    /// When it is unknown or does not run.
    pub(crate) fn drain(&self, name: &str) -> Result<(), SupervisorError> {
        self.in_turn(
            || self.existing(name),
            |managed| {
                let Some(running) = managed.running() else {
                    return Err(SupervisorError::NotRunning(name.to_owned()));
                };
                self.want(managed, Wanted::Stopped)?;
                running.drain();
                Ok(())
            },
        )
    }

    /// Stops and starts a pipeline.
    ///
    /// # Errors
    /// As `start`.
    pub(crate) fn restart(&self, name: &str) -> Result<(), SupervisorError> {
        self.in_turn(
            || self.existing(name),
            |managed| {
                self.want(managed, Wanted::Running)?;
                self.halt(managed);
                self.start_again(managed)
            },
        )
    }

    /// Deletes a pipeline. One that has data is deleted only together with it: what a forgotten
    /// pipeline left would otherwise be taken up by the next one of its name.
    ///
    /// # Errors
    /// When it is unknown, or has data and `purge` is false; then it goes on as before.
    pub(crate) fn delete(&self, name: &str, purge: bool) -> Result<(), SupervisorError> {
        self.in_turn(|| self.existing(name), |managed| {
            let dir = self.dir(name);
            if has_data(&dir).map_err(SupervisorError::Data)? && !purge {
                return Err(SupervisorError::HasData(name.to_owned()));
            }
            self.want(managed, Wanted::Stopped)?;
            self.halt(managed);
            // First out of the way in one step, then out of the catalog: a crash in between leaves
            // a stopped pipeline without data, never data without a pipeline.
            let trash = self.data.trash(&managed.row().map_or_else(|| name.to_owned(), |row| row.id));
            if dir.exists() {
                fs::rename(&dir, &trash).map_err(SupervisorError::Data)?;
            }
            self.catalog.remove_pipeline(name)?;
            self.forget(managed);
            if trash.exists()
                && let Err(error) = fs::remove_dir_all(&trash)
            {
                tracing::warn!(%error, dir = %trash.display(), "a deleted pipeline's data is removed at the next start");
            }
            Ok(())
        })
    }

    /// Brings back the catalog's pipelines: all are known when this begins to start them, and one
    /// that cannot start is failed, with the reason, while the others go on.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub(crate) fn restore(&self) -> Result<(), CatalogError> {
        if let Err(error) = self.data.empty_trash() {
            tracing::warn!(%error, "what is left of deleted pipelines could not be removed");
        }
        let rows = self.catalog.pipelines()?;
        {
            let mut pipelines = lock(&self.pipelines);
            for row in &rows {
                let managed = Managed::new(&row.name, self.new_feed(&row.name), Some(row.clone()));
                pipelines.insert(row.name.clone(), Arc::new(managed));
            }
        }
        for row in rows.iter().filter(|row| row.wanted == Wanted::Running) {
            let started = self.in_turn(|| self.existing(&row.name), |managed| self.start_again(managed));
            if let Err(error) = started {
                tracing::error!(pipeline = row.name, %error, "could not be restored");
            }
        }
        Ok(())
    }

    /// Stops everything with checkpoints, at the server's end: all are told first, then waited for.
    /// What is wanted stays, so that the next start restores them.
    pub(crate) fn stop_all(&self) {
        let all = self.all();
        for running in all.iter().filter_map(|managed| managed.running()) {
            running.stop();
        }
        for managed in all {
            let _turn = lock(&managed.turn);
            self.halt(&managed);
        }
    }

    /// Does `work` when it is its turn at the pipeline that `find` finds.
    pub(super) fn in_turn<T>(
        &self,
        find: impl Fn() -> Result<Arc<Managed>, SupervisorError>,
        work: impl FnOnce(&Managed) -> Result<T, SupervisorError>,
    ) -> Result<T, SupervisorError> {
        loop {
            let managed = find()?;
            let turn = lock(&managed.turn);
            if managed.is_gone() {
                // Deleted while we waited; by now the table has another or none.
                continue;
            }
            let done = work(&managed);
            drop(turn);
            return done;
        }
    }

    pub(super) fn named_or_new(&self, name: &str) -> Arc<Managed> {
        let mut pipelines = lock(&self.pipelines);
        let make = || Arc::new(Managed::new(name, self.new_feed(name), None));
        Arc::clone(pipelines.entry(name.to_owned()).or_insert_with(make))
    }

    /// Takes a pipeline whose first deployment failed out of the table.
    pub(super) fn drop_if_new(&self, managed: &Managed) {
        if !managed.exists() {
            self.forget(managed);
        }
    }

    fn forget(&self, managed: &Managed) {
        managed.set_gone();
        lock(&self.pipelines).remove(&managed.name);
    }

    /// Stops what runs and waits until it is over.
    pub(super) fn halt(&self, managed: &Managed) {
        if let Some(running) = managed.running() {
            running.stop();
            let last = running.wait();
            managed.feed.state(&last);
        }
        managed.set_running(None);
    }

    /// Starts a planned version; that it cannot start is its state.
    pub(super) fn launch(&self, managed: &Managed, deployment: Deployment) {
        let digests = deployment.plugin_digests().into_values().collect();
        let events = Arc::clone(&managed.feed) as SharedEvents;
        let env = self.environment(digests);
        let started = guarded(|| Running::start(deployment, &self.dir(&managed.name), &env, events));
        let started = started.and_then(|started| started.map_err(|error| error.to_string()));
        match started {
            Ok(running) => drop(managed.set_running(Some(running))),
            Err(reason) => managed.feed.state(&PipelineState::Failed { reason }),
        }
    }

    /// Plans the current version again and starts it, unless it runs.
    fn start_again(&self, managed: &Managed) -> Result<(), SupervisorError> {
        if managed.running().is_some() {
            return Ok(());
        }
        managed.set_running(None);
        let Some(row) = managed.row() else { return Ok(()) };
        match self.plan_row(&row) {
            Ok(deployment) => {
                managed.set_facts(Facts::of(&deployment));
                self.launch(managed, deployment);
                Ok(())
            }
            Err(errors) => {
                let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
                managed.feed.state(&PipelineState::Failed { reason: reasons.join("; ") });
                Err(SupervisorError::Invalid(errors))
            }
        }
    }

    /// Plans a stored version, with the plugins it was deployed with.
    pub(super) fn plan_row(&self, row: &PipelineRow) -> Result<Deployment, Vec<SpecError>> {
        let document = serde_json::from_str(&row.current.spec)
            .map_err(|error| vec![SpecError::new("", format!("the stored spec cannot be read: {error}"))])?;
        let spec = PipelineSpec::from_json(document).map_err(|error| vec![error])?;
        self.plan(&spec, &row.current.digests)
    }

    fn want(&self, managed: &Managed, wanted: Wanted) -> Result<(), CatalogError> {
        self.catalog.set_wanted(&managed.name, wanted)?;
        if let Some(row) = managed.row() {
            managed.set_row(PipelineRow { wanted, ..row });
        }
        Ok(())
    }

    fn new_feed(&self, name: &str) -> Feed {
        Feed::new(name, Arc::clone(&self.telemetry), Arc::clone(&self.env.clock))
    }
}

/// The folder holds something.
fn has_data(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
