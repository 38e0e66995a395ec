//! Rows as bytes, and the pages they lie in.
//!
//! A page is a list of blobs, oldest first; each has rows in the order of their hashes: hash (8 bytes),
//! length (4), and so many bytes, which begin with the length of the key.

use crate::state::key_column::NULL_HASH;
use crate::state::key_hash;

/// Rows of a page, on average, at which pages are split in four. Larger pages have more rows of a batch to
/// share an access; smaller ones cost less where a batch wants one row of each.
pub(super) const PAGE_ROWS_MAX: usize = 512;

/// Bytes of a page, on average, at which pages are split: where rows are long, a key costs the reading of others.
pub(super) const PAGE_BYTES_MAX: usize = 128 << 10;

/// Blobs of a page at which a lookup puts them together.
pub(super) const BLOBS_MAX: u32 = 4;

/// Stands for the null key in the place of a key's length.
const NULL: u32 = u32::MAX;

/// Bytes of a row before its encoding.
pub(super) const HEAD: usize = 12;

/// The hash by which rows are placed. Workers own keys by the highest bits of the hash, so that here
/// others come first.
pub(super) fn place_of(key: Option<&[u8]>) -> u64 {
    key.map_or(NULL_HASH, key_hash).rotate_left(8)
}

/// Encoded rows with their hashes.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) hashes: Vec<u64>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a row; `payload` writes what follows its key.
    pub(super) fn push(&mut self, key: Option<&[u8]>, payload: impl FnOnce(&mut Vec<u8>)) {
        self.hashes.push(place_of(key));
        self.bytes.extend_from_slice(&key.map_or(NULL, |key| key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(key.unwrap_or_default());
        payload(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Appends an encoded row.
    pub(super) fn push_encoded(&mut self, hash: u64, row: &[u8]) {
        self.hashes.push(hash);
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn row(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// The numbers of the rows by hash.
    pub(super) fn by_hash(&self) -> Vec<u32> {
        let mut order: Vec<(u64, u32)> = self.hashes.iter().copied().zip(0..).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, row)| row).collect()
    }
}

/// The key of an encoded row, and what follows it.
pub(super) fn split(row: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let (length, rest) = row.split_at(size_of::<u32>());
    match u32::from_le_bytes([length[0], length[1], length[2], length[3]]) {
        NULL => (None, rest),
        length => {
            let (key, payload) = rest.split_at(length as usize);
            (Some(key), payload)
        }
    }
}

/// Writes a row into a blob.
pub(super) fn write(hash: u64, row: &[u8], blob: &mut Vec<u8>) {
    blob.extend_from_slice(&hash.to_le_bytes());
    blob.extend_from_slice(&(row.len() as u32).to_le_bytes());
    blob.extend_from_slice(row);
}

/// The rows of a blob with their hashes.
pub(super) fn read(mut blob: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = blob.split_at_checked(HEAD)?;
        let mut hash = [0; 8];
        hash.copy_from_slice(&head[..8]);
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let (row, rest) = rest.split_at_checked(length as usize)?;
        blob = rest;
        Some((u64::from_le_bytes(hash), row))
    })
}

/// All rows of a page by key, with their hashes and in the order of these; those of a key the oldest first.
pub(super) fn sorted(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut rows: Vec<(u64, &[u8])> = read(bytes).collect();
    // One blob, as most pages have that were put together, needs no more.
    if !rows.is_sorted_by(|left, right| left.0 < right.0) {
        // Stable; keys are looked at only where hashes are equal.
        rows.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| split(left.1).0.cmp(&split(right.1).0)));
    }
    rows
}

/// The newest row of each key of a page, with its hash and in the order of hashes.
pub(super) fn newest(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let rows = sorted(bytes);
    let mut kept: Vec<(u64, &[u8])> = Vec::with_capacity(rows.len());
    for row in rows {
        match kept.last_mut() {
            Some(last) if last.0 == row.0 && split(last.1).0 == split(row.1).0 => *last = row,
            _ => kept.push(row),
        }
    }
    kept
}
