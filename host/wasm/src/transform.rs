//! A transform: an operator that is open on an instance of its own, and replaces that instance
//! whenever it breaks or grows too large. Plugins remember nothing, so nobody can tell.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::bindings::transform::TransformPlugin;
use crate::bindings::transform::millstream::plugin::data;
use crate::convert::{self, Lowered, cut};
use crate::error::{CallError, Fault};
use crate::instance::Instance;
use crate::limits::Limits;
use crate::observe::{Gate, MetricNames, Observer};
use crate::plugin::Plugin;

/// What a transform is opened with.
pub struct OpenTransform<'a> {
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

/// What time it is in a call, and what decides its randomness. All from the batch's plan: the same
/// call made again has the same values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallClock {
    /// The micro-batch.
    pub batch_id: u64,
    /// Which call within the batch this is, over all workers, so that two calls have different
    /// random numbers: for example, the split and the number of the chunk in it.
    pub chunk: u64,
    /// The batch's time, in microseconds since the Unix epoch.
    pub now_us: i64,
    /// The watermark, in microseconds since the Unix epoch.
    pub watermark_us: Option<i64>,
    /// The batch's seed.
    pub seed: u64,
}

impl CallClock {
    /// Outside any batch: when an instance starts, describes itself or opens an operator. Fixed,
    /// so that every fresh instance is the same.
    pub const START: Self = Self { batch_id: 0, chunk: 0, now_us: 0, watermark_us: None, seed: 0 };
}

/// What a transform made of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The rows, in the schema that the operator promised.
    pub rows: RecordBatch,
    /// Input rows that the operator could not take, rising, each with the reason.
    pub rejected: Vec<(u32, String)>,
}

/// An open transform. Owned by one worker; calls block while the guest runs.
pub struct Transform {
    plugin: Plugin,
    operator: String,
    config: String,
    input: SchemaRef,
    output: SchemaRef,
    observer: Arc<dyn Observer>,
    names: MetricNames,
    limits: Arc<Limits>,
    /// None after a fault, until the next call.
    instance: Option<Instance<TransformPlugin>>,
}

impl Transform {
    pub(crate) fn open(plugin: &Plugin, open: &OpenTransform<'_>) -> Result<Self, CallError> {
        let limits = open.limits.clone().map_or_else(|| Arc::clone(&plugin.runtime().limits), Arc::new);
        let mut transform = Self {
            plugin: plugin.clone(),
            operator: open.operator.to_owned(),
            config: open.config.to_owned(),
            input: Arc::new(open.input.clone()),
            output: Arc::new(Schema::empty()),
            observer: Arc::clone(&open.observer),
            names: MetricNames::default(),
            limits,
            instance: None,
        };
        let (instance, output) = transform.start()?;
        (transform.instance, transform.output) = (Some(instance), output);
        Ok(transform)
    }

    /// The schema of every output.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// Gives a batch to the operator. After a fault the next call has a fresh instance, so a caller
    /// may go on with other rows at once.
    ///
    /// # Errors
    /// When the operator answers an error for the batch, or breaks. Never a panic, whatever it
    /// returns.
    ///
    /// # Panics
    /// When the input does not have the schema that the transform was opened with.
    pub fn process(&mut self, clock: &CallClock, input: &RecordBatch) -> Result<Output, CallError> {
        assert_eq!(input.num_columns(), self.input.fields().len(), "input of another schema");
        // Taken out, so that it is gone whichever way the call fails.
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.restart()?,
        };
        let answer = self.call(&mut instance, clock, input)?;
        if !instance.is_bloated() {
            self.instance = Some(instance);
        }
        answer.map_err(|message| CallError::Answered(cut(&message, self.limits.reason_bytes_max).to_owned()))
    }

    fn call(
        &self,
        instance: &mut Instance<TransformPlugin>,
        clock: &CallClock,
        input: &RecordBatch,
    ) -> Result<Result<Output, String>, CallError> {
        let lowered = Lowered::new(input)?;
        let columns = lowered.columns();
        let batch = data::BatchParam { rows: lowered.rows(), columns: &columns };
        let told = data::Clock { batch_id: clock.batch_id, now: clock.now_us, watermark: clock.watermark_us };
        let ticker = &self.plugin.runtime().ticker;
        let answer = instance.call(ticker, clock, self.limits.deadline_ms, |plugin, store| {
            plugin.millstream_plugin_transform().call_process(store, told, batch)
        })?;
        let output = match answer {
            Ok(output) => output,
            Err(message) => return Ok(Err(message)),
        };
        let rows = convert::lift(&self.output, output.batch, &self.limits)?;
        let rejected = convert::rejections(output.rejected, lowered.rows(), &self.limits)?;
        Ok(Ok(Output { rows, rejected }))
    }

    /// A fresh instance in place of one that is gone; must answer as the first one did.
    fn restart(&self) -> Result<Instance<TransformPlugin>, CallError> {
        let (instance, output) = self.start()?;
        if output != self.output {
            let what = "a fresh instance opened with another output schema".into();
            return Err(Fault::NotDeterministic { what }.into());
        }
        Ok(instance)
    }

    fn start(&self) -> Result<(Instance<TransformPlugin>, SchemaRef), CallError> {
        let prepared = self.plugin.prepared().map_err(CallError::Load)?;
        let Some(transform) = prepared.transform else {
            // The description said otherwise, and it was checked against the component's type.
            let what = "the component does not export transform".into();
            return Err(CallError::Load(crate::error::LoadError::Mismatch(what)));
        };
        let runtime = self.plugin.runtime();
        let gate = Gate::new(Arc::clone(&self.observer), Arc::clone(&self.names), Arc::clone(&self.limits));
        let mut instance =
            Instance::start(runtime, &self.limits, gate, |store| transform.instantiate(store))?;
        let formats = convert::formats(&self.input)?;
        let fields = convert::fields(&self.input, &formats);
        let (ticker, deadline_ms) = (&runtime.ticker, self.limits.open_deadline_ms);
        let answer = instance.call(ticker, &CallClock::START, deadline_ms, |plugin, store| {
            plugin.millstream_plugin_transform().call_open(store, &self.operator, &self.config, &fields)
        })?;
        match answer {
            Ok(fields) => Ok((instance, Arc::new(convert::schema(&fields)?))),
            Err(message) => Err(CallError::Answered(cut(&message, self.limits.reason_bytes_max).to_owned())),
        }
    }
}
