//! Aggregates that plugins offer, as functions beside the built-in ones. A plugin sees states as bytes
//! and remembers nothing; who has which state is known here.

mod accumulator;
mod states;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::SchemaRef;
use millstream_wasm::{Aggregate, CallClock, CallError, Level, Limits, Observer, OpenAggregate, Plugin};

use crate::batch::BatchCtx;
use crate::state::StateError;
use crate::state::accumulators::Accumulator;
use crate::steps::wasm::clock;

/// A plugin's aggregate and how it is to be called.
#[derive(Clone, Debug)]
pub struct PluginCall {
    /// The plugin.
    pub plugin: Plugin,
    /// The operator in it.
    pub operator: String,
    /// Its config, as JSON.
    pub config: String,
    /// Limits other than the runtime's.
    pub limits: Option<Limits>,
}

/// A plugin's aggregate over columns that are known.
#[derive(Clone, Debug)]
pub struct Operator {
    /// How it is called.
    pub call: PluginCall,
    /// The columns that it is given.
    pub input: SchemaRef,
}

impl Operator {
    /// Opens the operator on an instance of its own.
    ///
    /// # Errors
    /// When the plugin has no such operator, refuses config or columns, or breaks.
    pub fn open(&self, observer: &Arc<dyn Observer>) -> Result<Aggregate, CallError> {
        self.call.plugin.aggregate(&OpenAggregate {
            operator: &self.call.operator,
            config: &self.call.config,
            input: &self.input,
            observer: Arc::clone(observer),
            limits: self.call.limits.clone(),
        })
    }

    /// The operator with the part of its version that says who can read its states: versions that differ
    /// in what follows are taken to write them the same way.
    pub(super) fn identity(&self) -> String {
        let about = self.call.plugin.description();
        let version: Vec<&str> = about.version.split('.').take(2).collect();
        format!("{}/{}@{}", about.name, self.call.operator, version.join("."))
    }
}

/// An operator that is open on one worker, for all tables of the step there. Calls come one after the
/// other; the lock lets tables be sent to another thread as a whole.
#[derive(Clone)]
pub(super) struct Instance {
    name: Arc<str>,
    input: SchemaRef,
    output: SchemaRef,
    opened: Arc<Mutex<Opened>>,
}

struct Opened {
    aggregate: Aggregate,
    clock: CallClock,
}

impl Instance {
    pub(super) fn open(operator: &Operator, observer: &Arc<dyn Observer>) -> Result<Self, CallError> {
        let aggregate = operator.open(observer)?;
        Ok(Self {
            name: operator.identity().into(),
            input: Arc::clone(&operator.input),
            output: aggregate.output_schema(),
            opened: Arc::new(Mutex::new(Opened { aggregate, clock: CallClock::START })),
        })
    }

    /// The calls that follow belong to this batch.
    pub(super) fn set_clock(&self, ctx: &BatchCtx) {
        self.lock().clock = clock(ctx);
    }

    /// The states of a table's groups, as a function.
    pub(super) fn accumulator(&self) -> Box<dyn Accumulator> {
        Box::new(accumulator::Called::new(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call broke that is about no single group.
    fn failed(&self, error: &CallError) -> StateError {
        StateError::Plugin(format!("{}: {error}", self.name))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance({})", self.name)
    }
}

/// Hears nothing: at deployment nobody listens to what an operator says in `open`.
pub(crate) struct Deaf;

impl Observer for Deaf {
    fn log(&self, _: Level, _: &str) {}
    fn count(&self, _: &str, _: u64) {}
    fn observe(&self, _: &str, _: f64) {}
    fn dropped(&self, _: u64, _: u64) {}
}
