//! The `aggregate` step as a spec has it: expressions for keys and arguments, computed for each chunk,
//! before the built-in aggregation works on columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema, SchemaRef};
use millstream_wasm::{CallError, Observer, Plugin};

use super::aggregate::{
    Aggregate, AggregateConfig, AggregateError, CountConfig, Counted, Deaf, Emit, FunctionCall,
    FunctionConfig, Gap, KeyConfig, Operator, PluginCall, Sessions, WindowConfig, WindowKind,
};
use super::filter::{failed, rejected};
use super::keys::both;
use super::{Extent, KeyedPlan, KeyedStep, Parcel, RejectedRow, StateChunk, StateSize, StepError};
use crate::batch::{BatchCtx, EventTime};
use crate::expr::{Call, Expr, ExprError, Parsed, Projection};
use crate::state::accumulators;
use crate::state::cold::Spill;

/// What an `aggregate` step does, checked against its input.
#[derive(Clone, Debug)]
pub struct GroupedPlan {
    projection: Projection,
    config: AggregateConfig,
    count: Option<CountConfig>,
    schema: SchemaRef,
}

/// What a [`GroupedPlan`] is made of.
pub struct GroupedParts<'a> {
    /// Output column and expression of each key.
    pub by: &'a [(String, String)],
    /// The windows, over the event time of the input.
    pub window: Option<WindowConfig>,
    /// Windows of so many rows instead.
    pub count: Option<CountConfig>,
    /// For sessions whose rows say their gap themselves: an expression, in seconds.
    pub gap: Option<&'a str>,
    /// Output column and call of each function.
    pub compute: &'a [(String, Computed<'a>)],
    /// When results go on.
    pub emit: Emit,
}

/// A function of an `aggregate` step.
pub enum Computed<'a> {
    /// A call of a built-in one: `count(x)`.
    Call(&'a str),
    /// A plugin's aggregate.
    Plugin {
        /// Name and expression of each column that it is given.
        of: &'a [(String, String)],
        /// The operator.
        call: PluginCall,
    },
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
        for (name, computed) in parts.compute {
            let text = match computed {
                Computed::Call(text) => text,
                Computed::Plugin { of, call } => {
                    let (columns, operator) = operator(name, of, call, input)?;
                    functions.push(FunctionConfig {
                        name: name.clone(),
                        call: FunctionCall::Plugin(operator),
                        arguments: columns.into_iter().map(&mut add).collect(),
                    });
                    continue;
                }
            };
            let call = Call::parse(text).map_err(|error| at("compute", name, &error))?;
            let (columns, numbers) = arguments(&call, text)
                .map_err(|message| GroupedError { path: format!("compute.{name}"), message })?;
            let bind = |column: &Parsed| column.bind(input).map_err(|error| at("compute", name, &error));
            let columns = columns.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
            functions.push(FunctionConfig {
                name: name.clone(),
                arguments: columns.into_iter().map(&mut add).collect(),
                call: FunctionCall::BuiltIn { function: call.name, numbers, distinct: call.distinct },
            });
        }
        let mut window = parts.window.clone().map(|window| {
            let column = add(Expr::column(window.time.column, input));
            WindowConfig { time: EventTime { column, ..window.time }, ..window }
        });
        if let (Some(text), Some(window)) = (parts.gap, &mut window) {
            let micros = format!("CAST(({text}) * 1000000 AS BIGINT)");
            let expr = Expr::compile(&micros, input).map_err(|error| at("window", "session", &error))?;
            window.kind = WindowKind::Session(Gap::Column(add(expr)));
        }
        let count = parts.count.map(|count| {
            let time = count.time.map(|column| add(Expr::column(column, input)));
            CountConfig { time, ..count }
        });
        let projection = Projection::from_exprs(columns);
        let input = Arc::clone(projection.schema());
        let config =
            AggregateConfig { input, keys, window, functions, emit: parts.emit, worker: 0, workers: 1 };
        let nobody: Arc<dyn Observer> = Arc::new(Deaf);
        let schema = match count {
            Some(count) => Counted::heard(config.clone(), count, &nobody).map(|step| step.schema()),
            None if is_session(&config) => Sessions::new(config.clone()).map(|step| step.schema()),
            None => Aggregate::new(config.clone()).map(|step| step.schema()),
        };
        let schema = schema.map_err(|error| below(&error))?;
        Ok(Self { projection, config, count, schema })
    }
}

impl KeyedPlan for GroupedPlan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn holds_back_us(&self) -> Option<i64> {
        self.config.window.as_ref().map(|window| window.lateness_us)
    }

    fn can_spill(&self) -> bool {
        self.count.is_some()
            || is_session(&self.config)
            || Aggregate::new(self.config.clone()).is_ok_and(|step| step.can_spill())
    }

    fn build(&self, worker: u32, workers: u32) -> Result<Box<dyn KeyedStep>, StepError> {
        let nobody: Arc<dyn Observer> = Arc::new(Deaf);
        self.build_heard(worker, workers, &nobody)
    }

    fn has_timers(&self) -> bool {
        matches!(self.config.emit, Emit::Early(_))
    }

    fn plugins(&self) -> Vec<(String, &Plugin)> {
        let functions = self.config.functions.iter();
        let called = functions.filter_map(|function| match &function.call {
            FunctionCall::Plugin(operator) => Some((function.name.clone(), &operator.call.plugin)),
            FunctionCall::BuiltIn { .. } => None,
        });
        called.collect()
    }

    fn build_heard(
        &self,
        worker: u32,
        workers: u32,
        observer: &Arc<dyn Observer>,
    ) -> Result<Box<dyn KeyedStep>, StepError> {
        let config = AggregateConfig { worker, workers, ..self.config.clone() };
        let aggregate: Box<dyn KeyedStep> = if let Some(count) = self.count {
            Box::new(Counted::heard(config, count, observer).map_err(failed)?)
        } else if is_session(&config) {
            Box::new(Sessions::heard(config, observer).map_err(failed)?)
        } else {
            Box::new(Panes(Aggregate::heard(config, observer).map_err(failed)?))
        };
        Ok(Box::new(Grouped { projection: self.projection.clone(), aggregate }))
    }
}

/// A plugin's operator over the columns that it is given; it is opened once, so that what is wrong with
/// its config is told at deployment.
fn operator(
    name: &str,
    of: &[(String, String)],
    call: &PluginCall,
    input: &Schema,
) -> Result<(Vec<Expr>, Operator), GroupedError> {
    let below =
        |place: &str, message: String| GroupedError { path: format!("compute.{name}.{place}"), message };
    let mut columns = Vec::with_capacity(of.len());
    for (column, text) in of {
        let expr = Expr::compile(text, input);
        let expr = expr.map_err(|error| below(&format!("of.{column}"), error.to_string()))?;
        columns.push((column.clone(), expr));
    }
    let given = Projection::from_exprs(columns.clone());
    let operator = Operator { call: call.clone(), input: Arc::clone(given.schema()) };
    let nobody: Arc<dyn Observer> = Arc::new(Deaf);
    match operator.open(&nobody) {
        Ok(_) => Ok((columns.into_iter().map(|(_, expr)| expr).collect(), operator)),
        Err(CallError::Answered(message)) => Err(below("config", message)),
        Err(error) => Err(below("wasm", error.to_string())),
    }
}

/// The arguments of a call that are columns, and the numbers after them.
fn arguments<'a>(call: &'a Call, text: &str) -> Result<(&'a [Parsed], Vec<f64>), String> {
    let given = call.arguments.as_slice();
    // Of a name that is not known, all are columns; that there is no such function is said later.
    let Some(shape) = accumulators::shape(&call.name).filter(|_| !given.is_empty()) else {
        return Ok((given, Vec::new()));
    };
    if given.len() != shape.columns + shape.numbers {
        let places = if shape.columns + shape.numbers == 1 { "one argument" } else { "two arguments" };
        return Err(format!(
            "`{text}` has {}, but {} takes {places}: `{}`",
            given.len(),
            call.name,
            shape.example
        ));
    }
    let (columns, numbers) = given.split_at(shape.columns);
    let numbers = numbers.iter().map(number).collect::<Option<_>>().ok_or_else(|| {
        format!(
            "the last argument of {} is a number that is the same for all rows: `{}`",
            call.name, shape.example
        )
    })?;
    Ok((columns, numbers))
}

/// The number that an expression without columns is.
fn number(parsed: &Parsed) -> Option<f64> {
    let expr = parsed.bind(&Schema::empty()).ok()?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).ok()?;
    let value = expr.evaluate(&row).ok()?.array;
    match value.data_type() {
        _ if value.is_null(0) => None,
        DataType::Int64 => Some(value.as_primitive::<Int64Type>().value(0) as f64),
        DataType::Float64 => Some(value.as_primitive::<Float64Type>().value(0)),
        _ => None,
    }
}

fn at(section: &str, name: &str, error: &ExprError) -> GroupedError {
    GroupedError { path: format!("{section}.{name}"), message: error.to_string() }
}

fn below(error: &AggregateError) -> GroupedError {
    GroupedError { path: String::new(), message: error.to_string() }
}

fn is_session(config: &AggregateConfig) -> bool {
    matches!(config.window, Some(WindowConfig { kind: WindowKind::Session(_), .. }))
}

/// An `aggregate` step on one worker.
struct Grouped {
    projection: Projection,
    aggregate: Box<dyn KeyedStep>,
}

impl KeyedStep for Grouped {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        port: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        let projected = self.projection.apply(input).map_err(failed)?;
        let gone = rejected(projected.faults);
        let late = self.aggregate.accumulate(ctx, port, &projected.rows)?;
        // Rows at fault are not among the projected ones.
        Ok(both(input.num_rows(), gone, &late))
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        self.aggregate.exchange()
    }

    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        self.aggregate.merge(ctx, parcels)
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        self.aggregate.emit(ctx)
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.aggregate.spill_to(spill)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.aggregate.snapshot(extent)
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        self.aggregate.snapshot_more()
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        self.aggregate.restore(chunk)
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        self.aggregate.look()
    }

    fn earliest_timer_us(&mut self) -> Option<i64> {
        self.aggregate.earliest_timer_us()
    }

    fn size(&self) -> StateSize {
        self.aggregate.size()
    }
}

/// An aggregation without windows, or over windows that do not depend on rows.
struct Panes(Aggregate);

impl KeyedStep for Panes {
    fn accumulate(
        &mut self,
        ctx: &BatchCtx,
        _: usize,
        input: &RecordBatch,
    ) -> Result<Vec<RejectedRow>, StepError> {
        self.0.accumulate(ctx, input)
    }

    fn exchange(&mut self) -> Result<Vec<Vec<Parcel>>, StepError> {
        let dealt = self.0.exchange()?;
        Ok(dealt.into_iter().map(|rows| vec![Parcel { port: 0, order: 0, rows }]).collect())
    }

    fn merge(&mut self, ctx: &BatchCtx, parcels: &[Parcel]) -> Result<(), StepError> {
        let gathered: Vec<&RecordBatch> = parcels.iter().map(|parcel| &parcel.rows).collect();
        self.0.merge_all(ctx, &gathered)
    }

    fn emit(&mut self, ctx: &BatchCtx) -> Result<Vec<RecordBatch>, StepError> {
        self.0.emit(ctx)
    }

    fn spill_to(&mut self, spill: Spill) -> Result<(), StepError> {
        self.0.spill_to(spill)
    }

    fn snapshot(&mut self, extent: Extent) -> Result<Vec<StateChunk>, StepError> {
        self.0.snapshot(extent)
    }

    fn snapshot_more(&mut self) -> Result<Option<Vec<StateChunk>>, StepError> {
        self.0.snapshot_more()
    }

    fn restore(&mut self, chunk: &StateChunk) -> Result<(), StepError> {
        self.0.restore(chunk)
    }

    fn look(&mut self) -> Result<Vec<StateChunk>, StepError> {
        self.0.look()
    }

    fn earliest_timer_us(&mut self) -> Option<i64> {
        self.0.due_us()
    }

    fn size(&self) -> StateSize {
        self.0.size()
    }
}
