//! `filter`: rows for which an SQL expression is true.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::expr::Predicate;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::error::SpecError;

/// A `filter` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// Input entry.
    pub from: String,
    /// The expression.
    pub filter: String,
}

impl Kind for FilterSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn plan(&self, _: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let predicate = Predicate::new(&self.filter, &inputs[0].schema);
        let predicate = predicate.map_err(|error| SpecError::new("filter", error.to_string()))?;
        Ok(Entry::one(inputs[0].clone(), What::Filter(predicate)))
    }
}
