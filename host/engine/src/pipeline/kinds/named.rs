//! Columns by name with the expression of each, as specs write them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A map of output columns to expressions, in order; a number or a truth value stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Map<String, Value>")]
pub struct Named(pub Vec<(String, String)>);

/// Keys: a list of columns, or a map of output columns to expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Value")]
pub struct Keyed(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        expressions(Map::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Keyed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || {
            let message = "a list of columns `[word]` or a map of names to expressions `{ day: \"…\" }`";
            serde::de::Error::custom(message)
        };
        let columns = match Value::deserialize(deserializer)? {
            Value::Object(map) => return expressions(map).map(Self).map_err(serde::de::Error::custom),
            Value::Array(columns) => columns,
            _ => return Err(wrong()),
        };
        let names = columns.iter().map(|column| column.as_str().map(|name| (name.to_owned(), quoted(name))));
        names.collect::<Option<_>>().map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}

impl Serialize for Keyed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}

fn expressions(map: Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    map.into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(number) => Ok((name, number.to_string())),
            Value::Bool(truth) => Ok((name, truth.to_string())),
            _ => Err(format!("{name}: an expression is a text such as `price * 2`")),
        })
        .collect()
}

/// A column name as an expression: names that are no plain words need quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
