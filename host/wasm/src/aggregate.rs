//! An aggregate: one state a group, kept by the caller as bytes. The caller gives the states of the
//! groups that a call touches and gets all of them back.

use std::sync::Arc;

use arrow_array::{Array, BinaryArray, RecordBatch};
use arrow_buffer::ToByteSlice;
use arrow_schema::{Schema, SchemaRef};
use wasmtime::{Store, StoreContextMut};

use crate::bindings::exports::millstream::plugin::aggregate;
use crate::bindings::millstream::plugin::data::{ColumnParam, ColumnResult, FieldParam, FieldResult};
use crate::convert::{self, Lowered, LoweredStates};
use crate::error::{CallError, Fault};
use crate::instance::HostCtx;
use crate::limits::Limits;
use crate::observe::Observer;
use crate::opened::{Answer, Exports, Opened, Opening};
use crate::plugin::{Kind, Plugin, Prepared};
use crate::transform::CallClock;

/// What an aggregate is opened with.
pub struct OpenAggregate<'a> {
    /// The operator's name.
    pub operator: &'a str,
    /// Its config, as JSON.
    pub config: &'a str,
    /// What it will be given.
    pub input: &'a Schema,
    /// Who hears its log lines and metrics.
    pub observer: Arc<dyn Observer>,
    /// Limits other than the runtime's.
    pub limits: Option<Limits>,
}

/// An open aggregate. Owned by one worker; calls block while the guest runs.
///
/// A state is null for a group without rows. A call that fails changes nothing: the caller has the
/// states from before, and may try again with fewer rows at once. The clock decides WASI's time and
/// chance alone, the contract tells the plugin none of it.
pub struct Aggregate {
    opened: Opened<aggregate::Guest>,
    retracts: bool,
}

impl Aggregate {
    pub(crate) fn open(plugin: &Plugin, open: &OpenAggregate<'_>) -> Result<Self, CallError> {
        let opening = Opening {
            operator: open.operator,
            config: open.config,
            schemas: vec![Arc::new(open.input.clone())],
            observer: Arc::clone(&open.observer),
            limits: open.limits.clone(),
        };
        let opened = Opened::open(plugin, opening)?;
        Ok(Self {
            opened,
            retracts: plugin.operator(open.operator).is_some_and(|operator| operator.retracts),
        })
    }

    /// The schema of what [`Aggregate::finish`] gives.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(self.opened.output())
    }

    /// Bytes of linear memory of the instance; 0 between a fault and the next call.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.opened.memory_bytes()
    }

    /// Whether it has [`Aggregate::retract`].
    #[must_use]
    pub fn retracts(&self) -> bool {
        self.retracts
    }

    /// Adds rows to groups: row r of `input` to state `groups[r]`. Gives the new states of all groups.
    ///
    /// # Errors
    /// When the operator answers an error for the rows, or breaks.
    ///
    /// # Panics
    /// When the input has another schema or number of rows, or a group is not one of the states.
    pub fn accumulate(
        &mut self,
        clock: &CallClock,
        states: &BinaryArray,
        groups: &[u32],
        input: &RecordBatch,
    ) -> Result<BinaryArray, CallError> {
        assert_eq!(input.num_columns(), self.opened.schema(0).fields().len(), "input of another schema");
        assert_eq!(groups.len(), input.num_rows(), "a group for each row");
        let last = groups.iter().max();
        assert!(last.is_none_or(|last| (*last as usize) < states.len()), "a state for each group");
        let lowered = Lowered::new(input)?;
        let columns = lowered.columns();
        let batch = lowered.batch(&columns);
        let told = LoweredStates::new(states);
        self.opened.call(
            clock,
            |aggregate, store| aggregate.call_accumulate(store, told.column(), groups.to_byte_slice(), batch),
            |answer, _, limits| convert::states(states.len(), "groups", answer, limits),
        )
    }

    /// Merges pairwise: state i of `left` with state i of `right`.
    ///
    /// # Errors
    /// When the operator answers an error, or breaks.
    ///
    /// # Panics
    /// When there are not as many on both sides.
    pub fn merge(
        &mut self,
        clock: &CallClock,
        left: &BinaryArray,
        right: &BinaryArray,
    ) -> Result<BinaryArray, CallError> {
        self.pairwise(clock, (left, right), |aggregate, store, left, right| {
            aggregate.call_merge(store, left, right)
        })
    }

    /// Undoes [`Aggregate::merge`]: takes state i of `right` out of state i of `left`.
    ///
    /// # Errors
    /// When the operator answers an error (it does when it does not retract at all), or breaks.
    ///
    /// # Panics
    /// As [`Aggregate::merge`].
    pub fn retract(
        &mut self,
        clock: &CallClock,
        left: &BinaryArray,
        right: &BinaryArray,
    ) -> Result<BinaryArray, CallError> {
        self.pairwise(clock, (left, right), |aggregate, store, left, right| {
            aggregate.call_retract(store, left, right)
        })
    }

    /// The results: one row a state, in [`Aggregate::output_schema`].
    ///
    /// # Errors
    /// When the operator answers an error, or breaks.
    pub fn finish(&mut self, clock: &CallClock, states: &BinaryArray) -> Result<RecordBatch, CallError> {
        let lowered = LoweredStates::new(states);
        self.opened.call(
            clock,
            |aggregate, store| aggregate.call_finish(store, lowered.column()),
            |batch, schema, limits| {
                if batch.rows as usize != states.len() {
                    let what = format!("{} rows for {} groups", batch.rows, states.len());
                    return Err(Fault::InvalidBatch { column: None, row: None, what });
                }
                convert::lift(schema, batch, limits)
            },
        )
    }

    fn pairwise(
        &mut self,
        clock: &CallClock,
        (left, right): (&BinaryArray, &BinaryArray),
        function: Pairwise,
    ) -> Result<BinaryArray, CallError> {
        assert_eq!(left.len(), right.len(), "as many states on both sides");
        let lowered = (LoweredStates::new(left), LoweredStates::new(right));
        self.opened.call(
            clock,
            |aggregate, store| function(aggregate, store, lowered.0.column(), lowered.1.column()),
            |states, _, limits| convert::states(left.len(), "groups", states, limits),
        )
    }
}

/// `merge` or `retract`.
type Pairwise = fn(
    &aggregate::Guest,
    StoreContextMut<'_, HostCtx>,
    ColumnParam<'_>,
    ColumnParam<'_>,
) -> wasmtime::Result<Answer<ColumnResult>>;

impl Exports for aggregate::Guest {
    const KIND: Kind = Kind::Aggregate;

    fn start(prepared: &Prepared, store: &mut Store<HostCtx>) -> wasmtime::Result<Self> {
        prepared.start_aggregate(store)
    }

    fn open(
        &self,
        store: StoreContextMut<'_, HostCtx>,
        operator: &str,
        config: &str,
        schemas: &[Vec<FieldParam<'_>>],
    ) -> wasmtime::Result<Answer<Vec<FieldResult>>> {
        self.call_open(store, operator, config, &schemas[0])
    }
}
