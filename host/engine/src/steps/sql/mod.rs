//! `sql`: one SELECT of SQLite over the rows of a batch and over tables. Remembers nothing.
//!
//! The statement sees all rows of the batch at once, on one worker, in the order of their source: over
//! chunks its groups would depend on how the batch was cut. A batch without rows does not run it.

mod check;
mod database;
mod functions;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{DataType, SchemaRef};

use self::step::Sql;
use super::{KeyedPlan, KeyedStep, StepError};
use crate::table::TableView;

/// What the statement calls the rows of the batch.
pub const INPUT: &str = "input";

/// Time since some fixed moment; the clock of a statement's deadline.
pub type Elapsed = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What a [`SqlPlan`] is made of.
#[derive(Clone)]
pub struct SqlParts {
    /// The rows that come.
    pub input: SchemaRef,
    /// The tables that the statement may read.
    pub tables: Vec<SqlTable>,
    /// A SELECT.
    pub statement: String,
    /// Types of result columns for which SQLite has none.
    pub types: BTreeMap<String, DataType>,
    /// How long the statement may run over one batch.
    pub deadline: Duration,
    /// What that is measured by.
    pub elapsed: Elapsed,
}

/// A table that the statement may read.
#[derive(Clone, Debug)]
pub struct SqlTable {
    /// Its rows.
    pub view: TableView,
    /// Columns by which the statement looks rows up; none for no index.
    pub index: Vec<String>,
}

/// Why there can be no such step: where in the spec, below the step, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// `sql`, `schema.total`, `tables.cities`.
    pub path: String,
    /// Why.
    pub message: String,
}

impl SqlError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for SqlError {}

/// What a `sql` step does.
pub struct SqlPlan {
    parts: Arc<SqlParts>,
    schema: SchemaRef,
}

impl SqlPlan {
    /// Checks the statement against the columns of its input and tables.
    ///
    /// # Errors
    /// What is wrong with it, in SQLite's words where it is those that tell.
    pub fn new(parts: SqlParts) -> Result<Self, SqlError> {
        let schema = check::result_schema(&parts)?;
        Ok(Self { parts: Arc::new(parts), schema })
    }
}

impl KeyedPlan for SqlPlan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn holds_back_us(&self) -> Option<i64> {
        None
    }

    fn keeps_state(&self) -> bool {
        false
    }

    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError> {
        let (parts, schema) = (Arc::clone(&self.parts), Arc::clone(&self.schema));
        Ok(Box::new(Sql::new(parts, schema, worker, workers)))
    }
}
