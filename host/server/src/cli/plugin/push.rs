//! `millstream plugin push`: components to a server, projects built first; and, while somebody works on one, each
//! build into the pipelines that run it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{build, watch};
use crate::cli::client::{Client, Sent, segment};
use crate::cli::error::CliError;
use crate::cli::output::Output;

pub(super) fn push(files: &[PathBuf], client: &Client, output: &mut Output) -> Result<(), CliError> {
    files.iter().try_for_each(|file| {
        let file = if file.is_dir() { &build::build(file, output)? } else { file };
        upload(file, None, client, output).map(drop)
    })
}

pub(super) fn push_and_watch(
    projects: &[PathBuf],
    client: &Client,
    output: &mut Output,
) -> Result<(), CliError> {
    let [project] = projects else {
        return Err(CliError::Failed("one project at a time can be watched".to_owned()));
    };
    if !project.is_dir() {
        return Err(CliError::Failed(format!(
            "{} is no project: a folder can be watched",
            project.display()
        )));
    }
    watch::watch(project, output, |output| {
        let file = build::build(project, output)?;
        let built = Built::of(&file, client)?;
        let uploaded = upload(&file, Some(&built.next_version()), client, output)?;
        let version = uploaded["version"].as_str().unwrap_or_default();
        swap(&built.name, version, client, output)
    })
}

/// Uploads a component; answers with what the server says of it.
fn upload(
    file: &Path,
    version: Option<&str>,
    client: &Client,
    output: &mut Output,
) -> Result<Value, CliError> {
    let bytes = fs::read(file)
        .map_err(|error| CliError::Failed(format!("{} cannot be read: {error}", file.display())))?;
    let sent = Sent { content_type: "application/wasm", bytes: &bytes, idempotency_key: None };
    let path = match version {
        None => "/v1/plugins".to_owned(),
        Some(version) => format!("/v1/plugins?version={}", segment(version)),
    };
    let uploaded = client.post(&path, &sent)?;
    output.done(&pushed(&uploaded), &uploaded)?;
    Ok(uploaded)
}

fn pushed(uploaded: &Value) -> String {
    let text = |key: &str| uploaded[key].as_str().unwrap_or_default();
    let how = if uploaded["created"] == json!(true) { "pushed" } else { "was there:" };
    format!("{how} {}@{}", text("name"), text("version"))
}

/// A plugin that was just built, and the versions of it that a server has.
struct Built {
    name: String,
    version: String,
    there: Vec<String>,
}

impl Built {
    fn of(file: &Path, client: &Client) -> Result<Self, CliError> {
        let workbench = crate::trial::Workbench::load(file)?;
        let description = workbench.plugin().description();
        let all = client.get("/v1/plugins")?;
        let own =
            all.as_array().into_iter().flatten().filter(|plugin| plugin["name"] == json!(description.name));
        let there = own.filter_map(|plugin| plugin["version"].as_str().map(str::to_owned)).collect();
        Ok(Self { name: description.name.clone(), version: description.version.clone(), there })
    }

    /// The pre-release after those that are there.
    fn next_version(&self) -> String {
        let prefix = format!("{}-dev.", self.version);
        let numbers =
            self.there.iter().filter_map(|version| version.strip_prefix(&prefix)?.parse::<u64>().ok());
        format!("{prefix}{}", numbers.max().unwrap_or(0) + 1)
    }
}

/// Deploys the running pipelines that use the plugin again, with this version.
fn swap(plugin: &str, version: &str, client: &Client, output: &mut Output) -> Result<(), CliError> {
    let pipelines = client.get("/v1/pipelines")?;
    for pipeline in pipelines.as_array().into_iter().flatten() {
        let name = pipeline["name"].as_str().unwrap_or_default();
        if pipeline["wanted"] != json!("running") {
            continue;
        }
        let path = format!("/v1/pipelines/{}", segment(name));
        let mut spec = client.get(&path)?["spec"].take();
        if !refer(&mut spec, plugin, version) {
            continue;
        }
        let body = spec.to_string();
        let sent = Sent { content_type: "application/json", bytes: body.as_bytes(), idempotency_key: None };
        // One that does not go with what was built goes on with what it has; the others are swapped all the same.
        match client.put(&path, &sent) {
            Ok(_) => output.done(
                &format!("{name} runs {plugin}@{version}"),
                &json!({ "pipeline": name, "plugin": plugin, "version": version }),
            )?,
            Err(error) => output.error(&error),
        }
    }
    Ok(())
}

/// Makes all operators of a plugin in a spec those of a version; whether anything has changed.
fn refer(spec: &mut Value, plugin: &str, version: &str) -> bool {
    let mut changed = false;
    match spec {
        Value::Object(keys) => {
            // An operator's config is its own affair, whatever its keys are called.
            for (key, value) in keys.iter_mut().filter(|(key, _)| *key != "config") {
                let operator = value.as_str().filter(|_| key == "wasm" || key == "state");
                let Some(operator) = operator.and_then(|text| text.strip_prefix(plugin)?.strip_prefix('/'))
                else {
                    changed |= refer(value, plugin, version);
                    continue;
                };
                let operator = operator.split('@').next().unwrap_or_default();
                let now = json!(format!("{plugin}/{operator}@{version}"));
                changed |= *value != now;
                *value = now;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| changed |= refer(value, plugin, version)),
        _ => {}
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_the_plugin_gets_the_version_and_nothing_else_does() {
        let mut spec = json!({ "steps": {
            "a": { "wasm": "shop/convert@0.1", "config": { "wasm": "shop/convert" } },
            "b": { "state": "shop/silent" },
            "c": { "aggregate": { "compute": { "m": { "wasm": "shop/mean@0.1.0-dev.1" }, "n": "count()" } } },
            "d": { "wasm": "shopping/list@1" },
            "e": { "sql": "shop/x" },
        } });
        assert!(refer(&mut spec, "shop", "0.1.0-dev.2"));
        let expected = json!({ "steps": {
            "a": { "wasm": "shop/convert@0.1.0-dev.2", "config": { "wasm": "shop/convert" } },
            "b": { "state": "shop/silent@0.1.0-dev.2" },
            "c": { "aggregate": { "compute": { "m": { "wasm": "shop/mean@0.1.0-dev.2" }, "n": "count()" } } },
            "d": { "wasm": "shopping/list@1" },
            "e": { "sql": "shop/x" },
        } });
        assert_eq!(spec, expected);
        assert!(!refer(&mut spec, "shop", "0.1.0-dev.2"), "once is enough");
    }

    #[test]
    fn pre_releases_are_counted() {
        let built = |there: &[&str]| Built {
            name: "shop".to_owned(),
            version: "0.1.0".to_owned(),
            there: there.iter().map(|version| (*version).to_owned()).collect(),
        };
        assert_eq!(built(&[]).next_version(), "0.1.0-dev.1");
        assert_eq!(
            built(&["0.1.0", "0.1.0-dev.9", "0.1.0-dev.10", "0.2.0-dev.30"]).next_version(),
            "0.1.0-dev.11"
        );
    }
}
