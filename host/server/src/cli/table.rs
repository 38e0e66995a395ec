//! Documents as tables and outlines.

use serde_json::Value;

/// A table with a heading; `columns` are (heading, key) with dots in keys for inner values.
pub(super) fn table(rows: &[Value], columns: &[(&str, &str)]) -> String {
    let heading: Vec<String> = columns.iter().map(|(heading, _)| heading.to_uppercase()).collect();
    let mut lines = vec![heading];
    lines.extend(rows.iter().map(|row| columns.iter().map(|(_, key)| cell(row, key)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|n| lines.iter().map(|line: &Vec<String>| line[n].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cell(row: &Value, key: &str) -> String {
    let value = key.split('.').try_fold(row, |at, part| at.get(part));
    one_line(&value.map(plain).unwrap_or_default())
}

/// A record from outside may hold anything; a terminal gets one line of visible characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A document as indented lines, a key each.
pub(super) fn outline(document: &Value) -> String {
    let mut text = String::new();
    write_outline(document, 0, &mut text);
    text
}

fn write_outline(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let is_flat = !has_inner(value);
                text.push_str(&if is_flat {
                    format!("{indent}{key}: {}\n", one_line(&plain(value)))
                } else {
                    format!("{indent}{key}:\n")
                });
                if !is_flat {
                    write_outline(value, depth + 1, text);
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                if has_inner(value) {
                    text.push_str(&format!("{indent}-\n"));
                    write_outline(value, depth + 1, text);
                } else {
                    text.push_str(&format!("{indent}- {}\n", one_line(&plain(value))));
                }
            }
        }
        flat => text.push_str(&format!("{indent}{}\n", one_line(&plain(flat)))),
    }
}

/// Something in it has keys of its own.
fn has_inner(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(values) => values.iter().any(has_inner),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [json!({ "name": "ä", "eventTime": { "watermark": "now" } }), json!({ "name": "longer" })];
        assert_eq!(
            table(&rows, &[("name", "name"), ("watermark", "eventTime.watermark")]),
            "NAME    WATERMARK\nä       now\nlonger\n"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(table(&[json!({ "a": "x\u{1b}[31m\ny" })], &[("a", "a")]), "A\nx [31m y\n");
    }

    #[test]
    fn an_outline_indents_what_has_keys() {
        let document =
            json!({ "name": "x", "list": [1, 2], "inner": { "a": null }, "each": [{ "b": true }] });
        assert_eq!(outline(&document), "name: x\nlist: 1, 2\ninner:\n  a: \neach:\n  -\n    b: true\n");
    }
}
