//! What `millstream plugin` asks a server.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::client::{Client, Sent, segment};
use crate::cli::error::CliError;
use crate::cli::output::Output;

pub(super) fn push(files: &[PathBuf], client: &Client, output: &mut Output) -> Result<(), CliError> {
    files.iter().try_for_each(|file| push_one(file, client, output).map(drop))
}

/// Uploads a component; answers with what the server says of it.
pub(super) fn push_one(file: &Path, client: &Client, output: &mut Output) -> Result<Value, CliError> {
    let bytes = fs::read(file)
        .map_err(|error| CliError::Failed(format!("{} cannot be read: {error}", file.display())))?;
    let sent = Sent { content_type: "application/wasm", bytes: &bytes, idempotency_key: None };
    let uploaded = client.post("/v1/plugins", &sent)?;
    output.done(&pushed(&uploaded), &uploaded)?;
    Ok(uploaded)
}

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

fn pushed(uploaded: &Value) -> String {
    let text = |key: &str| uploaded[key].as_str().unwrap_or_default();
    let how = if uploaded["created"] == json!(true) { "pushed" } else { "was there:" };
    format!("{how} {}@{}", text("name"), text("version"))
}

fn name_operators(plugins: &mut Value) {
    for plugin in plugins.as_array_mut().into_iter().flatten() {
        let operators = plugin["operators"].as_array();
        let names: Vec<Value> =
            operators.into_iter().flatten().map(|operator| operator["name"].clone()).collect();
        plugin["operator_names"] = Value::Array(names);
    }
}
