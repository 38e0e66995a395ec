//! An operator of any kind, open on an instance of its own. The instance is replaced whenever it
//! breaks or grows too large; plugins remember nothing, so nobody can tell.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use wasmtime::{Store, StoreContextMut};

use crate::bindings::millstream::plugin::data::{FieldParam, FieldResult};
use crate::convert::{self, cut};
use crate::error::{CallError, Fault};
use crate::instance::{HostCtx, Instance};
use crate::limits::Limits;
use crate::observe::{Gate, MetricNames, Observer};
use crate::plugin::{Kind, Plugin, Prepared};
use crate::transform::CallClock;

/// What a guest answers: a value, or an error in its own words.
pub(crate) type Answer<T> = Result<T, String>;

/// The functions of one kind of operator, on an instance.
pub(crate) trait Exports: Sized {
    const KIND: Kind;

    /// Makes an instance and looks the functions up.
    fn start(prepared: &Prepared, store: &mut Store<HostCtx>) -> wasmtime::Result<Self>;

    /// Calls `open` with as many schemas as the kind takes.
    fn open(
        &self,
        store: StoreContextMut<'_, HostCtx>,
        operator: &str,
        config: &str,
        schemas: &[Vec<FieldParam<'_>>],
    ) -> wasmtime::Result<Answer<Vec<FieldResult>>>;
}

/// What an operator is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) operator: &'a str,
    pub(crate) config: &'a str,
    pub(crate) schemas: Vec<SchemaRef>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) limits: Option<Limits>,
}

/// An open operator.
pub(crate) struct Opened<E> {
    plugin: Plugin,
    operator: String,
    config: String,
    schemas: Vec<SchemaRef>,
    output: SchemaRef,
    observer: Arc<dyn Observer>,
    names: MetricNames,
    limits: Arc<Limits>,
    /// None after a fault, until the next call.
    instance: Option<Instance<E>>,
}

impl<E: Exports> Opened<E> {
    pub(crate) fn open(plugin: &Plugin, opening: Opening<'_>) -> Result<Self, CallError> {
        plugin.require(opening.operator, E::KIND)?;
        let mut opened = Self {
            plugin: plugin.clone(),
            operator: opening.operator.to_owned(),
            config: opening.config.to_owned(),
            schemas: opening.schemas,
            output: Arc::new(Schema::empty()),
            observer: opening.observer,
            names: MetricNames::default(),
            limits: opening.limits.map_or_else(|| Arc::clone(&plugin.runtime().limits), Arc::new),
            instance: None,
        };
        let (instance, output) = opened.start()?;
        (opened.instance, opened.output) = (Some(instance), output);
        Ok(opened)
    }

    pub(crate) fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// Bytes of linear memory of the instance; 0 between a fault and the next call.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory_bytes)
    }

    /// The schema given at this place when the operator was opened.
    pub(crate) fn schema(&self, place: usize) -> &SchemaRef {
        &self.schemas[place]
    }

    /// One call: `function` calls into the guest, `check` makes ours of what it answers. Whatever way
    /// it breaks, the next call has a fresh instance.
    pub(crate) fn call<R, T>(
        &mut self,
        clock: &CallClock,
        function: impl FnOnce(&E, StoreContextMut<'_, HostCtx>) -> wasmtime::Result<Answer<R>>,
        check: impl FnOnce(R, &SchemaRef, &Limits) -> Result<T, Fault>,
    ) -> Result<T, CallError> {
        // Taken out, so that it is gone whichever way the call fails.
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.restart()?,
        };
        let ticker = &self.plugin.runtime().ticker;
        let answer = instance.call(ticker, clock, self.limits.deadline_ms, function)?;
        let answer = match answer {
            Ok(returned) => Ok(check(returned, &self.output, &self.limits)?),
            Err(message) => Err(self.answered(&message)),
        };
        if !instance.is_bloated() {
            self.instance = Some(instance);
        }
        answer
    }

    fn answered(&self, message: &str) -> CallError {
        CallError::Answered(cut(message, self.limits.reason_bytes_max).to_owned())
    }

    /// A fresh instance in place of one that is gone; must answer as the first one did.
    fn restart(&self) -> Result<Instance<E>, CallError> {
        let (instance, output) = self.start()?;
        if output != self.output {
            let what = "a fresh instance opened with another output schema".into();
            return Err(Fault::NotDeterministic { what }.into());
        }
        Ok(instance)
    }

    fn start(&self) -> Result<(Instance<E>, SchemaRef), CallError> {
        let prepared = self.plugin.prepared().map_err(CallError::Load)?;
        let runtime = self.plugin.runtime();
        let gate = Gate::new(Arc::clone(&self.observer), Arc::clone(&self.names), Arc::clone(&self.limits));
        let mut instance = Instance::start(runtime, &self.limits, gate, |store| E::start(&prepared, store))?;
        let formats = self.schemas.iter().map(|schema| convert::formats(schema));
        let formats = formats.collect::<Result<Vec<_>, _>>()?;
        let fields =
            self.schemas.iter().zip(&formats).map(|(schema, formats)| convert::fields(schema, formats));
        let fields: Vec<_> = fields.collect();
        let (ticker, deadline_ms) = (&runtime.ticker, self.limits.open_deadline_ms);
        let answer = instance.call(ticker, &CallClock::START, deadline_ms, |exports, store| {
            exports.open(store, &self.operator, &self.config, &fields)
        })?;
        match answer {
            Ok(fields) => Ok((instance, Arc::new(convert::schema(&fields)?))),
            Err(message) => Err(self.answered(&message)),
        }
    }
}
