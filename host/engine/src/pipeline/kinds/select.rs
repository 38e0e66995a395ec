//! `select`: new columns out of SQL expressions.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Named};
use crate::batch::EventTime;
use crate::expr::Projection;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::error::SpecError;

/// A `select` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectSpec {
    /// Input entry.
    pub from: String,
    /// Output column to expression, in order; `"*": "*"` keeps the input's columns.
    pub select: Named,
}

impl Kind for SelectSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn plan(&self, _: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let projection = Projection::new(self.select.0.clone(), &inputs[0].schema);
        let projection = projection.map_err(|error| SpecError::new("select", error.to_string()))?;
        let event_time = inputs[0].event_time.and_then(|time| {
            let (column, _) = projection.pass_through().find(|(_, from)| *from == time.column)?;
            Some(EventTime { column, ..time })
        });
        let outlet = Outlet::stream(Arc::clone(projection.schema()), event_time);
        Ok(Entry::one(outlet, What::Select(projection)))
    }
}
