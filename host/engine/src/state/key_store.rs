//! The keys of a table, one after the other in a single buffer, by group id.

use arrow_array::BinaryArray;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::StateError;

/// Keys by dense id, in the order of their insertion.
#[derive(Debug, Default)]
pub struct KeyStore {
    /// Where each key ends in `bytes`; it begins where the one before ends.
    ends: Vec<usize>,
    bytes: Vec<u8>,
    null: Option<u32>,
}

impl KeyStore {
    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a key that is not there yet; its id is the number of keys before.
    pub(super) fn push(&mut self, key: Option<&[u8]>) {
        match key {
            Some(key) => self.bytes.extend_from_slice(key),
            None => self.null = u32::try_from(self.ends.len()).ok(),
        }
        self.ends.push(self.bytes.len());
    }

    /// The bytes of a key; none for the null key.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&[u8]> {
        if self.null == Some(id) { None } else { Some(self.raw(id)) }
    }

    /// The bytes of a key; empty for the null key.
    #[inline]
    pub(super) fn raw(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..self.ends[id]]
    }

    /// A byte of a key, so that it is in the cache when it is compared; any number if there is no such key.
    #[inline]
    pub(super) fn touch(&self, id: u32) -> u8 {
        let end = self.ends.get(id as usize).copied().unwrap_or(0);
        self.bytes.get(end.wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// The keys of these ids as a column.
    ///
    /// # Errors
    /// When they take more than the 2 GiB that a column can hold.
    pub fn gather(&self, ids: &[u32]) -> Result<BinaryArray, StateError> {
        let keys = binary(ids.iter().map(|&id| self.raw(id)))?;
        let Some(null) = self.null.filter(|null| ids.contains(null)) else { return Ok(keys) };
        let nulls = ids.iter().map(|&id| id != null).collect::<NullBuffer>();
        let (offsets, values, _) = keys.into_parts();
        Ok(BinaryArray::try_new(offsets, values, Some(nulls))?)
    }

    /// Forgets all keys and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
        self.null = None;
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

/// A column of these values.
///
/// # Errors
/// When they take more than the 2 GiB that a column can hold.
pub(super) fn binary<'a>(values: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<BinaryArray, StateError> {
    let rows = values.len();
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut bytes = Vec::with_capacity(rows * 8);
    offsets.push(0i32);
    for value in values {
        bytes.extend_from_slice(value);
        offsets.push(i32::try_from(bytes.len()).map_err(|_| {
            StateError::TooLarge(format!(
                "{rows} keys or values take more than the 2 GiB that one column can hold: shorten them"
            ))
        })?);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(BinaryArray::try_new(offsets, Buffer::from_vec(bytes), None)?)
}
