//! Checks an operator's config against the JSON Schema that its plugin came with. Schemas are
//! foreign: nothing is fetched, and patterns run in linear time.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use millstream_engine::pipeline::{SpecError, unknown_name};
use serde_json::{Map, Value};

/// A compiled pattern may take so much memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Checks the schema itself.
///
/// # Errors
/// What is wrong with it.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
        .build(schema)
        .map_err(|error| error.to_string())
}

/// All that is wrong with a config, with paths below the config; a missing config is an empty one.
pub(crate) fn check(schema: &Value, config: &Value) -> Vec<SpecError> {
    let empty = Value::Object(Map::new());
    let config = if config.is_null() { &empty } else { config };
    let validator = match compile(schema) {
        Ok(validator) => validator,
        Err(why) => {
            return vec![SpecError::new("", format!("the plugin's config schema cannot be used: {why}"))];
        }
    };
    validator
        .iter_errors(config)
        .flat_map(|error| {
            let pointer = error.instance_path().to_string();
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    let known = properties(schema, &pointer);
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    unexpected
                        .iter()
                        .map(|key| SpecError::new(dotted(&pointer), unknown_name("key", key, &known)))
                        .collect()
                }
                _ => vec![SpecError::new(dotted(&pointer), error.to_string())],
            }
        })
        .collect()
}

/// `/a/0/b~1c` as `a.0.b/c`.
fn dotted(pointer: &str) -> String {
    let parts: Vec<String> =
        pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    parts.join(".")
}

/// The property names that the schema has at a place, as far as it names them plainly.
fn properties(schema: &Value, pointer: &str) -> Vec<String> {
    let place = pointer.split('/').skip(1).try_fold(schema, |at, part| {
        at.get("properties").and_then(|properties| properties.get(part)).or_else(|| at.get("items"))
    });
    let names = place.and_then(|at| at.get("properties")).and_then(Value::as_object);
    names.map(|names| names.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn split_words() -> Value {
        json!({
            "type": "object",
            "properties": {
                "lowercase": { "type": "boolean" },
                "tags": { "type": "array", "items": { "type": "object",
                    "properties": { "label": { "type": "string" } }, "additionalProperties": false } },
            },
            "required": ["lowercase"],
            "additionalProperties": false,
        })
    }

    fn wrong(config: Value) -> Vec<(String, String)> {
        check(&split_words(), &config).into_iter().map(|e| (e.path, e.message)).collect()
    }

    #[test]
    fn a_fitting_config_has_no_errors() {
        assert_eq!(wrong(json!({ "lowercase": true, "tags": [{ "label": "x" }] })), []);
    }

    #[test]
    fn errors_have_the_path_of_the_key() {
        let errors = wrong(json!({ "lowercase": "yes" }));
        assert_eq!(errors[0].0, "lowercase");
        assert!(errors[0].1.contains("boolean"), "{errors:?}");
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest() {
        let errors = wrong(json!({ "lowercase": true, "lowrcase": true, "tags": [{ "lable": "x" }] }));
        assert!(
            errors.iter().any(|(path, m)| path.is_empty() && m.contains("did you mean `lowercase`")),
            "{errors:?}"
        );
        assert!(errors.iter().any(|(path, m)| path == "tags.0" && m.contains("`label`")), "{errors:?}");
    }

    #[test]
    fn no_config_is_an_empty_config() {
        assert!(wrong(Value::Null)[0].1.contains("lowercase"));
        assert!(check(&json!({ "type": "object" }), &Value::Null).is_empty());
    }

    #[test]
    fn foreign_schemas_fetch_nothing_and_do_not_hang() {
        assert!(compile(&json!({ "$ref": "https://example.invalid/schema.json" })).is_err());
        assert!(compile(&json!({ "type": "nonsense" })).is_err());
        let slow = json!({ "properties": { "a": { "type": "string", "pattern": "^(a+)+$" } } });
        let long = format!("{}b", "a".repeat(50_000));
        assert_eq!(check(&slow, &json!({ "a": long })).len(), 1);
    }
}
