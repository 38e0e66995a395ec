//! `replace`: a literal or a pattern by something else.

use memchr::memmem::Finder;
use millstream_plugin::prelude::*;
use regex::Regex;

/// Replaces all that matches in a text column.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Replace {
    /// The text column.
    column: String,
    /// What to look for, as a regular expression; or give `literal`.
    pattern: Option<String>,
    /// What to look for, as it stands; or give `pattern`.
    literal: Option<String>,
    /// What to put there; with `pattern`, `$1` and `${name}` stand for groups and `$$` for a dollar.
    with: String,
    /// A new column for the result; by default it takes the place of `column`.
    output: Option<String>,
}

enum Search {
    Literal(Box<Finder<'static>>),
    Pattern(Regex),
}

pub(crate) fn replace(config: Replace, input: &Schema) -> Result<Transform> {
    let column = input.key::<Utf8>(&config.column)?;
    let search = search(&config)?;
    let target = config.output.clone().unwrap_or_else(|| config.column.clone());
    let mut output = input.clone();
    if config.output.is_some() {
        let field = Field::new(&target, DataType::Utf8);
        output =
            output.with(if input.field(&config.column)?.is_nullable() { field.nullable() } else { field })?;
    }
    Ok(Transform::new(output, move |batch, out| {
        let texts = batch.read(column)?;
        let mut replaced = Utf8Builder::with_capacity(batch.len(), texts.text().len());
        for text in texts.iter() {
            match (text, &search) {
                (None, _) => replaced.push_null(),
                (Some(text), Search::Literal(finder)) => {
                    replace_literal(text, finder, &config.with, &mut replaced)
                }
                (Some(text), Search::Pattern(regex)) => replaced.push(&regex.replace_all(text, &config.with)),
            }
        }
        out.set(&target, replaced)?;
        out.keep(batch);
        Ok(())
    }))
}

fn search(config: &Replace) -> Result<Search> {
    match (&config.pattern, &config.literal) {
        (Some(pattern), None) => {
            let regex =
                Regex::new(pattern).map_err(|error| Error::new(format!("config.pattern: {error}")))?;
            Ok(Search::Pattern(regex))
        }
        (None, Some(literal)) if literal.is_empty() => bail!("config.literal is empty: say what to look for"),
        (None, Some(literal)) => Ok(Search::Literal(Box::new(Finder::new(literal).into_owned()))),
        _ => bail!("config needs either `pattern` or `literal`, and not both"),
    }
}

fn replace_literal(text: &str, finder: &Finder<'_>, with: &str, replaced: &mut Utf8Builder) {
    let mut rest = 0;
    for found in finder.find_iter(text.as_bytes()) {
        replaced.append(&text[rest..found]);
        replaced.append(with);
        rest = found + finder.needle().len();
    }
    replaced.append(&text[rest..]);
    replaced.end_value();
}

#[cfg(test)]
mod tests {
    use millstream_plugin::testing;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::plugin;

    fn replace(config: Value) -> millstream_plugin::Result<Value> {
        let rows = json!([{"t": "a-b-c", "n": 1}, {"t": null, "n": 2}, {"t": "ü", "n": 3}]);
        testing::run(&plugin(), "replace", config, testing::batch(rows)?).map(|ran| ran.rows())
    }

    #[test]
    fn a_literal_in_place() {
        assert_eq!(
            replace(json!({"column": "t", "literal": "-", "with": "::"})).unwrap(),
            json!([{"n": 1, "t": "a::b::c"}, {"n": 2, "t": null}, {"n": 3, "t": "ü"}])
        );
    }

    #[test]
    fn a_pattern_into_a_new_column() {
        let config = json!({"column": "t", "pattern": "([a-c])-", "with": "$1", "output": "u"});
        assert_eq!(replace(config).unwrap()[0], json!({"n": 1, "t": "a-b-c", "u": "abc"}));
    }

    #[test]
    fn the_config_is_checked() {
        let refused = |config| replace(config).unwrap_err().to_string();
        assert!(refused(json!({"column": "t", "with": ""})).contains("either `pattern` or `literal`"));
        assert!(refused(json!({"column": "t", "literal": "", "with": ""})).contains("empty"));
        assert!(
            refused(json!({"column": "t", "literal": "a", "with": "", "output": "n"}))
                .contains("two columns")
        );
        assert_eq!(
            refused(json!({"column": "n", "literal": "a", "with": ""})),
            "the column `n` is int64; it must be utf8"
        );
    }

    proptest! {
        #[test]
        fn literals_are_replaced_as_by_the_standard_library(text in "[abé]{0,20}", literal in "[abé]{1,3}") {
            let batch = testing::texts("t", &[&text]).unwrap();
            let config = json!({"column": "t", "literal": literal, "with": "xy"});
            let ran = testing::run(&plugin(), "replace", config, batch).unwrap();
            prop_assert_eq!(ran.rows(), json!([{"t": text.replace(&literal, "xy")}]));
        }
    }
}
