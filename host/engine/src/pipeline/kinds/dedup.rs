//! `dedup`: rows without their duplicates within a bound of time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::event_time;
use super::{Keyed, Kind, LatePolicy, Port};
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet};
use crate::pipeline::error::SpecError;
use crate::pipeline::units::Span;
use crate::steps::{DedupPlan, Keys};

/// A `dedup` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupSpec {
    /// Input entry.
    pub from: String,
    /// Which rows are duplicates.
    pub dedup: DedupBody,
    /// What becomes of rows before the watermark.
    #[serde(default)]
    pub late: LatePolicy,
}

/// Which rows are duplicates of each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupBody {
    /// Rows with one key are duplicates...
    pub by: Keyed,
    /// ...when their event times are less than this apart.
    pub within: Span,
    /// The timestamp column; the source's event time when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
}

impl Kind for DedupSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn ports(&self) -> Vec<Port> {
        self.late.ports()
    }

    fn plan(&self, _: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let input = inputs[0];
        let time = event_time(input, self.dedup.on.as_deref(), "dedup")?;
        let keys = Keys::new(&self.dedup.by.0, &input.schema)
            .map_err(|(name, error)| SpecError::new(format!("dedup.by.{name}"), error.to_string()))?;
        let plan = DedupPlan::new(keys, input.schema.clone(), time, self.dedup.within.us())
            .map_err(|error| SpecError::new("dedup", error.to_string()))?;
        let outlet = Outlet { event_time: Some(time), ..input.clone() };
        Ok(self.late.entry(plan, outlet, input))
    }
}
