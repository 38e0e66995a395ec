//! What `millstream plugin` asks a server about plugins that it has.

use serde_json::{Value, json};

use crate::cli::client::{Client, segment};
use crate::cli::error::CliError;
use crate::cli::output::Output;

pub(super) fn list(client: &Client, output: &mut Output) -> Result<(), CliError> {
    let mut plugins = client.get("/v1/plugins")?;
    name_operators(&mut plugins);
    let columns =
        [("name", "name"), ("version", "version"), ("operators", "operator_names"), ("summary", "summary")];
    output.list(&plugins, &columns)
}

pub(super) fn show(plugin: &str, client: &Client, output: &mut Output) -> Result<(), CliError> {
    output.document(&client.get(&format!("/v1/plugins/{}", segment(plugin)))?)
}

pub(super) fn delete(plugin: &str, client: &Client, output: &mut Output) -> Result<(), CliError> {
    client.delete(&format!("/v1/plugins/{}", segment(plugin)))?;
    output.done(&format!("deleted {plugin}"), &json!({ "deleted": plugin }))
}

fn name_operators(plugins: &mut Value) {
    for plugin in plugins.as_array_mut().into_iter().flatten() {
        let operators = plugin["operators"].as_array();
        let names: Vec<Value> =
            operators.into_iter().flatten().map(|operator| operator["name"].clone()).collect();
        plugin["operator_names"] = Value::Array(names);
    }
}
