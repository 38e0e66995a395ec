//! Columns of text and of bytes.

use std::fmt;
use std::ops::Range;

use super::ColumnBuilder;
use super::validity::ValidityBuilder;
use crate::batch::Buffers;
use crate::error::{Error, Result};
use crate::schema::DataType;

/// Offsets are signed in Arrow.
const BYTES_MAX: usize = i32::MAX as usize;

/// Builds a utf8 column.
#[derive(Clone, Debug, Default)]
pub struct Utf8Builder {
    bytes: BinaryBuilder,
}

impl Utf8Builder {
    /// With room for `rows` texts of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { bytes: BinaryBuilder::with_capacity(rows, bytes) }
    }

    /// Takes over whole buffers: all texts one after the other, and rows + 1 little-endian offsets.
    ///
    /// # Errors
    /// When the last offset is not the length of `text`.
    pub fn from_buffers(text: String, offsets: Vec<u8>) -> Result<Self> {
        BinaryBuilder::from_buffers(text.into_bytes(), offsets).map(|bytes| Self { bytes })
    }

    /// Adds a text.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.bytes.push(text.as_bytes());
    }

    /// Adds a part of a larger text, such as a word of it: as `push(&text[part])`, but faster, since
    /// short parts are copied with what follows them.
    ///
    /// # Panics
    /// When the part is not within the text or cuts a character.
    #[inline(always)]
    pub fn push_part(&mut self, text: &str, part: Range<usize>) {
        assert!(text.is_char_boundary(part.start) && text.is_char_boundary(part.end), "no text at {part:?}");
        self.bytes.push_part(text.as_bytes(), part);
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.bytes.push_null();
    }

    /// Adds a text, or a null for none.
    #[inline]
    pub fn push_option(&mut self, text: Option<&str>) {
        self.bytes.push_option(text.map(str::as_bytes));
    }

    /// Adds a piece to the text that the next [`Utf8Builder::end_value`] ends; `write!` does too.
    #[inline]
    pub fn append(&mut self, piece: &str) {
        self.bytes.append(piece.as_bytes());
    }

    /// Ends the text made of the pieces since the last row.
    #[inline]
    pub fn end_value(&mut self) {
        self.bytes.end_value();
    }

    /// Makes the ASCII letters of all texts lower-case: one pass over the whole buffer.
    pub fn make_ascii_lowercase(&mut self) {
        let used = self.bytes.used;
        self.bytes.values[..used].make_ascii_lowercase();
    }
}

impl fmt::Write for Utf8Builder {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.append(piece);
        Ok(())
    }
}

impl<'a> FromIterator<Option<&'a str>> for Utf8Builder {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(texts: I) -> Self {
        let mut builder = Self::default();
        texts.into_iter().for_each(|text| builder.push_option(text));
        builder
    }
}

impl ColumnBuilder for Utf8Builder {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn builds(&self, data_type: DataType) -> bool {
        data_type == DataType::Utf8
    }

    fn finish(self) -> Result<Buffers> {
        self.bytes.finish()
    }
}

/// Builds a binary column.
#[derive(Clone, Debug)]
pub struct BinaryBuilder {
    /// Longer than `used`, so that a short value is written by stores of fixed width instead of a
    /// call that copies memory: in a guest such a call costs more than the value.
    values: Vec<u8>,
    used: usize,
    offsets: Vec<u8>,
    validity: ValidityBuilder,
}

impl Default for BinaryBuilder {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl BinaryBuilder {
    /// With room for `rows` values of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity((rows + 1) * 4);
        offsets.extend_from_slice(&[0; 4]);
        let values = if bytes == 0 { Vec::new() } else { vec![0; bytes + SHORT] };
        Self { values, used: 0, offsets, validity: ValidityBuilder::default() }
    }

    /// Takes over whole buffers: all values one after the other, and rows + 1 little-endian offsets.
    ///
    /// # Errors
    /// When the last offset is not the length of `values`.
    pub fn from_buffers(values: Vec<u8>, offsets: Vec<u8>) -> Result<Self> {
        let last = offsets.last_chunk().map(|last| u32::from_le_bytes(*last) as usize);
        if last != Some(values.len()) || !offsets.len().is_multiple_of(4) {
            return Err(Error::new(format!(
                "the offsets end at {last:?} in {} bytes, the values have {} bytes",
                offsets.len(),
                values.len()
            )));
        }
        Ok(Self { used: values.len(), values, offsets, validity: ValidityBuilder::default() })
    }

    /// Adds a value.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.append(value);
        self.end_value();
    }

    /// Adds a part of a larger value: as `push(&value[part])`, but faster, since short parts are
    /// copied with what follows them.
    ///
    /// # Panics
    /// When the part is not within the value.
    #[inline(always)]
    pub fn push_part(&mut self, value: &[u8], part: Range<usize>) {
        let end = self.used + part.len();
        let source =
            value.get(part.start..part.start + SHORT).and_then(|source| source.first_chunk::<SHORT>());
        let target = self.values.get_mut(self.used..).and_then(|target| target.first_chunk_mut::<SHORT>());
        match (source, target) {
            (Some(source), Some(target)) if part.len() <= SHORT => {
                *target = *source;
                self.used = end;
                self.end_value();
            }
            _ => self.push(&value[part]),
        }
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.validity.null(self.len());
        self.end_value();
    }

    /// Adds a value, or a null for none.
    #[inline]
    pub fn push_option(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    /// Adds a piece to the value that the next [`BinaryBuilder::end_value`] ends.
    #[inline]
    pub fn append(&mut self, piece: &[u8]) {
        let end = self.used + piece.len();
        if self.values.len() < end + SHORT {
            self.grow(end + SHORT);
        }
        copy(&mut self.values[self.used..], piece);
        self.used = end;
    }

    /// Ends the value made of the pieces since the last row.
    #[inline]
    pub fn end_value(&mut self) {
        // Cut off only above 4 GiB, which `finish` refuses.
        self.offsets.extend_from_slice(&(self.used as u32).to_le_bytes());
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.values.resize(needed.max(self.values.len() * 2).max(256), 0);
    }
}

impl ColumnBuilder for BinaryBuilder {
    fn len(&self) -> usize {
        self.offsets.len() / 4 - 1
    }

    fn builds(&self, data_type: DataType) -> bool {
        data_type == DataType::Binary
    }

    fn finish(mut self) -> Result<Buffers> {
        if self.used > BYTES_MAX {
            return Err(Error::new(
                "a column of text or bytes would be larger than 2 GiB; use smaller batches",
            ));
        }
        let rows = self.len();
        self.values.truncate(self.used);
        Ok(Buffers { validity: self.validity.finish(rows), offsets: self.offsets, values: self.values })
    }
}

/// Values up to this many bytes are copied without a call.
const SHORT: usize = 16;

/// Copies by two overlapping stores where that is enough.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
        *to.first_chunk_mut::<N>()? = *from.first_chunk::<N>()?;
        let tail = from.len() - N;
        *to.get_mut(tail..)?.first_chunk_mut::<N>()? = *from.last_chunk::<N>()?;
        Some(())
    }
    match from.len() {
        0 => None,
        1 => ends::<1>(to, from),
        2..=4 => ends::<2>(to, from),
        5..=8 => ends::<4>(to, from),
        9..=SHORT => ends::<8>(to, from),
        _ => {
            to[..from.len()].copy_from_slice(from);
            None
        }
    };
}
