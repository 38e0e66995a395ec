//! One pipeline as the supervisor holds it.

use std::sync::{Arc, Mutex};

use millstream_engine::pipeline::{EntryInfo, Guarantee, PipelineState, Running};

use super::feed::Feed;
use crate::catalog::PipelineRow;
use crate::sync::lock;

/// One pipeline. `turn` is taken by whoever changes it (deploy, start, stop) for as long as that
/// takes; whoever only looks takes `now` for a moment.
pub(super) struct Managed {
    pub(super) name: String,
    pub(super) feed: Arc<Feed>,
    /// One change at a time.
    pub(super) turn: Mutex<()>,
    /// What is true now.
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// None while the first deployment is under way.
    row: Option<PipelineRow>,
    facts: Option<Facts>,
    running: Option<Arc<Running>>,
    /// Deleted, or never deployed: whoever still holds this looks the name up again.
    gone: bool,
}

/// What planning found out about the current version.
#[derive(Clone, Default)]
pub(super) struct Facts {
    pub(super) guarantees: Vec<Guarantee>,
    pub(super) entries: Vec<EntryInfo>,
    pub(super) warnings: Vec<String>,
}

impl Managed {
    pub(super) fn new(name: &str, feed: Feed, row: Option<PipelineRow>) -> Self {
        Self {
            name: name.to_owned(),
            feed: Arc::new(feed),
            turn: Mutex::new(()),
            now: Mutex::new(Now { row, ..Now::default() }),
        }
    }

    pub(super) fn exists(&self) -> bool {
        lock(&self.now).row.is_some()
    }

    pub(super) fn is_gone(&self) -> bool {
        lock(&self.now).gone
    }

    pub(super) fn row(&self) -> Option<PipelineRow> {
        lock(&self.now).row.clone()
    }

    pub(super) fn facts(&self) -> Option<Facts> {
        lock(&self.now).facts.clone()
    }

    /// The running pipeline, unless it is over.
    pub(super) fn running(&self) -> Option<Arc<Running>> {
        lock(&self.now).running.clone().filter(|running| !running.state().is_over())
    }

    /// The engine's word counts while there is one; afterwards what was told last.
    pub(super) fn state(&self) -> PipelineState {
        let running = lock(&self.now).running.clone();
        running.map_or_else(|| self.feed.told_state(), |running| running.state())
    }

    pub(super) fn set_row(&self, row: PipelineRow) {
        lock(&self.now).row = Some(row);
    }

    pub(super) fn set_facts(&self, facts: Facts) {
        lock(&self.now).facts = Some(facts);
    }

    /// Puts another run in the place of the last, or none.
    pub(super) fn set_running(&self, running: Option<Running>) -> Option<Arc<Running>> {
        std::mem::replace(&mut lock(&self.now).running, running.map(Arc::new))
    }

    pub(super) fn set_gone(&self) {
        let mut now = lock(&self.now);
        now.gone = true;
        now.row = None;
    }
}
