//! `aggregate`: functions over groups and windows.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::time::event_time;
use super::{Compute, FaultPolicy, Keyed, Kind, LatePolicy, Port};
use crate::batch::EventTime;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet};
use crate::pipeline::error::{SpecError, read};
use crate::pipeline::units::Span;
use crate::steps::aggregate::{CountConfig, Emit as AggregateEmit, Gap, WindowConfig, WindowKind};
use crate::steps::{GroupedParts, GroupedPlan, KeyedPlan};
use crate::windows::{Tumbling, WindowError, Windows, zone};

/// An `aggregate` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateSpec {
    /// Input entry.
    pub from: String,
    /// What is computed, and of which rows together.
    pub aggregate: AggregateBody,
    /// When results go on.
    #[serde(default)]
    pub emit: EmitWhen,
    /// What becomes of rows whose window is closed.
    #[serde(default)]
    pub late: LatePolicy,
    /// What becomes of rows that cannot be taken for another reason, such as that they break a plugin.
    #[serde(default)]
    pub on_fault: FaultPolicy,
}

/// Groups, windows and functions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateBody {
    /// Keys of the groups; none for one group of all rows.
    #[serde(default)]
    pub by: Keyed,
    /// Window; none keeps a group for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpec>,
    /// Output column to function, in order: `n: count()`, or a plugin's aggregate.
    pub compute: Compute,
}

/// A window: exactly one of `tumbling`, `sliding`, `session` and `count`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// Windows of this length, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tumbling: Option<Span>,
    /// Windows of this length that overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding: Option<Span>,
    /// A sliding window begins every so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<Span>,
    /// The rows of a key with no gap among them as long as this: a length of time, or an expression that
    /// gives each row's own gap in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// So many rows of a key, in the order in which they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// A count window begins every so many rows; when the one before is full, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Windows begin at multiples of their length (sliding ones: of their slide) after this.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub offset: Span,
    /// The time zone by whose clock tumbling windows begin and end, such as `Europe/Berlin`; UTC when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// A window stays open for so long after the watermark has passed its end.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub lateness: Span,
    /// The timestamp column; the source's event time when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
}

/// When an aggregate's results go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Emit {
    /// The new value of every group that a batch touched.
    #[default]
    Update,
    /// Each window once, when the watermark has passed its end.
    Final,
}

/// When an aggregate's results go on: a word, or every so often and then finally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EmitWhen {
    /// `update` or `final`.
    Word(Emit),
    /// `{ early: 10s }`: every so often the groups that have changed, and each window once more when it is
    /// final.
    Early(EarlySpec),
}

/// Results every so often, before they are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlySpec {
    /// The time from one to the next.
    pub early: Span,
}

impl Default for EmitWhen {
    fn default() -> Self {
        Self::Word(Emit::default())
    }
}

impl<'de> Deserialize<'de> for EmitWhen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = if value.is_object() { read(value).map(Self::Early) } else { read(value).map(Self::Word) };
        read.map_err(serde::de::Error::custom)
    }
}

/// The column of the results that has the window's end.
const WINDOW_END: usize = 1;
/// The same behind the number of a count window.
const COUNT_WINDOW_END: usize = 2;

impl WindowSpec {
    fn kind(&self) -> Result<WindowKind, SpecError> {
        let wrong = |path: &'static str| {
            move |error: WindowError| SpecError::new(format!("aggregate.window.{path}"), error.to_string())
        };
        match (self.tumbling, self.sliding, self.slide, &self.session) {
            (Some(size), None, None, None) => {
                let tumbling = Tumbling::new(size.us(), self.offset.us()).map_err(wrong("tumbling"))?;
                let Some(name) = &self.zone else { return Ok(WindowKind::Fixed(tumbling.into())) };
                let zone = zone(name).map_err(|message| SpecError::new("aggregate.window.zone", message))?;
                Windows::zoned(tumbling, zone).map(WindowKind::Fixed).map_err(wrong("tumbling"))
            }
            _ if self.zone.is_some() => {
                let message = "only tumbling windows go by the clock of a zone: `{ tumbling: 1d, zone: Europe/Berlin }`";
                Err(SpecError::new("aggregate.window.zone", message))
            }
            (None, Some(size), Some(slide), None) => {
                Windows::sliding(size.us(), slide.us(), self.offset.us())
                    .map(WindowKind::Fixed)
                    .map_err(wrong("sliding"))
            }
            // A gap that is no length of time is an expression, whose column is not known yet.
            (None, None, None, Some(gap)) => {
                Ok(WindowKind::Session(Span::parse(gap).map_or(Gap::Column(0), |gap| Gap::Fixed(gap.us()))))
            }
            (None, Some(_), None, None) => {
                let message = "missing: how often a window begins, as `{ sliding: 10s, slide: 1s }`";
                Err(SpecError::new("aggregate.window.slide", message))
            }
            _ => {
                let message = "a window is one of `{ tumbling: 10s }`, `{ sliding: 10s, slide: 1s }`, `{ session: 30s }` and \
                               `{ count: 100 }`";
                Err(SpecError::new("aggregate.window", message))
            }
        }
    }
}

impl WindowSpec {
    /// The windows of so many rows, over input with this event time.
    fn counted(&self, input: &Outlet) -> Result<Option<(CountConfig, Option<EventTime>)>, SpecError> {
        let Some(size) = self.count else {
            let message = "only count windows begin every so many rows: `{ count: 100, every: 10 }`";
            let stray = self.every.map(|_| SpecError::new("aggregate.window.every", message));
            return stray.map_or(Ok(None), Err);
        };
        let others = [self.tumbling, self.sliding, self.slide].iter().any(Option::is_some);
        if others
            || self.session.is_some()
            || !self.offset.is_zero()
            || !self.lateness.is_zero()
            || self.zone.is_some()
        {
            let message = "rows of a count window are together in the order in which they come, whatever their times: \
                           beside `count` there can be `every` and `on` alone";
            return Err(SpecError::new("aggregate.window", message));
        }
        let time = match (&self.on, input.event_time) {
            (None, None) => None,
            (on, _) => Some(event_time(input, on.as_deref(), "aggregate.window")?),
        };
        let every = self.every.unwrap_or(size);
        Ok(Some((CountConfig { size, every, time: time.map(|time| time.column) }, time)))
    }
}

impl AggregateSpec {
    /// The operators of plugins, each with its place in the step and its config.
    pub(super) fn operators(&self) -> Vec<(String, &str, &Value)> {
        let operators = self.aggregate.compute.operators();
        let told = operators.map(|(name, operator)| {
            (format!("aggregate.compute.{name}"), operator.operator.as_str(), &operator.config)
        });
        told.collect()
    }
}

impl Kind for AggregateSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn ports(&self) -> Vec<Port> {
        self.late.ports()
    }

    fn check_alone(&self, env: &Environment) -> Result<(), SpecError> {
        self.aggregate.compute.resolve(env).map(drop)
    }

    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let input = inputs[0];
        let body = &self.aggregate;
        let counted = body.window.as_ref().map_or(Ok(None), |window| window.counted(input))?;
        let window = match &body.window {
            Some(window) if counted.is_none() => {
                let time = event_time(input, window.on.as_deref(), "aggregate.window")?;
                Some(WindowConfig { kind: window.kind()?, time, lateness_us: window.lateness.us() })
            }
            _ => None,
        };
        let gap = body.window.as_ref().and_then(|window| window.session.as_deref());
        let gap = gap.filter(|text| Span::parse(text).is_err());
        let emit = match self.emit {
            EmitWhen::Word(Emit::Update) => AggregateEmit::Update,
            EmitWhen::Word(Emit::Final) => AggregateEmit::Final,
            EmitWhen::Early(EarlySpec { early }) => AggregateEmit::Early(early.us()),
        };
        let compute = body.compute.resolve(env)?;
        let count = counted.map(|(count, _)| count);
        let parts = GroupedParts { by: &body.by.0, window, count, gap, compute: &compute, emit };
        let plan = GroupedPlan::new(&parts, &input.schema).map_err(|error| {
            let path = if error.path.is_empty() { String::new() } else { format!(".{}", error.path) };
            SpecError::new(format!("aggregate{path}"), error.message)
        })?;
        let event_time = match counted {
            // Its last row was on time, so its greatest time is.
            Some((_, time)) => time.map(|time| EventTime { column: COUNT_WINDOW_END, ..time }),
            // A window's rows belong to the last time inside of it.
            None => body.window.as_ref().map(|_| EventTime { column: WINDOW_END, shift_us: -1 }),
        };
        let outlet = Outlet::stream(Arc::clone(plan.schema()), event_time);
        Ok(self.late.entry(plan, outlet, input).with_fault_policy(self.on_fault))
    }
}
