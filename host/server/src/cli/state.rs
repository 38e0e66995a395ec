//! What a step remembers, at the terminal.

use serde_json::{Map, Value};

use super::error::CliError;
use super::output::Output;

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
    match (found["checkpoint"].as_u64(), found["more"].as_bool()) {
        (None, _) => output.note("there is no checkpoint yet"),
        (Some(checkpoint), more) => {
            let more = if more == Some(true) { "; there is more: --offset, --limit" } else { "" };
            output.note(&format!("as of checkpoint {checkpoint}, after batch {}{more}", found["batch_id"]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_json_or_text() {
        let pairs = ["n=5", "word=the end", "quoted=\"5\"", "none=null"].map(str::to_owned);
        let expected = json!({ "n": 5, "word": "the end", "quoted": "5", "none": null });
        assert_eq!(key(&pairs).unwrap(), expected);
        assert!(key(&["word".to_owned()]).is_err());
    }
}
