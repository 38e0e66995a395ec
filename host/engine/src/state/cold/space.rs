//! A set of keys in a scratch file: pages by hash, more of them as it grows.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, BinaryArray};

use super::file::ScratchFile;
use super::filter::Filters;
use super::page::{self, BLOBS_MAX, PAGE_BYTES_MAX, PAGE_ROWS_MAX, Rows};
use super::{ColdRows, Payload};
use crate::state::{KeyColumn, StateError};

/// Low bits of a blob's id that count the blobs of its page; the others are the page.
const BLOB_BITS: u32 = 24;

/// A page's number has at most so many bits: with some hundred rows each, more rows than tables have groups.
const PAGE_BITS_MAX: u32 = 26;

/// Bytes of pages that wait to be written back as one blob each.
const REPAIR_BYTES: usize = 4 << 20;

/// Rows that are in memory while pages are split.
const GROW_ROWS: usize = 1 << 16;

/// Bytes of rows that come out of the file at a time, if that is not one page: far less than a column holds.
pub(super) const PIECE_BYTES: usize = 64 << 20;

/// A set of keys in a [`super::ColdStore`], and what memory has of it.
#[derive(Debug)]
pub struct ColdSpace {
    payload: Arc<Payload>,
    /// The table in the file; none before the first row.
    table: Option<u64>,
    /// There are two to this power of pages.
    bits: u32,
    /// By page: its blobs.
    blobs: Vec<u32>,
    filters: Filters,
    /// Rows in the file, those included that newer ones have replaced.
    rows: usize,
    /// Their bytes.
    bytes: usize,
    keeps: Keeps,
    /// Keys were removed.
    has_gaps: bool,
}

/// What becomes of a row when another one of its key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// The newer one takes its place.
    Newest,
    /// Both are there.
    All,
}

/// Where a scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    page: usize,
}

impl ColdSpace {
    /// A space without rows, whose rows have this payload.
    #[must_use]
    pub fn new(payload: Arc<Payload>) -> Self {
        Self {
            payload,
            table: None,
            bits: 0,
            blobs: vec![0],
            filters: Filters::default(),
            rows: 0,
            bytes: 0,
            keeps: Keeps::Newest,
            has_gaps: false,
        }
    }

    /// A space that keeps all rows of a key; they are found in the order in which they were written.
    #[must_use]
    pub fn of_lists(payload: Arc<Payload>) -> Self {
        Self { keeps: Keeps::All, ..Self::new(payload) }
    }

    /// Whether no row was ever written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_none()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blobs.capacity() * size_of::<u32>() + self.filters.bytes()
    }

    /// How many of these keys a lookup would look for.
    #[cfg(test)]
    pub(super) fn asked(&self, keys: &KeyColumn) -> usize {
        self.wanted(keys).len()
    }

    pub(super) fn table(&self) -> Option<u64> {
        self.table
    }

    pub(super) fn nothing(&self) -> Result<ColdRows, StateError> {
        decode(&self.payload, &Rows::default())
    }

    pub(super) fn put(
        &mut self,
        file: &ScratchFile,
        tables: &mut u64,
        keys: &BinaryArray,
        payload: &[ArrayRef],
    ) -> Result<(), StateError> {
        let readers = self.payload.readers(payload)?;
        let mut rows = Rows::default();
        for (row, key) in keys.iter().enumerate() {
            rows.push(key, |bytes| readers.iter().for_each(|column| column.write(row, bytes)));
        }
        self.put_rows(file, tables, &rows)
    }

    /// Lets keys be there no more. It takes a row in the file until that is tidied up.
    pub(super) fn forget(
        &mut self,
        file: &ScratchFile,
        tables: &mut u64,
        keys: &BinaryArray,
    ) -> Result<(), StateError> {
        let mut rows = Rows::default();
        keys.iter().for_each(|key| rows.push(key, |_| {}));
        self.has_gaps = true;
        self.put_rows(file, tables, &rows)
    }

    fn put_rows(&mut self, file: &ScratchFile, tables: &mut u64, rows: &Rows) -> Result<(), StateError> {
        if rows.len() == 0 {
            return Ok(());
        }
        let table = match self.table {
            Some(table) => table,
            None => {
                self.filters = Filters::new(self.blobs.len());
                *self.table.insert(next_table(file, tables)?)
            }
        };
        self.write(file, table, rows, &rows.by_hash())?;
        while self.is_crowded(self.blobs.len()) && self.bits < PAGE_BITS_MAX {
            self.grow(file, tables)?;
        }
        Ok(())
    }

    /// The rows with these keys, in pieces that end once they have so many bytes; at least one.
    pub(super) fn find(
        &mut self,
        file: &ScratchFile,
        keys: &KeyColumn,
        piece_bytes: usize,
    ) -> Result<Vec<ColdRows>, StateError> {
        let Some(table) = self.table else { return Ok(vec![self.nothing()?]) };
        let mut pieces = Vec::new();
        let wanted = self.wanted(keys);
        let order = wanted.by_hash();
        let mut reader = file.reader(table)?;
        let mut found = Rows::default();
        let (mut repairs, mut repair_bytes) = (Vec::new(), 0);
        let (mut bytes, mut hits) = (Vec::new(), Vec::new());
        let mut rest = order.as_slice();
        while let Some(first) = rest.first() {
            let page = self.page(wanted.hashes[*first as usize]);
            let count = rest.partition_point(|row| self.page(wanted.hashes[*row as usize]) == page);
            let (asked, others) = rest.split_at(count);
            rest = others;
            bytes.clear();
            reader.read(ids(page), &mut bytes)?;
            match self.keeps {
                Keeps::All => look(&wanted, asked, &bytes, |row, place| {
                    found.push_encoded(wanted.hashes[asked[row] as usize], &bytes[place]);
                }),
                Keeps::Newest => {
                    hits.resize(asked.len(), None);
                    look(&wanted, asked, &bytes, |row, place| hits[row] = Some(place));
                    for (row, hit) in asked.iter().zip(hits.drain(..)) {
                        let row = hit.map(|place| (wanted.hashes[*row as usize], &bytes[place]));
                        row.filter(|(_, row)| !self.is_gap(row))
                            .into_iter()
                            .for_each(|(hash, row)| found.push_encoded(hash, row));
                    }
                }
            }
            if found.bytes() >= piece_bytes {
                pieces.push(decode(&self.payload, &std::mem::take(&mut found))?);
            }
            if self.blobs[page] > BLOBS_MAX {
                repair_bytes += bytes.len();
                repairs.push((page, std::mem::take(&mut bytes)));
                if repair_bytes > REPAIR_BYTES {
                    self.repair(file, table, std::mem::take(&mut repairs))?;
                    repair_bytes = 0;
                }
            }
        }
        drop(reader);
        self.repair(file, table, repairs)?;
        pieces.push(decode(&self.payload, &found)?);
        Ok(pieces)
    }

    pub(super) fn scan(
        &self,
        file: &ScratchFile,
        cursor: &mut Cursor,
        rows: usize,
    ) -> Result<Option<ColdRows>, StateError> {
        let found = self.scan_rows(file, cursor, rows)?;
        found.map(|found| decode(&self.payload, &found)).transpose()
    }

    fn scan_rows(
        &self,
        file: &ScratchFile,
        cursor: &mut Cursor,
        rows: usize,
    ) -> Result<Option<Rows>, StateError> {
        let Some(table) = self.table else { return Ok(None) };
        let mut reader = file.reader(table)?;
        let mut bytes = Vec::new();
        let mut found = Rows::default();
        while found.len() < rows && found.bytes() < PIECE_BYTES && cursor.page < self.blobs.len() {
            if self.blobs[cursor.page] > 0 {
                bytes.clear();
                reader.read(ids(cursor.page), &mut bytes)?;
                self.tidy(&bytes).into_iter().for_each(|(hash, row)| found.push_encoded(hash, row));
            }
            cursor.page += 1;
        }
        Ok(Some(found).filter(|found| found.len() > 0))
    }

    /// Those of the keys that may be there.
    fn wanted(&self, keys: &KeyColumn) -> Rows {
        let mut wanted = Rows::default();
        keys.for_each(|key| {
            let hash = page::place_of(key);
            let page = self.page(hash);
            if self.blobs[page] > 0 && self.filters.may_hold(page, hash) {
                wanted.push(key, |_| {});
            }
        });
        wanted
    }

    /// Writes rows, in the order of their hashes, as one more blob of each page that has some of them.
    fn write(
        &mut self,
        file: &ScratchFile,
        table: u64,
        rows: &Rows,
        order: &[u32],
    ) -> Result<(), StateError> {
        let mut next = 0;
        file.insert(table, &mut |blob| {
            let page = self.page(rows.hashes[*order.get(next)? as usize]);
            while let Some(row) = order.get(next).map(|row| *row as usize)
                && self.page(rows.hashes[row]) == page
            {
                page::write(rows.hashes[row], rows.row(row), blob);
                self.filters.add(page, rows.hashes[row]);
                self.rows += 1;
                self.bytes += page::HEAD + rows.row(row).len();
                next += 1;
            }
            self.blobs[page] += 1;
            Some(id(page, self.blobs[page] - 1))
        })
    }

    /// Puts the blobs of pages together.
    fn repair(
        &mut self,
        file: &ScratchFile,
        table: u64,
        pages: Vec<(usize, Vec<u8>)>,
    ) -> Result<(), StateError> {
        if pages.is_empty() {
            return Ok(());
        }
        let mut written = Vec::with_capacity(pages.len());
        for (page, bytes) in pages {
            let rows = self.tidy(&bytes);
            self.rows = self.rows.saturating_sub(page::read(&bytes).count() - rows.len());
            let kept: usize = rows.iter().map(|(_, row)| row.len() + page::HEAD).sum();
            self.bytes = self.bytes.saturating_sub(bytes.len().saturating_sub(kept));
            self.blobs[page] = 1;
            if self.has_gaps {
                self.filters.clear(page);
                rows.iter().for_each(|(hash, _)| self.filters.add(page, *hash));
            }
            let mut blob = Vec::with_capacity(bytes.len());
            rows.into_iter().for_each(|(hash, row)| page::write(hash, row, &mut blob));
            written.push((ids(page), blob));
        }
        file.replace(table, &written)
    }

    /// Splits each page in four; unless what was removed makes up for most of the rows, and it is enough to
    /// leave that out.
    fn grow(&mut self, file: &ScratchFile, tables: &mut u64) -> Result<(), StateError> {
        let Some(old) = self.table else { return Ok(()) };
        let bits = if self.has_gaps && !self.counted(file)?.is_crowded(self.blobs.len().div_ceil(2)) {
            0
        } else {
            2
        };
        let table = next_table(file, tables)?;
        let pages = self.blobs.len() << bits;
        let mut grown = Self {
            table: Some(table),
            bits: self.bits + bits,
            blobs: vec![0; pages],
            filters: Filters::new(pages),
            keeps: self.keeps,
            ..Self::new(Arc::clone(&self.payload))
        };
        let mut cursor = Cursor::default();
        while let Some(rows) = self.scan_rows(file, &mut cursor, GROW_ROWS)? {
            grown.write(file, table, &rows, &rows.by_hash())?;
        }
        file.drop_table(old)?;
        *self = grown;
        Ok(())
    }

    /// Whether so many pages are too few.
    fn is_crowded(&self, pages: usize) -> bool {
        self.rows > pages * PAGE_ROWS_MAX || self.bytes > pages * PAGE_BYTES_MAX
    }

    /// As many rows and bytes as count, and nothing else.
    fn counted(&self, file: &ScratchFile) -> Result<Self, StateError> {
        let mut counted = Self::new(Arc::clone(&self.payload));
        let mut cursor = Cursor::default();
        while let Some(found) = self.scan_rows(file, &mut cursor, GROW_ROWS)? {
            counted.rows += found.len();
            counted.bytes += found.bytes();
        }
        Ok(counted)
    }

    /// The rows of a page that count, in the order of their hashes.
    fn tidy<'a>(&self, bytes: &'a [u8]) -> Vec<(u64, &'a [u8])> {
        let mut rows = match self.keeps {
            Keeps::All => page::sorted(bytes),
            Keeps::Newest => page::newest(bytes),
        };
        if self.has_gaps {
            rows.retain(|(_, row)| !self.is_gap(row));
        }
        rows
    }

    /// Whether a row says that its key is not there any more: it has nothing behind the key.
    fn is_gap(&self, row: &[u8]) -> bool {
        self.has_gaps && page::split(row).1.is_empty()
    }

    fn page(&self, hash: u64) -> usize {
        hash.checked_shr(u64::BITS - self.bits).unwrap_or(0) as usize
    }
}

/// Tells which of those who ask have rows in a page's bytes, and where, the oldest first. Those who ask are in the
/// order of their hashes, and so are the rows of each of the page's blobs.
fn look(wanted: &Rows, asked: &[u32], bytes: &[u8], mut hit: impl FnMut(usize, Range<usize>)) {
    let hash_of = |place: usize| asked.get(place).map(|row| wanted.hashes[*row as usize]);
    let (mut next, mut last, mut end) = (0, 0, 0);
    for (hash, row) in page::read(bytes) {
        end += page::HEAD + row.len();
        if hash < last {
            // The next blob begins.
            next = 0;
        }
        last = hash;
        while hash_of(next).is_some_and(|wanted| wanted < hash) {
            next += 1;
        }
        let mut same = next;
        while hash_of(same) == Some(hash) {
            // Both begin with the key and its length.
            if row.starts_with(wanted.row(asked[same] as usize)) {
                // Who asks for the same key again gets nothing.
                hit(same, end - row.len()..end);
                break;
            }
            same += 1;
        }
    }
}

pub(super) fn next_table(file: &ScratchFile, tables: &mut u64) -> Result<u64, StateError> {
    *tables += 1;
    file.create_table(*tables)?;
    Ok(*tables)
}

fn id(page: usize, blob: u32) -> i64 {
    ((page as i64) << BLOB_BITS) | i64::from(blob)
}

/// The ids of all blobs of a page.
fn ids(page: usize) -> (i64, i64) {
    (id(page, 0), id(page + 1, 0) - 1)
}

/// The keys and columns of rows.
pub(super) fn decode(payload: &Payload, rows: &Rows) -> Result<ColdRows, StateError> {
    let mut keys = BinaryBuilder::with_capacity(rows.len(), rows.len() * 8);
    let mut columns = payload.builders();
    for row in 0..rows.len() {
        let (key, mut values) = page::split(rows.row(row));
        keys.append_option(key);
        columns.iter_mut().try_for_each(|column| column.read(&mut values))?;
    }
    let payload = columns.into_iter().map(|column| column.finish()).collect::<Result<_, _>>()?;
    Ok(ColdRows { keys: keys.finish(), payload })
}
