//! Rows that memory has no room for: nobody looks at them before their window closes, so they are in logs of a
//! scratch file, one a pane and side, in the order in which they came. The panes that close last go first.

use std::sync::Arc;

use arrow_array::{BinaryArray, RecordBatch};
use arrow_select::concat::concat_batches;

use super::step::{Pane, WindowJoin};
use crate::state::StateError;
use crate::state::cold::{ColdLog, ColdStore, Payload, Share, Spill};
use crate::steps::{Extent, StateChunk};
use crate::windows::Window;

/// The file of one worker, and what is copied of it.
pub(super) struct Cold {
    share: Share,
    store: ColdStore,
    payloads: [Arc<Payload>; 2],
    /// Side, pane and entry of what a copy has still to give, the next one last.
    copying: Vec<(usize, Window, usize)>,
}

/// The rows of one side of a pane that are not in memory. They came before the others.
#[derive(Debug)]
pub(super) struct ColdRows {
    log: ColdLog,
    rows: u64,
    /// So many entries are in the newest snapshot.
    saved: usize,
}

impl Cold {
    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.store.file_bytes()
    }
}

impl ColdRows {
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of memory that know of them.
    pub(super) fn bytes(&self) -> u64 {
        (size_of::<Self>() + size_of_val(self.log.entries())) as u64
    }
}

impl WindowJoin {
    /// From now on rows may leave memory.
    pub(super) fn set_spill(&mut self, spill: Spill) -> Result<(), StateError> {
        let payload = |side: usize| {
            let fields = self.plan.inputs[side].schema.fields();
            Payload::new(fields.iter().map(AsRef::as_ref)).map(Arc::new)
        };
        self.cold = Some(Cold {
            share: Share::new(spill.budget),
            store: ColdStore::new(spill.path),
            payloads: [payload(0)?, payload(1)?],
            copying: Vec::new(),
        });
        Ok(())
    }

    /// When the state is over the budget: lets rows leave memory.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        let bytes = |panes: &std::collections::BTreeMap<Window, Pane>| panes.values().map(Pane::bytes).sum();
        let mut hot: u64 = bytes(&self.panes);
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let Some(goal) = cold.share.uses(hot) else { return Ok(()) };
        for pane in self.panes.values_mut().rev() {
            if hot <= goal {
                break;
            }
            let before = pane.bytes();
            for side in 0..2 {
                let pieces = std::mem::take(&mut pane.sides[side]);
                let saved = std::mem::take(&mut pane.saved[side]);
                if pieces.is_empty() {
                    continue;
                }
                let new =
                    || ColdRows { log: ColdLog::new(Arc::clone(&cold.payloads[side])), rows: 0, saved: 0 };
                let own = pane.cold[side].get_or_insert_with(new);
                // Those that a snapshot has go apart from the others, as it counts entries.
                let (old, new) = pieces.split_at(saved);
                for (pieces, is_saved) in [(old, true), (new, false)] {
                    if pieces.is_empty() {
                        continue;
                    }
                    let rows = concat_batches(&self.plan.inputs[side].schema, pieces)?;
                    let keys: BinaryArray = std::iter::repeat_n(None::<&[u8]>, rows.num_rows()).collect();
                    cold.store.append(&mut own.log, 0, &keys, rows.columns())?;
                    own.rows += rows.num_rows() as u64;
                    if is_saved {
                        own.saved = own.log.entries().len();
                    }
                }
            }
            hot = hot.saturating_sub(before.saturating_sub(pane.bytes()));
        }
        cold.share.uses(bytes(&self.panes));
        Ok(())
    }

    /// The rows of one side of a pane that are not in memory.
    pub(super) fn cold_rows(&mut self, side: usize, pane: Window) -> Result<Vec<RecordBatch>, StateError> {
        let (Some(cold), Some(pane)) = (&mut self.cold, self.panes.get(&pane)) else { return Ok(Vec::new()) };
        let Some(own) = &pane.cold[side] else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        while let Some(rows) = cold.store.entry(&own.log, all.len())? {
            all.push(RecordBatch::try_new(Arc::clone(&self.plan.inputs[side].schema), rows.payload)?);
        }
        Ok(all)
    }

    /// Gives the room of panes back that are over.
    pub(super) fn forget_cold(&mut self, panes: impl Iterator<Item = Pane>) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        for mut own in panes.flat_map(|pane| pane.cold.into_iter().flatten()) {
            cold.store.clear(&mut own.log)?;
        }
        Ok(())
    }

    /// Begins a copy of the rows that are not in memory, which come before the others.
    pub(super) fn begin_copy(&mut self, extent: Extent) {
        let Some(cold) = &mut self.cold else { return };
        cold.copying.clear();
        for (window, pane) in self.panes.iter_mut().rev() {
            for (side, own) in pane.cold.iter_mut().enumerate() {
                let Some(own) = own else { continue };
                let end = own.log.entries().len();
                let first = if extent == Extent::Full { 0 } else { own.saved };
                cold.copying.extend((first..end).rev().map(|entry| (side, *window, entry)));
                own.saved = end;
            }
        }
    }

    /// The next piece of a copy; none when it is time for what is in memory.
    pub(super) fn copy_cold(&mut self) -> Result<Option<StateChunk>, StateError> {
        while let Some(cold) = &mut self.cold
            && let Some((side, window, entry)) = cold.copying.pop()
        {
            let own = self.panes.get(&window).and_then(|pane| pane.cold[side].as_ref());
            let Some(own) = own else { continue };
            let Some(rows) = cold.store.entry(&own.log, entry)? else { continue };
            let rows = RecordBatch::try_new(Arc::clone(&self.plan.inputs[side].schema), rows.payload)?;
            return Ok(Some(StateChunk { table: super::snapshot::ROWS[side].to_owned(), rows }));
        }
        Ok(None)
    }
}
