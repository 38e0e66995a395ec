//! `aggregate`: functions over groups and windows.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::event_time;
use super::{Keyed, Kind, LatePolicy, Named, Port};
use crate::batch::EventTime;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet};
use crate::pipeline::error::SpecError;
use crate::pipeline::units::Span;
use crate::steps::aggregate::{Emit as AggregateEmit, Gap, WindowConfig, WindowKind};
use crate::steps::{GroupedParts, GroupedPlan, KeyedPlan};
use crate::windows::{Tumbling, WindowError, Windows};

/// An `aggregate` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateSpec {
    /// Input entry.
    pub from: String,
    /// What is computed, and of which rows together.
    pub aggregate: AggregateBody,
    /// When results go on.
    #[serde(default)]
    pub emit: Emit,
    /// What becomes of rows whose window is closed.
    #[serde(default)]
    pub late: LatePolicy,
}

/// Groups, windows and functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateBody {
    /// Keys of the groups; none for one group of all rows.
    #[serde(default)]
    pub by: Keyed,
    /// Window; none keeps a group for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpec>,
    /// Output column to function call, in order: `n: count()`.
    pub compute: Named,
}

/// A window: exactly one of `tumbling`, `sliding` and `session`.
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
    /// Windows begin at multiples of their length (sliding ones: of their slide) after this.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub offset: Span,
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

/// The column of the results that has the window's end.
const WINDOW_END: usize = 1;

impl WindowSpec {
    fn kind(&self) -> Result<WindowKind, SpecError> {
        let wrong = |path: &'static str| {
            move |error: WindowError| SpecError::new(format!("aggregate.window.{path}"), error.to_string())
        };
        match (self.tumbling, self.sliding, self.slide, &self.session) {
            (Some(size), None, None, None) => Tumbling::new(size.us(), self.offset.us())
                .map(|tumbling| WindowKind::Fixed(tumbling.into()))
                .map_err(wrong("tumbling")),
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
                let message = "a window is one of `{ tumbling: 10s }`, `{ sliding: 10s, slide: 1s }` and \
                               `{ session: 30s }`";
                Err(SpecError::new("aggregate.window", message))
            }
        }
    }
}

impl Kind for AggregateSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn ports(&self) -> Vec<Port> {
        self.late.ports()
    }

    fn plan(&self, _: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let input = inputs[0];
        let body = &self.aggregate;
        let window = match &body.window {
            None => None,
            Some(window) => {
                let time = event_time(input, window.on.as_deref(), "aggregate.window")?;
                Some(WindowConfig { kind: window.kind()?, time, lateness_us: window.lateness.us() })
            }
        };
        let gap = body.window.as_ref().and_then(|window| window.session.as_deref());
        let gap = gap.filter(|text| Span::parse(text).is_err());
        let emit = match self.emit {
            Emit::Update => AggregateEmit::Update,
            Emit::Final => AggregateEmit::Final,
        };
        let parts = GroupedParts { by: &body.by.0, window, gap, compute: &body.compute.0, emit };
        let plan = GroupedPlan::new(&parts, &input.schema).map_err(|error| {
            let path = if error.path.is_empty() { String::new() } else { format!(".{}", error.path) };
            SpecError::new(format!("aggregate{path}"), error.message)
        })?;
        // A window's rows belong to the last time inside of it.
        let event_time = body.window.as_ref().map(|_| EventTime { column: WINDOW_END, shift_us: -1 });
        let outlet = Outlet::stream(Arc::clone(plan.schema()), event_time);
        Ok(self.late.entry(plan, outlet, input))
    }
}
