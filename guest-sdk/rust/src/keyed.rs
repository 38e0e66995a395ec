//! Operators of the kind `keyed`: any state and a timer for each key, kept by the host.

use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::{Batch, Buffers, Clock};
use crate::builders::select;
use crate::error::{Error, Result};
use crate::output::{Finished, Rejection};
use crate::records::{Record, Records};
use crate::rows::Row;
use crate::schema::Schema;
use crate::states::{self, States};

/// State and timers by key. Nothing is remembered but the state; a key knows nothing of others.
///
/// ```
/// use millstream_plugin::prelude::*;
///
/// /// Says when a key has been silent.
/// #[derive(Deserialize, JsonSchema)]
/// struct Silence { time: String, micros: i64 }
///
/// impl Keyed for Silence {
///     type State = i64;
///
///     fn output(&self) -> Result<Schema> {
///         Schema::of([Field::new("since", DataType::Timestamp)])
///     }
///     fn on_row(&self, key: &mut KeyView<'_, i64>, row: Row) -> Result<()> {
///         let Some(at) = row.timestamp(&self.time)? else {
///             key.reject(row, "it has no time");
///             return Ok(());
///         };
///         let last = key.state.map_or(at, |last| last.max(at));
///         *key.state = Some(last);
///         key.set_timer(last + self.micros);
///         Ok(())
///     }
///     fn on_timer(&self, key: &mut KeyView<'_, i64>, _at: i64) -> Result<()> {
///         match key.state.take() {
///             Some(last) => key.emit((last,)),
///             None => Ok(()),
///         }
///     }
/// }
///
/// plugin! { summary: "Silence.", operators: [keyed "silence" => |config: Silence, _, _| Ok(config)] }
/// # fn main() {}
/// ```
pub trait Keyed: 'static {
    /// What is kept of a key.
    type State: Serialize + DeserializeOwned + 'static;

    /// The columns of the output behind those of the key, which the kit puts first. Called once an
    /// instance.
    ///
    /// # Errors
    /// When the operator refuses to be opened.
    fn output(&self) -> Result<Schema>;

    /// A row of this key. Called for all rows in their order, after the timers that were due.
    ///
    /// # Errors
    /// Refuses the whole turn; the host finds out which key is to blame. To refuse the row alone,
    /// [`KeyView::reject`] it.
    fn on_row(&self, key: &mut KeyView<'_, Self::State>, row: Row<'_>) -> Result<()>;

    /// The key's timer was due at `at`, and is gone now. The state may be gone as well, if it was
    /// removed after the timer was set.
    ///
    /// # Errors
    /// Refuses the whole turn.
    fn on_timer(&self, _key: &mut KeyView<'_, Self::State>, _at: i64) -> Result<()> {
        Err(Error::new("a timer is due, but the operator has no `on_timer`"))
    }

    /// Reads a state that an earlier version of the plugin wrote; none drops it. Until this is
    /// written, states are taken to be of the same type as now.
    ///
    /// # Errors
    /// When it cannot be read.
    fn migrate(&self, _from_version: &str, state: &[u8]) -> Result<Option<Self::State>> {
        read_state(state).map(Some)
    }
}

/// Reads a state as the kit writes it: for [`Keyed::migrate`], with the type of the earlier version.
///
/// # Errors
/// When it was written as another type.
pub fn read_state<S: DeserializeOwned>(state: &[u8]) -> Result<S> {
    states::decode(0, state)
}

/// One key, for one call.
#[derive(Debug)]
pub struct KeyView<'a, S> {
    /// What is kept of the key; none removes it.
    pub state: &'a mut Option<S>,
    key: u32,
    keys: &'a Batch,
    clock: &'a Clock,
    writes: &'a mut Writes,
}

/// What a turn writes besides states.
#[derive(Debug)]
struct Writes {
    records: Records,
    /// The key of each record.
    emitted: Vec<u32>,
    timers: Vec<(u32, i64)>,
    rejected: Vec<Rejection>,
}

impl<'a, S> KeyView<'a, S> {
    /// The columns of the key.
    #[must_use]
    pub fn columns(&self) -> Row<'a> {
        Row::new(self.keys, self.key as usize)
    }

    /// The clock of this micro-batch.
    #[must_use]
    pub fn clock(&self) -> &'a Clock {
        self.clock
    }

    /// Adds a row to the output: the columns of the key, and these.
    ///
    /// # Errors
    /// When the record does not fit the output's columns.
    pub fn emit(&mut self, record: impl Record) -> Result<()> {
        self.writes.records.push(record)?;
        self.writes.emitted.push(self.key);
        Ok(())
    }

    /// Sets the key's timer, in microseconds since the Unix epoch; an earlier one is replaced.
    pub fn set_timer(&mut self, at: i64) {
        self.writes.timers.push((self.key, at));
    }

    /// Hands a row back to the host, which makes it a dead letter.
    pub fn reject(&mut self, row: Row<'_>, reason: impl Into<String>) {
        let row = u32::try_from(row.index()).unwrap_or(u32::MAX);
        self.writes.rejected.push(Rejection { row, reason: reason.into() });
    }
}

/// What a keyed operator is given at once.
#[derive(Debug)]
pub struct Turn {
    /// One row a key.
    pub keys: Batch,
    /// One state a key.
    pub states: Buffers,
    /// The input.
    pub rows: Batch,
    /// The key of each input row.
    pub row_keys: Vec<u32>,
    /// Timers that are due: the key, and when it was.
    pub due: Vec<(u32, i64)>,
}

/// What a keyed operator makes of a turn.
#[derive(Debug)]
pub struct Outcome {
    /// The output and the rows rejected.
    pub finished: Finished,
    /// One state a key.
    pub states: Buffers,
    /// Timers to set: the key, and when. The last of a key counts.
    pub timers: Vec<(u32, i64)>,
}

/// A keyed operator of any type, opened.
pub struct OpenedKeyed {
    output: Rc<Schema>,
    /// The output without the key's columns.
    behind: Rc<Schema>,
    keyed: Box<dyn Erased>,
}

trait Erased {
    fn process(&self, behind: &Rc<Schema>, turn: &Turn) -> Result<(Writes, Buffers)>;
    fn migrate(&self, from_version: &str, states: Buffers) -> Result<Buffers>;
}

impl<K: Keyed> Erased for K {
    fn process(&self, behind: &Rc<Schema>, turn: &Turn) -> Result<(Writes, Buffers)> {
        let mut column = States::new(turn.states.clone())?;
        let mut states: Vec<Option<K::State>> = column.decode()?;
        let records = Records::new(Rc::clone(behind));
        let mut writes = Writes { records, emitted: Vec::new(), timers: Vec::new(), rejected: Vec::new() };
        for (key, at) in &turn.due {
            self.on_timer(&mut view(turn, &mut states, &mut writes, *key)?, *at)?;
        }
        for (row, key) in turn.rows.rows().zip(&turn.row_keys) {
            self.on_row(&mut view(turn, &mut states, &mut writes, *key)?, row)?;
        }
        column.encode(states.iter().map(Option::as_ref))?;
        Ok((writes, column.into_column()))
    }

    fn migrate(&self, from_version: &str, states: Buffers) -> Result<Buffers> {
        let mut column = States::new(states)?;
        let read = |(i, state): (usize, Option<&[u8]>)| match state {
            Some(state) => {
                Keyed::migrate(self, from_version, state).map_err(|e| e.within(format!("state {i}")))
            }
            None => Ok(None),
        };
        let states = column.bytes()?.into_iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        column.encode(states.iter().map(Option::as_ref))?;
        Ok(column.into_column())
    }
}

fn view<'a, S>(
    turn: &'a Turn,
    states: &'a mut [Option<S>],
    writes: &'a mut Writes,
    key: u32,
) -> Result<KeyView<'a, S>> {
    let state = states.get_mut(key as usize).ok_or_else(|| Error::new("a key without a state"))?;
    Ok(KeyView { state, key, keys: &turn.keys, clock: turn.rows.clock(), writes })
}

impl OpenedKeyed {
    pub(crate) fn new(keys: &Schema, keyed: impl Keyed) -> Result<Self> {
        let behind = keyed.output()?;
        let output = behind.fields().iter().cloned().try_fold(keys.clone(), Schema::with)?;
        Ok(Self { output: Rc::new(output), behind: Rc::new(behind), keyed: Box::new(keyed) })
    }

    /// The columns it gives: those of the key, and its own.
    #[must_use]
    pub fn output(&self) -> &Schema {
        &self.output
    }

    /// Runs a turn.
    ///
    /// # Errors
    /// When the operator refuses it.
    pub fn process(&self, turn: &Turn) -> Result<Outcome> {
        let (writes, states) = self.keyed.process(&self.behind, turn)?;
        let Writes { records, emitted, timers, mut rejected } = writes;
        rejected.sort_by_key(|rejection| rejection.row);
        rejected.dedup_by_key(|rejection| rejection.row);
        let mut columns = Vec::with_capacity(self.output.fields().len());
        for (i, field) in turn.keys.schema().fields().iter().enumerate() {
            let column = turn.keys.buffers(i).ok_or_else(|| Error::new("a key column is missing"))?;
            columns.push(select(column, field.data_type(), &emitted)?);
        }
        columns.extend(records.finish()?);
        Ok(Outcome { finished: Finished { rows: emitted.len(), columns, rejected }, states, timers })
    }

    /// Rewrites states of an earlier version.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn migrate(&self, from_version: &str, states: Buffers) -> Result<Buffers> {
        self.keyed.migrate(from_version, states)
    }
}

impl std::fmt::Debug for OpenedKeyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedKeyed").field("output", &self.output).finish_non_exhaustive()
    }
}
