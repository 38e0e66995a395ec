//! An operator of any kind, open, with a batch that it is given again and again. Groups and keys are those of the
//! batch, and every call begins without states: the same work each time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{BinaryArray, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use millstream_engine::pipeline::rows_as_json;
use millstream_wasm::{
    Aggregate, CallClock, Kind, Level, Observer, OpenAggregate, OpenKeyed, OpenTransform, Operator, Plugin,
    Transform, Turn,
};

use super::spec::{TrialError, TrialSpec};

/// An open operator and what it is called with.
pub(super) struct Calls {
    open: Open,
    batch: RecordBatch,
    clock: CallClock,
    groups: Groups,
}

enum Open {
    Transform(Transform),
    Aggregate(Aggregate),
    Keyed(millstream_wasm::Keyed),
}

/// Which rows are together.
struct Groups {
    /// The key columns, a row a group.
    keys: RecordBatch,
    /// The group of each row.
    of_rows: Vec<u32>,
    /// Nothing is known of any group.
    states: BinaryArray,
}

impl Calls {
    pub(super) fn open(
        plugin: &Plugin,
        operator: &Operator,
        config: &str,
        batch: &RecordBatch,
        trial: &TrialSpec,
    ) -> Result<Self, TrialError> {
        let groups = Groups::of(batch, &trial.key)?;
        let (operator, kind) = (operator.name.as_str(), operator.kind);
        let (input, observer, limits) = (batch.schema_ref(), Arc::new(Deaf), None);
        let open = match kind {
            Kind::Transform => plugin
                .transform(&OpenTransform { operator, config, input, observer, limits })
                .map(Open::Transform),
            Kind::Aggregate => plugin
                .aggregate(&OpenAggregate { operator, config, input, observer, limits })
                .map(Open::Aggregate),
            Kind::Keyed => {
                let keys = groups.keys.schema_ref();
                plugin.keyed(&OpenKeyed { operator, config, keys, input, observer, limits }).map(Open::Keyed)
            }
        };
        let open = open.map_err(|error| TrialError(format!("config: {error}")))?;
        let clock = CallClock { batch_id: 1, ..CallClock::START };
        Ok(Self { open, batch: batch.clone(), clock, groups })
    }

    /// One call; the rows that it gives, if it gives rows.
    pub(super) fn call(&mut self) -> Result<Option<RecordBatch>, TrialError> {
        let Self { open, batch, clock, groups } = self;
        let output = match open {
            Open::Transform(transform) => transform.process(clock, batch).map(|output| Some(output.rows)),
            Open::Aggregate(aggregate) => {
                aggregate.accumulate(clock, &groups.states, &groups.of_rows, batch).map(|_| None)
            }
            Open::Keyed(keyed) => {
                let Groups { keys, of_rows, states } = groups;
                let turn = Turn { keys, states, rows: batch, row_keys: of_rows, due: &[] };
                keyed.process(clock, &turn).map(|outcome| Some(outcome.rows))
            }
        };
        output.map_err(TrialError::new)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match &self.open {
            Open::Transform(transform) => transform.memory_bytes(),
            Open::Aggregate(aggregate) => aggregate.memory_bytes(),
            Open::Keyed(keyed) => keyed.memory_bytes(),
        }
    }
}

impl Groups {
    fn of(batch: &RecordBatch, key: &[String]) -> Result<Self, TrialError> {
        let columns = key.iter().map(|name| batch.schema_ref().index_of(name)).collect::<Result<Vec<_>, _>>();
        let keys = columns.and_then(|columns| batch.project(&columns));
        let keys = keys.map_err(|error| TrialError(format!("key: {error}")))?;
        let mut known: HashMap<String, u32> = HashMap::new();
        let (mut firsts, mut of_rows) = (Vec::new(), Vec::with_capacity(batch.num_rows()));
        let texts = if key.is_empty() {
            vec![String::new(); batch.num_rows()]
        } else {
            rows_as_json(&keys).map_err(TrialError::new)?
        };
        for (row, text) in (0..).zip(texts) {
            let next = firsts.len();
            let group = *known.entry(text).or_insert_with(|| {
                firsts.push(row);
                u32::try_from(next).unwrap_or(u32::MAX)
            });
            of_rows.push(group);
        }
        let keys = take_record_batch(&keys, &UInt32Array::from(firsts)).map_err(TrialError::new)?;
        let states = BinaryArray::new_null(known.len());
        Ok(Self { keys, of_rows, states })
    }
}

/// What an operator logs is of no interest here.
struct Deaf;

impl Observer for Deaf {
    fn log(&self, _: Level, _: &str) {}
    fn count(&self, _: &str, _: u64) {}
    fn observe(&self, _: &str, _: f64) {}
    fn dropped(&self, _: u64, _: u64) {}
}
