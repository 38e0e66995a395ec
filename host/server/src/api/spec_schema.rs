//! The JSON Schema of pipeline specs: the engine's part, and each connector's keys.

use std::collections::BTreeMap;

use millstream_engine::pipeline::PipelineSpec;
use serde_json::{Value, json};

use super::extract::Json;
use crate::connectors::ConnectorSet;

/// The JSON Schema of pipeline specs, for editors and forms; each connector's keys are in `$defs`.
#[utoipa::path(get, path = "/v1/spec-schema", tag = "pipelines", responses((status = 200, description = "A JSON Schema", body = Object)))]
pub(super) async fn show() -> Json<Value> {
    Json(spec_schema(ConnectorSet::json_schemas()))
}

fn spec_schema(connectors: BTreeMap<String, Value>) -> Value {
    let mut schema = schemars::schema_for!(PipelineSpec).to_value();
    let defs = schema.as_object_mut().map(|root| root.entry("$defs").or_insert_with(|| json!({})));
    if let Some(defs) = defs.and_then(Value::as_object_mut) {
        defs.extend(connectors);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_holds_the_spec_and_the_connectors() {
        let schema = spec_schema([("FileSource".to_owned(), json!({ "type": "object" }))].into());
        assert_eq!(schema["$defs"]["FileSource"]["type"], "object");
        for key in ["name", "delivery", "trigger", "sources", "tables", "steps", "sinks"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
        let spec = json!({ "name": "x", "sources": {}, "sinks": {} });
        assert!(jsonschema::is_valid(&schema, &spec));
        assert!(!jsonschema::is_valid(&schema, &json!({ "name": "x", "sinks": {}, "sorces": {} })));
    }
}
