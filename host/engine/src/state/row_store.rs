//! Whole rows by group and time: what is kept of a stream until nothing can need it any more.
//!
//! Some rows are old: they have been out of memory, and came before all others of their group and time
//! whatever their ids say.
//!
//! Rows lie in segments as they came. Beside them is an index entry each, whose number is the row's id:
//! its time, its group, and the row of the same group before it. Which rows are old is known by
//! buckets of time. A dead row leaves its group's chain when somebody comes along it, its segment when
//! that has no other rows, and the index when the owner compacts.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave;
use arrow_select::take::{take, take_record_batch};

use super::StateError;

/// No row, or no group.
pub const NONE: u32 = u32::MAX;

/// Segments with fewer rows are put together: each costs several allocations a column.
const SEGMENT_ROWS_MIN: usize = 1024;

const DEAD: u8 = 1;
const MARKED: u8 = 2;
const OLD: u8 = 4;

#[derive(Clone, Copy, Debug)]
struct Row {
    time_us: i64,
    group: u32,
    /// The row of the same group that came before.
    next: u32,
    segment: u32,
    flags: u8,
}

#[derive(Debug)]
struct Segment {
    /// Empty when all of its rows are dead.
    rows: RecordBatch,
    /// Ids of its rows: they follow each other.
    first: u32,
    count: u32,
    live: u32,
    bytes: usize,
}

#[derive(Debug)]
struct Bucket {
    /// No row of it is older.
    min_us: i64,
    ids: Vec<u32>,
}

/// Rows of one schema by group and time, in the order in which they came.
#[derive(Debug)]
pub struct RowStore {
    schema: SchemaRef,
    /// By group: its newest row.
    heads: Vec<u32>,
    rows: Vec<Row>,
    segments: Vec<Segment>,
    /// By time, without so many low bits.
    buckets: BTreeMap<i64, Bucket>,
    shift: u32,
    dead: usize,
    /// Segments that may have no live rows any more.
    emptied: Vec<u32>,
    /// Rows below were there at the last `saved`.
    saved: u32,
    /// Group and time of those that were marked since.
    changed: Vec<(u32, i64)>,
}

impl RowStore {
    /// A store for rows that are kept for about `keep_us` microseconds of their time.
    #[must_use]
    pub fn new(schema: SchemaRef, keep_us: i64) -> Self {
        // Of the bucket at the edge each row is looked at when rows expire, so buckets are many.
        let shift = (keep_us.max(1) / 64).max(1).ilog2();
        Self {
            schema,
            heads: Vec::new(),
            rows: Vec::new(),
            segments: Vec::new(),
            buckets: BTreeMap::new(),
            shift,
            dead: 0,
            emptied: Vec::new(),
            saved: 0,
            changed: Vec::new(),
        }
    }

    /// Rows that are not dead.
    #[must_use]
    pub fn live(&self) -> usize {
        self.rows.len() - self.dead
    }

    /// Dead rows that compacting would free.
    #[must_use]
    pub fn dead(&self) -> usize {
        self.dead
    }

    /// Makes room for groups with ids below `groups`.
    pub fn reserve_groups(&mut self, groups: usize) {
        self.heads.resize(groups, NONE);
    }

    /// Appends rows with the time and group of each; answers with their ids.
    ///
    /// # Errors
    /// When there would be more rows than ids.
    pub fn append(
        &mut self,
        rows: RecordBatch,
        times_us: &[i64],
        groups: &[u32],
    ) -> Result<Range<u32>, StateError> {
        let new = self.append_as(rows, times_us, groups, 0)?;
        self.place(new.start, times_us);
        self.join_small_segments()?;
        Ok(new)
    }

    /// Appends old rows, of which copies of the state know; `expire` does, too, if they stay.
    ///
    /// # Errors
    /// When there would be more rows than ids.
    pub fn append_old(
        &mut self,
        rows: RecordBatch,
        times_us: &[i64],
        groups: &[u32],
        stay: bool,
    ) -> Result<Range<u32>, StateError> {
        let new = self.append_as(rows, times_us, groups, OLD)?;
        if stay {
            self.place(new.start, times_us);
        }
        self.join_small_segments()?;
        Ok(new)
    }

    fn append_as(
        &mut self,
        rows: RecordBatch,
        times_us: &[i64],
        groups: &[u32],
        flags: u8,
    ) -> Result<Range<u32>, StateError> {
        let count = rows.num_rows();
        if self.rows.len() + count >= NONE as usize {
            return Err(StateError::TooLarge(format!(
                "a table of state has {} rows, the most that it can hold: keep them for a shorter time or use more \
                 workers",
                self.rows.len()
            )));
        }
        if count == 0 {
            let end = self.rows.len() as u32;
            return Ok(end..end);
        }
        let (first, segment) = (self.rows.len() as u32, self.segments.len() as u32);
        let new = first..first + count as u32;
        self.rows.extend(new.clone().zip(times_us.iter().zip(groups)).map(|(id, (time_us, group))| {
            let next = std::mem::replace(&mut self.heads[*group as usize], id);
            Row { time_us: *time_us, group: *group, next, segment, flags }
        }));
        let bytes = rows.get_array_memory_size();
        self.segments.push(Segment { rows, first, count: count as u32, live: count as u32, bytes });
        Ok(new)
    }

    /// A row's group and time.
    #[must_use]
    pub fn place_of(&self, id: u32) -> (u32, i64) {
        let row = &self.rows[id as usize];
        (row.group, row.time_us)
    }

    /// Sets `found` to the live rows of a group whose time is in a range: the latest first, and of one time those
    /// first that came last.
    pub fn find(&mut self, group: u32, times_us: &RangeInclusive<i64>, found: &mut Vec<u32>) {
        found.clear();
        let mut before = NONE;
        let mut at = self.heads[group as usize];
        while at != NONE {
            let row = self.rows[at as usize];
            if row.flags & DEAD != 0 {
                // Nobody comes by it again.
                match before {
                    NONE => self.heads[group as usize] = row.next,
                    before => self.rows[before as usize].next = row.next,
                }
            } else {
                if times_us.contains(&row.time_us) {
                    found.push(at);
                }
                before = at;
            }
            at = row.next;
        }
        let place = |id: &u32| {
            let row = &self.rows[*id as usize];
            (Reverse(row.time_us), row.flags & OLD, Reverse(*id))
        };
        if !found.is_sorted_by_key(place) {
            found.sort_unstable_by_key(place);
        }
    }

    /// Marks a row, until it is gone.
    pub fn mark(&mut self, id: u32) {
        let row = &mut self.rows[id as usize];
        if row.flags & MARKED == 0 {
            row.flags |= MARKED;
            if id < self.saved || row.flags & OLD != 0 {
                self.changed.push((row.group, row.time_us));
            }
        }
    }

    /// Marks a row if it is old, and copies of the state know of the mark.
    pub fn mark_old(&mut self, id: u32) {
        let row = &mut self.rows[id as usize];
        row.flags |= if row.flags & OLD == 0 { 0 } else { MARKED };
    }

    /// Whether a row is old.
    #[must_use]
    pub fn is_old(&self, id: u32) -> bool {
        self.rows[id as usize].flags & OLD != 0
    }

    /// Whether a row is not dead.
    #[must_use]
    pub fn is_live(&self, id: u32) -> bool {
        self.rows[id as usize].flags & DEAD == 0
    }

    /// Whether a row came since the last `saved`.
    #[must_use]
    pub fn is_new(&self, id: u32) -> bool {
        id >= self.saved && !self.is_old(id)
    }

    /// The live rows that came first, so many of those that are not before a time and not old.
    #[must_use]
    pub fn first(&self, count: usize, since_us: i64) -> Vec<u32> {
        let ids = 0..self.rows.len() as u32;
        let leaves = |id: &u32| {
            let row = &self.rows[*id as usize];
            row.flags & (DEAD | OLD) == 0 && row.time_us >= since_us
        };
        ids.filter(leaves).take(count).collect()
    }

    /// Whether a row is marked.
    #[must_use]
    pub fn is_marked(&self, id: u32) -> bool {
        self.rows[id as usize].flags & MARKED != 0
    }

    /// A row is not found any more. Its columns can be had until `release`.
    pub fn kill(&mut self, id: u32) {
        let row = &mut self.rows[id as usize];
        if row.flags & DEAD != 0 {
            return;
        }
        row.flags |= DEAD;
        self.dead += 1;
        let segment = &mut self.segments[row.segment as usize];
        segment.live -= 1;
        if segment.live == 0 {
            self.emptied.push(row.segment);
        }
    }

    /// Kills the rows before a time, and appends their ids to `gone`.
    pub fn expire(&mut self, before_us: i64, gone: &mut Vec<u32>) {
        while let Some(first) = self.buckets.first_entry().filter(|first| first.get().min_us < before_us) {
            let (number, mut bucket) = first.remove_entry();
            bucket.min_us = i64::MAX;
            bucket.ids.retain(|id| {
                let row = self.rows[*id as usize];
                let is_live = row.flags & DEAD == 0;
                let is_old = row.time_us < before_us;
                if is_live && is_old {
                    self.kill(*id);
                    gone.push(*id);
                } else if is_live {
                    bucket.min_us = bucket.min_us.min(row.time_us);
                }
                is_live && !is_old
            });
            if !bucket.ids.is_empty() {
                self.buckets.insert(number, bucket);
                return;
            }
        }
    }

    /// Some columns of rows, in the order of `ids`.
    ///
    /// # Errors
    /// When a column would be too large.
    pub fn gather(&self, ids: &[u32], columns: &[usize]) -> Result<Vec<ArrayRef>, StateError> {
        let mut numbers = vec![NONE; self.segments.len()];
        let mut segments: Vec<&Segment> = Vec::new();
        let mut places = Vec::with_capacity(ids.len());
        for id in ids {
            let segment = self.rows[*id as usize].segment as usize;
            if numbers[segment] == NONE {
                numbers[segment] = segments.len() as u32;
                segments.push(&self.segments[segment]);
            }
            let number = numbers[segment] as usize;
            places.push((number, (*id - segments[number].first) as usize));
        }
        if let [only] = segments.as_slice() {
            let rows: UInt32Array = ids.iter().map(|id| id - only.first).collect();
            let taken = columns.iter().map(|column| take(only.rows.column(*column), &rows, None));
            return Ok(taken.collect::<Result<_, _>>()?);
        }
        let gather = |column: &usize| {
            let arrays: Vec<&dyn Array> =
                segments.iter().map(|segment| segment.rows.column(*column).as_ref()).collect();
            if arrays.is_empty() {
                return Ok(arrow_array::new_empty_array(self.schema.field(*column).data_type()));
            }
            interleave(&arrays, &places)
        };
        Ok(columns.iter().map(gather).collect::<Result<_, _>>()?)
    }

    /// Frees the columns of segments whose rows are all dead.
    pub fn release(&mut self) {
        for segment in self.emptied.drain(..) {
            if let Some(segment) = self.segments.get_mut(segment as usize).filter(|segment| segment.live == 0)
            {
                segment.rows = RecordBatch::new_empty(self.schema.clone());
                segment.bytes = 0;
            }
        }
    }

    /// Ids of the live rows in the order in which they came, as far as that matters; only of those that are
    /// new, or of all.
    pub fn ids(&self, only_new: bool) -> impl Iterator<Item = u32> {
        let from = if only_new { self.saved } else { 0 };
        let all = move |flags: u8| {
            let rows = from..self.rows.len() as u32;
            rows.filter(move |id| self.rows[*id as usize].flags & (DEAD | OLD) == flags)
        };
        let has_old = !only_new && self.rows.iter().any(|row| row.flags & OLD != 0);
        has_old.then(|| all(OLD)).into_iter().flatten().chain(all(0))
    }

    /// Group and time of the rows that were there at the last `saved` and were marked since.
    #[must_use]
    pub fn changed(&self) -> &[(u32, i64)] {
        &self.changed
    }

    /// All that is here now is old from now on.
    pub fn saved(&mut self) {
        self.saved = self.rows.len() as u32;
        self.changed.clear();
    }

    /// Sets `true` for each group that a live row or a change belongs to; forgets changes before a time.
    pub fn groups_used(&mut self, used: &mut [bool], since_us: i64) {
        self.changed.retain(|(_, time_us)| *time_us >= since_us);
        self.changed.iter().for_each(|(group, _)| used[*group as usize] = true);
        let live = self.rows.iter().filter(|row| row.flags & DEAD == 0);
        live.for_each(|row| used[row.group as usize] = true);
    }

    /// Forgets the dead rows: ids are new, and groups are those that `renamed` gives by the old ones, with
    /// ids below `groups`.
    ///
    /// # Errors
    /// When columns cannot be copied.
    pub fn compact(&mut self, renamed: &[u32], groups: usize) -> Result<(), StateError> {
        let mut new = Self { shift: self.shift, ..Self::new(self.schema.clone(), 0) };
        new.reserve_groups(groups);
        let mut times_us = Vec::new();
        let mut new_groups = Vec::new();
        for segment in self.segments.drain(..).filter(|segment| segment.live > 0) {
            let ids = segment.first..segment.first + segment.count;
            let live: Vec<u32> = ids.filter(|id| self.rows[*id as usize].flags & DEAD == 0).collect();
            let rows = if segment.live == segment.count {
                segment.rows
            } else {
                let numbers: UInt32Array = live.iter().map(|id| id - segment.first).collect();
                take_record_batch(&segment.rows, &numbers)?
            };
            let row = |id: &u32| self.rows[*id as usize];
            times_us.clear();
            times_us.extend(live.iter().map(|id| row(id).time_us));
            new_groups.clear();
            new_groups.extend(live.iter().map(|id| renamed[row(id).group as usize]));
            for (new_id, id) in new.append(rows, &times_us, &new_groups)?.zip(&live) {
                new.rows[new_id as usize].flags = row(id).flags;
            }
            new.saved += live.iter().filter(|id| **id < self.saved).count() as u32;
        }
        new.changed =
            self.changed.iter().map(|(group, time_us)| (renamed[*group as usize], *time_us)).collect();
        *self = new;
        Ok(())
    }

    /// Bytes of memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes).sum::<usize>()
            + self.rows.capacity() * size_of::<Row>()
            + self.rows.len() * size_of::<u32>()
            + self.heads.capacity() * size_of::<u32>()
    }

    fn place(&mut self, first: u32, times_us: &[i64]) {
        let mut id = first;
        for run in times_us.chunk_by(|a, b| a >> self.shift == b >> self.shift) {
            let min_us = run.iter().copied().min().unwrap_or(i64::MAX);
            let empty = || Bucket { min_us, ids: Vec::new() };
            let bucket = self.buckets.entry(run[0] >> self.shift).or_insert_with(empty);
            bucket.min_us = bucket.min_us.min(min_us);
            bucket.ids.extend(id..id + run.len() as u32);
            id += run.len() as u32;
        }
    }

    /// Of the last segments, joins those that are small, so that a row is copied a few times at most.
    fn join_small_segments(&mut self) -> Result<(), StateError> {
        while let [.., before, last] = self.segments.as_slice() {
            let (rows, more) = (before.rows.num_rows(), last.rows.num_rows());
            let is_freed = rows < before.count as usize;
            if is_freed || rows > 2 * more || rows + more > SEGMENT_ROWS_MIN {
                return Ok(());
            }
            let joined = concat_batches(&self.schema, [&before.rows, &last.rows])?;
            let number = self.segments.len() as u32 - 2;
            self.rows[last.first as usize..].iter_mut().for_each(|row| row.segment = number);
            let (first, count, live) = (before.first, before.count + last.count, before.live + last.live);
            let bytes = joined.get_array_memory_size();
            self.segments.truncate(number as usize);
            self.segments.push(Segment { rows: joined, first, count, live, bytes });
        }
        Ok(())
    }
}
