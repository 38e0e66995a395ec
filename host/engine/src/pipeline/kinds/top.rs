//! `top`: of each group the rows that come first in an order.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Emit, Keyed, Kind, LatePolicy, Port};
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet};
use crate::pipeline::error::SpecError;
use crate::steps::top::{Order, ROWS_MAX, TopPlan, When};
use crate::steps::{KeyedPlan, Keys};

/// A `top` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopSpec {
    /// Input entry.
    pub from: String,
    /// Which rows come first, and how many go on.
    pub top: TopBody,
    /// When a group's rows go on: `final` needs the event time among the keys.
    #[serde(default)]
    pub emit: Emit,
    /// What becomes of rows whose group is closed.
    #[serde(default)]
    pub late: LatePolicy,
}

/// Groups, an order, and a number of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopBody {
    /// Keys of the groups; none for one group of all rows.
    #[serde(default)]
    pub by: Keyed,
    /// Columns with `asc` or `desc`, between commas: `n desc, at`.
    pub order: String,
    /// Rows of a group that go on, from 1 to 1000.
    pub n: u64,
}

impl Kind for TopSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn ports(&self) -> Vec<Port> {
        self.late.ports()
    }

    fn check_alone(&self, _: &Environment) -> Result<(), SpecError> {
        match self.top.n {
            0 => Err(SpecError::new("top.n", "a `top` of no rows has nothing to say: 1 is the least")),
            n if n > ROWS_MAX => {
                let message = format!("{n} rows of each group are more than the {ROWS_MAX} that can be kept");
                Err(SpecError::new("top.n", message))
            }
            _ => Ok(()),
        }
    }

    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        self.check_alone(env)?;
        let input = inputs[0];
        let keys = Keys::new(&self.top.by.0, &input.schema)
            .map_err(|(name, error)| SpecError::new(format!("top.by.{name}"), error.to_string()))?;
        let order = Order::parse(&self.top.order, &input.schema)
            .map_err(|message| SpecError::new("top.order", message))?;
        let when = self.when(&keys, input)?;
        let plan = TopPlan::new(keys, order, self.top.n as usize, when, &input.schema)
            .map_err(|error| SpecError::new("top", error.to_string()))?;
        // Without a time in the key, rows go on again long after their time: to others they would be late.
        let event_time = input.event_time.filter(|_| when != When::Always);
        let outlet = Outlet::stream(Arc::clone(plan.schema()), event_time);
        Ok(self.late.entry(plan, outlet, input))
    }
}

impl TopSpec {
    fn when(&self, keys: &Keys, input: &Outlet) -> Result<When, SpecError> {
        let time = input.event_time.filter(|time| keys.columns().any(|column| column == time.column));
        match (self.emit, time) {
            (Emit::Update, None) => Ok(When::Always),
            (Emit::Update, Some(time)) => Ok(When::Until(time)),
            (Emit::Final, Some(time)) => Ok(When::Once(time)),
            (Emit::Final, None) => {
                let message = match input.event_time_name() {
                    Some(name) => format!(
                        "final needs the event time among the keys, as without it no group is ever complete: add \
                         `{name}` to `top.by`, or use emit: update"
                    ),
                    None => "final needs an event time among the keys, and none reaches this step: use emit: update, or \
                             take the rows of a window"
                        .to_owned(),
                };
                Err(SpecError::new("emit", message))
            }
        }
    }
}
