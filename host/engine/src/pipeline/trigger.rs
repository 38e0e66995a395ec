//! When batches are cut, as a user writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::error::read;
use super::units::{ByteSize, Span};

/// When batches are cut: `available-now`, or a map with `every` and bounds.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "TriggerForm")]
pub struct TriggerSpec {
    /// Drain what is there at the start, then stop.
    pub available_now: bool,
    /// The shortest time from one batch's start to the next one's; while a backlog waits, batches of
    /// about this length follow one another at once.
    pub every: Span,
    /// At most so many rows a batch and source.
    pub max_rows: Option<u64>,
    /// About so many bytes a batch and source.
    pub max_bytes: Option<ByteSize>,
}

impl Default for TriggerSpec {
    fn default() -> Self {
        Self { available_now: false, every: Span::from_ms(200), max_rows: None, max_bytes: None }
    }
}

/// The two ways to write a trigger.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum TriggerForm {
    Word(TriggerWord),
    Map(TriggerMap),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum TriggerWord {
    AvailableNow,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TriggerMap {
    #[serde(default, rename = "available-now", skip_serializing_if = "std::ops::Not::not")]
    available_now: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_bytes: Option<ByteSize>,
}

impl<'de> Deserialize<'de> for TriggerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.as_str() == Some("available-now") {
            return Ok(Self { available_now: true, ..Self::default() });
        }
        if !value.is_object() {
            return Err(serde::de::Error::custom(
                "a trigger is `available-now` or a map such as `{ every: 200ms, max_rows: 100000 }`",
            ));
        }
        let map: TriggerMap = read(value).map_err(serde::de::Error::custom)?;
        Ok(Self {
            available_now: map.available_now,
            every: map.every.unwrap_or(Self::default().every),
            max_rows: map.max_rows,
            max_bytes: map.max_bytes,
        })
    }
}

impl Serialize for TriggerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TriggerMap {
            available_now: self.available_now,
            every: (!self.available_now).then_some(self.every),
            max_rows: self.max_rows,
            max_bytes: self.max_bytes,
        }
        .serialize(serializer)
    }
}
