//! What an aggregation is to do, and the schemas that follow from it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use millstream_wasm::Observer;

use super::early::{self, BatchTime};
use super::plugin::{Instance, Operator};
use crate::batch::{BatchCtx, EventTime, timestamp_us, type_name};
use crate::state::accumulators::{self, Accumulator};
use crate::state::{KeyCodec, StateError};
use crate::windows::Windows;

/// What an aggregation is to do.
#[derive(Clone, Debug)]
pub struct AggregateConfig {
    /// The schema of the input.
    pub input: SchemaRef,
    /// The columns to group by; none for one group of all rows.
    pub keys: Vec<KeyConfig>,
    /// The windows, if any.
    pub window: Option<WindowConfig>,
    /// What to compute for each group.
    pub functions: Vec<FunctionConfig>,
    /// When results go on.
    pub emit: Emit,
    /// This worker, from zero.
    pub worker: u32,
    /// Number of workers, from 1 to [`crate::state::KEY_GROUPS`].
    pub workers: u32,
}

/// A column to group by.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// Its name in the output.
    pub name: String,
    /// Which column of the input it is.
    pub column: usize,
}

/// How time is cut.
#[derive(Clone, Debug)]
pub struct WindowConfig {
    /// Which windows.
    pub kind: WindowKind,
    /// The event time of the input.
    pub time: EventTime,
    /// How much later than its end a window closes, in microseconds.
    pub lateness_us: i64,
}

/// Which windows a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Those that cut or cover all of time.
    Fixed(Windows),
    /// Those of its key's rows, with no gap among them as long as this.
    Session(Gap),
}

/// How long a session waits for its next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// So many microseconds.
    Fixed(i64),
    /// As many microseconds as this int64 column of the input says, row by row.
    Column(usize),
}

impl AggregateConfig {
    /// The windows that do not depend on rows.
    pub(super) fn windows(&self) -> Option<&Windows> {
        match self.window.as_ref().map(|window| &window.kind) {
            Some(WindowKind::Fixed(windows)) => Some(windows),
            _ => None,
        }
    }
}

/// A function over the rows of a group.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    /// The name of the result in the output.
    pub name: String,
    /// What is called.
    pub call: FunctionCall,
    /// Which columns of the input it is applied to; none stands for `*`.
    pub arguments: Vec<usize>,
}

/// What a function is.
#[derive(Clone, Debug)]
pub enum FunctionCall {
    /// One of ours.
    BuiltIn {
        /// One of [`accumulators::names`] but for the word `distinct`.
        function: String,
        /// Numbers that are written after the columns, the same for all rows.
        numbers: Vec<f64>,
        /// Whether equal values are taken once.
        distinct: bool,
    },
    /// A plugin's.
    Plugin(Operator),
}

impl FunctionCall {
    /// A built-in function of columns alone.
    #[must_use]
    pub fn built_in(function: &str) -> Self {
        Self::BuiltIn { function: function.to_owned(), numbers: Vec::new(), distinct: false }
    }

    /// The name of a built-in function among the accumulators; of a plugin's operator, with its config.
    fn full_name(&self) -> String {
        match self {
            Self::BuiltIn { function, distinct: true, .. } => format!("{function} distinct"),
            Self::BuiltIn { function, .. } => function.clone(),
            Self::Plugin(operator) => format!("{} with {} of ", operator.identity(), operator.call.config),
        }
    }
}

/// Deals argument columns to the functions that they were gathered for, in order.
pub(super) fn deal<'a>(
    functions: &'a [FunctionConfig],
    columns: &'a [ArrayRef],
) -> impl Iterator<Item = &'a [ArrayRef]> {
    let mut rest = columns;
    functions.iter().map(move |function| {
        let (own, others) = rest.split_at(function.arguments.len());
        rest = others;
        own
    })
}

/// When results go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// With each batch, for the groups that it touched.
    Update,
    /// Once, when the watermark has passed the window.
    Final,
    /// Every so many microseconds of the plan's clock, for the groups that have changed, and once more when
    /// the watermark has passed the window.
    Early(i64),
}

impl Emit {
    /// Whether the results of a window go on when it closes.
    pub(super) fn gives_finals(self) -> bool {
        matches!(self, Self::Final | Self::Early(_))
    }
}

/// Why there can be no such aggregation; the message says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateError(String);

impl AggregateError {
    pub(super) fn of_counts(size: u64, every: u64, most: u64) -> Self {
        Self(format!(
            "count windows of {size} rows, one every {every}, cannot be: there are 1 to {most} rows in a window, and the \
             next one begins after at least 1 and at most so many rows"
        ))
    }

    pub(super) fn of_overlapping_counts() -> Self {
        Self(
            "count windows that overlap need emit: final: a row changes several of them, and each would go on with \
             every batch"
                .to_owned(),
        )
    }

    pub(super) fn of_early_counts() -> Self {
        Self("count windows have no early results: use emit: update, or emit: final".to_owned())
    }

    pub(super) fn of_name(name: &str) -> Self {
        Self(format!("two columns of the output are called `{name}`: rename one"))
    }

    pub(super) fn without_sessions() -> Self {
        Self("these windows are no sessions".to_owned())
    }
}

impl fmt::Display for AggregateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AggregateError {}

impl From<StateError> for AggregateError {
    fn from(error: StateError) -> Self {
        Self(error.to_string())
    }
}

/// A configuration that has been checked, with what follows from it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: AggregateConfig,
    /// What `emit` gives: the window's start and end, keys, functions.
    pub(super) output: SchemaRef,
    /// What `exchange` gives: the window's start, the encoded key, the states of functions.
    pub(super) partial: SchemaRef,
    /// The table `groups` of a snapshot: the window's start, keys, the states of functions.
    pub(super) groups: SchemaRef,
    /// The tables of distinct values of a snapshot, by the function's place.
    pub(super) distinct: Vec<Option<SchemaRef>>,
    key_types: Vec<DataType>,
    arguments: Vec<Vec<DataType>>,
    /// By function, where it is a plugin's.
    instances: Vec<Option<Instance>>,
    /// For results that go on early: the last of the accumulators asks it.
    time: Option<BatchTime>,
}

/// The key of the schema metadata that says what state is about.
const DESCRIPTION: &str = "millstream.aggregate";

impl Plan {
    pub(super) fn new(config: AggregateConfig, observer: &Arc<dyn Observer>) -> Result<Self, AggregateError> {
        check(&config)?;
        let key_types: Vec<DataType> =
            config.keys.iter().map(|key| config.input.field(key.column).data_type().clone()).collect();
        let argument = |column: &usize| config.input.field(*column).data_type().clone();
        let arguments = |function: &FunctionConfig| function.arguments.iter().map(argument).collect();
        let arguments: Vec<_> = config.functions.iter().map(arguments).collect();
        let instances = config.functions.iter().map(|function| match &function.call {
            FunctionCall::BuiltIn { .. } => Ok(None),
            FunctionCall::Plugin(operator) => Instance::open(operator, observer)
                .map(Some)
                .map_err(|error| AggregateError(format!("`{}`: {error}", function.name))),
        });
        let instances = instances.collect::<Result<_, _>>()?;
        let nothing = Arc::new(Schema::empty());
        let mut plan = Self {
            output: Arc::clone(&nothing),
            partial: Arc::clone(&nothing),
            groups: nothing,
            distinct: Vec::new(),
            key_types,
            arguments,
            instances,
            time: matches!(config.emit, Emit::Early(_)).then(BatchTime::default),
            config,
        };
        plan.codec()?;
        plan.set_schemas()?;
        Ok(plan)
    }

    /// A codec for the keys.
    pub(super) fn codec(&self) -> Result<KeyCodec, StateError> {
        KeyCodec::new(self.key_types.clone())
    }

    /// New accumulators, one a function; behind them one that says when a group was touched, where that is
    /// needed.
    pub(super) fn accumulators(&self) -> Result<Vec<Box<dyn Accumulator>>, StateError> {
        let functions = self.config.functions.iter().zip(&self.arguments).zip(&self.instances);
        let functions = functions.map(|((function, arguments), instance)| match (&function.call, instance) {
            (_, Some(instance)) => Ok(instance.accumulator()),
            (FunctionCall::BuiltIn { numbers, .. }, None) => {
                accumulators::build(&function.call.full_name(), arguments, numbers)
            }
            (FunctionCall::Plugin(_), None) => {
                Err(StateError::Plugin("the plugin's operator is not open".into()))
            }
        });
        functions.chain(self.time.as_ref().map(|time| Ok(time.accumulator()))).collect()
    }

    /// Whether rows may be refused by a function.
    pub(super) fn calls_plugins(&self) -> bool {
        self.instances.iter().any(Option::is_some)
    }

    /// Calls of plugins that follow belong to this batch.
    pub(super) fn set_clock(&self, ctx: &BatchCtx) {
        if let Some(time) = &self.time {
            time.set(ctx.now_us);
        }
        self.instances.iter().flatten().for_each(|instance| instance.set_clock(ctx));
    }

    fn set_schemas(&mut self) -> Result<(), AggregateError> {
        let mut output: Vec<FieldRef> = Vec::new();
        if self.config.window.is_some() {
            output.push(Arc::new(Field::new("window_start", timestamp_us(), false)));
            output.push(Arc::new(Field::new("window_end", timestamp_us(), false)));
        }
        let mut keys: Vec<FieldRef> = vec![Arc::new(Field::new("window_start", timestamp_us(), true))];
        for (key, data_type) in self.config.keys.iter().zip(&self.key_types) {
            keys.push(Arc::new(Field::new(&key.name, data_type.clone(), true)));
        }
        output.extend_from_slice(&keys[1..]);
        let mut groups = keys.clone();
        let mut partial = vec![Arc::clone(&keys[0]), Arc::new(Field::new("key", DataType::Binary, true))];
        let metadata = HashMap::from([(DESCRIPTION.to_owned(), self.description())]);
        let names = self.config.functions.iter().map(|function| function.name.as_str());
        for (name, mut accumulator) in names.chain(std::iter::once(early::NAME)).zip(self.accumulators()?) {
            match accumulator.data_type() {
                _ if name == early::NAME => {}
                DataType::Struct(fields) => output.extend(fields.iter().map(|field| {
                    let name = format!("{name}_{}", field.name());
                    Arc::new(field.as_ref().clone().with_name(name).with_nullable(true))
                })),
                one => output.push(Arc::new(Field::new(name, one, true))),
            }
            let states = accumulator.state_fields().into_iter().map(|field| {
                let name = format!("{name}.{}", field.name());
                Arc::new(field.with_name(name))
            });
            let states: Vec<FieldRef> = states.collect();
            partial.extend_from_slice(&states);
            self.distinct.push(accumulator.pairs().map(|pairs| {
                let mut fields = keys.clone();
                fields.push(Arc::new(Field::new("value", pairs.data_type().clone(), true)));
                Arc::new(Schema::new_with_metadata(fields, metadata.clone()))
            }));
            if accumulator.pairs().is_none() {
                groups.extend(states);
            }
        }
        check_names(&output)?;
        self.output = Arc::new(Schema::new(output));
        self.partial = Arc::new(Schema::new(partial));
        self.groups = Arc::new(Schema::new_with_metadata(groups, metadata));
        Ok(())
    }

    /// What the state is about: state of another description cannot be taken over.
    fn description(&self) -> String {
        let window = match &self.config.window {
            None => "no window".to_owned(),
            Some(WindowConfig { kind: WindowKind::Fixed(windows), .. }) => windows.to_string(),
            Some(WindowConfig { kind: WindowKind::Session(Gap::Fixed(gap_us)), .. }) => {
                format!("sessions with gaps of {gap_us} us")
            }
            Some(WindowConfig { kind: WindowKind::Session(Gap::Column(_)), .. }) => {
                "sessions with gaps from the rows".to_owned()
            }
        };
        let functions = self.config.functions.iter().zip(&self.arguments).map(|(function, arguments)| {
            let arguments = match arguments.as_slice() {
                [] => "*".to_owned(),
                some => some.iter().map(type_name).collect::<Vec<_>>().join(", "),
            };
            format!("{} = {}({arguments})", function.name, function.call.full_name())
        });
        format!("version 1; {window}; {}", functions.collect::<Vec<_>>().join(", "))
    }
}

fn check(config: &AggregateConfig) -> Result<(), AggregateError> {
    if config.workers == 0 || config.workers > crate::state::KEY_GROUPS || config.worker >= config.workers {
        return Err(AggregateError(format!(
            "worker {} of {} cannot be: there are 1 to {} workers, counted from 0",
            config.worker,
            config.workers,
            crate::state::KEY_GROUPS
        )));
    }
    let fields = config.input.fields().len();
    let columns = config.keys.iter().map(|key| (&key.name, key.column));
    let arguments = config
        .functions
        .iter()
        .flat_map(|function| function.arguments.iter().map(|column| (&function.name, *column)));
    if let Some((name, column)) = columns.chain(arguments).find(|&(_, column)| column >= fields) {
        return Err(AggregateError(format!(
            "`{name}` is to use column {column}, but the input has {fields}"
        )));
    }
    if config.keys.is_empty() && config.functions.is_empty() {
        return Err(AggregateError("an aggregation needs a key or a function".into()));
    }
    for FunctionConfig { name, call, .. } in &config.functions {
        match call {
            FunctionCall::BuiltIn { function, distinct: true, .. } if function != "count" => {
                return Err(AggregateError(format!(
                    "`{name}`: only count can be distinct, {function}(distinct) cannot"
                )));
            }
            _ => {}
        }
    }
    check_window(config)
}

fn check_names(output: &[FieldRef]) -> Result<(), AggregateError> {
    let mut names: Vec<&str> = output.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(AggregateError::of_name(pair[0])),
        None => Ok(()),
    }
}

/// The columns of a function's results: of several fields each one, with all groups' values.
pub(super) fn result_columns(results: ArrayRef) -> Vec<ArrayRef> {
    match results.as_struct_opt() {
        Some(fields) => fields.columns().to_vec(),
        None => vec![results],
    }
}

fn check_window(config: &AggregateConfig) -> Result<(), AggregateError> {
    let Some(window) = &config.window else {
        return match config.emit {
            Emit::Update => Ok(()),
            Emit::Early(_) => Err(AggregateError(
                "early results need a window whose final ones follow: add `window`, or use emit: update".into(),
            )),
            Emit::Final => Err(AggregateError(
                "emit: final needs a window, as without one no result is ever final: add `window`, or use emit: update"
                    .into(),
            )),
        };
    };
    match config.emit {
        Emit::Early(every_us) if every_us <= 0 => {
            return Err(AggregateError("early results need a time from one to the next".into()));
        }
        _ => {}
    }
    if let WindowKind::Session(gap) = window.kind {
        check_session(config, gap)?;
    }
    match config.input.fields().get(window.time.column).map(|field| (field, field.data_type())) {
        Some((_, DataType::Timestamp(TimeUnit::Microsecond, _))) => Ok(()),
        Some((field, other)) => Err(AggregateError(format!(
            "a window needs an event time of type timestamp, but `{}` is {}",
            field.name(),
            type_name(other)
        ))),
        None => Err(AggregateError(format!(
            "the event time is to be column {}, but the input has {}",
            window.time.column,
            config.input.fields().len()
        ))),
    }
}

fn check_session(config: &AggregateConfig, gap: Gap) -> Result<(), AggregateError> {
    if config.emit != Emit::Final {
        return Err(AggregateError(
            "sessions need emit: final: a session that grows changes its start and end, so its earlier results could \
             not be taken back"
                .into(),
        ));
    }
    match gap {
        Gap::Fixed(gap_us) if gap_us <= 0 => {
            Err(AggregateError(format!("a session's gap must be positive, but is {gap_us} us")))
        }
        Gap::Column(column)
            if config.input.fields().get(column).map(|field| field.data_type()) != Some(&DataType::Int64) =>
        {
            Err(AggregateError("a session's gap must be a number of microseconds in an int64 column".into()))
        }
        _ => Ok(()),
    }
}
