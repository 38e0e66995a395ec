//! The order of rows: columns, each ascending or descending, as bytes that compare like the rows.

use std::fmt;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::Schema;

use crate::state::{KeyCodec, KeyColumn, StateError};

/// Stands before a value. It is less than [`NOTHING`], so that nulls come last.
const VALUE: u8 = 0;
const NOTHING: u8 = 1;

/// Which rows come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    column: usize,
    name: String,
    is_descending: bool,
}

impl Order {
    /// Reads `n desc, at`; a name that is no plain word stands in double quotes.
    ///
    /// # Errors
    /// Which part is wrong, and what it could be.
    pub fn parse(text: &str, input: &Schema) -> Result<Self, String> {
        let terms = split(text)?.iter().map(|part| term(part, input)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { terms })
    }

    /// The ranking bytes of rows.
    pub(super) fn ranks(&self, rows: &RecordBatch) -> Result<Ranks, StateError> {
        let column = |term: &Term| encode(rows.column(term.column));
        let columns = self.terms.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let flip = |term: &Term| if term.is_descending { 0xff } else { 0 };
        let columns = columns.into_iter().zip(self.terms.iter().map(flip)).collect();
        Ok(Ranks { columns })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{:?} {}", term.name, if term.is_descending { "desc" } else { "asc" })?;
        }
        Ok(())
    }
}

/// What the ranking bytes of a chunk's rows are made of.
pub(super) struct Ranks {
    /// With what is added to each byte of a value.
    columns: Vec<(KeyColumn, u8)>,
}

impl Ranks {
    /// Sets `out` to the bytes of a row: fewer come first.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.clear();
        for (column, flip) in &self.columns {
            let before = out.len();
            match column {
                KeyColumn::Words { words, width, nulls } => {
                    if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                        out.push(NOTHING);
                        continue;
                    }
                    out.push(VALUE);
                    out.extend_from_slice(&words[row].to_le_bytes()[..usize::from(*width)]);
                }
                KeyColumn::Bytes(values) => {
                    if values.is_null(row) {
                        out.push(NOTHING);
                        continue;
                    }
                    out.push(VALUE);
                    write_text(values.value(row), out);
                }
            }
            out[before + 1..].iter_mut().for_each(|byte| *byte ^= flip);
        }
    }
}

/// A zero is followed by 255, the end is two zeros: what is longer comes after its beginning.
fn write_text(value: &[u8], out: &mut Vec<u8>) {
    for piece in value.split_inclusive(|byte| *byte == 0) {
        out.extend_from_slice(piece);
        if piece.ends_with(&[0]) {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn encode(column: &ArrayRef) -> Result<KeyColumn, StateError> {
    let codec = KeyCodec::new(vec![column.data_type().clone()])?;
    codec.encode(std::slice::from_ref(column), column.len())
}

/// The parts between commas that are not in quotes.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut start, mut is_quoted) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    match parts.iter().any(|part| part.is_empty()) {
        _ if is_quoted => Err("a double quote is not closed".to_owned()),
        true => Err("an order is columns between commas, such as `n desc, at`".to_owned()),
        false => Ok(parts),
    }
}

fn term(part: &str, input: &Schema) -> Result<Term, String> {
    let (name, direction) = match part.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.rfind('"').unwrap_or(quoted.len());
            (quoted[..end].replace("\"\"", "\""), quoted[end..].trim_start_matches('"').trim())
        }
        None => match part.split_once(char::is_whitespace) {
            Some((name, direction)) => (name.to_owned(), direction.trim()),
            None => (part.to_owned(), ""),
        },
    };
    let is_descending = match direction.to_ascii_lowercase().as_str() {
        "" | "asc" => false,
        "desc" => true,
        _ => return Err(format!("`{part}`: after the column comes `asc` (the least first) or `desc`")),
    };
    let Ok(column) = input.index_of(&name) else {
        let known: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(format!("no column is called `{name}`; there are {}", known.join(", ")));
    };
    KeyCodec::new(vec![input.field(column).data_type().clone()])
        .map_err(|error| format!("`{name}` has no order: {error}"))?;
    Ok(Term { column, name, is_descending })
}
