//! `top`: of each group the rows that come first in an order, with their ranks.
//!
//! A group has its rows' slots sorted by the bytes of [`Order`]; of equal rows the one that came first
//! stays first. Groups whose key has the event time are kept by that time, and dropped when the
//! watermark has passed it; others are kept for ever.

mod cold;
mod order;
mod rows;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::take::take_record_batch;

pub use order::Order;
use rows::Rows;

use super::filter::failed;
use super::keys::Keys;
use super::shuffle::Shuffle;
use super::{Extent, KeyedPlan, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};
use crate::batch::{BatchCtx, EventTime};
use crate::state::cold::{ColdParts, Spill};
use crate::state::{GroupTable, KeyCodec, StateError};

/// The column that is added.
pub const RANK: &str = "rank";

/// Rows of a group at most: they are kept sorted, and go on together.
pub const ROWS_MAX: u64 = 1_000;

/// Rows of a batch that goes on, and of a chunk of state, at most.
const PIECE_ROWS: usize = 1 << 16;

/// What a `top` step does.
#[derive(Clone, Debug)]
pub struct TopPlan {
    keys: Keys,
    order: Order,
    rows_max: usize,
    when: When,
    input: SchemaRef,
    /// The columns of the input and the rank.
    schema: SchemaRef,
}

/// When a group's rows go on, and for how long they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With each batch that changed them; kept for ever.
    Always,
    /// With each batch that changed them, until the watermark has passed the time in the key.
    Until(EventTime),
    /// Once, when the watermark has passed the time in the key.
    Once(EventTime),
}

impl When {
    fn time(self) -> Option<EventTime> {
        match self {
            Self::Always => None,
            Self::Until(time) | Self::Once(time) => Some(time),
        }
    }
}

impl TopPlan {
    /// The first `rows_max` rows of each key.
    ///
    /// # Errors
    /// When a column's type cannot be a key, or the input has a column `rank`.
    pub fn new(
        keys: Keys,
        order: Order,
        rows_max: usize,
        when: When,
        input: &SchemaRef,
    ) -> Result<Self, StateError> {
        keys.codec()?;
        if input.index_of(RANK).is_ok() {
            let message = "the input has a column `rank` already: rename it with a `select` before";
            return Err(StateError::Unsupported(message.to_owned()));
        }
        let rank = Arc::new(Field::new(RANK, DataType::Int64, false));
        let fields: Vec<_> = input.fields().iter().map(Arc::clone).chain([rank]).collect();
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { keys, order, rows_max, when, input: Arc::clone(input), schema })
    }
}

impl KeyedPlan for TopPlan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn holds_back_us(&self) -> Option<i64> {
        matches!(self.when, When::Once(_)).then_some(0)
    }

    fn can_spill(&self) -> bool {
        true
    }

    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError> {
        Ok(Box::new(Top {
            codec: self.keys.codec().map_err(failed)?,
            rows: Rows::new(Arc::clone(&self.input)),
            state_schema: state::schema(self),
            plan: self.clone(),
            worker,
            workers,
            shuffle: Shuffle::new(workers),
            tables: BTreeMap::new(),
            closed_us: None,
            closed_copied_us: None,
            spare: Vec::new(),
            cold: None,
            batch: 0,
            size: StateSize::default(),
        }))
    }
}

/// A `top` step on one worker.
struct Top {
    plan: TopPlan,
    worker: u32,
    workers: u32,
    codec: KeyCodec,
    shuffle: Shuffle,
    rows: Rows,
    /// By event time; zero where the key has none.
    tables: BTreeMap<i64, Table>,
    /// Groups before this time are gone.
    closed_us: Option<i64>,
    closed_copied_us: Option<i64>,
    state_schema: SchemaRef,
    /// The bytes of a row that is looked at.
    spare: Vec<u8>,
    /// Groups that are not in memory; none where all of them must be.
    cold: Option<ColdParts>,
    /// Counts batches, where groups may leave memory.
    batch: u32,
    size: StateSize,
}

/// The groups of one event time.
#[derive(Default)]
struct Table {
    groups: GroupTable,
    tops: Vec<Group>,
    /// Groups that the current batch changed.
    touched: Vec<u32>,
    /// Groups that changed since the last snapshot.
    changed: Vec<u32>,
}

/// The first rows of one key, in order.
#[derive(Default)]
struct Group {
    rows: Vec<Ranked>,
    /// The batch that touched it last.
    batch: u32,
    is_touched: bool,
    is_changed: bool,
}

/// A row and what it is ordered by.
struct Ranked {
    bytes: Vec<u8>,
    place: Place,
}

/// Where a row is.
#[derive(Clone, Copy)]
enum Place {
    /// Among those that are being taken.
    New(u32),
    Slot(u32),
}

impl Place {
    fn slot(self) -> Option<u32> {
        match self {
            Self::Slot(slot) => Some(slot),
            Self::New(_) => None,
        }
    }
}

impl Group {
    fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().filter_map(|row| row.place.slot())
    }
}

impl Top {
    /// Takes rows in the order in which they came.
    fn take_rows(&mut self, rows: &RecordBatch) -> Result<(), StepError> {
        for (time_us, rows) in self.by_time(rows)? {
            self.take_at(time_us, &rows)?;
        }
        Ok(())
    }

    /// Rows by the time of their tables, each in their order.
    fn by_time(&self, rows: &RecordBatch) -> Result<Vec<(i64, RecordBatch)>, StepError> {
        let Some(time) = self.plan.when.time() else {
            return Ok(vec![(0, rows.clone())]);
        };
        let mut by_time: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, time_us) in (0..).zip(time.times(rows).values()) {
            by_time.entry(*time_us).or_default().push(row);
        }
        let select = |(time_us, numbers): (i64, Vec<u32>)| {
            if numbers.len() == rows.num_rows() {
                return Ok((time_us, rows.clone()));
            }
            Ok((time_us, take_record_batch(rows, &UInt32Array::from(numbers)).map_err(failed)?))
        };
        by_time.into_iter().map(select).collect()
    }

    /// Lets the rows of the groups go that these rows belong to.
    fn empty_groups(&mut self, time_us: i64, rows: &RecordBatch) -> Result<(), StepError> {
        let keys = self.plan.keys.of(rows)?.keys;
        let keys = self.codec.encode(&keys, rows.num_rows()).map_err(failed)?;
        if let Some(table) = self.tables.get_mut(&time_us) {
            for id in table.groups.find(&keys).into_iter().flatten() {
                let group = &mut table.tops[id as usize];
                group.slots().for_each(|slot| self.rows.remove(slot));
                group.rows.clear();
            }
        }
        Ok(())
    }

    /// Takes rows of one event time.
    fn take_at(&mut self, time_us: i64, rows: &RecordBatch) -> Result<(), StepError> {
        let keys = self.plan.keys.of(rows)?.keys;
        let keys = self.codec.encode(&keys, rows.num_rows()).map_err(failed)?;
        let ranks = self.plan.order.ranks(rows).map_err(failed)?;
        let table = self.tables.entry(time_us).or_default();
        let mut ids = Vec::new();
        table.groups.groups(&keys, &mut ids).map_err(failed)?;
        table.tops.resize_with(table.groups.len(), Group::default);
        let mut grown = Vec::new();
        for (row, id) in (0u32..).zip(ids) {
            ranks.write(row as usize, &mut self.spare);
            let group = &mut table.tops[id as usize];
            let is_full = group.rows.len() == self.plan.rows_max;
            if is_full && group.rows.last().is_some_and(|last| last.bytes <= self.spare) {
                continue;
            }
            // The buffer of the row that has to go is that of the next one.
            let mut bytes = Vec::new();
            if let Some(last) = group.rows.pop_if(|_| is_full) {
                if let Place::Slot(slot) = last.place {
                    self.rows.remove(slot);
                }
                bytes = last.bytes;
            }
            std::mem::swap(&mut bytes, &mut self.spare);
            let place = group.rows.partition_point(|other| other.bytes <= bytes);
            group.rows.insert(place, Ranked { bytes, place: Place::New(row) });
            group.batch = self.batch;
            if !std::mem::replace(&mut group.is_touched, true) {
                table.touched.push(id);
            }
            grown.push(id);
        }
        grown.sort_unstable();
        grown.dedup();
        keep(&mut self.rows, table, &grown, rows)
    }

    /// Groups before the watermark go; answers with their times.
    fn close(&mut self, watermark_us: i64) -> BTreeMap<i64, Table> {
        let open = self.tables.split_off(&watermark_us);
        let closed = std::mem::replace(&mut self.tables, open);
        self.closed_us = self.closed_us.max(Some(watermark_us));
        closed
    }

    /// Bytes of memory.
    fn bytes(&self) -> u64 {
        let groups = || self.tables.values().flat_map(|table| &table.tops);
        let rows =
            groups().flat_map(|group| &group.rows).map(|row| row.bytes.capacity() + size_of::<Ranked>());
        let tables: usize = self.tables.values().map(|table| table.groups.bytes()).sum();
        (rows.sum::<usize>() + tables + groups().count() * size_of::<Group>() + self.rows.bytes()) as u64
    }

    /// Forgets the rows of tables that are gone.
    fn let_go(&mut self, tables: &BTreeMap<i64, Table>) {
        let groups = tables.values().flat_map(|table| &table.tops);
        groups.flat_map(Group::slots).for_each(|slot| self.rows.remove(slot));
    }

    /// The rows of groups with their ranks.
    fn ranked(&self, table: &Table, ids: &[u32], out: &mut Vec<RecordBatch>) -> Result<(), StepError> {
        let (mut slots, mut ranks) = (Vec::new(), Vec::new());
        for (number, id) in ids.iter().enumerate() {
            slots.extend(table.tops[*id as usize].slots());
            ranks.extend(1..=table.tops[*id as usize].rows.len() as i64);
            if slots.len() >= PIECE_ROWS || (number + 1 == ids.len() && !slots.is_empty()) {
                let rows = self.rows.gather(&slots).map_err(failed)?;
                let mut columns = rows.columns().to_vec();
                columns.push(Arc::new(Int64Array::from(std::mem::take(&mut ranks))));
                out.push(RecordBatch::try_new(Arc::clone(&self.plan.schema), columns).map_err(failed)?);
                slots.clear();
            }
        }
        Ok(())
    }
}

/// Gives the rows of groups that are new their slots.
fn keep(kept: &mut Rows, table: &mut Table, ids: &[u32], rows: &RecordBatch) -> Result<(), StepError> {
    let mut numbers = Vec::new();
    for id in ids {
        let places = table.tops[*id as usize].rows.iter().map(|row| row.place);
        numbers.extend(places.filter_map(|place| match place {
            Place::New(row) => Some(row),
            Place::Slot(_) => None,
        }));
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let rows = take_record_batch(rows, &UInt32Array::from(numbers)).map_err(failed)?;
    let mut slots = kept.insert(rows).map_err(failed)?.into_iter();
    for id in ids {
        let rows = table.tops[*id as usize].rows.iter_mut();
        let new = rows.filter(|row| matches!(row.place, Place::New(_)));
        new.zip(&mut slots).for_each(|(row, slot)| row.place = Place::Slot(slot));
    }
    Ok(())
}

impl KeyedStep for Top {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        let on_time = self.plan.keys.of_on_time(input, self.plan.when.time(), ctx.watermark_us)?;
        self.shuffle.deal(port, ctx.order, on_time.rows, &self.codec, &on_time.keys)?;
        Ok(on_time.refused)
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        Ok(self.shuffle.take())
    }

    fn merge(&mut self, _: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        self.size = StateSize::default();
        self.bring(parcels.iter().map(|parcel| &parcel.rows))?;
        parcels.iter().try_for_each(|parcel| self.take_rows(&parcel.rows))
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        let mut out = Vec::new();
        let is_once = matches!(self.plan.when, When::Once(_));
        if !is_once {
            for table in self.tables.values() {
                self.ranked(table, &table.touched, &mut out)?;
            }
        }
        for table in self.tables.values_mut() {
            self.size.updated += table.touched.len() as u64;
            table.settle();
        }
        if let Some(watermark_us) = ctx.watermark_us.filter(|_| self.plan.when.time().is_some()) {
            if is_once {
                self.bring_closed(watermark_us)?;
            }
            self.size.removed = self.close_cold(watermark_us)?;
            let closed = self.close(watermark_us);
            self.size.removed += closed.values().map(|table| table.groups.len() as u64).sum::<u64>();
            if is_once {
                for table in closed.values() {
                    self.ranked(table, &table.sorted(), &mut out)?;
                }
            }
            self.let_go(&closed);
        }
        self.make_room().map_err(StepError::of_state)?;
        Ok(out)
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.set_spill(spill)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.copy_first(extent)
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        self.copy_next()
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        state::restore(self, chunk)
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        state::look(self)
    }

    fn size(&self) -> StateSize {
        let cold = self.cold.as_ref();
        let keys_cold = cold.map_or(0, ColdParts::keys);
        StateSize {
            keys: self.tables.values().map(|table| table.groups.len() as u64).sum::<u64>() + keys_cold,
            bytes: self.bytes() + cold.map_or(0, ColdParts::bytes),
            keys_cold,
            bytes_cold: cold.map_or(0, ColdParts::file_bytes),
            ..self.size
        }
    }
}

impl Table {
    /// Ends the batch: what it touched has changed for the next snapshot.
    fn settle(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            let group = &mut self.tops[id as usize];
            group.is_touched = false;
            if !std::mem::replace(&mut group.is_changed, true) {
                self.changed.push(id);
            }
        }
    }

    /// Forgets what was touched by rows that came back from a checkpoint.
    fn forget_touched(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            self.tops[id as usize].is_touched = false;
        }
    }

    /// All groups by key, so that the order says nothing of what came first.
    fn sorted(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = (0..self.groups.len() as u32).collect();
        ids.sort_unstable_by_key(|id| self.groups.keys().get(*id));
        ids
    }
}
