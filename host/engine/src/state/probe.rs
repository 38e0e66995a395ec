//! What a lookup needs of a key, computed for a block of rows at once.

use arrow_array::{Array, BinaryArray};

use super::key_column::NULL_HASH;
use super::{KeyColumn, key_hash};

/// Keys up to this many bytes are held whole in the table's entries.
pub(super) const SHORT: u32 = 24;

/// Length that stands for the null key.
const NULL: u32 = u32::MAX - 1;

/// A key as the table compares it: a short one whole, a long one by its hash and first bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) low: u64,
    pub(super) middle: u64,
    pub(super) high: u64,
    pub(super) hash: u64,
    pub(super) length: u32,
}

impl Probe {
    const NULL: Self = Self { low: 0, middle: 0, high: 0, hash: NULL_HASH, length: NULL };

    #[inline]
    pub(super) fn is_null(&self) -> bool {
        self.length == NULL
    }

    /// The bytes of a short key, with zeros behind them, and how many there are.
    pub(super) fn short(words: [u64; 3], length: u32) -> ([u8; SHORT as usize], usize) {
        let mut key = [0; SHORT as usize];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        (key, length as usize)
    }

    /// The hash of a key whose other parts are these.
    pub(super) fn hash_of(words: [u64; 3], length: u32) -> u64 {
        if length <= SHORT {
            let (key, length) = Self::short(words, length);
            key_hash(&key[..length])
        } else if length == NULL {
            NULL_HASH
        } else {
            words[0]
        }
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
    let probe = |low: u64, hash: u64| Probe { low, middle: 0, high: 0, hash, length };
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
    let [low, middle, high] = first_24(bytes, start, end);
    if length <= SHORT {
        let masks = MASKS[length as usize];
        Probe { low: low & masks[0], middle: middle & masks[1], high: high & masks[2], hash, length }
    } else {
        Probe { low: hash, middle: low, high: middle, hash, length }
    }
}

/// The 24 bytes from `start` on; beyond `end` there may be anything.
#[inline(always)]
fn first_24(bytes: &[u8], start: usize, end: usize) -> [u64; 3] {
    if let Some(window) = bytes.get(start..start + 24) {
        return words(window);
    }
    let mut window = [0; 24];
    let length = (end - start).min(24);
    window[..length].copy_from_slice(&bytes[start..start + length]);
    words(&window)
}

#[inline(always)]
fn words(window: &[u8]) -> [u64; 3] {
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&window[at..at + 8]);
        u64::from_le_bytes(word)
    };
    [word(0), word(8), word(16)]
}

/// By length of a short key: which bits of its 24 bytes are the key's.
const MASKS: [[u64; 3]; SHORT as usize + 1] = {
    let mut masks = [[0; 3]; SHORT as usize + 1];
    let mut length = 0;
    while length <= SHORT as usize {
        let mut byte = 0;
        while byte < length {
            masks[length][byte / 8] |= 0xff << (8 * (byte % 8));
            byte += 1;
        }
        length += 1;
    }
    masks
};
