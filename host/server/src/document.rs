//! Reads JSON and YAML documents into one form; errors have line and column.

use std::fmt;

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy, Options};

/// Largest document in bytes: specs are written by people.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The syntax of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// JSON.
    Json,
    /// YAML 1.2; JSON is nearly all of it a part.
    Yaml,
}

impl Syntax {
    /// What a file of this name holds.
    pub(crate) fn of_file(path: &std::path::Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("json") => Self::Json,
            _ => Self::Yaml,
        }
    }

    /// What a body of this content type holds; without one, JSON.
    pub(crate) fn of_content_type(content_type: Option<&str>) -> Option<Self> {
        let Some(content_type) = content_type else { return Some(Self::Json) };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Some(Self::Json),
            "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Reads a document.
///
/// # Errors
/// When it is too large, no UTF-8, or not of its syntax; a key twice in one map is an error too.
pub(crate) fn read(bytes: &[u8], syntax: Syntax) -> Result<Value, DocumentError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let message =
            format!("the document has {} bytes; at most {DOCUMENT_BYTES_MAX} are read", bytes.len());
        return Err(DocumentError { position: None, message });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| DocumentError {
        position: None,
        message: format!("the document is not UTF-8: {error}"),
    })?;
    match syntax {
        Syntax::Json => serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            DocumentError {
                position: Some((error.line() as u64, error.column() as u64)),
                message: said.split(" at line ").next().unwrap_or_default().to_owned(),
            }
        }),
        Syntax::Yaml => {
            serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|error| DocumentError {
                position: error.location().map(|at| (at.line(), at.column())),
                message: without_position(&error.without_snippet().to_string()),
            })
        }
    }
}

/// YAML 1.2 and nothing clever: `no` is a word, a key twice is a mistake, infinity is no number.
fn yaml_options() -> Options {
    let mut options = Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.strict_booleans = true;
    options.non_finite_float_policy = NonFiniteFloatPolicy::Reject;
    options.with_snippet = false;
    options
}

/// The position is shown before the message; the reader's own remark about it goes, and so does its
/// advice to programmers.
fn without_position(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(", set DuplicateKeyPolicy").next().unwrap_or(line);
    line.split(" at line ").next().unwrap_or(line).trim_end_matches([':', ' ']).to_owned()
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentError {
    /// Line and column, from 1.
    pub(crate) position: Option<(u64, u64)>,
    /// What is wrong.
    pub(crate) message: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for DocumentError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn yaml(text: &str) -> Result<Value, DocumentError> {
        read(text.as_bytes(), Syntax::Yaml)
    }

    #[test]
    fn a_spec_keeps_its_order_and_its_words() {
        let text = "b: { every: 200ms }\na: [word, no]\non: yes\nn: 7\nf: 0.5\nnothing: ~\n";
        let value = yaml(text).unwrap();
        assert_eq!(
            value,
            json!({ "b": { "every": "200ms" }, "a": ["word", "no"], "on": "yes", "n": 7, "f": 0.5, "nothing": null })
        );
        let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["b", "a", "on", "n", "f", "nothing"]);
    }

    #[test]
    fn a_key_twice_is_an_error_at_its_place() {
        let error = yaml("sources:\n  lines: 1\n  lines: 2\n").unwrap_err();
        assert_eq!(error.position, Some((3, 3)), "{error}");
        assert_eq!(error.message, "duplicate mapping key: lines");
    }

    #[test]
    fn broken_yaml_has_line_and_column() {
        let error = yaml("name: x\nsteps: [a, b\nsinks: {}\n").unwrap_err();
        assert!(error.position.is_some_and(|(line, _)| line >= 2), "{error}");
        assert!(error.to_string().starts_with("line "), "{error}");
        assert!(!error.message.contains('\n'), "{error}");
    }

    #[test]
    fn broken_json_has_line_and_column() {
        let error = read(b"{\n  \"name\": ,\n}", Syntax::Json).unwrap_err();
        assert_eq!(error.to_string(), "line 2, column 11: expected value");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..10 {
            let before = n - 1;
            let aliases = vec![format!("*a{before}"); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
        }
        assert!(yaml(&text).is_err());
    }

    #[test]
    fn hostile_bytes_are_errors() {
        assert!(read(&[0xff, 0xfe, 0x00], Syntax::Yaml).is_err());
        assert!(read(&vec![b' '; DOCUMENT_BYTES_MAX + 1], Syntax::Json).is_err());
        assert!(yaml("x: .inf").is_err());
        assert!(yaml(&"[".repeat(100_000)).is_err());
        assert!(read("[".repeat(100_000).as_bytes(), Syntax::Json).is_err());
    }

    #[test]
    fn content_types_choose_the_syntax() {
        assert_eq!(Syntax::of_content_type(None), Some(Syntax::Json));
        assert_eq!(Syntax::of_content_type(Some("application/json; charset=utf-8")), Some(Syntax::Json));
        assert_eq!(Syntax::of_content_type(Some("Application/YAML")), Some(Syntax::Yaml));
        assert_eq!(Syntax::of_content_type(Some("text/plain")), None);
    }
}
