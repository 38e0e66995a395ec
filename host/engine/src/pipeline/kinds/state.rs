//! `state`: a plugin's keyed operator, with states and timers by key.

use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef, TimeUnit};
use millstream_wasm::{CallError, Limits, Observer, OpenKeyed, Plugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time::timestamp_column;
use super::wasm::{Deaf, FaultPolicy, find, limits, no_config, not_opened};
use super::{Keyed, Kind, LatePolicy, Port, Takes};
use crate::batch::EventTime;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::error::SpecError;
use crate::pipeline::lane::LateRows;
use crate::pipeline::units::{ByteSize, Span};
use crate::steps::{Initial, KeyedPlan, KeyedStep, Keys, StateParts, StatePlan, StepError, TimerClock};

/// A `state` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateSpec {
    /// Input entry.
    pub from: String,
    /// `plugin/operator@version`.
    #[serde(rename = "state")]
    pub operator: String,
    /// Which rows have a state together; an empty list is one state for all.
    pub by: Keyed,
    /// The operator's config.
    #[serde(default = "no_config")]
    pub config: Value,
    /// Which clock timers and `ttl` are on: event time where the rows have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timers: Option<TimerSpec>,
    /// The state of a key that had neither rows nor a timer for so long is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// A table whose rows come once, as the step's first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// The event time of what comes out; the input's, where a timestamp column has its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<OutputTimeSpec>,
    /// What happens to a row that breaks the plugin.
    #[serde(default)]
    pub on_fault: FaultPolicy,
    /// How long one call may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// How much memory one instance may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// What becomes of rows before the watermark, where timers are on event time.
    #[serde(default)]
    pub late: LatePolicy,
}

/// What timers are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimerSpec {
    /// The watermark.
    EventTime,
    /// The batch's own clock.
    ProcessingTime,
}

/// The event time of what an operator gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputTimeSpec {
    /// A timestamp column of the output.
    pub column: String,
    /// How much earlier than the watermark its times may be: the watermark stays so far behind.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub delay: Span,
}

/// A `state` step whose plugin is found and has accepted its config, keys and input.
pub(crate) struct StateEntry {
    pub(crate) plan: StatePlan,
    pub(crate) plugin: Plugin,
    output: SchemaRef,
    operator: String,
    config: String,
    limits: Option<Limits>,
    pub(crate) on_fault: FaultPolicy,
    pub(crate) late: LateRows,
}

impl KeyedPlan for StateEntry {
    fn schema(&self) -> &SchemaRef {
        &self.output
    }

    fn holds_back_us(&self) -> Option<i64> {
        let parts = self.plan.parts();
        match parts.timers {
            TimerClock::EventTime(_) => Some(parts.delay_us),
            TimerClock::ProcessingTime => Some(parts.delay_us).filter(|delay_us| *delay_us > 0),
        }
    }

    fn can_spill(&self) -> bool {
        true
    }

    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError> {
        let nobody: Arc<dyn Observer> = Arc::new(Deaf);
        self.build_heard(worker, workers, &nobody)
    }

    fn build_heard(
        &self,
        worker: u32,
        workers: u32,
        observer: &Arc<dyn Observer>,
    ) -> Result<Box<dyn KeyedStep>, StepError> {
        let parts = self.plan.parts();
        let opening = Opening {
            plugin: &self.plugin,
            operator: &self.operator,
            config: &self.config,
            limits: self.limits.clone(),
        };
        let keyed = opening.open(&parts.keys, &parts.input, Arc::clone(observer));
        let keyed = keyed.map_err(|error| StepError::Failed(error.to_string()))?;
        self.plan.build(Box::new(keyed), worker, workers)
    }
}

/// What does not change from instance to instance.
struct Opening<'a> {
    plugin: &'a Plugin,
    operator: &'a str,
    config: &'a str,
    limits: Option<Limits>,
}

impl Opening<'_> {
    fn open(
        self,
        keys: &Keys,
        input: &SchemaRef,
        observer: Arc<dyn Observer>,
    ) -> Result<millstream_wasm::Keyed, CallError> {
        self.plugin.keyed(&OpenKeyed {
            operator: self.operator,
            config: self.config,
            keys: &StatePlan::key_schema(keys),
            input,
            observer,
            limits: self.limits,
        })
    }
}

impl StateSpec {
    fn clock(&self, input: &Outlet) -> Result<TimerClock, SpecError> {
        match (self.timers, input.event_time) {
            (Some(TimerSpec::EventTime) | None, Some(time)) => Ok(TimerClock::EventTime(time)),
            (Some(TimerSpec::ProcessingTime) | None, _) => Ok(TimerClock::ProcessingTime),
            (Some(TimerSpec::EventTime), None) => {
                let message = "no event time reaches this step: give the source an `event_time` and keep that column on \
                               the way, or use `timers: processing-time`";
                Err(SpecError::new("timers", message))
            }
        }
    }

    fn initial_rows(&self, inputs: &[&Outlet]) -> Result<Option<Initial>, SpecError> {
        let Some(table) = inputs.get(1).and_then(|table| table.table.clone()) else { return Ok(None) };
        let initial = Initial::new(table, Arc::clone(&inputs[0].schema));
        initial.map(Some).map_err(|message| SpecError::new("initial", message))
    }

    /// The event time of what comes out, and how far it may be behind.
    fn output_time(&self, input: &Outlet, output: &SchemaRef) -> Result<(Option<EventTime>, i64), SpecError> {
        if let Some(spec) = &self.event_time {
            let column = timestamp_column(output, &spec.column);
            let column = column.map_err(|error| error.under("event_time.column"))?;
            return Ok((Some(EventTime::of_column(column)), spec.delay.us()));
        }
        let is_time = |column: &usize| {
            matches!(output.field(*column).data_type(), DataType::Timestamp(TimeUnit::Microsecond, _))
        };
        let time = input.event_time.and_then(|time| {
            let name = input.schema.field(time.column).name();
            output.index_of(name).ok().filter(is_time).map(|column| EventTime { column, ..time })
        });
        Ok((time, 0))
    }
}

impl Kind for StateSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        let from = ("from".to_owned(), self.from.as_str());
        let initial = self.initial.iter().map(|table| ("initial".to_owned(), table.as_str()));
        std::iter::once(from).chain(initial).collect()
    }

    fn takes(&self, input: usize) -> Takes {
        [Takes::Rows, Takes::Table][input]
    }

    fn ports(&self) -> Vec<Port> {
        self.late.ports()
    }

    fn check_alone(&self, env: &Environment) -> Result<(), SpecError> {
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            let message =
                "a state that lives for no time is never there: leave `ttl` out to keep states for ever";
            return Err(SpecError::new("ttl", message));
        }
        find(env, "state", &self.operator).map(drop)
    }

    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        self.check_alone(env)?;
        let input = inputs[0];
        let (reference, plugin) = find(env, "state", &self.operator)?;
        let keys = Keys::new(&self.by.0, &input.schema)
            .map_err(|(name, error)| SpecError::new(format!("by.{name}"), error.to_string()))?;
        let timers = self.clock(input)?;
        let (config, limits) = (self.config.to_string(), limits(self.deadline, self.memory));
        let opening = Opening {
            plugin: &plugin,
            operator: &reference.operator,
            config: &config,
            limits: limits.clone(),
        };
        let opened = opening.open(&keys, &input.schema, Arc::new(Deaf));
        let output = opened.map_err(|error| not_opened("state", error))?.output_schema();
        let (event_time, delay_us) = self.output_time(input, &output)?;
        let parts = StateParts {
            keys,
            input: Arc::clone(&input.schema),
            timers,
            ttl_us: self.ttl.map(Span::us),
            delay_us,
            operator: format!("{}/{}", reference.plugin, reference.operator),
            version: plugin.description().version.clone(),
            initial: self.initial_rows(inputs)?,
            memory_bytes: limits.clone().unwrap_or_default().memory_bytes_max,
        };
        let plan = StatePlan::new(parts).map_err(|error| SpecError::new("by", error.to_string()))?;
        let outlet = Outlet::stream(Arc::clone(&output), event_time);
        let (late, outlets) = self.late.outlets(outlet, input);
        let entry = StateEntry {
            plan,
            plugin,
            output,
            operator: reference.operator,
            config,
            limits,
            on_fault: self.on_fault,
            late,
        };
        Ok(Entry { outlets, what: What::State(entry) })
    }
}
