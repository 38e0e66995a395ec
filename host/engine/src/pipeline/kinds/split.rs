//! `split`: rows go the way of the first predicate that is true of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Named, Port};
use crate::expr::Predicate;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::error::SpecError;
use crate::steps::Split;

/// A `split` step: others take its rows as `step.branch`, and those of no branch as `step.rest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    /// Input entry.
    pub from: String,
    /// Branch to condition, in order.
    pub split: Named,
}

impl Kind for SplitSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn ports(&self) -> Vec<Port> {
        let branches = self.split.0.iter().map(|(name, _)| Port::named(name));
        branches.chain([Port::optional(Split::REST)]).collect()
    }

    fn check_alone(&self, _: &Environment) -> Result<(), SpecError> {
        if self.split.0.is_empty() {
            return Err(SpecError::new("split", "name at least one branch: `{ large: \"amount > 100\" }`"));
        }
        match self.split.0.iter().find(|(name, _)| name == Split::REST || name.contains('.')) {
            Some((name, _)) if name == Split::REST => {
                let message = "`rest` are the rows that no branch takes: call this branch something else";
                Err(SpecError::new("split.rest", message))
            }
            Some((name, _)) => Err(SpecError::new("split", format!("`{name}`: a branch's name has no dots"))),
            None => Ok(()),
        }
    }

    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        self.check_alone(env)?;
        let compile = |(name, text): &(String, String)| {
            let compiled = Predicate::new(text, &inputs[0].schema);
            compiled.map_err(|error| SpecError::new(format!("split.{name}"), error.to_string()))
        };
        let branches = self.split.0.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let outlets = vec![inputs[0].clone(); branches.len() + 1];
        Ok(Entry { outlets, what: What::Split(branches) })
    }
}
