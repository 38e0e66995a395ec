//! What a lookup needs of a key, computed for a block of rows at once.

use arrow_array::{Array, BinaryArray};

use super::key_column::NULL_HASH;
use super::{KeyColumn, key_hash};

/// Keys up to this many bytes are held whole in the table's entries.
pub(super) const SHORT: u32 = 16;

/// Length that stands for the null key.
const NULL: u32 = u32::MAX - 1;

/// A key as the table compares it: a short one whole, a long one by its hash and first bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) low: u64,
    pub(super) high: u64,
    pub(super) hash: u64,
    pub(super) length: u32,
}

impl Probe {
    const NULL: Self = Self { low: 0, high: 0, hash: NULL_HASH, length: NULL };

    #[inline]
    pub(super) fn is_null(&self) -> bool {
        self.length == NULL
    }
}

/// Sets `probes` to those of `rows` rows from `first` on.
pub(super) fn fill(keys: &KeyColumn, first: usize, rows: usize, probes: &mut Vec<Probe>) {
    probes.clear();
    match keys {
        KeyColumn::Bytes(keys) => fill_bytes(keys, first, rows, probes),
        KeyColumn::Words { words, width, .. } => fill_words(&words[first..first + rows], *width, probes),
    }
    let nulls = match keys {
        KeyColumn::Bytes(keys) => keys.nulls(),
        KeyColumn::Words { nulls, .. } => nulls.as_ref(),
    };
    if let Some(nulls) = nulls {
        for (row, probe) in probes.iter_mut().enumerate() {
            if nulls.is_null(first + row) {
                *probe = Probe::NULL;
            }
        }
    }
}

/// The bytes of a key that is longer than words are.
pub(super) fn long_key(keys: &KeyColumn, row: usize) -> &[u8] {
    match keys {
        KeyColumn::Bytes(keys) => keys.value(row),
        KeyColumn::Words { .. } => &[],
    }
}

fn fill_words(words: &[u64], width: u8, probes: &mut Vec<Probe>) {
    let length = u32::from(width);
    let probe = |low: u64, hash: u64| Probe { low, high: 0, hash, length };
    if width == 8 {
        // A loop of its own: with a length that is known, the hash is straight code.
        probes.extend(words.iter().map(|&word| probe(word, key_hash(&word.to_le_bytes()))));
    } else {
        let width = usize::from(width);
        probes.extend(words.iter().map(|&word| probe(word, key_hash(&word.to_le_bytes()[..width]))));
    }
}

fn fill_bytes(keys: &BinaryArray, first: usize, rows: usize, probes: &mut Vec<Probe>) {
    let bytes = keys.value_data();
    let offsets = &keys.value_offsets()[first..=first + rows];
    probes.extend(offsets.windows(2).map(|ends| {
        let (start, end) = (ends[0] as usize, ends[1] as usize);
        probe_of(bytes, start, end)
    }));
}

#[inline(always)]
fn probe_of(bytes: &[u8], start: usize, end: usize) -> Probe {
    let length = (end - start) as u32;
    let hash = key_hash(&bytes[start..end]);
    let (low, high) = first_16(bytes, start, end);
    if length <= SHORT {
        let (low_mask, high_mask) = MASKS[length as usize];
        Probe { low: low & low_mask, high: high & high_mask, hash, length }
    } else {
        Probe { low: hash, high: low, hash, length }
    }
}

/// The 16 bytes from `start` on; beyond `end` there may be anything.
#[inline(always)]
fn first_16(bytes: &[u8], start: usize, end: usize) -> (u64, u64) {
    if let Some(window) = bytes.get(start..start + 16) {
        return split(window);
    }
    let mut window = [0; 16];
    let length = (end - start).min(16);
    window[..length].copy_from_slice(&bytes[start..start + length]);
    split(&window)
}

#[inline(always)]
fn split(window: &[u8]) -> (u64, u64) {
    let (mut low, mut high) = ([0; 8], [0; 8]);
    low.copy_from_slice(&window[..8]);
    high.copy_from_slice(&window[8..16]);
    (u64::from_le_bytes(low), u64::from_le_bytes(high))
}

/// By length of a short key: which bits of its 16 bytes are the key's.
const MASKS: [(u64, u64); 17] = {
    let mut masks = [(u64::MAX, u64::MAX); 17];
    let mut length = 0;
    while length < 16 {
        masks[length] =
            if length < 8 { ((1 << (8 * length)) - 1, 0) } else { (u64::MAX, (1 << (8 * (length - 8))) - 1) };
        length += 1;
    }
    masks
};
