//! `millstream plugin`.

use std::fs;

use serde_json::{Value, json};

use super::args::Plugin;
use super::client::{Client, Sent, segment};
use super::error::CliError;
use super::output::Output;

pub(super) fn plugin(command: Plugin, client: &Client, output: &mut Output) -> Result<(), CliError> {
    match command {
        Plugin::Push { files } => {
            for file in files {
                let bytes = fs::read(&file).map_err(|error| {
                    CliError::Failed(format!("{} cannot be read: {error}", file.display()))
                })?;
                let sent = Sent { content_type: "application/wasm", bytes: &bytes, idempotency_key: None };
                let uploaded = client.post("/v1/plugins", &sent)?;
                output.done(&pushed(&uploaded), &uploaded)?;
            }
            Ok(())
        }
        Plugin::List => {
            let mut plugins = client.get("/v1/plugins")?;
            name_operators(&mut plugins);
            let columns = [
                ("name", "name"),
                ("version", "version"),
                ("operators", "operator_names"),
                ("summary", "summary"),
            ];
            output.list(&plugins, &columns)
        }
        Plugin::Show { plugin } => {
            output.document(&client.get(&format!("/v1/plugins/{}", segment(&plugin)))?)
        }
        Plugin::Delete { plugin } => {
            client.delete(&format!("/v1/plugins/{}", segment(&plugin)))?;
            output.done(&format!("deleted {plugin}"), &json!({ "deleted": plugin }))
        }
    }
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
