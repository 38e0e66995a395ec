//! The tables of a pipeline at work. A version is written down before a plan may name it, and kept until
//! nothing that saw it can run again; a thread of its own looks for newer ones, so no batch waits for that.

mod refresh;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use arrow_array::RecordBatch;

use super::attempt::Shared;
use super::deployment::Deployment;
use super::entry::{TablePlan, What};
use super::failure::Failure;
use super::status::{LogLine, warner};
use crate::batch::BatchId;
use crate::checkpoint::{EncodedTable, KeptTable, TableStore};
use crate::source::SourceError;
use crate::sqlite::Durability;
use crate::table::{TableBounds, TableReader, TableVersion, TableView};
use refresh::Refresher;

/// The tables, seen from the driver.
#[derive(Default)]
pub(crate) struct Tables {
    tables: Vec<OpenTable>,
    /// Guards the file; the refreshing thread holds it while it writes a version. None without tables.
    store: Option<Arc<Mutex<TableStore>>>,
    refresher: Option<Refresher>,
}

struct OpenTable {
    name: Arc<str>,
    view: TableView,
    newest: Arc<TableVersion>,
    /// Those that plans name which have not run yet; the newest is not among them.
    waiting: BTreeMap<u64, Arc<TableVersion>>,
    /// From which batch on which version was seen, oldest first.
    seen: VecDeque<(BatchId, u64)>,
    /// Versions before this one are gone from the file.
    forgotten: u64,
}

/// How a table is read and what of it is known, for whoever looks for the next version.
struct Watched {
    place: usize,
    name: Arc<str>,
    reader: Arc<dyn TableReader>,
    bounds: TableBounds,
    kept: KeptTable,
    stamp: Option<String>,
    /// Read twice under this stamp: a file that was changed again within the grain of its time is not missed.
    is_sure: bool,
}

impl Tables {
    /// Reads every table for the first time and starts to look for changes. A table that cannot be read
    /// now, but was in an earlier life, is what it was then.
    pub(crate) fn open(
        shared: &Shared,
        deployment: &Deployment,
        durability: Durability,
    ) -> Result<Self, Failure> {
        let plans: Vec<&TablePlan> = deployment
            .entries
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Table(plan) => Some(plan),
                _ => None,
            })
            .collect();
        if plans.is_empty() {
            return Ok(Self::default());
        }
        let mut store = TableStore::open(&shared.dir, durability)?;
        let (mut tables, mut refreshed) = (Vec::new(), Vec::new());
        for (place, plan) in plans.into_iter().enumerate() {
            let (table, watched) = first(shared, &mut store, plan, place)?;
            if let Some(every) = plan.refresh {
                refreshed.push((watched, every));
            }
            tables.push(table);
        }
        let store = Arc::new(Mutex::new(store));
        let refresher = match refreshed.is_empty() {
            true => None,
            false => {
                let refresher = Refresher::start(shared, &deployment.spec.name, refreshed, &store);
                Some(refresher.map_err(|error| Failure::of_thread(&error))?)
            }
        };
        Ok(Self { tables, store: Some(store), refresher })
    }

    /// The newest version of each table, for a new plan.
    pub(crate) fn newest(&mut self) -> BTreeMap<String, u64> {
        while let Some((place, version)) = self.refresher.as_ref().and_then(Refresher::next) {
            let table = &mut self.tables[place];
            let before = std::mem::replace(&mut table.newest, version);
            table.waiting.insert(before.number, before);
        }
        self.tables.iter().map(|table| (table.name.to_string(), table.newest.number)).collect()
    }

    /// From now on steps see the versions that a plan names.
    pub(crate) fn show(&mut self, batch: BatchId, plan: &BTreeMap<String, u64>) -> Result<(), Failure> {
        let Some(store) = &self.store else { return Ok(()) };
        for table in &mut self.tables {
            // A plan of an earlier life may not know the table.
            let number = plan.get(&*table.name).copied().unwrap_or(table.newest.number);
            let version = match table.waiting.get(&number) {
                _ if number == table.newest.number => Arc::clone(&table.newest),
                Some(version) => Arc::clone(version),
                None => {
                    let version = Arc::new(earlier(&lock(store), table, number, batch)?);
                    table.waiting.insert(number, Arc::clone(&version));
                    version
                }
            };
            // Batches never go back to an older version.
            table.waiting.retain(|waiting, _| *waiting >= number);
            if table.seen.back().is_none_or(|(_, newest)| *newest != number) {
                table.seen.push_back((batch, number));
            }
            table.view.show(version);
        }
        Ok(())
    }

    /// Nothing up to `batch` runs again: what only those batches saw may go. While a new version is being
    /// written, it goes later.
    pub(crate) fn release(&mut self, batch: BatchId) -> Result<(), Failure> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut store = match store.try_lock() {
            Ok(store) => store,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        for table in &mut self.tables {
            while table.seen.get(1).is_some_and(|(first, _)| *first <= batch.next()) {
                table.seen.pop_front();
            }
            let Some((_, oldest)) = table.seen.front().copied() else { continue };
            if oldest > table.forgotten {
                store.forget_before(&table.name, oldest)?;
                table.forgotten = oldest;
            }
        }
        Ok(())
    }
}

fn lock(store: &Mutex<TableStore>) -> MutexGuard<'_, TableStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table when the pipeline starts.
fn first(
    shared: &Shared,
    store: &mut TableStore,
    plan: &TablePlan,
    place: usize,
) -> Result<(OpenTable, Watched), Failure> {
    let name: Arc<str> = plan.view.name().into();
    let before = store.newest(&name)?;
    let (kept, rows, stamp) = match plan.reader.read(None, plan.bounds) {
        Ok(Some(read)) => {
            let table = encode(&read.rows).map_err(|error| Failure::of_table(&name, &error))?;
            let (kept, is_new) = version_of(before.as_ref(), &plan.origin, &table.digest);
            if is_new {
                store.write(&name, &kept, &table)?;
                shared.events.log(loaded(shared.env.clock.now_us(), &name, kept.number, &read.rows));
            }
            (kept, read.rows, Some(read.stamp))
        }
        Ok(None) => return Err(Failure::permanent(format!("table {name}: there was nothing to read"))),
        Err(error) => {
            let Some(kept) = before.filter(|kept| kept.origin == plan.origin) else {
                return Err(Failure::of_table(&name, &error));
            };
            let rows = store.read(&name, kept.number)?.ok_or_else(|| Failure::of_table(&name, &error))?;
            let warn = warner(&shared.events, &shared.env.clock, &name);
            warn(stays(kept.number, &error));
            (kept, rows, None)
        }
    };
    let version = TableVersion { number: kept.number, rows };
    let table = OpenTable {
        name: Arc::clone(&name),
        view: plan.view.clone(),
        newest: Arc::new(version),
        waiting: BTreeMap::new(),
        seen: VecDeque::new(),
        forgotten: 0,
    };
    let reader = Arc::clone(&plan.reader);
    Ok((table, Watched { place, name, reader, bounds: plan.bounds, kept, stamp, is_sure: false }))
}

/// The newest version if the rows are the same, else the next one, which is new.
fn version_of(before: Option<&KeptTable>, origin: &str, digest: &str) -> (KeptTable, bool) {
    match before {
        Some(kept) if kept.origin == origin && kept.digest == digest => (kept.clone(), false),
        _ => {
            let number = before.map_or(0, |kept| kept.number) + 1;
            (KeptTable { number, origin: origin.to_owned(), digest: digest.to_owned() }, true)
        }
    }
}

/// A version that a plan of an earlier life names.
fn earlier(
    store: &TableStore,
    table: &OpenTable,
    number: u64,
    batch: BatchId,
) -> Result<TableVersion, Failure> {
    let Some(rows) = store.read(&table.name, number)? else {
        return Err(Failure::permanent(format!(
            "table {}: batch {batch} saw version {number}, and `tables.db` in the pipeline's folder does not hold it, so \
             the batch cannot be run again as it was: restore that file from a backup, or start the pipeline afresh",
            table.name
        )));
    };
    if rows.schema_ref() != table.view.schema() {
        return Err(Failure::permanent(format!(
            "table {}: batch {batch} has to be run again, and saw version {number} of the table with other columns than it \
             has now: let the pipeline run with the former `schema` until it stops by itself, then change it",
            table.name
        )));
    }
    Ok(TableVersion { number, rows })
}

fn encode(rows: &RecordBatch) -> Result<EncodedTable, SourceError> {
    EncodedTable::new(rows)
        .map_err(|error| SourceError::Permanent(format!("the table cannot be written down: {error}")))
}

fn stays(number: u64, error: &SourceError) -> String {
    format!("version {number} stays, because the table cannot be read: {error}")
}

fn loaded(time_us: i64, name: &str, number: u64, rows: &RecordBatch) -> LogLine {
    let message = format!("version {number} was read: {} rows", rows.num_rows());
    LogLine { time_us, level: "info".to_owned(), entry: Some(name.to_owned()), message }
}

#[cfg(test)]
mod tests;
