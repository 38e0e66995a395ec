//! Which kinds of sources, tables and sinks there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_engine::pipeline::{Connectors, SinkPlan, SourcePlan, SpecError, unknown_name};
use millstream_engine::table::TableReader;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::sources::endpoints::Endpoints;
use crate::sources::http::{HttpSpec, HttpStreams};
use crate::sources::{file, generate, http, tcp};
use crate::tables;

/// The kinds of sources, by their `type`.
const SOURCES: [&str; 4] = ["file", "tcp", "http", "generate"];

/// All connectors, and what their sources share.
#[derive(Clone, Debug)]
pub struct Registry {
    handle: Handle,
    streams: HttpStreams,
    endpoints: Endpoints,
}

impl Registry {
    /// A registry whose sources receive on the runtime of `handle`.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self { handle, streams: HttpStreams::default(), endpoints: Endpoints::default() }
    }

    /// Where the server hands in what it receives.
    #[must_use]
    pub fn streams(&self) -> &HttpStreams {
        &self.streams
    }

    /// The addresses that sources listen on.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The JSON Schema of each connector's keys, by `source-<type>`, `table-<type>` and `sink-<type>`.
    #[must_use]
    pub fn json_schemas() -> BTreeMap<String, Value> {
        let sources = SOURCES.into_iter().map(|kind| (format!("source-{kind}"), source_schema(kind)));
        let tables = tables::json_schemas().into_iter();
        let tables =
            tables.map(|(kind, schema)| (format!("table-{kind}"), with_type(kind, schema.to_value())));
        let sinks = crate::sinks::json_schemas().into_iter();
        let sinks = sinks.map(|(kind, schema)| (format!("sink-{kind}"), schema));
        sources.chain(tables).chain(sinks).collect()
    }
}

fn source_schema(kind: &str) -> Value {
    let generator =
        SchemaSettings::default().with(|settings| settings.inline_subschemas = true).into_generator();
    let schema = match kind {
        "file" => generator.into_root_schema_for::<file::FileSpec>(),
        "tcp" => generator.into_root_schema_for::<tcp::TcpSpec>(),
        "http" => generator.into_root_schema_for::<HttpSpec>(),
        _ => generator.into_root_schema_for::<generate::GenerateSpec>(),
    };
    with_type(kind, schema.to_value())
}

fn with_type(kind: &str, mut schema: Value) -> Value {
    if let Some(keys) = schema.as_object_mut() {
        keys.remove("$schema");
        if let Some(properties) = keys.entry("properties").or_insert_with(|| json!({})).as_object_mut() {
            properties.insert("type".to_owned(), json!({ "const": kind }));
        }
        if let Some(required) = keys.entry("required").or_insert_with(|| json!([])).as_array_mut() {
            required.push(json!("type"));
        }
    }
    schema
}

impl Connectors for Registry {
    fn source(&self, kind: &str, config: Map<String, Value>) -> Result<Box<dyn SourcePlan>, SpecError> {
        match kind {
            "file" => file::plan(config),
            "tcp" => tcp::plan(config, &self.handle, &self.endpoints),
            "http" => http::plan(config, &self.streams),
            "generate" => generate::plan(config),
            _ => Err(SpecError::new("type", unknown_name("value", kind, &SOURCES))),
        }
    }

    fn sink(&self, kind: &str, config: Map<String, Value>) -> Result<Box<dyn SinkPlan>, SpecError> {
        crate::sinks::plan(kind, config)
    }

    fn table(&self, kind: &str, config: Map<String, Value>) -> Result<Arc<dyn TableReader>, SpecError> {
        tables::plan(kind, config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_type_is_answered_with_the_nearest() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let registry = Registry::new(runtime.handle().clone());
        let error = registry.source("fil", Map::new()).err().unwrap();
        assert!(error.to_string().contains("did you mean `file`?"), "{error}");
        assert!(registry.sink("nowhere", Map::new()).is_err());
        let error = registry.table("sqllite", Map::new()).err().unwrap();
        assert!(error.to_string().contains("did you mean `sqlite`?"), "{error}");
    }

    #[test]
    fn every_source_has_a_schema() {
        let schemas = Registry::json_schemas();
        for kind in SOURCES {
            let schema = &schemas[&format!("source-{kind}")];
            assert_eq!(schema["properties"]["type"]["const"], kind);
            assert_eq!(schema["additionalProperties"], false);
        }
        for kind in tables::KINDS {
            assert_eq!(schemas[&format!("table-{kind}")]["additionalProperties"], false);
        }
        for kind in crate::sinks::KINDS {
            assert!(schemas.contains_key(&format!("sink-{kind}")), "{kind}");
        }
    }
}
