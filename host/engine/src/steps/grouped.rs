//! The `aggregate` step as a spec has it: expressions for keys and arguments, computed for each chunk,
//! before the built-in aggregation works on columns.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::aggregate::{
    Aggregate, AggregateConfig, AggregateError, Emit, FunctionConfig, KeyConfig, WindowConfig,
};
use super::filter::{failed, rejected};
use super::{Extent, KeyedStep, RejectedRow, StateChunk, StateSize, StepError};
use crate::batch::BatchCtx;
use crate::expr::{Call, Expr, ExprError, Projection};
use crate::windows::Tumbling;

/// What an `aggregate` step does, checked against its input.
#[derive(Clone, Debug)]
pub struct GroupedPlan {
    projection: Projection,
    config: AggregateConfig,
    schema: SchemaRef,
}

/// What a [`GroupedPlan`] is made of.
pub struct GroupedParts<'a> {
    /// Output column and expression of each key.
    pub by: &'a [(String, String)],
    /// The windows, and the time column of the input.
    pub window: Option<(Tumbling, usize)>,
    /// Output column and call of each function.
    pub compute: &'a [(String, String)],
    /// When results go on.
    pub emit: Emit,
}

/// Why there can be no such step: where in the spec, below `aggregate`, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupedError {
    /// `by.day`, `compute.n`, or nothing.
    pub path: String,
    /// Why.
    pub message: String,
}

impl GroupedPlan {
    /// Checks the parts against the input's schema.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn new(parts: &GroupedParts<'_>, input: &Schema) -> Result<Self, GroupedError> {
        let mut columns: Vec<(String, Expr)> = Vec::new();
        let mut add = |expr: Expr| {
            columns.push((format!("{}", columns.len()), expr));
            columns.len() - 1
        };
        let mut keys = Vec::with_capacity(parts.by.len());
        for (name, text) in parts.by {
            let expr = Expr::compile(text, input).map_err(|error| at("by", name, &error))?;
            keys.push(KeyConfig { name: name.clone(), column: add(expr) });
        }
        let mut functions = Vec::with_capacity(parts.compute.len());
        for (name, text) in parts.compute {
            let call = Call::parse(text).map_err(|error| at("compute", name, &error))?;
            let argument = match call.arguments.as_slice() {
                [] => None,
                [one] => Some(add(one.bind(input).map_err(|error| at("compute", name, &error))?)),
                _ => {
                    let message = format!("`{}` takes one argument: `{}(column)`", text, call.name);
                    return Err(GroupedError { path: format!("compute.{name}"), message });
                }
            };
            functions.push(FunctionConfig {
                name: name.clone(),
                function: call.name,
                argument,
                distinct: call.distinct,
            });
        }
        let window = parts.window.map(|(tumbling, column)| {
            let expr = Expr::column(column, input);
            WindowConfig { tumbling, time_column: add(expr) }
        });
        let projection = Projection::from_exprs(columns);
        let input = Arc::clone(projection.schema());
        let config =
            AggregateConfig { input, keys, window, functions, emit: parts.emit, worker: 0, workers: 1 };
        let schema = Aggregate::new(config.clone()).map_err(|error| below(&error))?.schema();
        Ok(Self { projection, config, schema })
    }

    /// The schema of the results.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The step on one of several workers.
    ///
    /// # Errors
    /// As [`GroupedPlan::new`], or when there are too many workers.
    pub fn build(&self, worker: u32, workers: u32) -> Result<Grouped, AggregateError> {
        let config = AggregateConfig { worker, workers, ..self.config.clone() };
        Ok(Grouped { projection: self.projection.clone(), aggregate: Aggregate::new(config)? })
    }
}

fn at(section: &str, name: &str, error: &ExprError) -> GroupedError {
    GroupedError { path: format!("{section}.{name}"), message: error.to_string() }
}

fn below(error: &AggregateError) -> GroupedError {
    GroupedError { path: String::new(), message: error.to_string() }
}

/// An `aggregate` step on one worker.
pub struct Grouped {
    projection: Projection,
    aggregate: Aggregate,
}

impl KeyedStep for Grouped {
    fn schema(&self) -> SchemaRef {
        self.aggregate.schema()
    }

    fn accumulate(&mut self, ctx: &BatchCtx, input: &RecordBatch) -> Result<Vec<RejectedRow>, StepError> {
        let projected = self.projection.apply(input).map_err(failed)?;
        let mut gone = rejected(projected.faults);
        let late = self.aggregate.accumulate(ctx, &projected.rows)?;
        if gone.is_empty() {
            return Ok(late);
        }
        // Rows at fault are not among the projected ones: numbers behind them are the input's again.
        let kept = kept_rows(input.num_rows(), &gone);
        gone.extend(late.into_iter().map(|row| RejectedRow { row: kept[row.row as usize], ..row }));
        gone.sort_by_key(|row| row.row);
        Ok(gone)
    }

    fn exchange(&mut self) -> Result<Vec<RecordBatch>, StepError> {
        self.aggregate.exchange()
    }

    fn merge(&mut self, ctx: &BatchCtx, gathered: &RecordBatch) -> Result<(), StepError> {
        self.aggregate.merge(ctx, gathered)
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        self.aggregate.emit(ctx)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.aggregate.snapshot(extent)
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        self.aggregate.restore(chunk)
    }

    fn size(&self) -> StateSize {
        self.aggregate.size()
    }
}

fn kept_rows(rows: usize, gone: &[RejectedRow]) -> Vec<u32> {
    let mut gone = gone.iter().map(|row| row.row).peekable();
    (0..u32::try_from(rows).unwrap_or(u32::MAX)).filter(|row| gone.next_if_eq(row).is_none()).collect()
}
