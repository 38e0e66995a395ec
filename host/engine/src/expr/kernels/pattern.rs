//! LIKE, ILIKE and regular expressions. A literal pattern is taken apart or compiled once, at
//! deployment; most LIKE patterns need no regular expression.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_ord::cmp;
use arrow_schema::ArrowError;
use arrow_string::like as arrow_like;
use regex::{Regex, RegexBuilder};

use crate::expr::value::{Args, Kernel, Value};

/// Bytes that a compiled regular expression may take: far more than sensible patterns need, and
/// little beside a batch.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Compiles a regular expression in the syntax of Rust's `regex`: no backreferences, linear time.
///
/// # Errors
/// When it is none, or too large when compiled.
pub(in crate::expr) fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| format!("'{pattern}' is no regular expression: {}", last_line(&error.to_string())))
}

/// The regex crate draws the pattern over several lines; its last says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Rows where the text matches.
pub(in crate::expr) fn matches(regex: Regex) -> Kernel {
    Arc::new(move |args, _| Ok(matching(args, &regex)))
}

fn matching(args: &Args<'_>, regex: &Regex) -> ArrayRef {
    let column = args.values[0].array().as_string::<i32>();
    let found = BooleanBuffer::collect_bool(column.len(), |row| {
        column.is_valid(row) && regex.is_match(column.value(row))
    });
    Arc::new(BooleanArray::new(found, column.nulls().cloned()))
}

/// Whether LIKE looks at case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expr) enum Case {
    Sensitive,
    Ignored,
}

/// LIKE with a pattern that is only known row by row; `\` escapes.
pub(in crate::expr) fn like_column(case: Case) -> Kernel {
    Arc::new(move |args, _| {
        let (left, right) = (&args.values[0], &args.values[1]);
        let matched = match case {
            Case::Sensitive => arrow_like::like(left, right)?,
            Case::Ignored => arrow_like::ilike(left, right)?,
        };
        Ok(Arc::new(matched))
    })
}

/// LIKE with a literal pattern; `escape` makes the character after it stand for itself.
///
/// # Errors
/// When the pattern ends in the escape character, or is too large.
pub(in crate::expr) fn like(pattern: &str, escape: Option<char>, case: Case) -> Result<Kernel, String> {
    let parts = parts(pattern, escape)?;
    let scalar = |text: &str| Value::Scalar(Arc::new(StringArray::from(vec![text])));
    if case == Case::Sensitive {
        type Test = fn(&Value, &Value) -> Result<BooleanArray, ArrowError>;
        let plain: Option<(Test, Value)> = match parts.as_slice() {
            [] => Some((|l, r| cmp::eq(l, r), scalar(""))),
            [Part::Text(text)] => Some((|l, r| cmp::eq(l, r), scalar(text))),
            [Part::Text(text), Part::Any] => Some((|l, r| arrow_like::starts_with(l, r), scalar(text))),
            [Part::Any, Part::Text(text)] => Some((|l, r| arrow_like::ends_with(l, r), scalar(text))),
            [Part::Any, Part::Text(text), Part::Any] => {
                Some((|l, r| arrow_like::contains(l, r), scalar(text)))
            }
            _ => None,
        };
        if let Some((test, text)) = plain {
            return Ok(Arc::new(move |args, _| Ok(Arc::new(test(&args.values[0], &text)?))));
        }
    }
    Ok(matches(regex(&expression(&parts), case == Case::Ignored)?))
}

/// A piece of a LIKE pattern.
enum Part {
    Text(String),
    /// `%`
    Any,
    /// `_`
    One,
}

fn parts(pattern: &str, escape: Option<char>) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        let literal = match char {
            _ if Some(char) == escape => chars.next().ok_or_else(|| {
                format!("the pattern '{pattern}' ends in its escape character; write it twice to match it")
            })?,
            '%' => {
                if !matches!(parts.last(), Some(Part::Any)) {
                    parts.push(Part::Any);
                }
                continue;
            }
            '_' => {
                parts.push(Part::One);
                continue;
            }
            other => other,
        };
        match parts.last_mut() {
            Some(Part::Text(text)) => text.push(literal),
            _ => parts.push(Part::Text(literal.to_string())),
        }
    }
    Ok(parts)
}

fn expression(parts: &[Part]) -> String {
    let mut out = String::from("(?s)^");
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(&regex::escape(text)),
            Part::Any => out.push_str(".*"),
            Part::One => out.push('.'),
        }
    }
    out.push('$');
    out
}
