//! What an `aggregate` step computes: calls of built-in functions, and aggregates that plugins offer.

use millstream_wasm::Plugin;
use schemars::JsonSchema;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::Keyed;
use super::wasm::{find, limits, no_config};
use crate::pipeline::deployment::Environment;
use crate::pipeline::error::{SpecError, read};
use crate::pipeline::units::{ByteSize, Span};
use crate::steps::Computed;
use crate::steps::aggregate::PluginCall;

/// Output columns and what is computed for each, in order.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[schemars(with = "Map<String, Value>")]
pub struct Compute(pub Vec<(String, ComputeSpec)>);

/// What is computed for a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ComputeSpec {
    /// A call of a built-in function: `sum(price)`.
    Call(String),
    /// A plugin's aggregate.
    Plugin(OperatorSpec),
}

/// A plugin's aggregate over columns: `{ wasm: stats/mean@0.1, of: [mag], config: { column: mag } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSpec {
    /// `plugin/operator@version`.
    #[serde(rename = "wasm")]
    pub operator: String,
    /// The columns that it is given: a list, or a map of names to expressions.
    pub of: Keyed,
    /// The operator's config.
    #[serde(default = "no_config")]
    pub config: Value,
    /// How long one call may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// How much memory one instance may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
}

impl Compute {
    /// The operators of plugins that are called, by column.
    pub(super) fn operators(&self) -> impl Iterator<Item = (&str, &OperatorSpec)> {
        self.0.iter().filter_map(|(name, computed)| match computed {
            ComputeSpec::Plugin(operator) => Some((name.as_str(), operator)),
            ComputeSpec::Call(_) => None,
        })
    }

    /// Finds the plugins.
    pub(super) fn resolve(&self, env: &Environment) -> Result<Vec<(String, Computed<'_>)>, SpecError> {
        let resolved = self.0.iter().map(|(name, computed)| {
            let computed = match computed {
                ComputeSpec::Call(text) => Computed::Call(text),
                ComputeSpec::Plugin(operator) => {
                    Computed::Plugin { of: &operator.of.0, call: operator.call(name, env)? }
                }
            };
            Ok((name.clone(), computed))
        });
        resolved.collect()
    }
}

impl OperatorSpec {
    fn call(&self, name: &str, env: &Environment) -> Result<PluginCall, SpecError> {
        let found = find(env, "wasm", &self.operator);
        let (reference, plugin): (_, Plugin) =
            found.map_err(|error| error.under(&format!("aggregate.compute.{name}")))?;
        Ok(PluginCall {
            plugin,
            operator: reference.operator,
            config: self.config.to_string(),
            limits: limits(self.deadline, self.memory),
        })
    }
}

impl<'de> Deserialize<'de> for Compute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Columns;
        impl<'de> Visitor<'de> for Columns {
            type Value = Compute;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of columns to functions such as `{ n: count() }`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Compute, A::Error> {
                let mut columns = Vec::new();
                while let Some((name, computed)) = map.next_entry::<String, Value>()? {
                    let computed =
                        of_value(computed).map_err(|error| A::Error::custom(error.under(&name)))?;
                    columns.push((name, computed));
                }
                Ok(Compute(columns))
            }
        }
        deserializer.deserialize_map(Columns)
    }
}

fn of_value(value: Value) -> Result<ComputeSpec, SpecError> {
    match value {
        Value::String(text) => Ok(ComputeSpec::Call(text)),
        Value::Object(_) => read(value).map(ComputeSpec::Plugin),
        _ => Err(SpecError::new(
            "",
            "a function is a text such as `sum(price)`, or a plugin's: `{ wasm: stats/mean, of: [price] }`",
        )),
    }
}

impl Serialize for Compute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, computed)| (name, computed)))
    }
}

impl Serialize for ComputeSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Call(text) => serializer.serialize_str(text),
            Self::Plugin(operator) => operator.serialize(serializer),
        }
    }
}
