//! The columns of NDJSON whose columns nobody has named: their types are those of all values. What fits several types,
//! or none, is asked for instead of guessed.

use std::collections::HashMap;
use std::io::BufRead;

use serde_json::{Map, Value, json};

use super::spec::TrialError;

/// What the values of a column were so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Boolean,
    Int64,
    Float64,
    Utf8,
}

impl Seen {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Nothing,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => Self::Int64,
            Value::Number(_) => Self::Float64,
            Value::String(_) => Self::Utf8,
            Value::Array(_) | Value::Object(_) => return None,
        })
    }

    /// What holds both.
    fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (a, b) if a == b => Some(a),
            (Self::Nothing, one) | (one, Self::Nothing) => Some(one),
            (Self::Int64, Self::Float64) | (Self::Float64, Self::Int64) => Some(Self::Float64),
            _ => None,
        }
    }

    /// A column of nulls has no type of its own.
    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Utf8 | Self::Nothing => "utf8",
        }
    }
}

/// A column, and the line whose value gave it its type.
struct Column {
    seen: Seen,
    line: usize,
}

/// The columns, in the order in which they come first. Lines that are no JSON objects are left to the source,
/// which makes dead letters of them. `time` is a timestamp.
///
/// # Errors
/// When a column has no type; the message says which, where, and how to name it.
pub(super) fn schema(input: impl BufRead, time: Option<&str>) -> Result<Map<String, Value>, TrialError> {
    let mut names: Vec<String> = Vec::new();
    let mut columns: HashMap<String, Column> = HashMap::new();
    for (number, line) in (1..).zip(input.split(b'\n')) {
        let line = line.map_err(|error| TrialError(format!("the input cannot be read: {error}")))?;
        let Ok(Value::Object(row)) = serde_json::from_slice(&line) else { continue };
        for (name, value) in row {
            let seen = Seen::of(&value).ok_or_else(|| nested(&name, number))?;
            match columns.get_mut(&name) {
                None => {
                    names.push(name.clone());
                    columns.insert(name, Column { seen, line: number });
                }
                Some(column) => column.take(&name, seen, number)?,
            }
        }
    }
    if names.is_empty() {
        return Err(TrialError(
            "schema: the input has no rows that tell its columns; name them, as in `{ id: int64 }`"
                .to_owned(),
        ));
    }
    let typed = names.into_iter().map(|name| {
        let seen = columns.get(&name).map_or(Seen::Nothing, |column| column.seen);
        let data_type = if time == Some(name.as_str()) { timestamp(&name, seen)? } else { seen.name() };
        Ok((name, json!(data_type)))
    });
    typed.collect()
}

impl Column {
    fn take(&mut self, name: &str, seen: Seen, line: usize) -> Result<(), TrialError> {
        let both = self.seen.with(seen).ok_or_else(|| {
            TrialError(format!(
                "schema: column `{name}` is {} in line {} and {} in line {line}: say its type, as in `{{ {name}: utf8 }}`",
                self.seen.name(),
                self.line,
                seen.name()
            ))
        })?;
        if both != self.seen {
            *self = Self { seen: both, line };
        }
        Ok(())
    }
}

fn timestamp(name: &str, seen: Seen) -> Result<&'static str, TrialError> {
    match seen {
        Seen::Utf8 | Seen::Nothing => Ok("timestamp"),
        _ => Err(TrialError(format!(
            "schema: the times in `{name}` are numbers: say of what, as in `{{ {name}: timestamp_ms }}`"
        ))),
    }
}

fn nested(name: &str, line: usize) -> TrialError {
    TrialError(format!(
        "schema: column `{name}` is a list or an object in line {line}, which no column holds: name the columns that are \
         to be read, as in `{{ id: int64 }}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, time: Option<&str>) -> Result<String, String> {
        let schema = schema(text.as_bytes(), time).map_err(|error| error.to_string())?;
        Ok(Value::Object(schema).to_string())
    }

    #[test]
    fn columns_have_the_type_of_all_their_values() {
        let text = "{\"b\":null,\"i\":9007199254740993,\"f\":1}\nnot JSON\n[1]\n{\"s\":\"x\",\"f\":0.5,\"b\":true,\"n\":null}\n";
        let expected = r#"{"b":"boolean","i":"int64","f":"float64","s":"utf8","n":"utf8"}"#;
        assert_eq!(of(text, None).unwrap(), expected);
        assert_eq!(of("{\"at\":\"2024-01-01\"}", Some("at")).unwrap(), r#"{"at":"timestamp"}"#);
        // Beyond 64 bits there is only a float.
        assert_eq!(of("{\"i\":9223372036854775808}", None).unwrap(), r#"{"i":"float64"}"#);
    }

    #[test]
    fn what_has_no_type_is_asked_for() {
        for (text, time, words) in [
            ("", None, "no rows"),
            ("{\"a\":1}\n\n{\"a\":\"x\"}", None, "`a` is int64 in line 1 and utf8 in line 3"),
            ("{\"a\":[1]}", None, "`a` is a list or an object in line 1"),
            ("{\"at\":17}", Some("at"), "{ at: timestamp_ms }"),
        ] {
            let error = of(text, time).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
