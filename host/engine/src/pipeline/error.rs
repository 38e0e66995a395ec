//! What can be wrong with a spec: where, what, and what to do about it.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing that is wrong with a pipeline's spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpecError {
    /// Path of the key, with dots: `sources.lines.path`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl SpecError {
    /// An error at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The same error, seen from further up.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.path = match (parent.is_empty(), self.path.is_empty()) {
            (true, _) => self.path,
            (false, true) => parent.to_owned(),
            (false, false) => format!("{parent}.{}", self.path),
        };
        self
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for SpecError {}

/// Reads `T` out of a document; an unknown key is named together with the nearest known one, and
/// every error has the path of the value it is about.
///
/// # Errors
/// When the document is not a `T`.
pub fn read<T: DeserializeOwned>(document: Value) -> Result<T, SpecError> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        explain(path, &error.into_inner().to_string())
    })
}

/// Serde says ``unknown field `pth`, expected one of `path`, `format` ``: the nearest is put first.
fn explain(path: String, message: &str) -> SpecError {
    let Some(rest) =
        message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))
    else {
        return SpecError::new(path, message);
    };
    let mut quoted = rest.split('`').step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
    // serde_path_to_error ends the path with the unknown key itself.
    let parent = path.strip_suffix(unknown).map_or(path.as_str(), |p| p.trim_end_matches('.')).to_owned();
    let what = if message.starts_with("unknown field") { "key" } else { "value" };
    SpecError::new(parent, unknown_name(what, unknown, &known))
}

/// ``unknown key `pth`: did you mean `path`? (there are …)``.
#[must_use]
pub fn unknown_name(what: &str, unknown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    let list = known.join(", ");
    match nearest {
        Some((_, name)) => format!("unknown {what} `{unknown}`: did you mean `{name}`? (known: {list})"),
        None if known.is_empty() => format!("unknown {what} `{unknown}`: there are none here"),
        None => format!("unknown {what} `{unknown}` (known: {list})"),
    }
}
