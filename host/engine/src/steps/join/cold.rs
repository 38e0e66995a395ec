//! Rows that memory has no room for: those that came first, in a scratch file by side, stretch of time and key.
//!
//! They never change and are looked at only when rows of their key come from the other side. Then they are
//! guests in memory for that batch. That one had a match is written as a mark on its key and time, beside the
//! rows, and says the same of all rows there. A stretch goes as a whole once the watermark has passed it.
//! Only where rows without a match come out it comes back before that: they have to come out one by one.

mod copy;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::Field;
use arrow_select::filter::filter;
use arrow_select::take::take;

use self::copy::Copying;
use super::step::Join;
use super::stretches::Stretches;
use crate::batch::timestamp_us;
use crate::state::cold::{ColdLog, ColdRows, ColdSpace, ColdStore, Cursor, Payload, Share, Spill};
use crate::state::{KeyColumn, RowStore, StateError};
use crate::steps::Parcel;

/// Bounds of what is written at a time.
const PIECE_ROWS: usize = 1 << 16;
const PIECE_BYTES: u64 = 64 << 20;

/// Rows that come back at a time when all of a stretch do.
const SCAN_ROWS: usize = 1 << 14;

/// The rows of one worker that are not in memory.
pub(super) struct Cold {
    share: Share,
    store: ColdStore,
    sides: [Side; 2],
    copying: Option<Copying>,
}

/// Those of one side.
struct Side {
    rows: Arc<Payload>,
    marks: Arc<Payload>,
    stretches: Stretches<Stretch>,
    /// Rows before this time are in memory: their stretch has come back for good.
    stays_us: i64,
    /// Rows that left memory and are in no copy.
    changed: ColdLog,
    /// Rows that are in memory for this batch.
    guests: Vec<Guest>,
}

/// Rows of a stretch of time, as the state of a side has them, and the times of those that had a match since.
struct Stretch {
    rows: ColdSpace,
    marks: ColdSpace,
    /// Rows that are not in memory and wait.
    waiting: u64,
}

struct Guest {
    id: u32,
    was_matched: bool,
}

impl Side {
    fn new(schema: &arrow_schema::Schema) -> Result<Self, StateError> {
        let time = Field::new("time", timestamp_us(), false);
        let rows = Arc::new(Payload::new(schema.fields().iter().map(AsRef::as_ref))?);
        Ok(Self {
            changed: ColdLog::new(Arc::clone(&rows)),
            rows,
            marks: Arc::new(Payload::new([&time])?),
            stretches: Stretches::new(),
            stays_us: i64::MIN,
            guests: Vec::new(),
        })
    }

    fn stretch_at(&mut self, time_us: i64) -> &mut Stretch {
        let (rows, marks) = (&self.rows, &self.marks);
        self.stretches.at(time_us, || Stretch {
            rows: ColdSpace::of_lists(Arc::clone(rows)),
            marks: ColdSpace::of_lists(Arc::clone(marks)),
            waiting: 0,
        })
    }

    fn waiting(&self) -> u64 {
        self.stretches.values().map(|stretch| stretch.waiting).sum()
    }

    fn bytes(&self) -> u64 {
        let known = self.stretches.values().map(|stretch| stretch.rows.bytes() + stretch.marks.bytes());
        (known.sum::<usize>() + self.stretches.len() * 2 * size_of::<Stretch>()) as u64
    }
}

impl Cold {
    /// Rows that are not in memory.
    pub(super) fn waiting(&self) -> u64 {
        self.sides.iter().map(Side::waiting).sum()
    }

    /// Bytes of memory that know of them.
    pub(super) fn bytes(&self) -> u64 {
        self.sides.iter().map(Side::bytes).sum()
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.store.file_bytes()
    }

    /// Takes note that what is in memory takes so many bytes. If that is too much, the answer is how many it
    /// should take.
    fn goal(&mut self, bytes: u64) -> Option<u64> {
        let known = self.bytes();
        Some(self.share.uses(bytes + known)?.saturating_sub(known))
    }
}

impl Join {
    /// From now on rows may leave memory.
    pub(super) fn set_spill(&mut self, spill: Spill) -> Result<(), StateError> {
        self.cold = Some(Cold {
            share: Share::new(spill.budget),
            store: ColdStore::new(spill.path),
            sides: [Side::new(&self.rows_schema(0))?, Side::new(&self.rows_schema(1))?],
            copying: None,
        });
        Ok(())
    }

    /// Brings the rows into memory that rows of this batch may match.
    pub(super) fn welcome(&mut self, parcels: &[Parcel]) -> Result<(), StateError> {
        let (before_us, after_us) = (self.plan.before_us, self.plan.after_us);
        for side in 0..2 {
            let other = 1 - side;
            if self.cold.as_ref().is_none_or(|cold| cold.sides[other].stretches.is_empty()) {
                continue;
            }
            let (mut keys, mut reaches) = (BinaryBuilder::new(), Vec::new());
            for Parcel { rows, .. } in parcels.iter().filter(|parcel| parcel.port == side) {
                let column = self.encode(side, rows)?;
                column.for_each(|key| keys.append_option(key));
                let (back_us, ahead_us) =
                    if side == 0 { (before_us, after_us) } else { (after_us, before_us) };
                let times = self.plan.inputs[side].time.times(rows);
                let reach = |us: &i64| (us.saturating_sub(back_us), us.saturating_add(ahead_us));
                reaches.extend(times.values().iter().map(reach));
            }
            self.invite(other, &keys.finish(), &reaches)?;
        }
        Ok(())
    }

    /// Brings rows of a side into memory, those with these keys and times, and maybe others of the keys.
    pub(super) fn invite(
        &mut self,
        side: usize,
        keys: &BinaryArray,
        reaches: &[(i64, i64)],
    ) -> Result<(), StateError> {
        for start_us in self.cold.as_ref().map_or(Vec::new(), |cold| cold.sides[side].stretches.starts()) {
            let Some(cold) = &mut self.cold else { return Ok(()) };
            let Some((last_us, stretch)) = cold.sides[side].stretches.get_mut(start_us) else { continue };
            let wanted: BooleanArray =
                reaches.iter().map(|(from, to)| Some(*from <= last_us && *to >= start_us)).collect();
            if wanted.true_count() == 0 {
                continue;
            }
            let keys = KeyColumn::Bytes(filter(keys, &wanted)?.as_binary().clone());
            let pieces = cold.store.find_all(&mut stretch.rows, &keys)?;
            let marks = cold.store.find_all(&mut stretch.marks, &keys)?;
            let mut guests = Vec::new();
            for rows in pieces {
                guests.extend(self.take_in(side, rows, false)?);
            }
            self.take_marks(side, &marks);
            let store = &self.sides[side];
            guests.retain(|id| store.is_live(*id));
            let guests = guests.into_iter().map(|id| Guest { id, was_matched: store.is_marked(id) });
            if let Some(cold) = &mut self.cold {
                cold.sides[side].guests.extend(guests);
            }
        }
        Ok(())
    }

    /// Ends the stay of the guests. What matched is written where they came from.
    pub(super) fn see_off(&mut self) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let is_filter = self.plan.kind.is_filter();
        for (own, store) in cold.sides.iter_mut().zip(&mut self.sides) {
            let mut marks: BTreeMap<i64, (Vec<u32>, Vec<i64>)> = BTreeMap::new();
            for Guest { id, was_matched } in std::mem::take(&mut own.guests) {
                if store.is_marked(id) && !was_matched {
                    let (group, time_us) = store.place_of(id);
                    let (groups, times_us) = marks.entry(own.stretches.start_of(time_us)).or_default();
                    groups.push(group);
                    times_us.push(time_us);
                }
                store.kill(id);
            }
            for (start_us, (groups, times_us)) in marks {
                let stretch = own.stretch_at(start_us);
                if is_filter {
                    stretch.waiting = stretch.waiting.saturating_sub(groups.len() as u64);
                }
                let times = TimestampMicrosecondArray::from(times_us).with_timezone("UTC");
                let keys = self.groups.keys().gather(&groups)?;
                cold.store.put(&mut stretch.marks, &keys, &[Arc::new(times) as ArrayRef])?;
            }
        }
        Ok(())
    }

    /// Before rows of a side expire: drops the stretches that are over, or brings them back where their rows
    /// come out.
    pub(super) fn expire_cold(&mut self, side: usize, before_us: i64) -> Result<(), StateError> {
        let comes_out = self.plan.kind.emits_alone()[side];
        loop {
            let Some(cold) = &mut self.cold else { return Ok(()) };
            let own = &mut cold.sides[side];
            let first = own.stretches.first().filter(|(start_us, _)| *start_us < before_us);
            let Some((start_us, last_us)) = first else { return Ok(()) };
            if !comes_out && last_us >= before_us {
                return Ok(());
            }
            let Some(mut stretch) = own.stretches.remove(start_us) else { return Ok(()) };
            if comes_out {
                own.stays_us = own.stays_us.max(last_us.saturating_add(1));
                self.bring_back(side, &mut stretch, last_us < before_us)?;
            }
            if let Some(cold) = &mut self.cold {
                cold.store.remove(&stretch.rows)?;
                cold.store.remove(&stretch.marks)?;
            }
        }
    }

    /// When the state is over the budget: lets rows leave memory, those first that came first.
    pub(super) fn make_room(&mut self) -> Result<(), StateError> {
        let hot = self.bytes();
        let Some(goal) = self.cold.as_mut().and_then(|cold| cold.goal(hot)) else { return Ok(()) };
        let live: usize = self.sides.iter().map(RowStore::live).sum();
        let row_bytes = (hot / (live as u64).max(1)).max(1);
        let piece_rows = usize::try_from(PIECE_BYTES / row_bytes).unwrap_or(1).clamp(1, PIECE_ROWS);
        let mut any = false;
        for side in 0..2 {
            let live = self.sides[side].live();
            let keep = (live as u128 * u128::from(goal) / u128::from(hot.max(1))) as usize;
            let Some(cold) = &mut self.cold else { return Ok(()) };
            let gone = self.sides[side].first(live.saturating_sub(keep), cold.sides[side].stays_us);
            any |= !gone.is_empty();
            let times = gone.iter().map(|id| self.sides[side].place_of(*id).1);
            let (least, most) =
                times.fold((i64::MAX, i64::MIN), |(least, most), us| (least.min(us), most.max(us)));
            if least <= most {
                // The rest of those that are kept for as long is still to come.
                let keeps_us = self.plan.keeps_us()[side].unsigned_abs();
                cold.sides[side].stretches.suit(most.abs_diff(least).max(keeps_us));
            }
            gone.chunks(piece_rows).try_for_each(|ids| self.let_go(side, ids))?;
        }
        if any {
            self.compact(true)?;
        }
        // What is left is over the budget only where that is smaller than what knows of cold rows.
        let hot = self.bytes();
        self.cold.as_mut().map(|cold| cold.goal(hot));
        Ok(())
    }

    /// Takes the rows of a stretch into memory, which is dropped then: where it is over, those alone that come
    /// out.
    fn bring_back(&mut self, side: usize, stretch: &mut Stretch, is_over: bool) -> Result<(), StateError> {
        let mut cursor = Cursor::default();
        while let Some(cold) = &mut self.cold
            && let Some(rows) = cold.store.scan(&stretch.rows, &mut cursor, SCAN_ROWS)?
        {
            let marks = cold.store.find_all(&mut stretch.marks, &KeyColumn::Bytes(rows.keys.clone()))?;
            if is_over {
                let rows = self.unmatched(side, rows, &marks)?;
                self.take_in(side, rows, true)?;
                continue;
            }
            self.take_in(side, rows, true)?;
            self.take_marks(side, &marks);
        }
        Ok(())
    }

    /// Takes rows of the file into memory.
    fn take_in(
        &mut self,
        side: usize,
        rows: ColdRows,
        stay: bool,
    ) -> Result<std::ops::Range<u32>, StateError> {
        self.groups.groups(&KeyColumn::Bytes(rows.keys), &mut self.ids)?;
        self.sides.iter_mut().for_each(|side| side.reserve_groups(self.groups.len()));
        let mut columns = rows.payload;
        let matched = columns.pop();
        let batch = RecordBatch::try_new(Arc::clone(&self.plan.inputs[side].schema), columns)?;
        let times_us = self.plan.inputs[side].time.times(&batch).clone();
        let store = &mut self.sides[side];
        let ids = store.append_old(batch, times_us.values(), &self.ids, stay)?;
        if let Some(matched) = &matched {
            let matched = ids.clone().zip(matched.as_boolean().values());
            matched.filter(|(_, matched)| *matched).for_each(|(id, _)| store.mark_old(id));
        }
        Ok(ids)
    }

    /// Takes marks of the file to rows in memory that have come from there.
    fn take_marks(&mut self, side: usize, marks: &[ColdRows]) {
        let store = &mut self.sides[side];
        let mut found = Vec::new();
        for ColdRows { keys, payload } in marks {
            let groups = self.groups.find(&KeyColumn::Bytes(keys.clone()));
            for (group, time_us) in groups.into_iter().zip(times(&payload[0])) {
                let Some(group) = group else { continue };
                store.find(group, &(*time_us..=*time_us), &mut found);
                for id in &found {
                    store.mark_old(*id);
                    if self.plan.kind.is_filter() && store.is_old(*id) {
                        store.kill(*id);
                    }
                }
            }
        }
    }

    /// Writes rows that leave memory, and kills them.
    fn let_go(&mut self, side: usize, ids: &[u32]) -> Result<(), StateError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let (own, store) = (&mut cold.sides[side], &mut self.sides[side]);
        let mut columns = store.gather(ids, self.plan.output.all()[side])?;
        let matched: Vec<bool> = ids.iter().map(|id| store.is_marked(*id)).collect();
        columns.push(Arc::new(BooleanArray::from(matched)));
        let groups: Vec<u32> = ids.iter().map(|id| store.place_of(*id).0).collect();
        let keys = self.groups.keys().gather(&groups)?;
        let is_new: BooleanArray = ids.iter().map(|id| Some(store.is_new(*id))).collect();
        if is_new.true_count() > 0 {
            let columns =
                columns.iter().map(|column| filter(column, &is_new)).collect::<Result<Vec<_>, _>>()?;
            let keys = filter(&keys, &is_new)?;
            cold.store.append(&mut own.changed, side as i64, keys.as_binary(), &columns)?;
        }
        let mut stretches: BTreeMap<i64, (i64, Vec<u32>)> = BTreeMap::new();
        for (row, id) in (0u32..).zip(ids) {
            let time_us = store.place_of(*id).1;
            own.stretch_at(time_us).waiting += 1;
            let start_us = own.stretches.start_of(time_us);
            stretches.entry(start_us).or_insert_with(|| (time_us, Vec::new())).1.push(row);
        }
        for (time_us, rows) in stretches.into_values() {
            let stretch = own.stretch_at(time_us);
            if rows.len() == ids.len() {
                cold.store.put(&mut stretch.rows, &keys, &columns)?;
                continue;
            }
            let rows = UInt32Array::from(rows);
            let columns =
                columns.iter().map(|column| take(column, &rows, None)).collect::<Result<Vec<_>, _>>()?;
            let keys = take(&keys, &rows, None)?;
            cold.store.put(&mut stretch.rows, keys.as_binary(), &columns)?;
        }
        ids.iter().for_each(|id| store.kill(*id));
        Ok(())
    }
}

fn times(column: &ArrayRef) -> &[i64] {
    column.as_primitive::<TimestampMicrosecondType>().values()
}
