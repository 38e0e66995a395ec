//! The windows of a `join`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pipeline::error::SpecError;
use crate::pipeline::units::Span;
use crate::windows::{Tumbling, WindowError, Windows};

/// Windows in which rows of two streams belong together: `tumbling`, or `sliding` and `slide`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinWindow {
    /// Windows of this length, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tumbling: Option<Span>,
    /// Windows of this length that overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding: Option<Span>,
    /// A sliding window begins every so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<Span>,
    /// Not for joins: the error says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub session: Option<String>,
    /// Windows begin at multiples of their length (sliding ones: of their slide) after this.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub offset: Span,
    /// A window stays open for so long after the watermark has passed its end.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub lateness: Span,
}

impl JoinWindow {
    /// The windows that are meant.
    pub(super) fn windows(&self) -> Result<Windows, SpecError> {
        let wrong = |key: &'static str| {
            move |error: WindowError| SpecError::new(format!("join.window.{key}"), error.to_string())
        };
        match (self.tumbling, self.sliding, self.slide, &self.session) {
            (.., Some(_)) => {
                let message = "a join has no session windows: a session would grow with the rows of either side; say how \
                               far apart matches may be, with `within: 30s` in place of `window`";
                Err(SpecError::new("join.window.session", message))
            }
            (Some(size), None, None, None) => {
                Tumbling::new(size.us(), self.offset.us()).map(Windows::from).map_err(wrong("tumbling"))
            }
            (None, Some(size), Some(slide), None) => {
                Windows::sliding(size.us(), slide.us(), self.offset.us()).map_err(wrong("sliding"))
            }
            (None, Some(_), None, None) => {
                let message = "missing: how often a window begins, as `{ sliding: 10s, slide: 1s }`";
                Err(SpecError::new("join.window.slide", message))
            }
            _ => {
                let message =
                    "a join's window is one of `{ tumbling: 10s }` and `{ sliding: 10s, slide: 1s }`";
                Err(SpecError::new("join.window", message))
            }
        }
    }
}
