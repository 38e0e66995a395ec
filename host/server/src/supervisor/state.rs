//! What the steps of a pipeline remember, as of its newest checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_engine::checkpoint::StateView;
use millstream_engine::pipeline::{AskError, Deployment, LookError, Progress, rows_as_json};
use millstream_engine::query::QueryLimits;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Supervisor, SupervisorError};

/// A statement may run for so long: somebody waits for the answer.
const QUERY_DEADLINE: Duration = Duration::from_secs(30);

/// The state of a step in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StateSummary {
    /// The step.
    pub(crate) step: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Keys (or keys and windows) after the newest batch.
    pub(crate) keys: u64,
    /// About so much memory.
    pub(crate) memory_bytes: u64,
}

/// A part of a step's state.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StateDocument {
    /// The step.
    pub(crate) step: String,
    /// The checkpoint that was looked at; none before the first.
    pub(crate) checkpoint: Option<u64>,
    /// The state is that after this batch.
    pub(crate) batch_id: Option<u64>,
    /// The rows of each of its tables.
    pub(crate) tables: Vec<StateTable>,
    /// There are more rows than these.
    pub(crate) more: bool,
}

/// Rows of one of a step's tables.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StateTable {
    /// What the rows are.
    pub(crate) table: String,
    /// Keys and present values, by column.
    #[schema(value_type = Vec<Object>)]
    pub(crate) rows: Vec<Value>,
}

/// The answer to a question in SQL.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct QueryDocument {
    /// The names of the columns.
    pub(crate) columns: Vec<String>,
    /// Rows of as many values.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub(crate) rows: Vec<Vec<Value>>,
    /// There are more rows than these.
    pub(crate) more: bool,
    /// The checkpoint that was looked at; none before the first.
    pub(crate) checkpoint: Option<u64>,
    /// The state is that after this batch.
    pub(crate) batch_id: Option<u64>,
}

/// Which part of the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatePart {
    /// Only rows whose columns have these values.
    pub(crate) key: Map<String, Value>,
    /// So many rows are passed over.
    pub(crate) offset: u64,
    /// At most so many.
    pub(crate) limit: u64,
}

impl Supervisor {
    /// The steps that remember something, and how much.
    ///
    /// # Errors
    /// When there is no such pipeline, or its spec no longer holds.
    pub(crate) fn states(&self, name: &str) -> Result<Vec<StateSummary>, SupervisorError> {
        let deployment = self.planned(name)?;
        let sizes: BTreeMap<String, (u64, u64)> =
            self.newest_progress(name)?.map(|progress| sizes(&progress)).unwrap_or_default();
        let entries = deployment.entries();
        let kind =
            |step: &str| entries.iter().find(|entry| entry.name == step).map(|entry| entry.kind.clone());
        let summary = |step: String| {
            let (keys, memory_bytes) = sizes.get(&step).copied().unwrap_or_default();
            StateSummary { kind: kind(&step).unwrap_or_default(), step, keys, memory_bytes }
        };
        Ok(deployment.stateful().into_iter().map(summary).collect())
    }

    /// A part of what a step remembers.
    ///
    /// # Errors
    /// When there is no such pipeline, step or column, or the state cannot be read.
    pub(crate) fn state(
        &self,
        name: &str,
        step: &str,
        part: &StatePart,
    ) -> Result<StateDocument, SupervisorError> {
        let deployment = self.planned(name)?;
        let view = StateView::open(&self.dir(name)).map_err(LookError::from)?;
        let look = view.as_ref().map(StateView::look);
        let mut document = StateDocument {
            step: step.to_owned(),
            checkpoint: look.map(|look| look.epoch),
            batch_id: look.map(|look| look.batch_id),
            tables: Vec::new(),
            more: false,
        };
        let Some(view) = view else {
            deployment.check_state(step)?;
            return Ok(document);
        };
        let (mut skip, mut left, mut failure) = (part.offset, part.limit, None);
        deployment.look(&view, step, &part.key, |found| {
            let count = found.rows.num_rows() as u64;
            let skipped = skip.min(count);
            skip -= skipped;
            let shown = left.min(count - skipped);
            left -= shown;
            document.more |= count - skipped > shown;
            let rows = found.rows.slice(skipped as usize, shown as usize);
            match rows_as_json(&rows) {
                Ok(texts) => add(&mut document.tables, found.table, &texts),
                Err(error) => failure = Some(error.to_string()),
            }
            !document.more && failure.is_none()
        })?;
        failure.map_or(Ok(document), |why| Err(SupervisorError::Engine(why)))
    }

    /// Answers a SELECT over the state of steps and over tables.
    ///
    /// # Errors
    /// When there is no such pipeline, the statement may not be asked, or something cannot be read.
    pub(crate) fn query(
        &self,
        name: &str,
        statement: &str,
        rows: usize,
    ) -> Result<QueryDocument, SupervisorError> {
        let clock = Arc::clone(&self.env.clock);
        let limits =
            QueryLimits { rows, deadline: QUERY_DEADLINE, elapsed: Arc::new(move || clock.monotonic()) };
        let answered = self.planned(name)?.ask(&self.dir(name), statement, &limits);
        let answered = answered.map_err(|error| match error {
            AskError::Query(why) => SupervisorError::BadRequest(why.to_string()),
            AskError::Look(why) => why.into(),
        })?;
        Ok(QueryDocument {
            columns: answered.rows.columns,
            rows: answered.rows.rows,
            more: answered.rows.more,
            checkpoint: answered.look.map(|look| look.epoch),
            batch_id: answered.look.map(|look| look.batch_id),
        })
    }

    fn planned(&self, name: &str) -> Result<Deployment, SupervisorError> {
        let managed = self.existing(name)?;
        let row = managed.row().ok_or_else(|| SupervisorError::Unknown(name.to_owned()))?;
        self.plan_row(&row).map_err(SupervisorError::Invalid)
    }

    /// Of the batch that ended last, now or in an earlier life.
    fn newest_progress(&self, name: &str) -> Result<Option<Progress>, SupervisorError> {
        if let Some(progress) = self.existing(name)?.feed.progress_now() {
            return Ok(Some(progress));
        }
        let Some(records) = self.records(name)? else { return Ok(None) };
        let newest = records.progress(1).map_err(LookError::from)?;
        Ok(newest.into_iter().next().and_then(|document| serde_json::from_value(document).ok()))
    }
}

fn sizes(progress: &Progress) -> BTreeMap<String, (u64, u64)> {
    let states = progress.state_operators.iter();
    states
        .map(|state| (state.operator_name.clone(), (state.num_rows_total, state.memory_used_bytes)))
        .collect()
}

fn add(tables: &mut Vec<StateTable>, table: String, texts: &[String]) {
    let rows = texts.iter().filter_map(|text| serde_json::from_str(text).ok());
    match tables.iter_mut().find(|other| other.table == table) {
        Some(known) => known.rows.extend(rows),
        None => tables.push(StateTable { table, rows: rows.collect() }),
    }
}
