//! `union`: the rows of several entries of one schema.

use std::sync::Arc;

use arrow_schema::{Field, Schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::batch::type_name;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::error::SpecError;

/// A `union` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnionSpec {
    /// Input entries.
    pub union: Vec<String>,
}

impl Kind for UnionSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        self.union.iter().enumerate().map(|(i, name)| (format!("union[{i}]"), name.as_str())).collect()
    }

    fn plan(&self, _: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err(SpecError::new("union", "name at least one entry"));
        };
        for (i, input) in rest.iter().enumerate() {
            if let Some(difference) = difference(&first.schema, &input.schema) {
                let message = format!(
                    "its rows are not like those of the first input: {difference}; a `select` before can make them \
                     alike"
                );
                return Err(SpecError::new(format!("union[{}]", i + 1), message));
            }
        }
        let nullable = |column: usize| inputs.iter().any(|input| input.schema.field(column).is_nullable());
        let fields = first.schema.fields().iter().enumerate();
        let fields: Vec<_> =
            fields.map(|(i, field)| field.as_ref().clone().with_nullable(nullable(i))).collect();
        let same_time = inputs.iter().all(|input| input.event_time == first.event_time);
        let event_time = first.event_time.filter(|_| same_time);
        Ok(Entry::one(Outlet::stream(Arc::new(Schema::new(fields)), event_time), What::Union))
    }
}

pub(super) fn difference(left: &Schema, right: &Schema) -> Option<String> {
    if left.fields().len() != right.fields().len() {
        return Some(format!("{} columns here, {} there", right.fields().len(), left.fields().len()));
    }
    let pairs = left.fields().iter().zip(right.fields());
    let mut different = pairs.filter(|(l, r)| l.name() != r.name() || l.data_type() != r.data_type());
    different.next().map(|(l, r)| {
        let show = |field: &Field| format!("`{}` {}", field.name(), type_name(field.data_type()));
        format!("{} here, {} there", show(r), show(l))
    })
}
