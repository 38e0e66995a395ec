//! Several encoded key columns in one, and apart again. Bytes stay in the order of keys: the first
//! column decides, then the second; nulls come first.
//!
//! A value is a byte that says whether it is null, then its bytes. Where its length is not fixed and
//! another column follows, a zero ends it; so a zero of its own is followed by 255, which no next
//! column begins with.

use arrow_array::{Array, BinaryArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::{KeyColumn, StateError};

const NULL: u8 = 0;
const VALUE: u8 = 1;
const END: u8 = 0;
/// Behind a zero that is part of a value.
const ZERO: u8 = 255;

/// Values up to this many bytes are copied in one piece of this length: a length that is known makes
/// two instructions of the copy, and what it writes too much, the next value overwrites.
const PIECE: usize = 16;

/// The rows of these columns as one key each.
///
/// # Errors
/// When they take more than the 2 GiB that a column can hold.
pub(super) fn join(columns: &[KeyColumn], rows: usize) -> Result<BinaryArray, StateError> {
    let last = columns.len().saturating_sub(1);
    let parts: Vec<Part<'_>> =
        columns.iter().enumerate().map(|(number, column)| Part::new(column, number == last)).collect();
    let most = parts.iter().map(|part| part.bytes_max(rows)).sum::<usize>();
    let mut bytes = vec![0; most + PIECE];
    let mut ends = Vec::with_capacity(rows + 1);
    ends.push(0);
    let mut at = 0;
    for row in 0..rows {
        for part in &parts {
            at = part.write(row, &mut bytes, at);
        }
        // Too large a number is found at the end: it is only growing.
        ends.push(at as i32);
    }
    if i32::try_from(at).is_err() {
        return Err(StateError::TooLarge(format!(
            "the keys of {rows} rows take more than the 2 GiB that one column can hold: shorten them"
        )));
    }
    bytes.truncate(at);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    Ok(BinaryArray::try_new(offsets, Buffer::from_vec(bytes), None)?)
}

/// The columns of joined keys, by the number of bytes of their values where it is fixed.
///
/// # Errors
/// When the bytes are not of `join`'s making.
pub(super) fn split(keys: &BinaryArray, widths: &[Option<usize>]) -> Result<Vec<BinaryArray>, StateError> {
    let foreign = || StateError::Mismatch("the bytes of a key are not of its columns' making".into());
    let mut rest: Vec<&[u8]> = (0..keys.len()).map(|row| keys.value(row)).collect();
    let last = widths.len().saturating_sub(1);
    let mut columns = Vec::with_capacity(widths.len());
    for (number, width) in widths.iter().enumerate() {
        let mut column = Values::new(keys.len());
        for rest in &mut rest {
            let (&tag, bytes) = rest.split_first().ok_or_else(foreign)?;
            *rest = match (tag, width) {
                (NULL, _) => bytes,
                (VALUE, Some(width)) => {
                    let (value, bytes) = bytes.split_at_checked(*width).ok_or_else(foreign)?;
                    column.bytes.extend_from_slice(value);
                    bytes
                }
                (VALUE, None) if number == last => {
                    column.bytes.extend_from_slice(bytes);
                    &[]
                }
                (VALUE, None) => read_ended(bytes, &mut column.bytes).ok_or_else(foreign)?,
                _ => return Err(foreign()),
            };
            column.end(tag == VALUE);
        }
        columns.push(column.finish()?);
    }
    if rest.iter().any(|rest| !rest.is_empty()) {
        return Err(foreign());
    }
    Ok(columns)
}

/// A column as it is written.
enum Part<'a> {
    Words { words: &'a [u64], width: usize, nulls: Option<&'a NullBuffer> },
    Bytes { offsets: &'a [i32], values: &'a [u8], nulls: Option<&'a NullBuffer>, end: End },
}

/// How a value of any length ends.
#[derive(Clone, Copy)]
enum End {
    /// Where the key ends.
    Key,
    /// With a zero; no value of the column has one.
    Zero,
    /// With a zero; some values have zeros of their own.
    ZeroAmongZeros,
}

impl<'a> Part<'a> {
    fn new(column: &'a KeyColumn, last: bool) -> Self {
        match column {
            KeyColumn::Words { words, width, nulls } => {
                Self::Words { words, width: usize::from(*width), nulls: nulls.as_ref() }
            }
            KeyColumn::Bytes(keys) => {
                let (offsets, values) = (keys.value_offsets(), keys.value_data());
                let used = &values[offsets[0] as usize..offsets[keys.len()] as usize];
                let end = match last {
                    true => End::Key,
                    // Looked at as a whole, which the compiler can do many bytes at a time.
                    false if used.iter().fold(false, |any, &byte| any | (byte == END)) => End::ZeroAmongZeros,
                    false => End::Zero,
                };
                Self::Bytes { offsets, values, nulls: keys.nulls(), end }
            }
        }
    }

    /// The most bytes that so many rows take.
    fn bytes_max(&self, rows: usize) -> usize {
        match self {
            Self::Words { width, .. } => rows * (1 + width),
            Self::Bytes { offsets, end, .. } => {
                let values = (offsets[rows] - offsets[0]) as usize;
                rows * 2 + if matches!(end, End::ZeroAmongZeros) { values * 2 } else { values }
            }
        }
    }

    /// Writes a row's value from `at` on, and perhaps anything in the [`PIECE`] behind it; answers with
    /// its end.
    #[inline(always)]
    fn write(&self, row: usize, out: &mut [u8], at: usize) -> usize {
        let nulls = match self {
            Self::Words { nulls, .. } | Self::Bytes { nulls, .. } => nulls,
        };
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out[at] = NULL;
            return at + 1;
        }
        out[at] = VALUE;
        let at = at + 1;
        match self {
            Self::Words { words, width, .. } => {
                out[at..at + 8].copy_from_slice(&words[row].to_le_bytes());
                at + width
            }
            Self::Bytes { offsets, values, end, .. } => {
                let (start, stop) = (offsets[row] as usize, offsets[row + 1] as usize);
                match end {
                    End::Key => copy(values, start, stop, out, at),
                    End::Zero => {
                        let at = copy(values, start, stop, out, at);
                        out[at] = END;
                        at + 1
                    }
                    End::ZeroAmongZeros => write_zeros(&values[start..stop], out, at),
                }
            }
        }
    }
}

#[inline(always)]
fn copy(values: &[u8], start: usize, stop: usize, out: &mut [u8], at: usize) -> usize {
    let length = stop - start;
    match values.get(start..start + PIECE) {
        Some(piece) if length <= PIECE => out[at..at + PIECE].copy_from_slice(piece),
        _ => out[at..at + length].copy_from_slice(&values[start..stop]),
    }
    at + length
}

#[cold]
fn write_zeros(value: &[u8], out: &mut [u8], mut at: usize) -> usize {
    for &byte in value {
        out[at] = byte;
        at += 1;
        if byte == END {
            out[at] = ZERO;
            at += 1;
        }
    }
    out[at] = END;
    at + 1
}

/// Appends a value that ends with a zero to `value`; answers with what follows, or nothing if there is
/// no end.
fn read_ended<'a>(mut bytes: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let end = bytes.iter().position(|&byte| byte == END)?;
        let next = &bytes[end + 1..];
        value.extend_from_slice(&bytes[..end]);
        match next.split_first() {
            Some((&ZERO, next)) => {
                value.push(END);
                bytes = next;
            }
            _ => return Some(next),
        }
    }
}

/// A column while it is read.
struct Values {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Values {
    fn new(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { bytes: Vec::with_capacity(rows * 8), ends, valid: Vec::with_capacity(rows) }
    }

    /// Ends a row. It has no more bytes than its key, and keys fit one column.
    fn end(&mut self, valid: bool) {
        self.ends.push(self.bytes.len() as i32);
        self.valid.push(valid);
    }

    fn finish(self) -> Result<BinaryArray, StateError> {
        let nulls = NullBuffer::from(self.valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        Ok(BinaryArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_refused() {
        let refused = |key: &[u8], widths: &[Option<usize>]| {
            assert!(split(&BinaryArray::from(vec![key]), widths).is_err(), "{key:?} {widths:?}");
        };
        refused(b"", &[None, None]);
        refused(b"\x01no end", &[None, None]);
        refused(b"\x01no column\0", &[None, None]);
        refused(b"\x02a\0\x01b", &[None, None]);
        refused(b"\x00\x01123", &[None, Some(4)]);
        refused(b"\x00\x0112345", &[None, Some(4)]);
        refused(b"\x00\x00more", &[None, None]);
    }

    #[test]
    fn a_short_key_takes_two_bytes_more_than_its_texts_and_an_end() {
        let texts = |texts: &[Option<&str>]| {
            KeyColumn::Bytes(texts.iter().map(|text| text.map(str::as_bytes)).collect::<BinaryArray>())
        };
        let columns = [texts(&[Some("word"), None]), texts(&[Some("view"), Some("")])];
        let keys = join(&columns, 2).unwrap();
        assert_eq!(keys.value(0), b"\x01word\0\x01view");
        assert_eq!(keys.value(1), b"\x00\x01");
    }
}
