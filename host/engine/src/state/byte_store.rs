//! Values of any length by dense id, in one buffer. A value that fits where its predecessor was is
//! written in place, so that states which keep their size cost no memory that anybody has to clean up.

use arrow_array::BinaryArray;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::StateError;

/// Length of a value that is not there.
const NONE: u32 = u32::MAX;

/// Room is given in steps of this many bytes, so that small growth stays in place.
const ROOM_STEP: usize = 16;

/// With less than this nobody cleans up.
const WASTE_MIN: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    len: u32,
    room: u32,
}

/// Values by id; each is bytes or nothing.
#[derive(Debug, Default)]
pub struct ByteStore {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Bytes that belong to no value.
    wasted: usize,
}

impl ByteStore {
    /// Makes room for ids below `ids`; new ones have no value.
    pub fn resize(&mut self, ids: usize) {
        self.places.resize(ids, Place { start: 0, len: NONE, room: 0 });
    }

    /// The value of an id.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&[u8]> {
        let place = self.places[id as usize];
        (place.len != NONE).then(|| &self.bytes[place.start..place.start + place.len as usize])
    }

    /// Bytes of the value of an id.
    #[must_use]
    pub fn len_of(&self, id: u32) -> usize {
        self.get(id).map_or(0, <[u8]>::len)
    }

    /// Replaces the value of an id.
    ///
    /// # Errors
    /// When the value is longer than a column can hold.
    pub fn set(&mut self, id: u32, value: Option<&[u8]>) -> Result<(), StateError> {
        let place = &mut self.places[id as usize];
        let Some(value) = value else {
            self.wasted += place.room as usize;
            *place = Place { start: 0, len: NONE, room: 0 };
            self.tidy();
            return Ok(());
        };
        if value.len() <= place.room as usize {
            self.bytes[place.start..place.start + value.len()].copy_from_slice(value);
            place.len = value.len() as u32;
            return Ok(());
        }
        if value.len() > i32::MAX as usize - ROOM_STEP {
            let message = format!("a state of {} bytes is longer than a column can hold", value.len());
            return Err(StateError::TooLarge(message));
        }
        self.wasted += place.room as usize;
        *place = append(&mut self.bytes, value);
        self.tidy();
        Ok(())
    }

    /// The values of these ids as a column.
    ///
    /// # Errors
    /// When they take more than the 2 GiB that a column can hold.
    pub fn gather(&self, ids: &[u32]) -> Result<BinaryArray, StateError> {
        let mut offsets = Vec::with_capacity(ids.len() + 1);
        let mut bytes = Vec::with_capacity(ids.iter().map(|id| self.len_of(*id)).sum());
        let mut nulls = 0;
        offsets.push(0i32);
        for id in ids {
            match self.get(*id) {
                Some(value) => bytes.extend_from_slice(value),
                None => nulls += 1,
            }
            offsets.push(i32::try_from(bytes.len()).map_err(|_| {
                StateError::TooLarge("states of more than 2 GiB do not fit into one column".to_owned())
            })?);
        }
        let is_there = |id: &u32| self.places[*id as usize].len != NONE;
        let nulls = (nulls > 0).then(|| ids.iter().map(is_there).collect::<NullBuffer>());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(BinaryArray::try_new(offsets, Buffer::from_vec(bytes), nulls)?)
    }

    /// The store with these ids alone, which become 0, 1 and so on.
    #[must_use]
    pub fn keep(&self, ids: &[u32]) -> Self {
        let live = ids.iter().map(|id| self.len_of(*id) + ROOM_STEP).sum();
        let mut kept = Self { bytes: Vec::with_capacity(live), ..Self::default() };
        kept.places.extend(ids.iter().map(|id| match self.get(*id) {
            Some(value) => append(&mut kept.bytes, value),
            None => Place { start: 0, len: NONE, room: 0 },
        }));
        kept
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<Place>()
    }

    /// Once more is wasted than used, copies what is used.
    fn tidy(&mut self) {
        if self.wasted >= WASTE_MIN && self.wasted * 2 > self.bytes.len() {
            let all: Vec<u32> = (0..self.places.len() as u32).collect();
            *self = self.keep(&all);
        }
    }
}

fn append(bytes: &mut Vec<u8>, value: &[u8]) -> Place {
    let (start, room) = (bytes.len(), value.len().next_multiple_of(ROOM_STEP));
    bytes.extend_from_slice(value);
    bytes.resize(start + room, 0);
    Place { start, len: value.len() as u32, room: room as u32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn states_that_keep_their_size_take_no_more_memory() {
        let mut store = ByteStore::default();
        store.resize(1);
        store.set(0, Some(&[1; 20])).unwrap();
        let before = store.bytes.len();
        for n in 0..200 {
            store.set(0, Some(&vec![n; 12 + usize::from(n) % 20])).unwrap();
        }
        assert_eq!(store.bytes.len(), before);
    }

    #[test]
    fn what_is_wasted_is_given_back() {
        let mut store = ByteStore::default();
        store.resize(2);
        store.set(1, Some(b"stays")).unwrap();
        for n in 1..1000 {
            store.set(0, Some(&vec![7; n * 16])).unwrap();
        }
        assert!(store.bytes.len() < 200_000, "{}", store.bytes.len());
        assert_eq!(store.get(1), Some(&b"stays"[..]));
        store.set(0, None).unwrap();
        assert_eq!((store.get(0), store.len_of(0)), (None, 0));
    }

    proptest! {
        #[test]
        fn values_are_those_of_a_map(
            writes in proptest::collection::vec(
                (0u32..5, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60))), 1..200)
        ) {
            let mut store = ByteStore::default();
            store.resize(5);
            let mut model: Vec<Option<Vec<u8>>> = vec![None; 5];
            for (id, value) in writes {
                store.set(id, value.as_deref()).unwrap();
                model[id as usize] = value;
            }
            let ids = [4, 0, 2, 2];
            let expected: BinaryArray = ids.iter().map(|id| model[*id as usize].as_deref()).collect();
            prop_assert_eq!(store.gather(&ids).unwrap(), expected.clone());
            prop_assert_eq!(store.keep(&ids[..3]).gather(&[0, 1, 2, 2]).unwrap(), expected);
        }
    }
}
