//! Why the server must refuse a body.

use std::fmt;

use millstream_engine::journal::Refused;

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushError {
    /// No running pipeline takes the stream.
    UnknownStream {
        /// The name that was asked for.
        stream: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The stream takes another format.
    ContentType {
        /// What came.
        given: String,
        /// What the stream takes.
        expected: &'static [&'static str],
    },
    /// The body as a whole cannot be read.
    Malformed {
        /// Where and why.
        why: String,
    },
    /// There is no record in the body.
    Empty,
    /// The journal did not take it.
    Refused(Refused),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStream { stream, known } => {
                f.write_str(&millstream_engine::pipeline::unknown_name(
                    "stream",
                    stream,
                    &known.iter().map(String::as_str).collect::<Vec<_>>(),
                ))?;
                f.write_str("; a stream exists while a pipeline with its source is running")
            }
            Self::ContentType { given, expected } => {
                write!(f, "the content type is {given} and this stream takes {}", expected.join(", "))
            }
            Self::Malformed { why } => f.write_str(why),
            Self::Empty => f.write_str("the body holds no records"),
            Self::Refused(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for PushError {}
