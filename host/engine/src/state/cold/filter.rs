//! Which keys are not in a page, without reading it: a Bloom filter a page.

use super::page::PAGE_ROWS_MAX;

/// Eight bits a row of a page that is about to be split, and more before: of keys that are not there,
/// one in twenty at most is looked for.
const WORDS: usize = PAGE_ROWS_MAX * 8 / 64;
const BITS: u64 = (WORDS * 64) as u64;

/// The filters of all pages of a space.
#[derive(Debug, Default)]
pub(super) struct Filters(Vec<u64>);

impl Filters {
    pub(super) fn new(pages: usize) -> Self {
        Self(vec![0; pages * WORDS])
    }

    pub(super) fn add(&mut self, page: usize, hash: u64) {
        for bit in bits(hash) {
            self.0[page * WORDS + bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Forgets what was added of a page.
    pub(super) fn clear(&mut self, page: usize) {
        self.0[page * WORDS..][..WORDS].fill(0);
    }

    /// False: no row of this hash was ever added.
    pub(super) fn may_hold(&self, page: usize, hash: u64) -> bool {
        bits(hash).iter().all(|bit| self.0[page * WORDS + bit / 64] & (1 << (bit % 64)) != 0)
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}

/// From the middle of the hash: the highest bits say which page, the lowest which worker.
fn bits(hash: u64) -> [usize; 2] {
    let middle = hash >> 8;
    [(middle % BITS) as usize, (middle / BITS % BITS) as usize]
}
