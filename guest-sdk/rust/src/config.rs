//! An operator's config: JSON by serde, its JSON Schema by schemars, and errors that name the key.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result, nearest};

/// The JSON Schema of `C`, without references, and closed: a key it does not know is an error.
#[must_use]
pub fn schema<C: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<C>().to_value();
    close(&mut schema);
    schema
}

/// The config in `json`; an empty text is an object without keys.
///
/// # Errors
/// When it is not JSON, has a key that `C` does not know, or lacks one, or one has a wrong value.
pub fn parse<C: DeserializeOwned + JsonSchema>(json: &str) -> Result<C> {
    let json = if json.trim().is_empty() { "{}" } else { json };
    let value: Value =
        serde_json::from_str(json).map_err(|error| Error::new(format!("config is not JSON: {error}")))?;
    known_keys(&schema::<C>(), &value, "config")?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!(".{path}"),
        };
        Error::new(format!("config{path}: {}", error.inner()))
    })
}

/// What [`schema`] says of a config that has no keys at all.
fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// Objects made of more than their own properties (flattened, enums) are left open.
fn is_closed(schema: &Map<String, Value>) -> bool {
    let composed = ["allOf", "anyOf", "oneOf", "$ref", "unevaluatedProperties", "patternProperties"];
    schema.contains_key("properties")
        && !composed.iter().any(|key| schema.contains_key(*key))
        && schema.get("additionalProperties").is_none_or(|open| open == &Value::Bool(false))
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if is_closed(object) {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

fn known_keys(schema: &Value, value: &Value, path: &str) -> Result<()> {
    match value {
        Value::Object(object) => {
            let Some(properties) = properties(schema) else { return Ok(()) };
            let closed = schema.as_object().is_some_and(is_closed);
            for (key, value) in object {
                match properties.get(key) {
                    Some(inner) => known_keys(inner, value, &format!("{path}.{key}"))?,
                    None if closed => {
                        let nearest = nearest(key, properties.keys().map(String::as_str));
                        return Err(Error::new(format!("{path} has no key `{key}`; {nearest}")));
                    }
                    None => {}
                }
            }
            Ok(())
        }
        Value::Array(values) => {
            let Some(items) = schema.get("items") else { return Ok(()) };
            values
                .iter()
                .enumerate()
                .try_for_each(|(i, value)| known_keys(items, value, &format!("{path}[{i}]")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Takes things apart.
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Config {
        column: String,
        #[serde(default)]
        limits: Vec<Limit>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Limit {
        rows: u32,
    }

    #[test]
    fn errors_name_the_key() {
        let refused = |json| parse::<Config>(json).unwrap_err().to_string();
        assert_eq!(refused(r#"{"colunm": "a"}"#), "config has no key `colunm`; did you mean `column`?");
        assert_eq!(refused("{}"), "config: missing field `column`");
        assert_eq!(refused(""), "config: missing field `column`");
        assert_eq!(
            refused(r#"{"column": 3}"#),
            "config.column: invalid type: integer `3`, expected a string"
        );
        assert_eq!(
            refused(r#"{"column": "a", "limits": [{"rows": 1}, {"row": 1}]}"#),
            "config.limits[1] has no key `row`; did you mean `rows`?"
        );
        assert!(refused("{").starts_with("config is not JSON"));
    }

    #[test]
    fn a_right_config_is_read() {
        let config: Config = parse(r#"{"column": "a", "limits": [{"rows": 7}]}"#).unwrap();
        assert_eq!((config.column.as_str(), config.limits[0].rows), ("a", 7));
    }

    #[test]
    fn the_schema_is_closed_and_described() {
        let schema = schema::<Config>();
        assert_eq!(schema["description"], "Takes things apart.");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["limits"]["items"]["additionalProperties"], false);
    }
}
