//! The states of groups or keys as they cross the boundary: a binary column that is read as byte
//! strings, as values of fixed width in place, or as anything that serde knows.

use std::borrow::Cow;

use bytemuck::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::Buffers;
use crate::builders::{BinaryBuilder, ColumnBuilder};
use crate::columns::{Binary, ColumnType, cast};
use crate::error::{Error, Result};
use crate::place::Place;

/// One state a group or key; none where nothing was kept yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct States {
    count: usize,
    column: Buffers,
}

impl States {
    /// As many states, none of which is there.
    #[must_use]
    pub fn none(count: usize) -> Self {
        let mut builder = BinaryBuilder::default();
        (0..count).for_each(|_| builder.push_null());
        // Without bytes, no column is too large.
        let column = builder.finish().unwrap_or_default();
        Self { count, column }
    }

    /// The states in a binary column.
    ///
    /// # Errors
    /// When the buffers are not as the contract says.
    pub fn new(column: Buffers) -> Result<Self> {
        let count = (column.offsets.len() / 4).saturating_sub(1);
        Binary::view(&column, count, Place::NOWHERE)?;
        Ok(Self { count, column })
    }

    /// How many groups or keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each state as its bytes.
    ///
    /// # Errors
    /// When the buffers are not as the contract says.
    pub fn bytes(&self) -> Result<Vec<Option<&[u8]>>> {
        let view = Binary::view(&self.column, self.count, Place::NOWHERE)?;
        Ok((0..self.count).map(|i| view.get(i)).collect())
    }

    /// Replaces all states.
    ///
    /// # Errors
    /// When there are not as many as before, or they have more than 2 GiB together.
    pub fn set_bytes<B: AsRef<[u8]>>(&mut self, states: impl IntoIterator<Item = Option<B>>) -> Result<()> {
        let mut builder = BinaryBuilder::with_capacity(self.count, self.column.values.len());
        for state in states {
            builder.push_option(state.as_ref().map(AsRef::as_ref));
        }
        self.replace(builder)
    }

    /// All states as values of the same width, such as `[i64; 2]`; all zeros where there is none.
    ///
    /// # Errors
    /// When a state has another width.
    pub fn fixed<S: Pod>(&self) -> Result<Cow<'_, [S]>> {
        if self.is_dense(size_of::<S>()) {
            return cast("states", &self.column.values, self.count);
        }
        let dense = self.dense(size_of::<S>())?;
        Ok(Cow::Owned(cast("states", &dense, self.count)?.into_owned()))
    }

    /// Changes all states as values of the same width, in place: the fastest way to keep something.
    ///
    /// # Errors
    /// When a state has another width, or what `change` answers.
    pub fn change_fixed<S: Pod>(&mut self, change: impl FnOnce(&mut [S]) -> Result<()>) -> Result<()> {
        let width = size_of::<S>();
        if !self.is_dense(width) {
            let last = u32::try_from(self.count * width).ok().filter(|last| *last <= i32::MAX as u32);
            let last = last.ok_or_else(|| Error::new("the states would be larger than 2 GiB"))?;
            let offsets = (0..=last).step_by(width.max(1)).flat_map(u32::to_le_bytes).collect();
            let values = self.dense(width)?;
            self.column = Buffers { validity: Vec::new(), offsets, values };
        }
        if let Ok(states) = bytemuck::try_cast_slice_mut(&mut self.column.values) {
            return change(states);
        }
        // The allocator placed the bytes askew.
        let mut states = cast::<S>("states", &self.column.values, self.count)?.into_owned();
        change(&mut states)?;
        self.column.values.copy_from_slice(bytemuck::cast_slice(&states));
        Ok(())
    }

    /// Each state read by serde; see [`States::encode`].
    ///
    /// # Errors
    /// When one cannot be read: it was written as another type.
    pub fn decode<S: DeserializeOwned>(&self) -> Result<Vec<Option<S>>> {
        let read = |(i, state): (usize, Option<&[u8]>)| state.map(|bytes| decode(i, bytes)).transpose();
        self.bytes()?.into_iter().enumerate().map(read).collect()
    }

    /// Replaces all states by what serde writes, in the format of the crate postcard: compact, and
    /// without names of fields, so that only the type that wrote a state can read it.
    ///
    /// # Errors
    /// When there are not as many as before, or one cannot be written.
    pub fn encode<'s, S: Serialize + 's>(
        &mut self,
        states: impl IntoIterator<Item = Option<&'s S>>,
    ) -> Result<()> {
        let mut builder = BinaryBuilder::with_capacity(self.count, self.column.values.len());
        let mut bytes = Vec::new();
        for state in states {
            match state {
                Some(state) => {
                    bytes.clear();
                    bytes = postcard::to_extend(state, bytes)
                        .map_err(|error| Error::new(format!("the state cannot be written: {error}")))?;
                    builder.push(&bytes);
                }
                None => builder.push_null(),
            }
        }
        self.replace(builder)
    }

    /// The column they are in.
    #[must_use]
    pub fn into_column(self) -> Buffers {
        self.column
    }

    fn replace(&mut self, builder: BinaryBuilder) -> Result<()> {
        if builder.len() != self.count {
            return Err(Error::new(format!("{} states were given for {}", builder.len(), self.count)));
        }
        self.column = builder.finish()?;
        Ok(())
    }

    /// Whether all are there and have this width, one after the other.
    fn is_dense(&self, width: usize) -> bool {
        let (offsets, _) = self.column.offsets.as_chunks::<4>();
        self.column.validity.is_empty()
            && self.column.values.len() == self.count * width
            && offsets.iter().zip(0u32..).fold(true, |dense, (offset, i)| {
                dense & (u32::from_le_bytes(*offset) == i.wrapping_mul(width as u32))
            })
    }

    fn dense(&self, width: usize) -> Result<Vec<u8>> {
        let mut dense = vec![0; self.count * width];
        let view = Binary::view(&self.column, self.count, Place::NOWHERE)?;
        for (i, state) in view.iter().enumerate() {
            let Some(state) = state else { continue };
            let slot = &mut dense[i * width..(i + 1) * width];
            if state.len() != width {
                return Err(Error::new(format!(
                    "state {i} has {} bytes, not {width}: it was written as another type",
                    state.len()
                )));
            }
            slot.copy_from_slice(state);
        }
        Ok(dense)
    }
}

pub(crate) fn decode<S: DeserializeOwned>(i: usize, bytes: &[u8]) -> Result<S> {
    let read = postcard::take_from_bytes(bytes);
    let unreadable = |why: &dyn std::fmt::Display| {
        Error::new(format!("state {i} cannot be read: {why}; was it written as another type?"))
    };
    match read {
        Ok((state, [])) => Ok(state),
        Ok((_, rest)) => Err(unreadable(&format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(unreadable(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_states_are_changed_in_place_and_start_as_zeros() {
        let mut states = States::none(3);
        states
            .change_fixed::<[i64; 2]>(|slots| {
                slots[1] = [7, 1];
                Ok(())
            })
            .unwrap();
        assert_eq!(states.fixed::<[i64; 2]>().unwrap()[..], [[0, 0], [7, 1], [0, 0]]);
        let place = states.column.values.as_ptr();
        states
            .change_fixed::<[i64; 2]>(|slots| {
                slots[0][0] = 5;
                Ok(())
            })
            .unwrap();
        assert_eq!(states.column.values.as_ptr(), place);
        assert_eq!(states.fixed::<[i64; 2]>().unwrap()[..], [[5, 0], [7, 1], [0, 0]]);
        assert!(states.fixed::<i64>().unwrap_err().message().contains("state 0 has 16 bytes, not 8"));
    }

    #[test]
    fn some_new_some_old() {
        let mut states = States::none(2);
        states.set_bytes([None, Some(9i64.to_le_bytes())]).unwrap();
        assert_eq!(states.fixed::<i64>().unwrap()[..], [0, 9]);
        assert_eq!(states.bytes().unwrap(), [None, Some(&9i64.to_le_bytes()[..])]);
        assert!(states.set_bytes([Some([1])]).unwrap_err().message().contains("1 states were given for 2"));
    }

    #[test]
    fn serde_states_come_back_and_foreign_ones_are_named() {
        let mut states = States::none(2);
        states.encode([Some(&("a".to_owned(), 3u32)), None]).unwrap();
        assert_eq!(states.decode::<(String, u32)>().unwrap(), [Some(("a".to_owned(), 3)), None]);
        assert!(states.decode::<u8>().unwrap_err().message().contains("state 0 cannot be read"));
        assert!(states.decode::<[u64; 9]>().unwrap_err().message().contains("state 0 cannot be read"));
    }

    #[test]
    fn columns_that_are_none_are_refused() {
        let column = Buffers { offsets: vec![0; 8], values: vec![], validity: vec![] };
        assert_eq!(States::new(column).unwrap().len(), 1);
        let column = Buffers { offsets: [0u32, 9].map(u32::to_le_bytes).concat(), ..Buffers::default() };
        assert!(States::new(column).is_err());
    }
}
