//! What is tried: an operator, its config, and how the rows that it gets are to be read.

use std::fmt;

use millstream_engine::pipeline::{ByteSize, Span, SpecError, WindowSpec, read};
use serde::Deserialize;
use serde_json::{Map, Value};

/// An operator and what it is tried with. All but the operator's own config has a default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSpec {
    /// The operator; may be left out where the component has just one.
    pub operator: Option<String>,
    /// Its config.
    pub config: Option<Value>,
    /// The input's columns, as the sources of pipelines have them; without it they follow from the rows.
    pub schema: Option<Map<String, Value>>,
    /// The columns whose values make a group or a key; none is one for all rows.
    #[serde(default)]
    pub key: Vec<String>,
    /// The column that says when a row happened.
    pub time: Option<String>,
    /// How much later than its successors a row may come: the watermark stays so far behind.
    pub delay: Option<Span>,
    /// An aggregate's window, as in a pipeline; none is one for all rows.
    pub window: Option<WindowSpec>,
    /// Rows of a batch.
    pub batch_rows: Option<u64>,
    /// How long one call may take.
    pub deadline: Option<Span>,
    /// How much memory an instance may take.
    pub memory: Option<ByteSize>,
    /// What time it is in every batch, in microseconds since 1970; the machine's time without it.
    pub now_us: Option<i64>,
}

impl TrialSpec {
    /// Reads a spec from a document.
    ///
    /// # Errors
    /// What is wrong, with the key; an unknown key is named with the nearest known one.
    pub fn from_json(document: Value) -> Result<Self, SpecError> {
        read(document)
    }
}

/// Why an operator could not be tried at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialError(pub String);

impl TrialError {
    pub(super) fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for TrialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TrialError {}

/// What is wrong with a spec, a line each.
impl From<Vec<SpecError>> for TrialError {
    fn from(errors: Vec<SpecError>) -> Self {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Self(lines.join("\n"))
    }
}
