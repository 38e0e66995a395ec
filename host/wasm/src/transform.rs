//! A transform: rows in, rows out.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use wasmtime::{Store, StoreContextMut};

use crate::bindings::exports::millstream::plugin::transform;
use crate::bindings::millstream::plugin::data::{Clock, FieldParam, FieldResult};
use crate::convert::{self, Lowered};
use crate::error::CallError;
use crate::instance::HostCtx;
use crate::limits::Limits;
use crate::observe::Observer;
use crate::opened::{Answer, Exports, Opened, Opening};
use crate::plugin::{Kind, Plugin, Prepared};

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

    /// What of it the contract tells the plugin.
    pub(crate) fn told(&self) -> Clock {
        Clock { batch_id: self.batch_id, now: self.now_us, watermark: self.watermark_us }
    }
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
    opened: Opened<transform::Guest>,
}

impl Transform {
    pub(crate) fn open(plugin: &Plugin, open: &OpenTransform<'_>) -> Result<Self, CallError> {
        let opening = Opening {
            operator: open.operator,
            config: open.config,
            schemas: vec![Arc::new(open.input.clone())],
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
        assert_eq!(input.num_columns(), self.opened.schema(0).fields().len(), "input of another schema");
        let lowered = Lowered::new(input)?;
        let columns = lowered.columns();
        let batch = lowered.batch(&columns);
        self.opened.call(
            clock,
            |transform, store| transform.call_process(store, clock.told(), batch),
            |output, schema, limits| {
                let rows = convert::lift(schema, output.batch, limits)?;
                let rejected = convert::rejections(output.rejected, lowered.rows(), limits)?;
                Ok(Output { rows, rejected })
            },
        )
    }
}

impl Exports for transform::Guest {
    const KIND: Kind = Kind::Transform;

    fn start(prepared: &Prepared, store: &mut Store<HostCtx>) -> wasmtime::Result<Self> {
        prepared.start_transform(store)
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
