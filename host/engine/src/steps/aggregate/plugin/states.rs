//! States as bytes, by group, in one buffer. A state that fits where the one before was takes its place.

use arrow_array::BinaryArray;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::state::StateError;

/// Length of the state of a group without rows.
const NONE: u32 = u32::MAX;

/// Bytes that may lie unused, besides as many as are used, before the buffer is made anew.
const UNUSED_MAX: usize = 1 << 20;

/// The states of groups.
#[derive(Debug, Default)]
pub(super) struct States {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Bytes of places that were given up.
    unused: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    length: u32,
    room: u32,
}

impl Place {
    const EMPTY: Self = Self { start: 0, length: NONE, room: 0 };
}

impl States {
    /// Makes room for so many groups; new ones have no state.
    pub(super) fn resize(&mut self, groups: usize) {
        if groups < self.places.len() {
            self.unused += self.places[groups..].iter().map(|place| place.room as usize).sum::<usize>();
        }
        self.places.resize(groups, Place::EMPTY);
    }

    /// The state of a group; none without rows.
    #[inline]
    pub(super) fn get(&self, group: u32) -> Option<&[u8]> {
        let place = self.places[group as usize];
        (place.length != NONE).then(|| &self.bytes[place.start..place.start + place.length as usize])
    }

    /// Puts a state in place of the one before.
    ///
    /// # Errors
    /// When it has more bytes than any column.
    #[inline]
    pub(super) fn set(&mut self, group: u32, state: Option<&[u8]>) -> Result<(), StateError> {
        let place = &mut self.places[group as usize];
        let Some(state) = state else {
            place.length = NONE;
            return Ok(());
        };
        if state.len() > place.room as usize {
            return self.grow(group, state);
        }
        self.bytes[place.start..place.start + state.len()].copy_from_slice(state);
        place.length = state.len() as u32;
        Ok(())
    }

    /// A state that has outgrown its place gets one with room to grow; the first one gets what it takes,
    /// as many states never grow.
    fn grow(&mut self, group: u32, state: &[u8]) -> Result<(), StateError> {
        let place = &mut self.places[group as usize];
        let room = if place.room == 0 { state.len() } else { state.len() + state.len() / 2 };
        let room = u32::try_from(room).ok().filter(|room| *room < NONE);
        let room = room.ok_or_else(|| StateError::TooLarge("a state takes more than 2 GiB".to_owned()))?;
        self.unused += place.room as usize;
        *place = Place { start: self.bytes.len(), length: state.len() as u32, room };
        self.bytes.extend_from_slice(state);
        self.bytes.resize(place.start + room as usize, 0);
        if self.unused > UNUSED_MAX + self.bytes.len() / 2 {
            self.compact();
        }
        Ok(())
    }

    fn compact(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.unused);
        for place in &mut self.places {
            let start = bytes.len();
            bytes.extend_from_slice(&self.bytes[place.start..place.start + place.room as usize]);
            place.start = start;
        }
        (self.bytes, self.unused) = (bytes, 0);
    }

    /// The states of these groups as a column.
    ///
    /// # Errors
    /// When they take more than a column can hold.
    pub(super) fn gather(&self, groups: &[u32]) -> Result<BinaryArray, StateError> {
        let places = || groups.iter().map(|&group| self.places[group as usize]);
        let mut offsets = Vec::with_capacity(groups.len() + 1);
        let (mut end, mut nulls) = (0usize, 0usize);
        offsets.push(0);
        for place in places() {
            let is_null = place.length == NONE;
            nulls += usize::from(is_null);
            end += if is_null { 0 } else { place.length as usize };
            // What is over the limit is told below.
            offsets.push(end as i32);
        }
        if i32::try_from(end).is_err() {
            return Err(StateError::TooLarge(
                "the states of a plugin's aggregate take more than 2 GiB".into(),
            ));
        }
        let mut values = Vec::with_capacity(end);
        for place in places().filter(|place| place.length != NONE) {
            values.extend_from_slice(&self.bytes[place.start..place.start + place.length as usize]);
        }
        let nulls = (nulls > 0).then(|| places().map(|place| place.length != NONE).collect::<NullBuffer>());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(BinaryArray::try_new(offsets, Buffer::from_vec(values), nulls)?)
    }

    /// Forgets all groups and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.unused = 0;
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<Place>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn states_are_those_of_a_plain_list_however_they_grow(
            changes in proptest::collection::vec(
                (0u32..20, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))),
                0..200,
            ),
            compact_at in 0usize..200,
        ) {
            let mut states = States::default();
            states.resize(20);
            let mut model: Vec<Option<Vec<u8>>> = vec![None; 20];
            for (number, (group, state)) in changes.into_iter().enumerate() {
                states.set(group, state.as_deref()).unwrap();
                model[group as usize] = state;
                if number == compact_at {
                    states.compact();
                }
            }
            let groups: Vec<u32> = (0..20).rev().collect();
            let column = states.gather(&groups).unwrap();
            let found: Vec<Option<Vec<u8>>> = column.iter().map(|state| state.map(<[u8]>::to_vec)).collect();
            model.reverse();
            prop_assert_eq!(&found, &model);
            states.resize(3);
            states.resize(20);
            prop_assert_eq!(states.get(19), None);
            prop_assert_eq!(states.get(2), model[17].as_deref());
        }
    }
}
