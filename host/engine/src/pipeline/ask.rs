//! Questions in SQL over what a pipeline remembers and over its tables, as of the newest checkpoint.

use std::fmt;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::Map;

use super::deployment::Deployment;
use super::entry::What;
use super::look::LookError;
use crate::checkpoint::{Look, StateView, TableStore};
use crate::query::{Query, QueryError, QueryLimits, QueryRows, ROWS_READ_MAX};
use crate::sqlite::StoreError;

/// What was asked, answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer.
    pub rows: QueryRows,
    /// Which checkpoint the state is of; none before the first.
    pub look: Option<Look>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The statement is wrong, or asks for too much.
    Query(QueryError),
    /// The state or the tables cannot be read.
    Look(LookError),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(error) => error.fmt(f),
            Self::Look(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AskError {}

impl From<QueryError> for AskError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<LookError> for AskError {
    fn from(error: LookError) -> Self {
        Self::Look(error)
    }
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> Self {
        Self::Look(LookError::from(error))
    }
}

/// What a statement may read: its name there, and where it is.
struct Readable {
    name: String,
    schema: SchemaRef,
    place: Place,
}

enum Place {
    /// A step, and its table.
    State(String, String),
    Table,
}

impl Deployment {
    /// Answers a SELECT over the state of steps and over tables, for the pipeline in `dir`. A step's state is
    /// called as the step is; where it has several tables, `step_table`.
    ///
    /// # Errors
    /// When the statement is no SELECT over these, reads too much, or something cannot be read.
    pub fn ask(&self, dir: &Path, statement: &str, limits: &QueryLimits) -> Result<Answered, AskError> {
        let readable = self.readable()?;
        let names: Vec<(String, SchemaRef)> =
            readable.iter().map(|one| (one.name.clone(), SchemaRef::clone(&one.schema))).collect();
        let query = Query::new(statement, &names)?;
        let view = StateView::open(dir)?;
        let tables = TableStore::open_to_look(dir)?;
        let mut left = ROWS_READ_MAX;
        for one in readable.iter().filter(|one| query.reads(&one.name)) {
            let rows = match &one.place {
                Place::State(step, table) => self.state_rows(view.as_ref(), step, table, left)?,
                Place::Table => newest(tables.as_ref(), &one.name)?,
            };
            let count = rows.iter().map(|rows| rows.num_rows() as u64).sum();
            left = left.checked_sub(count).ok_or_else(|| {
                QueryError::TooMuch(format!(
                    "the statement reads more than {ROWS_READ_MAX} rows, which are copied for it: look keys up instead"
                ))
            })?;
            query.fill(&one.name, &rows)?;
        }
        Ok(Answered { rows: query.run(limits)?, look: view.as_ref().map(StateView::look) })
    }

    fn readable(&self) -> Result<Vec<Readable>, LookError> {
        let mut found = Vec::new();
        for step in self.stateful() {
            let mut tables: Vec<(String, SchemaRef)> = Vec::new();
            // A step without state has its tables, too.
            for chunk in self.keyed_plan(&step)?.build(0, 1)?.look()? {
                if tables.iter().all(|(name, _)| *name != chunk.table) {
                    tables.push((chunk.table, chunk.rows.schema()));
                }
            }
            let is_alone = tables.len() == 1;
            found.extend(tables.into_iter().map(|(table, schema)| Readable {
                name: if is_alone { step.clone() } else { format!("{step}_{table}") },
                schema,
                place: Place::State(step.clone(), table),
            }));
        }
        for (node, entry) in self.graph.nodes.iter().zip(&self.entries) {
            if let What::Table(plan) = &entry.what {
                let schema = SchemaRef::clone(plan.view.schema());
                found.push(Readable { name: node.name.to_string(), schema, place: Place::Table });
            }
        }
        Ok(found)
    }

    /// The rows of a step's table; some more than `limit` where there are more.
    fn state_rows(
        &self,
        view: Option<&StateView>,
        step: &str,
        table: &str,
        limit: u64,
    ) -> Result<Vec<RecordBatch>, LookError> {
        let (mut rows, mut count) = (Vec::new(), 0);
        let Some(view) = view else { return Ok(rows) };
        self.look(view, step, &Map::new(), |found| {
            if found.table == table {
                count += found.rows.num_rows() as u64;
                rows.push(found.rows);
            }
            count <= limit
        })?;
        Ok(rows)
    }
}

/// The newest version of a table that a batch has seen or is to see.
fn newest(tables: Option<&TableStore>, name: &str) -> Result<Vec<RecordBatch>, StoreError> {
    let Some(tables) = tables else { return Ok(Vec::new()) };
    let Some(kept) = tables.newest(name)? else { return Ok(Vec::new()) };
    Ok(tables.read(name, kept.number)?.into_iter().collect())
}
