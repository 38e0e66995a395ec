//! The newest checkpoint, held still for as long as somebody looks at it.

use std::path::Path;

use super::records::{Look, Records};
use super::state_store::{StateFile, StateStore, StoredChunk};
use crate::sqlite::StoreError;

/// The state of a pipeline as of its newest checkpoint. What is written meanwhile does not show.
#[derive(Debug)]
pub struct StateView {
    look: Look,
    /// None where no step keeps state.
    state: Option<StateStore>,
}

impl StateView {
    /// The newest checkpoint of the pipeline in `dir`; none before the first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        let Some(records) = Records::open(dir)? else { return Ok(None) };
        let file = StateFile::in_dir(dir);
        loop {
            let Some(look) = records.newest_checkpoint()? else { return Ok(None) };
            let state = if file.exists() { Some(StateStore::open_to_look(&file)?) } else { None };
            // Two files have no snapshot together. If the checkpoint is still the newest, nothing of it was
            // cleaned away before the second file was held.
            if records.newest_checkpoint()? == Some(look) {
                return Ok(Some(Self { look, state }));
            }
        }
    }

    /// Which checkpoint this is.
    #[must_use]
    pub fn look(&self) -> Look {
        self.look
    }

    /// Gives every chunk of a step, oldest first, to `take`.
    ///
    /// # Errors
    /// When the file fails, is damaged, or `take` refuses.
    pub fn read(
        &self,
        step: &str,
        mut take: impl FnMut(StoredChunk) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        let Some(state) = &self.state else { return Ok(()) };
        state.read(
            self.look.base,
            self.look.epoch,
            |chunk| if chunk.step == step { take(chunk) } else { Ok(()) },
        )
    }
}
