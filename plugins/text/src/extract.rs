//! `regex-extract`: the groups of a pattern as columns.

use millstream_plugin::prelude::*;
use regex::Regex;

/// Adds a text column for each group of a regular expression.
///
/// The syntax is that of Rust's regex crate: linear time, no look-around, no back-references.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RegexExtract {
    /// The text column.
    column: String,
    /// The regular expression; it may match anywhere in the text unless anchored.
    pattern: String,
    /// Names of the new columns, one a group in order; by default the groups' own names.
    #[serde(default)]
    groups: Vec<String>,
    /// What becomes of a row whose text does not match, or is null.
    #[serde(default)]
    on_no_match: OnNoMatch,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnNoMatch {
    /// The row is rejected.
    #[default]
    Reject,
    /// The new columns are null.
    Null,
    /// The row is left out.
    Drop,
}

pub(crate) fn regex_extract(config: RegexExtract, input: &Schema) -> Result<Transform> {
    let column = input.key::<Utf8>(&config.column)?;
    let regex =
        Regex::new(&config.pattern).map_err(|error| Error::new(format!("config.pattern: {error}")))?;
    let names = names(&config, &regex)?;
    let output = names
        .iter()
        .try_fold(input.clone(), |schema, name| schema.with(Field::new(name, DataType::Utf8).nullable()))?;
    Ok(Transform::new(output, move |batch, out| {
        let texts = batch.read(column)?;
        let mut places = regex.capture_locations();
        let mut groups = vec![Utf8Builder::with_capacity(batch.len(), 0); names.len()];
        for (row, text) in texts.iter().enumerate() {
            let found = text.filter(|text| regex.captures_read(&mut places, text).is_some());
            match (found, config.on_no_match) {
                (Some(text), _) => {
                    let group = |i| places.get(i).map(|(start, end)| &text[start..end]);
                    groups.iter_mut().zip(1..).for_each(|(column, i)| column.push_option(group(i)));
                }
                (None, OnNoMatch::Null) => groups.iter_mut().for_each(Utf8Builder::push_null),
                (None, OnNoMatch::Drop) => out.skip(row),
                (None, OnNoMatch::Reject) => out.reject(row, reason(&config, text)),
            }
        }
        names.iter().zip(groups).try_for_each(|(name, group)| out.set(name, group))?;
        out.keep(batch);
        Ok(())
    }))
}

/// The names of the new columns: those given, else those in the pattern.
fn names(config: &RegexExtract, regex: &Regex) -> Result<Vec<String>> {
    let groups = regex.captures_len() - 1;
    if groups == 0 {
        bail!("config.pattern has no group: put what is to be a column between parentheses");
    }
    if config.groups.is_empty() {
        let unnamed =
            || Error::new("config.pattern has groups without names; write (?<name>…) or list config.groups");
        return regex
            .capture_names()
            .skip(1)
            .map(|name| name.map(str::to_owned).ok_or_else(unnamed))
            .collect();
    }
    if config.groups.len() != groups {
        bail!("config.groups names {} columns, config.pattern has {groups} groups", config.groups.len());
    }
    Ok(config.groups.clone())
}

fn reason(config: &RegexExtract, text: Option<&str>) -> String {
    match text {
        Some(_) => format!("`{}` does not match {}", config.column, config.pattern),
        None => format!("`{}` is null", config.column),
    }
}

#[cfg(test)]
mod tests {
    use millstream_plugin::Result;
    use millstream_plugin::testing::{self, Ran};
    use serde_json::{Value, json};

    use crate::plugin;

    fn extract(config: Value) -> Result<Ran> {
        let rows = json!([
            {"log": "GET /a 200"}, {"log": "garbage"}, {"log": null}, {"log": "PUT /ü 500"}
        ]);
        testing::run(&plugin(), "regex-extract", config, testing::batch(rows)?)
    }

    const PATTERN: &str = r"^(?<method>[A-Z]+) (?<path>\S+) \d+$";

    #[test]
    fn rows_without_a_match_are_rejected() {
        let ran = extract(json!({"column": "log", "pattern": PATTERN})).unwrap();
        assert_eq!(
            ran.rows(),
            json!([
                {"log": "GET /a 200", "method": "GET", "path": "/a"},
                {"log": "PUT /ü 500", "method": "PUT", "path": "/ü"},
            ])
        );
        let reasons =
            [(1, r"`log` does not match ^(?<method>[A-Z]+) (?<path>\S+) \d+$"), (2, "`log` is null")];
        assert_eq!(ran.reasons(), reasons);
    }

    #[test]
    fn or_dropped() {
        let ran = extract(json!({"column": "log", "pattern": PATTERN, "on_no_match": "drop"})).unwrap();
        assert_eq!(ran.output.len(), 2);
        assert!(ran.rejected.is_empty());
    }

    #[test]
    fn or_null() {
        let config =
            json!({"column": "log", "pattern": "(/.)?( 200)", "groups": ["p", "s"], "on_no_match": "null"});
        let rows = extract(config).unwrap().rows();
        assert_eq!(rows[0], json!({"log": "GET /a 200", "p": "/a", "s": " 200"}));
        assert_eq!(rows[2], json!({"log": null, "p": null, "s": null}));
    }

    #[test]
    fn the_config_is_checked() {
        let refused = |config| extract(config).unwrap_err().to_string();
        assert!(
            refused(json!({"column": "log", "pattern": "("}))
                .starts_with("config.pattern: regex parse error")
        );
        assert!(refused(json!({"column": "log", "pattern": "a"})).contains("has no group"));
        assert!(refused(json!({"column": "log", "pattern": "(a)"})).contains("groups without names"));
        assert!(
            refused(json!({"column": "log", "pattern": "(a)", "groups": ["x", "y"]}))
                .contains("names 2 columns")
        );
        assert!(
            refused(json!({"column": "log", "pattern": "(?<log>a)"})).contains("two columns called `log`")
        );
    }
}
