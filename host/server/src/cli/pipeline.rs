//! `millstream pipeline`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::args::{DeadLetters, Pipeline, Which};
use super::client::{Client, Sent, segment};
use super::error::CliError;
use super::output::Output;
use super::state;
use crate::document::{self, Syntax};

pub(super) fn pipeline(command: Pipeline, client: &Client, output: &mut Output) -> Result<(), CliError> {
    match command {
        Pipeline::Deploy { file, no_start } => {
            let spec = read_spec(&file)?;
            let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
            if name.is_empty() {
                return Err(CliError::Failed(format!("{}: the spec has no `name`", file.display())));
            }
            let path = format!("{}?start={}", path(name), !no_start);
            let deployed = client.put(&path, &json_body(&spec.to_string()))?;
            output.done(&in_state(&deployed), &deployed)
        }
        Pipeline::Validate { file } => {
            let spec = read_spec(&file)?.to_string();
            output.document(&client.post("/v1/pipelines/validate", &json_body(&spec))?)
        }
        Pipeline::List => {
            let columns = [
                ("name", "name"),
                ("state", "state"),
                ("version", "version"),
                ("rows/s", "input_rows_per_second"),
                ("reason", "reason"),
            ];
            output.list(&client.get("/v1/pipelines")?, &columns)
        }
        Pipeline::Show { name } => output.document(&client.get(&path(&name))?),
        Pipeline::Start { name } => steer(&name, "start", client, output),
        Pipeline::Stop { name } => steer(&name, "stop", client, output),
        Pipeline::Drain { name } => steer(&name, "drain", client, output),
        Pipeline::Restart { name } => steer(&name, "restart", client, output),
        Pipeline::Delete { name, purge } => {
            client.delete(&format!("{}?purge={purge}", path(&name)))?;
            output.done(&format!("deleted {name}"), &json!({ "deleted": name }))
        }
        Pipeline::Progress { name, limit } => {
            let columns = [
                ("batch", "batchId"),
                ("time", "timestamp"),
                ("rows in", "numInputRows"),
                ("rows/s", "processedRowsPerSecond"),
                ("ms", "durationMs.triggerExecution"),
                ("watermark", "eventTime.watermark"),
            ];
            output.list(&client.get(&format!("{}/progress?limit={limit}", path(&name)))?, &columns)
        }
        Pipeline::Logs { name, limit } => {
            let columns =
                [("number", "number"), ("level", "level"), ("entry", "entry"), ("message", "message")];
            output.list(&client.get(&format!("{}/logs?limit={limit}", path(&name)))?, &columns)
        }
        Pipeline::State { name, step: None, .. } => {
            let columns = [("step", "step"), ("kind", "kind"), ("keys", "keys"), ("memory", "memory_bytes")];
            output.list(&client.get(&format!("{}/state", path(&name)))?, &columns)
        }
        Pipeline::State { name, step: Some(step), keys, offset, limit } => {
            let key = state::key(&keys)?;
            let query = format!("offset={offset}&limit={limit}&key={}", segment(&key.to_string()));
            let found = client.get(&format!("{}/state/{}?{query}", path(&name), segment(&step)))?;
            state::show(&found, output)
        }
        Pipeline::Tap { name, entry, limit } => tap(&name, &entry, limit, client, output),
        Pipeline::DeadLetters(command) => dead_letters(command, client, output),
    }
}

fn steer(name: &str, what: &str, client: &Client, output: &mut Output) -> Result<(), CliError> {
    let steered = client.post(&format!("{}/{what}", path(name)), &json_body(""))?;
    output.done(&in_state(&steered), &steered)
}

fn tap(name: &str, entry: &str, limit: u32, client: &Client, output: &mut Output) -> Result<(), CliError> {
    client.events(&format!("{}/tap/{}?limit={limit}", path(name), segment(entry)), |event, data| {
        let Ok(data) = serde_json::from_str::<Value>(data) else { return Ok(()) };
        match event {
            "rows" => data["rows"]
                .as_array()
                .into_iter()
                .flatten()
                .try_for_each(|row| output.text(&format!("{row}\n"))),
            "dropped" => {
                output.note(&format!("{} rows were too many to show", data["rows"]));
                Ok(())
            }
            _ => Ok(()),
        }
    })
}

fn dead_letters(command: DeadLetters, client: &Client, output: &mut Output) -> Result<(), CliError> {
    match command {
        DeadLetters::List { name, which, after, limit } => {
            let mut query = format!("after={after}&limit={limit}");
            for (key, value) in [("entry", which.entry), ("kind", which.kind)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{key}={}", segment(&value)));
                }
            }
            let columns = [
                ("id", "id"),
                ("batch", "batch_id"),
                ("entry", "entry"),
                ("kind", "kind"),
                ("replayed in", "replayed_in"),
                ("origin", "origin"),
                ("reason", "reason"),
            ];
            output.list(&client.get(&format!("{}/dead-letters?{query}", path(&name)))?, &columns)
        }
        DeadLetters::Show { name, id } => {
            output.document(&client.get(&format!("{}/dead-letters/{id}", path(&name)))?)
        }
        DeadLetters::Replay { name, id, which: Which { entry, kind } } => {
            let mut filter = json!({});
            let parts = [
                ("id", id.map(Value::from)),
                ("entry", entry.map(Value::from)),
                ("kind", kind.map(Value::from)),
            ];
            for (key, value) in parts {
                if let Some(value) = value {
                    filter[key] = value;
                }
            }
            let body = filter.to_string();
            let answer = client.post(&format!("{}/dead-letters/replay", path(&name)), &json_body(&body))?;
            output.done(&format!("{} dead letters go again", answer["replayed"]), &answer)
        }
    }
}

/// Reads a spec from a file; where it cannot be read, the message has file, line and column.
pub(super) fn read_spec(file: &Path) -> Result<Value, CliError> {
    let fails = |why: String| CliError::Failed(format!("{}: {why}", file.display()));
    let bytes = fs::read(file).map_err(|error| fails(error.to_string()))?;
    document::read(&bytes, Syntax::of_file(file)).map_err(|error| fails(error.to_string()))
}

fn path(name: &str) -> String {
    format!("/v1/pipelines/{}", segment(name))
}

pub(super) fn json_body(text: &str) -> Sent<'_> {
    Sent { content_type: "application/json", bytes: text.as_bytes(), idempotency_key: None }
}

fn in_state(document: &Value) -> String {
    let text = |key: &str| document[key].as_str().unwrap_or_default();
    match text("reason") {
        "" => format!("{} is {}", text("name"), text("state")),
        reason => format!("{} is {}: {reason}", text("name"), text("state")),
    }
}
