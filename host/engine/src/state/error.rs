//! What can go wrong with state.

use std::fmt;

use arrow_schema::ArrowError;

/// Why state cannot take or give values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// A function or a key of this type is not offered; the message says what is.
    Unsupported(String),
    /// Columns do not have the types that were agreed on: a slip of ours, or a foreign checkpoint.
    Mismatch(String),
    /// A group's result cannot be had: it does not fit its type, or a plugin breaks over it.
    Overflow {
        /// The group, by its id in the table.
        group: u32,
        /// Why, and what to do.
        reason: String,
    },
    /// More bytes or groups than one column or table can hold.
    TooLarge(String),
    /// The scratch file for state that memory has no room for cannot be used; the cause may pass.
    Scratch {
        /// Which file, and why.
        reason: String,
        /// The disk is full: it passes once a person makes room.
        full: bool,
    },
    /// A plugin cannot go on.
    Plugin(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(message)
            | Self::Mismatch(message)
            | Self::TooLarge(message)
            | Self::Plugin(message) => f.write_str(message),
            Self::Overflow { reason, .. } | Self::Scratch { reason, .. } => f.write_str(reason),
        }
    }
}

impl std::error::Error for StateError {}

impl From<ArrowError> for StateError {
    fn from(error: ArrowError) -> Self {
        Self::Mismatch(error.to_string())
    }
}
