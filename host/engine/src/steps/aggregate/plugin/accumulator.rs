//! The states of a table's groups, and the calls that change them. States change only when all calls
//! about a chunk have come back.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{DataType, Field};
use arrow_select::concat::concat_batches;
use millstream_wasm::CallError;

use super::Instance;
use super::states::States;
use crate::batch::RejectedRow;
use crate::state::StateError;
use crate::state::accumulators::{Accumulator, PairSet};
use crate::steps::poison::Search;

/// States that one call is given at most: a deadline is meant for a chunk of rows.
const CALL_STATES: usize = 1 << 15;

/// The name of the one column of state.
const STATE: &str = "state";

/// A plugin's aggregate over the groups of one table.
pub(super) struct Called {
    instance: Instance,
    states: States,
    /// By group: the call that it was in last, and its place among the groups of that call.
    marks: Vec<(u32, u32)>,
    mark: u32,
    staged: Option<Staged>,
}

/// What a chunk's rows make of the states of the groups that they touch.
struct Staged {
    rows: usize,
    groups: Vec<u32>,
    states: BinaryArray,
}

/// What is done with two states.
#[derive(Clone, Copy)]
enum Pairwise {
    Merge,
    Retract,
}

impl Called {
    pub(super) fn new(instance: Instance) -> Self {
        Self { instance, states: States::default(), marks: Vec::new(), mark: 0, staged: None }
    }

    fn next_mark(&mut self) -> u32 {
        self.mark = self.mark.wrapping_add(1);
        if self.mark == 0 {
            self.marks.fill((0, 0));
            self.mark = 1;
        }
        self.mark
    }

    /// The groups that rows touch, in the order of first touch, and the place of each row's group among them.
    fn touched(&mut self, groups: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mark = self.next_mark();
        let mut touched = Vec::with_capacity(groups.len());
        let mut places = Vec::with_capacity(groups.len());
        for &group in groups {
            let entry = &mut self.marks[group as usize];
            if entry.0 != mark {
                *entry = (mark, touched.len() as u32);
                touched.push(group);
            }
            places.push(entry.1);
        }
        (touched, places)
    }

    /// Calls the plugin for a chunk's rows and keeps what it answers; answers with the rows it cannot take.
    fn stage(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<Vec<RejectedRow>, StateError> {
        self.staged = None;
        let rows = groups.len();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.instance.input);
        let input = RecordBatch::try_new_with_options(schema, arguments.to_vec(), &options)?;
        let (touched, places) = self.touched(groups);
        let before = self.states.gather(&touched)?;
        let mut opened = self.instance.lock();
        let clock = opened.clock;
        let (mut whole, mut pieces) = (None, None);
        let mut search = Search::new(&self.instance.name);
        let searched = search.run(0, rows, &mut |from, count| {
            if count == rows {
                whole = Some(opened.aggregate.accumulate(&clock, &before, &places, &input)?);
                return Ok(Vec::new());
            }
            let states = pieces.get_or_insert_with(|| Pieces::of(&before));
            let (known, own) = renumbered(&places[from..from + count]);
            let after = opened.aggregate.accumulate(
                &clock,
                &states.column(&known),
                &own,
                &input.slice(from, count),
            )?;
            states.set(&known, &after);
            Ok(Vec::new())
        });
        drop(opened);
        searched.map_err(|error| StateError::Plugin(error.to_string()))?;
        let states = whole.or_else(|| pieces.map(|pieces| pieces.all()));
        self.staged = Some(Staged { rows, groups: touched, states: states.unwrap_or(before) });
        Ok(search.finish())
    }

    /// Calls for the states of groups, all different and none empty, with rows of `right`.
    fn call_pairs(
        &mut self,
        call: Pairwise,
        groups: &[u32],
        right: &BinaryArray,
        rows: &[u32],
    ) -> Result<(), StateError> {
        for (rows, groups) in rows.chunks(CALL_STATES).zip(groups.chunks(CALL_STATES)) {
            let left = self.states.gather(groups)?;
            let right = BinaryArray::from_iter_values(rows.iter().map(|row| right.value(*row as usize)));
            self.change_pairs(call, groups, &left, &right)?;
        }
        Ok(())
    }

    fn change_pairs(
        &mut self,
        call: Pairwise,
        groups: &[u32],
        left: &BinaryArray,
        right: &BinaryArray,
    ) -> Result<(), StateError> {
        let answer = {
            let mut opened = self.instance.lock();
            let clock = opened.clock;
            match call {
                Pairwise::Merge => opened.aggregate.merge(&clock, left, right),
                Pairwise::Retract => opened.aggregate.retract(&clock, left, right),
            }
        };
        match answer {
            Ok(changed) => {
                groups.iter().zip(&changed).try_for_each(|(group, state)| self.states.set(*group, state))
            }
            Err(error) => {
                let Some(half) = self.halved(groups, &error)? else { return Ok(()) };
                let rest = groups.len() - half;
                self.change_pairs(call, &groups[..half], &left.slice(0, half), &right.slice(0, half))?;
                self.change_pairs(call, &groups[half..], &left.slice(half, rest), &right.slice(half, rest))
            }
        }
    }

    /// The results of groups.
    fn results(&self, groups: &[u32], results: &mut Vec<RecordBatch>) -> Result<(), StateError> {
        let states = self.states.gather(groups)?;
        let answer = {
            let mut opened = self.instance.lock();
            let clock = opened.clock;
            opened.aggregate.finish(&clock, &states)
        };
        match answer {
            Ok(rows) => {
                results.push(rows);
                Ok(())
            }
            Err(error) => {
                let Some(half) = self.halved(groups, &error)? else { return Ok(()) };
                self.results(&groups[..half], results)?;
                self.results(&groups[half..], results)
            }
        }
    }

    /// How many of the groups to call for first, after a call for all of them broke; the group that breaks
    /// it alone is the error.
    fn halved(&self, groups: &[u32], error: &CallError) -> Result<Option<usize>, StateError> {
        match (groups, error) {
            ([], _) => Ok(None),
            ([group], CallError::Answered(_) | CallError::Broken(_)) => Err(StateError::Overflow {
                group: *group,
                reason: format!("{}: {error}", self.instance.name),
            }),
            (_, CallError::Answered(_) | CallError::Broken(_)) => Ok(Some(groups.len() / 2)),
            _ => Err(self.instance.failed(error)),
        }
    }
}

impl Accumulator for Called {
    fn data_type(&self) -> DataType {
        match self.instance.output.fields().as_ref() {
            [field] => field.data_type().clone(),
            _ => DataType::Struct(self.instance.output.fields().clone()),
        }
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new(STATE, DataType::Binary, true)]
    }

    fn resize(&mut self, groups: usize) {
        self.states.resize(groups);
        self.marks.resize(groups, (0, 0));
    }

    fn refusals(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<Vec<RejectedRow>, StateError> {
        self.stage(groups, arguments)
    }

    fn update(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<(), StateError> {
        let staged = match self.staged.take().filter(|staged| staged.rows == groups.len()) {
            Some(staged) => Some(staged),
            None => {
                if let Some(first) = self.stage(groups, arguments)?.first() {
                    return Err(StateError::Plugin(format!("{}: {}", self.instance.name, first.reason)));
                }
                self.staged.take()
            }
        };
        let Some(Staged { groups, states, .. }) = staged else { return Ok(()) };
        groups.iter().zip(&states).try_for_each(|(group, state)| self.states.set(*group, state))
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let right = states_of(state)?;
        let mut rest: Vec<(u32, u32)> = (0u32..).zip(groups).map(|(row, group)| (row, *group)).collect();
        // A group may come several times, each after what the ones before made of it.
        while !rest.is_empty() {
            let mark = self.next_mark();
            let (mut again, mut rows, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
            for (row, group) in rest {
                if right.is_null(row as usize) {
                    continue;
                }
                if self.marks[group as usize].0 == mark {
                    again.push((row, group));
                } else if self.states.get(group).is_none() {
                    self.states.set(group, Some(right.value(row as usize)))?;
                } else {
                    self.marks[group as usize] = (mark, 0);
                    rows.push(row);
                    pairs.push(group);
                }
            }
            self.call_pairs(Pairwise::Merge, &pairs, right, &rows)?;
            rest = again;
        }
        Ok(())
    }

    fn retracts(&self) -> bool {
        self.instance.lock().aggregate.retracts()
    }

    fn retract(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), StateError> {
        let right = states_of(state)?;
        let rows = (0u32..).zip(groups).filter(|(row, _)| right.is_valid(*row as usize));
        let (rows, pairs): (Vec<u32>, Vec<u32>) = rows.map(|(row, group)| (row, *group)).unzip();
        self.call_pairs(Pairwise::Retract, &pairs, right, &rows)
    }

    fn reset(&mut self, groups: &[u32]) {
        for &group in groups {
            // No state at all has no length that could be wrong.
            let _ = self.states.set(group, None);
        }
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        Ok(vec![Arc::new(self.states.gather(groups)?)])
    }

    fn finish(&self, groups: &[u32]) -> Result<ArrayRef, StateError> {
        let mut results = Vec::new();
        for groups in groups.chunks(CALL_STATES) {
            self.results(groups, &mut results)?;
        }
        let results = match results.as_slice() {
            [only] => only.clone(),
            several => concat_batches(&self.instance.output, several)?,
        };
        match results.columns() {
            [only] => Ok(Arc::clone(only)),
            _ => Ok(Arc::new(StructArray::from(results))),
        }
    }

    fn pairs(&mut self) -> Option<&mut PairSet> {
        None
    }

    fn clear(&mut self) {
        self.states.clear();
        self.marks.clear();
        self.staged = None;
    }

    fn bytes(&self) -> usize {
        self.states.bytes() + self.marks.capacity() * size_of::<(u32, u32)>()
    }
}

/// The states of a call's groups while its rows go through the plugin piece by piece: only rows that
/// break it come here.
struct Pieces(Vec<Option<Vec<u8>>>);

impl Pieces {
    fn of(states: &BinaryArray) -> Self {
        Self(states.iter().map(|state| state.map(<[u8]>::to_vec)).collect())
    }

    fn column(&self, groups: &[u32]) -> BinaryArray {
        groups.iter().map(|group| self.0[*group as usize].as_deref()).collect()
    }

    fn set(&mut self, groups: &[u32], states: &BinaryArray) {
        for (group, state) in groups.iter().zip(states) {
            self.0[*group as usize] = state.map(<[u8]>::to_vec);
        }
    }

    fn all(&self) -> BinaryArray {
        self.0.iter().map(Option::as_deref).collect()
    }
}

fn states_of(state: &[ArrayRef]) -> Result<&BinaryArray, StateError> {
    let column = state.first().and_then(|column| column.as_binary_opt::<i32>());
    column.ok_or_else(|| StateError::Mismatch("the states of a plugin's aggregate are bytes".into()))
}

/// Those of the places that occur, rising, and where each one is among them.
fn renumbered(places: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut known = places.to_vec();
    known.sort_unstable();
    known.dedup();
    let own = places.iter().map(|place| known.partition_point(|other| other < place) as u32).collect();
    (known, own)
}
