//! A keyed operator: state and timers by key, kept by the caller as bytes and times. The caller gives
//! the keys that have rows or a timer due, in turns of any size, and keeps what comes back.

use std::sync::Arc;

use arrow_array::{Array, BinaryArray, RecordBatch};
use arrow_buffer::ToByteSlice;
use arrow_schema::{Schema, SchemaRef};
use wasmtime::{Store, StoreContextMut};

use crate::bindings::exports::millstream::plugin::keyed;
use crate::bindings::millstream::plugin::data::{FieldParam, FieldResult};
use crate::convert::{self, Lowered, LoweredStates};
use crate::error::CallError;
use crate::instance::HostCtx;
use crate::limits::Limits;
use crate::observe::Observer;
use crate::opened::{Answer, Exports, Opened, Opening};
use crate::plugin::{Kind, Plugin, Prepared};
use crate::transform::CallClock;

/// What a keyed operator is opened with.
pub struct OpenKeyed<'a> {
    /// The operator's name.
    pub operator: &'a str,
    /// Its config, as JSON.
    pub config: &'a str,
    /// The columns that make a key.
    pub keys: &'a Schema,
    /// The rows it will be given.
    pub input: &'a Schema,
    /// Who hears its log lines and metrics.
    pub observer: Arc<dyn Observer>,
    /// Limits other than the runtime's.
    pub limits: Option<Limits>,
}

/// A timer of a key in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueTimer {
    /// The key, as the index of its row in [`Turn::keys`].
    pub key: u32,
    /// When it was due, in microseconds since the Unix epoch.
    pub at_us: i64,
}

/// What a keyed operator is given at once: any keys, each with all it has in the batch.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// One row for each key that has input rows or a timer due.
    pub keys: &'a RecordBatch,
    /// The state of each key; null where it has none.
    pub states: &'a BinaryArray,
    /// Input rows; those of one key in their order.
    pub rows: &'a RecordBatch,
    /// For each input row, the index of its key.
    pub row_keys: &'a [u32],
    /// At most one a key.
    pub due: &'a [DueTimer],
}

/// What a keyed operator made of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The rows, in the schema that the operator promised.
    pub rows: RecordBatch,
    /// The new state of each key; null removes it.
    pub states: BinaryArray,
    /// Timers to set: the index of the key, and when, in microseconds since the Unix epoch. Each
    /// replaces the key's earlier one, also an earlier one in this list; a time may have passed.
    pub timers: Vec<(u32, i64)>,
    /// Input rows that the operator could not take, rising, each with the reason.
    pub rejected: Vec<(u32, String)>,
}

/// An open keyed operator. Owned by one worker; calls block while the guest runs.
///
/// A call that fails changes nothing: the caller has the states from before, and may try again with
/// fewer keys at once.
pub struct Keyed {
    opened: Opened<keyed::Guest>,
}

/// Where the schemas are that it was opened with.
const KEYS: usize = 0;
const INPUT: usize = 1;

impl Keyed {
    pub(crate) fn open(plugin: &Plugin, open: &OpenKeyed<'_>) -> Result<Self, CallError> {
        let opening = Opening {
            operator: open.operator,
            config: open.config,
            schemas: vec![Arc::new(open.keys.clone()), Arc::new(open.input.clone())],
            observer: Arc::clone(&open.observer),
            limits: open.limits.clone(),
        };
        Ok(Self { opened: Opened::open(plugin, opening)? })
    }

    /// The schema of every output.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(self.opened.output())
    }

    /// Bytes of linear memory of the instance; 0 between a fault and the next call.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.opened.memory_bytes()
    }

    /// Gives the operator a turn.
    ///
    /// # Errors
    /// When the operator answers an error for the turn, or breaks. Never a panic, whatever it returns.
    ///
    /// # Panics
    /// When keys or rows have another schema than the operator was opened with, or states, row keys
    /// or timers do not fit them.
    pub fn process(&mut self, clock: &CallClock, turn: &Turn<'_>) -> Result<Outcome, CallError> {
        self.check(turn);
        let (keys, rows) = (Lowered::new(turn.keys)?, Lowered::new(turn.rows)?);
        let (key_columns, row_columns) = (keys.columns(), rows.columns());
        let states = LoweredStates::new(turn.states);
        let due: Vec<_> = turn.due.iter().map(|due| keyed::Timer { key: due.key, at: due.at_us }).collect();
        let told = keyed::Turn {
            keys: keys.batch(&key_columns),
            states: states.column(),
            rows: rows.batch(&row_columns),
            row_keys: turn.row_keys.to_byte_slice(),
            due: &due,
        };
        self.opened.call(
            clock,
            |keyed, store| keyed.call_process(store, clock.told(), told),
            |outcome, schema, limits| {
                let key_count = turn.states.len();
                Ok(Outcome {
                    rows: convert::lift(schema, outcome.output, limits)?,
                    states: convert::states(key_count, "keys", outcome.states, limits)?,
                    timers: convert::timers(key_count, &outcome.timers)?,
                    rejected: convert::rejections(outcome.rejected, rows.rows(), limits)?,
                })
            },
        )
    }

    /// Rewrites states written by an earlier version of the plugin, one for one; null drops one.
    ///
    /// # Errors
    /// When the operator answers an error (it cannot read the states), or breaks.
    pub fn migrate(
        &mut self,
        clock: &CallClock,
        from_version: &str,
        states: &BinaryArray,
    ) -> Result<BinaryArray, CallError> {
        let lowered = LoweredStates::new(states);
        self.opened.call(
            clock,
            |keyed, store| keyed.call_migrate(store, from_version, lowered.column()),
            |answer, _, limits| convert::states(states.len(), "keys", answer, limits),
        )
    }

    fn check(&self, turn: &Turn<'_>) {
        let columns = |place| self.opened.schema(place).fields().len();
        assert_eq!(turn.keys.num_columns(), columns(KEYS), "keys of another schema");
        assert_eq!(turn.rows.num_columns(), columns(INPUT), "input of another schema");
        assert_eq!(turn.states.len(), turn.keys.num_rows(), "a state for each key");
        assert_eq!(turn.row_keys.len(), turn.rows.num_rows(), "a key for each row");
        let keys = turn.row_keys.iter().copied().chain(turn.due.iter().map(|due| due.key));
        assert!(keys.max().is_none_or(|last| (last as usize) < turn.states.len()), "a key that is not there");
    }
}

impl Exports for keyed::Guest {
    const KIND: Kind = Kind::Keyed;

    fn start(prepared: &Prepared, store: &mut Store<HostCtx>) -> wasmtime::Result<Self> {
        prepared.start_keyed(store)
    }

    fn open(
        &self,
        store: StoreContextMut<'_, HostCtx>,
        operator: &str,
        config: &str,
        schemas: &[Vec<FieldParam<'_>>],
    ) -> wasmtime::Result<Answer<Vec<FieldResult>>> {
        self.call_open(store, operator, config, &schemas[KEYS], &schemas[INPUT])
    }
}
