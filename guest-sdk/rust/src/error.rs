//! The one error an operator answers with. Anything that has a message becomes it by `?`.

use std::fmt;

/// Why an operator cannot be opened or a batch cannot be processed, in words for the person who
/// deploys it. It is not a `std::error::Error` itself, so that `?` may take every type that is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
}

/// What functions of an operator return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with this message: say what, where and what to do.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string() }
    }

    /// The same error, said to have happened in `place`.
    #[must_use]
    pub fn within(self, place: impl fmt::Display) -> Self {
        Self { message: format!("{place}: {}", self.message) }
    }

    /// The words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Error {
    fn from(cause: E) -> Self {
        let cause = cause.into();
        let mut message = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            message.push_str(": ");
            message.push_str(&source.to_string());
            next = source.source();
        }
        Self { message }
    }
}

/// Returns early with an [`Error`] made as by `format!`.
#[macro_export]
macro_rules! bail {
    ($($words:tt)+) => {
        return ::core::result::Result::Err($crate::Error::new(::std::format!($($words)+)))
    };
}

/// The one of `known` that `name` was most likely meant to be, as the end of a message.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let close = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 2).max(2));
    match close {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("there are `{}`", known.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<i32> {
        Ok(text.parse::<i32>()?)
    }

    fn refuse(text: String) -> Result<()> {
        Err(text)?
    }

    #[test]
    fn question_mark_takes_errors_and_strings() {
        assert_eq!(number("x").unwrap_err().message(), "invalid digit found in string");
        assert_eq!(refuse("no".into()).unwrap_err().message(), "no");
        assert_eq!(Error::from("a").within("b").message(), "b: a");
    }

    #[test]
    fn nearest_name_or_all_of_them() {
        assert_eq!(nearest("colum", ["column", "pattern"]), "did you mean `column`?");
        assert_eq!(nearest("zzzzzz", ["column", "with"]), "there are `column`, `with`");
        assert_eq!(nearest("x", []), "there are none");
    }
}
