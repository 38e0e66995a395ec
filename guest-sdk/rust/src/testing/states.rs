//! Aggregates and keyed operators over batches, with the states that a host would keep.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::{Ran, batch_of, rows};
use crate::aggregate::OpenedAggregate;
use crate::batch::{Batch, Clock};
use crate::error::{Error, Result};
use crate::keyed::{OpenedKeyed, Turn};
use crate::operator::Plugin;
use crate::schema::Schema;
use crate::states::States;

/// Opens an aggregate of `plugin` and adds batches to it, grouped by the columns `by`. Each batch
/// goes to states of its own and these are merged, as partitions are: so what comes out is right only
/// if merging is. The output has a row a group: its key, and the result.
///
/// # Errors
/// When opening or a call gives one, there is no batch, or no such column.
pub fn aggregate(
    plugin: &Plugin,
    operator: &str,
    config: Value,
    by: &[&str],
    batches: impl IntoIterator<Item = Batch>,
) -> Result<Ran> {
    crate::host::imp::take();
    let mut batches = batches.into_iter().peekable();
    let first = batches.peek().ok_or_else(|| Error::new("there is no batch"))?;
    let (keys, clock) = (project(first.schema(), by)?, *first.clock());
    let opened = plugin.open_aggregate(operator, &config.to_string(), first.schema())?;
    let mut groups = Groups::default();
    let mut states = States::none(0);
    for batch in batches {
        let own = groups.of(&batch, by)?;
        states = grown(states, groups.keys.len())?;
        let added = opened.accumulate(States::none(groups.keys.len()).into_column(), &own, &batch)?;
        states = States::new(opened.merge(states.into_column(), added)?)?;
    }
    let output = result(&opened, keys, groups, states, clock)?;
    Ok(Ran { output, rejected: Vec::new(), calls: crate::host::imp::take() })
}

/// As [`aggregate`] over both batches, and after that takes the states of `out` out again.
///
/// # Errors
/// As [`aggregate`], and when the operator does not retract.
pub fn aggregate_and_retract(
    plugin: &Plugin,
    operator: &str,
    config: Value,
    by: &[&str],
    batch: &Batch,
    out: &Batch,
) -> Result<Ran> {
    crate::host::imp::take();
    let (keys, clock) = (project(batch.schema(), by)?, *batch.clock());
    let opened = plugin.open_aggregate(operator, &config.to_string(), batch.schema())?;
    let mut groups = Groups::default();
    let (added, removed) = (groups.of(batch, by)?, groups.of(out, by)?);
    let none = || States::none(groups.keys.len()).into_column();
    let states = opened.accumulate(none(), &added, batch)?;
    let gone = opened.accumulate(none(), &removed, out)?;
    let both = opened.merge(states, gone.clone())?;
    let states = States::new(opened.retract(both, gone)?)?;
    let output = result(&opened, keys, groups, states, clock)?;
    Ok(Ran { output, rejected: Vec::new(), calls: crate::host::imp::take() })
}

fn result(
    opened: &OpenedAggregate,
    keys: Schema,
    groups: Groups,
    states: States,
    clock: Clock,
) -> Result<Batch> {
    let finished = opened.finish(states.into_column())?;
    let key_rows = batch_of(keys.clone(), groups.keys.into_iter().collect())?;
    let schema = opened.output().fields().iter().cloned().try_fold(keys, Schema::with)?;
    let columns = key_rows.into_columns().into_iter().chain(finished.columns).collect();
    Batch::new(Rc::new(schema), clock, finished.rows, columns)
}

/// Groups in the order in which they came.
#[derive(Default)]
struct Groups {
    keys: Vec<Value>,
    known: BTreeMap<String, u32>,
}

impl Groups {
    fn of(&mut self, batch: &Batch, by: &[&str]) -> Result<Vec<u32>> {
        let Value::Array(objects) = rows(batch)? else { return Ok(Vec::new()) };
        let group = |object: Value| {
            let key: Map<String, Value> =
                by.iter().map(|name| ((*name).to_owned(), object[*name].clone())).collect();
            let key = Value::Object(key);
            let next = u32::try_from(self.keys.len())?;
            Ok(*self.known.entry(key.to_string()).or_insert_with(|| {
                self.keys.push(key);
                next
            }))
        };
        objects.into_iter().map(group).collect()
    }
}

fn grown(states: States, count: usize) -> Result<States> {
    let mut grown = States::none(count);
    let more = std::iter::repeat_n(None, count.saturating_sub(states.len()));
    grown.set_bytes(states.bytes()?.into_iter().chain(more))?;
    Ok(grown)
}

fn project(schema: &Schema, names: &[&str]) -> Result<Schema> {
    Schema::of(names.iter().map(|name| schema.field(name).cloned()).collect::<Result<Vec<_>>>()?)
}

/// A keyed operator with the states and timers that a host would keep for it.
#[derive(Debug)]
pub struct Keeper {
    opened: OpenedKeyed,
    keys: Schema,
    input: Schema,
    by: Vec<String>,
    /// By the key as JSON, so that turns have an order.
    kept: BTreeMap<String, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    key: Value,
    state: Option<Vec<u8>>,
    timer: Option<i64>,
}

impl Keeper {
    /// Opens a keyed operator of `plugin` for input like `like`, by the key columns `by`.
    ///
    /// # Errors
    /// When opening gives one.
    pub fn open(plugin: &Plugin, operator: &str, config: Value, by: &[&str], like: &Schema) -> Result<Self> {
        let keys = project(like, by)?;
        let opened = plugin.open_keyed(operator, &config.to_string(), &keys, like)?;
        let by = by.iter().map(|&name| name.to_owned()).collect();
        Ok(Self { opened, keys, input: like.clone(), by, kept: BTreeMap::new() })
    }

    /// A turn with these rows and the timers that are due at `watermark`, in microseconds since the
    /// Unix epoch.
    ///
    /// # Errors
    /// When the operator refuses the turn.
    pub fn turn(&mut self, watermark: Option<i64>, input: Batch) -> Result<Ran> {
        crate::host::imp::take();
        let clock = Clock { watermark, ..*input.clock() };
        let mut groups = Groups::default();
        let is_due =
            |kept: &Kept| kept.timer.filter(|at| watermark.is_some_and(|watermark| *at <= watermark));
        let mut due = Vec::new();
        for (name, kept) in &self.kept {
            if let Some(at) = is_due(kept) {
                due.push((u32::try_from(groups.keys.len())?, at));
                groups.known.insert(name.clone(), u32::try_from(groups.keys.len())?);
                groups.keys.push(kept.key.clone());
            }
        }
        let by: Vec<&str> = self.by.iter().map(String::as_str).collect();
        let row_keys = groups.of(&input, &by)?;
        let names: Vec<String> = groups.keys.iter().map(Value::to_string).collect();
        let mut states = States::none(names.len());
        states
            .set_bytes(names.iter().map(|name| self.kept.get(name).and_then(|kept| kept.state.as_ref())))?;
        let keys = on_clock(batch_of(self.keys.clone(), groups.keys.iter().cloned().collect())?, clock)?;
        let turn = Turn { keys, states: states.into_column(), rows: on_clock(input, clock)?, row_keys, due };
        let outcome = self.opened.process(&turn)?;
        for (key, _) in &turn.due {
            self.kept.entry(names[*key as usize].clone()).or_default().timer = None;
        }
        let states = States::new(outcome.states)?;
        for ((name, key), state) in names.iter().zip(groups.keys).zip(states.bytes()?) {
            let kept = self.kept.entry(name.clone()).or_default();
            (kept.key, kept.state) = (key, state.map(<[u8]>::to_vec));
        }
        for (key, at) in outcome.timers {
            self.kept.entry(names[key as usize].clone()).or_default().timer = Some(at);
        }
        self.kept.retain(|_, kept| kept.state.is_some() || kept.timer.is_some());
        let schema = Rc::new(self.opened.output().clone());
        let output = Batch::new(schema, clock, outcome.finished.rows, outcome.finished.columns)?;
        Ok(Ran { output, rejected: outcome.finished.rejected, calls: crate::host::imp::take() })
    }

    /// A turn without rows: only the timers that are due at `watermark`.
    ///
    /// # Errors
    /// When the operator refuses the turn.
    pub fn advance(&mut self, watermark: i64) -> Result<Ran> {
        let nothing = batch_of(self.input.clone(), Value::Array(Vec::new()))?;
        self.turn(Some(watermark), nothing)
    }

    /// How many keys have a state.
    #[must_use]
    pub fn states(&self) -> usize {
        self.kept.values().filter(|kept| kept.state.is_some()).count()
    }

    /// The timers that are set, in their order.
    #[must_use]
    pub fn timers(&self) -> Vec<i64> {
        let mut timers: Vec<i64> = self.kept.values().filter_map(|kept| kept.timer).collect();
        timers.sort_unstable();
        timers
    }
}

fn on_clock(batch: Batch, clock: Clock) -> Result<Batch> {
    let (schema, rows) = (Rc::new(batch.schema().clone()), batch.len());
    Batch::new(schema, clock, rows, batch.into_columns())
}

#[cfg(test)]
mod tests;
