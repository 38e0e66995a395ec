//! What can be wrong with an expression (at deployment), with a batch, and with one row.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// An expression that cannot be deployed: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// What is wrong.
    pub problem: Problem,
    /// Where in the text, when it is known.
    pub position: Option<Position>,
    /// The whole expression.
    pub text: Arc<str>,
}

/// A place in an expression's text; both numbers start from 1 and count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text is no SQL expression.
    Syntax(String),
    /// The text has more bytes, words or levels than an expression may have.
    TooLarge(String),
    /// SQL that is not supported here.
    Unsupported(String),
    /// No column has this name.
    UnknownColumn {
        /// The name as written.
        name: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// No function has this name.
    UnknownFunction {
        /// The name as written.
        name: String,
        /// The function with the most similar name.
        nearest: Option<&'static str>,
    },
    /// A function was given too few or too many arguments, or one that must be a literal and is not.
    Arguments(String),
    /// Types that do not go together.
    Type(String),
    /// A literal that cannot be read as what it stands for.
    Literal(String),
    /// A part without columns fails for every row.
    AlwaysFails(String),
    /// Two outputs of a projection have one name.
    DuplicateName(String),
}

impl ExprError {
    pub(super) fn new(problem: Problem, position: Option<Position>, text: &Arc<str>) -> Self {
        Self { problem, position, text: Arc::clone(text) }
    }

    /// The line that the position points to, with a caret under the place; long lines are cut.
    fn excerpt(&self) -> Option<String> {
        const BEFORE: usize = 40;
        const AFTER: usize = 40;
        let at = self.position?;
        let line: Vec<char> = self.text.lines().nth(at.line.checked_sub(1)?)?.chars().collect();
        let column = at.column.checked_sub(1)?.min(line.len());
        let start = column.saturating_sub(BEFORE);
        let end = (column + AFTER).min(line.len());
        let (head, indent) = if start > 0 { ("...", 3) } else { ("", 0) };
        let tail = if end < line.len() { "..." } else { "" };
        let shown: String = line[start..end].iter().collect();
        Some(format!("  {head}{shown}{tail}\n  {}^", " ".repeat(indent + column - start)))
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)?;
        if let Some(at) = self.position {
            write!(f, " (line {}, column {})", at.line, at.column)?;
        }
        match self.excerpt() {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExprError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => write!(f, "not an SQL expression: {message}"),
            Self::UnknownColumn { name, known } => {
                write!(f, "no column is called `{name}`")?;
                if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
                    write!(f, "; did you mean `{near}`?")?;
                }
                if known.is_empty() { f.write_str("; there are none here") } else { columns(f, known) }
            }
            Self::UnknownFunction { name, nearest } => {
                write!(f, "no function is called `{name}`")?;
                nearest.map_or(Ok(()), |near| write!(f, "; did you mean `{near}`?"))
            }
            Self::AlwaysFails(reason) => write!(f, "this fails for every row: {reason}"),
            Self::DuplicateName(name) => {
                write!(f, "two columns of the result are called `{name}`; give one of them another name")
            }
            Self::TooLarge(message)
            | Self::Unsupported(message)
            | Self::Arguments(message)
            | Self::Type(message)
            | Self::Literal(message) => f.write_str(message),
        }
    }
}

/// Lists columns, but not so many that nobody reads them.
fn columns(f: &mut fmt::Formatter<'_>, known: &[String]) -> fmt::Result {
    const SHOWN: usize = 30;
    f.write_str(if known.len() == 1 { "; there is " } else { "; there are " })?;
    f.write_str(&known.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", "))?;
    match known.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => write!(f, " and {more} more"),
        _ => Ok(()),
    }
}

/// The name most like `name`, if one is like enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const SIMILARITY_MIN: f64 = 0.7;
    let lower = name.to_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// A batch on which an expression cannot be evaluated at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// The batch is not of the schema that the expression was typed against.
    Schema {
        /// The column.
        column: String,
        /// What the expression was typed against.
        expected: String,
        /// What the batch has there.
        found: String,
    },
    /// A kernel refused its input.
    Kernel {
        /// The part of the expression.
        expression: Arc<str>,
        /// What the kernel says.
        message: String,
    },
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema { column, expected, found } => {
                write!(f, "column `{column}` was {expected} at deployment and is {found} in this batch")
            }
            Self::Kernel { expression, message } => write!(f, "`{expression}`: {message}"),
        }
    }
}

impl std::error::Error for EvalError {}

/// A row for which an expression has no value; its `Display` is the reason, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// Row of the input.
    pub row: u32,
    /// The part of the expression that failed.
    pub expression: Arc<str>,
    /// Why, and what to do.
    pub cause: Cow<'static, str>,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.expression, self.cause)
    }
}
