//! The functions: a table of names, how each is written, and what makes its kernel. A new function is
//! one entry in the table of its file, and its kernel.

mod output;

mod number;
mod regular;
mod string;
mod time;

use arrow_array::ArrayRef;
use arrow_schema::DataType;

use super::value::Kernel;

/// A function whose type does not depend on how its arguments go together.
pub(super) struct Function {
    pub(super) name: &'static str,
    /// How it is written, for messages.
    pub(super) signature: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Arguments that must be given.
    pub(super) required: usize,
    /// Whether the last parameter may be given many times.
    pub(super) repeats: bool,
    pub(super) build: fn(&[Argument<'_>]) -> Result<Built, String>,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Text,
    /// Text that is known at deployment.
    Literal,
    /// Anything that can be shown as text; the kernel gets the text.
    Shown,
    TextOrBytes,
    Integer,
    Double,
    /// Any number; the kernel gets the type it has.
    Number,
    /// A timestamp, or a date as its first moment; the kernel gets a timestamp.
    Moment,
}

/// An argument as typing sees it.
pub(super) struct Argument<'a> {
    pub(super) data_type: &'a DataType,
    pub(super) literal: Option<&'a ArrayRef>,
}

impl Argument<'_> {
    /// The text of a `Parameter::Literal`; empty for other arguments.
    fn text(&self) -> &str {
        self.literal.and_then(super::literal::as_text).unwrap_or_default()
    }
}

/// A function for arguments of certain types.
pub(super) struct Built {
    pub(super) data_type: DataType,
    pub(super) kernel: Kernel,
    pub(super) nulls: Nulls,
}

impl Built {
    fn new(data_type: DataType, kernel: Kernel) -> Self {
        Self { data_type, kernel, nulls: Nulls::Passed }
    }
}

/// When the result is NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    /// Where an argument is.
    Passed,
    Never,
    /// Elsewhere too.
    Made,
}

/// A function that is typed by rules of its own.
pub(super) struct Special {
    pub(super) name: &'static str,
    pub(super) signature: &'static str,
    pub(super) required: usize,
    pub(super) most: usize,
}

/// Functions whose arguments must have one type together.
pub(super) const SPECIAL: &[Special] = &[
    Special { name: "coalesce", signature: "coalesce(value, ...)", required: 1, most: ARGUMENTS_MAX },
    Special { name: "nullif", signature: "nullif(value, null_when_equal)", required: 2, most: 2 },
    Special { name: "greatest", signature: "greatest(value, ...)", required: 1, most: ARGUMENTS_MAX },
    Special { name: "least", signature: "least(value, ...)", required: 1, most: ARGUMENTS_MAX },
    Special { name: "mod", signature: "mod(dividend, divisor)", required: 2, most: 2 },
];

/// Arguments of a function that takes many; their columns are all in memory at once.
const ARGUMENTS_MAX: usize = 100;

/// Other names for functions in the tables.
const ALIASES: &[(&str, &str)] = &[
    ("char_length", "length"),
    ("character_length", "length"),
    ("substring", "substr"),
    ("btrim", "trim"),
    ("position", "strpos"),
    ("ceiling", "ceil"),
    ("pow", "power"),
    ("regexp_substr", "regexp_extract"),
    ("datepart", "date_part"),
];

impl Function {
    pub(super) fn most(&self) -> usize {
        if self.repeats { ARGUMENTS_MAX } else { self.parameters.len() }
    }

    /// What argument `i` may be.
    pub(super) fn parameter(&self, i: usize) -> Parameter {
        self.parameters[i.min(self.parameters.len() - 1)]
    }
}

/// The function with a name in lower case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    tables().find(|function| function.name == name)
}

/// All names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let tabled = tables().map(|function| function.name);
    let special = SPECIAL.iter().map(|special| special.name);
    tabled.chain(special).chain(ALIASES.iter().map(|(alias, _)| *alias))
}

fn tables() -> impl Iterator<Item = &'static Function> {
    string::TABLE.iter().chain(regular::TABLE).chain(number::TABLE).chain(time::TABLE)
}
