//! The kinds of generated columns, as a spec writes them.

use schemars::JsonSchema;
use serde::Deserialize;

/// How a column's values are made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ColumnSpec {
    /// `start`, `start + 1`, …: int64.
    Sequence {
        /// The first row's value; 0 unless given.
        #[serde(default)]
        start: i64,
    },
    /// Evenly from `min` to `max`, both included: int64.
    Int {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// Evenly from `min` up to `max`: float64.
    Float {
        /// The least value.
        min: f64,
        /// The value that is not reached.
        max: f64,
    },
    /// True in a share of the rows: boolean.
    Bool {
        /// The share of true, 0.5 unless given.
        share: Option<f64>,
    },
    /// One of so many strings, `PREFIX0` and on: utf8.
    Key {
        /// How many there are.
        cardinality: u64,
        /// What they begin with; `key-` unless given.
        prefix: Option<String>,
        /// 1 is even; with greater numbers the first strings are more frequent.
        skew: Option<f64>,
    },
    /// One of these strings: utf8.
    Choice {
        /// The strings.
        values: Vec<String>,
    },
    /// Words with spaces between: utf8.
    Text {
        /// Words in a row; 10 unless given.
        words: Option<u64>,
        /// Different words there are; 50,000 unless given.
        vocabulary: Option<u64>,
    },
    /// Event time: the moment the source began, plus a step a row, plus jitter.
    Timestamp {
        /// The step in microseconds; by the rate unless given.
        every_us: Option<f64>,
        /// Rows may be up to so many microseconds late; 0 unless given.
        jitter_us: Option<u64>,
        /// The first row's time in microseconds since 1970 in place of the source's beginning.
        start_us: Option<i64>,
    },
}
