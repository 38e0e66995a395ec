//! What a step remembers, at the terminal.

use serde_json::{Map, Value, json};

use super::args::Query;
use super::client::{Client, segment};
use super::error::CliError;
use super::output::Output;
use super::pipeline::json_body;

/// `COLUMN=VALUE`s as an object: a value that is JSON, or else text.
pub(super) fn key(pairs: &[String]) -> Result<Value, CliError> {
    let read = |pair: &String| match pair.split_once('=') {
        Some((column, value)) if !column.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((column.to_owned(), value))
        }
        _ => Err(CliError::Failed(format!("--key {pair}: write COLUMN=VALUE, such as word=the"))),
    };
    Ok(Value::Object(pairs.iter().map(read).collect::<Result<Map<_, _>, _>>()?))
}

/// The tables of a step's state.
pub(super) fn show(found: &Value, output: &mut Output) -> Result<(), CliError> {
    if output.is_for_programs() {
        return output.document(found);
    }
    let tables = found["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
    for table in tables {
        if tables.len() > 1 {
            output.text(&format!("{}:\n", table["table"].as_str().unwrap_or_default()))?;
        }
        let columns: Vec<String> =
            table["rows"][0].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let columns: Vec<(&str, &str)> = columns.iter().map(|name| (name.as_str(), name.as_str())).collect();
        output.list(&table["rows"], &columns)?;
    }
    note(found, output);
    Ok(())
}

/// The answer to a SELECT.
pub(super) fn query(query: &Query, client: &Client, output: &mut Output) -> Result<(), CliError> {
    let path = format!("/v1/pipelines/{}/query", segment(&query.pipeline));
    let question = json!({ "sql": query.sql, "limit": query.limit }).to_string();
    let found = client.post(&path, &json_body(&question))?;
    if output.is_for_programs() {
        return output.document(&found);
    }
    let columns: Vec<&str> =
        found["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // Columns are found by their places: two of a statement's may have one name.
    let places: Vec<String> = (0..columns.len()).map(|place| place.to_string()).collect();
    let headed: Vec<(&str, &str)> = columns.into_iter().zip(places.iter().map(String::as_str)).collect();
    let by_place = |row: &Value| {
        let values = row.as_array().into_iter().flatten().cloned();
        Value::Object(places.iter().cloned().zip(values).collect())
    };
    let rows = found["rows"].as_array().into_iter().flatten().map(by_place).collect();
    output.list(&Value::Array(rows), &headed)?;
    note(&found, output);
    Ok(())
}

/// Which checkpoint the answer is of.
fn note(found: &Value, output: &mut Output) {
    match (found["checkpoint"].as_u64(), found["more"].as_bool()) {
        (None, _) => output.note("there is no checkpoint yet"),
        (Some(checkpoint), more) => {
            let more = if more == Some(true) { "; there is more: --limit" } else { "" };
            output.note(&format!("as of checkpoint {checkpoint}, after batch {}{more}", found["batch_id"]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_json_or_text() {
        let pairs = ["n=5", "word=the end", "quoted=\"5\"", "none=null"].map(str::to_owned);
        let expected = json!({ "n": 5, "word": "the end", "quoted": "5", "none": null });
        assert_eq!(key(&pairs).unwrap(), expected);
        assert!(key(&["word".to_owned()]).is_err());
    }
}
