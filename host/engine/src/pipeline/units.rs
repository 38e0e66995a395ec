//! Spans of time and sizes in bytes as people write them: `200ms`, `1h`, `64MiB`.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, to the microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    us: u64,
}

const SPANS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

impl Span {
    /// A span of milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self { us: ms * 1000 }
    }

    /// In microseconds.
    #[must_use]
    pub const fn us(self) -> i64 {
        self.us as i64
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.us)
    }

    /// Nothing.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
    pub const fn is_zero(&self) -> bool {
        self.us == 0
    }

    /// Reads `200ms`, `5s`, `10min`, `1h`, `7d`; a plain `0` needs no unit.
    ///
    /// # Errors
    /// When the text is no span; the message shows the forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "0" {
            return Ok(Self::default());
        }
        let (number, unit) = split_unit(text);
        let scale = match unit {
            "m" => Some(60_000_000),
            _ => SPANS.iter().find(|(name, _)| *name == unit).map(|(_, us)| *us),
        };
        number
            .parse::<u64>()
            .ok()
            .zip(scale)
            .and_then(|(n, scale)| n.checked_mul(scale))
            .filter(|us| i64::try_from(*us).is_ok())
            .map(|us| Self { us })
            .ok_or_else(|| format!("`{text}` is no span of time: write a whole number and a unit, as in 200ms, 5s, 10min, 1h, 7d"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, us) =
            SPANS.iter().find(|(_, us)| self.us >= *us && self.us.is_multiple_of(*us)).unwrap_or(&SPANS[3]);
        write!(f, "{}{unit}", self.us / us)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// Reads `64MiB`, `1GB`, `100kB`, `512B`, or a plain number of bytes.
    ///
    /// # Errors
    /// When the text is no size; the message shows the forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let scale = match unit {
            "" => Some(1),
            "KB" => Some(1_000),
            _ => SIZES.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes),
        };
        number
            .parse::<u64>()
            .ok()
            .zip(scale)
            .and_then(|(n, scale)| n.checked_mul(scale))
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is no size: write a whole number and a unit, as in 512KiB, 64MiB, 1GB")
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) = SIZES
            .iter()
            .find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes))
            .unwrap_or(&SIZES[6]);
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..digits], text[digits..].trim())
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&text(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&text(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Plain numbers are texts too: `max_bytes: 1000`, `delay: 0`.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    })
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^\\s*[0-9]+\\s*(us|ms|s|min|m|h|d)\\s*$|^\\s*0\\s*$",
            "description": "A whole number and a unit: 200ms, 5s, 10min, 1h, 7d."
        })
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "A whole number and a unit: 512KiB, 64MiB, 1GB."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_the_same() {
        for text in ["0s", "1us", "200ms", "5s", "10min", "36h", "7d"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::parse("90min").unwrap().duration(), Duration::from_secs(5400));
        assert_eq!(Span::parse("0").unwrap(), Span::default());
    }

    #[test]
    fn what_is_no_span_is_refused_with_the_forms() {
        for text in ["", "s", "5", "-5s", "1.5s", "5 parsecs", "99999999999999999999s", "999999999d"] {
            let message = Span::parse(text).unwrap_err();
            assert!(message.contains(&format!("`{text}`")) && message.contains("200ms"), "{message}");
        }
    }

    #[test]
    fn sizes_read_and_print_the_same() {
        for text in ["1B", "64MiB", "1GB", "100kB"] {
            assert_eq!(ByteSize::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ByteSize::parse("1000").unwrap(), ByteSize(1000));
        assert!(ByteSize::parse("64 apples").is_err());
    }
}
