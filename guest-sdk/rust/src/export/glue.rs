//! Between the contract's types and ours. An instance has one operator: what `open` left is what the
//! other functions call.

use std::cell::RefCell;
use std::rc::Rc;

use crate::aggregate::OpenedAggregate;
use crate::batch::{Batch, Buffers, Clock};
use crate::bindings::aggregate::exports::millstream::plugin::aggregate;
use crate::bindings::keyed::exports::millstream::plugin::keyed;
use crate::bindings::transform::exports::millstream::plugin::transform;
use crate::bindings::{catalog, data};
use crate::columns::cast;
use crate::error::{Error, Result};
use crate::keyed::{OpenedKeyed, Turn};
use crate::operator::{Open, Plugin, Transform};
use crate::output::Rejection;
use crate::place;
use crate::schema::{DataType, Field, Schema};

/// What [`crate::plugin!`] makes of a crate; all exports follow from it.
pub trait Offers {
    /// The plugin.
    fn plugin() -> Plugin;
}

/// An operator with the schema of its input.
struct Opened<T> {
    input: Rc<Schema>,
    operator: T,
}

thread_local! {
    static NAME: RefCell<String> = const { RefCell::new(String::new()) };
    /// The columns of the input.
    static COLUMNS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static TRANSFORM: RefCell<Option<Opened<Transform>>> = const { RefCell::new(None) };
    static AGGREGATE: RefCell<Option<Opened<OpenedAggregate>>> = const { RefCell::new(None) };
    /// With the schema of its keys.
    static KEYED: RefCell<Option<(Rc<Schema>, Opened<OpenedKeyed>)>> = const { RefCell::new(None) };
}

impl<O: Offers> catalog::Guest for O {
    fn describe() -> catalog::Description {
        let plugin = O::plugin();
        let operators = plugin.operators.iter().map(|operator| catalog::Operator {
            name: operator.name().to_owned(),
            kind: match operator.open {
                Open::Transform(_) => catalog::Kind::Transform,
                Open::Aggregate { .. } => catalog::Kind::Aggregate,
                Open::Keyed(_) => catalog::Kind::Keyed,
            },
            summary: operator.summary(),
            config_schema: operator.config_schema().to_string(),
            retracts: operator.retracts(),
        });
        catalog::Description {
            name: plugin.name.to_owned(),
            version: plugin.version.to_owned(),
            summary: plugin.summary.to_owned(),
            operators: operators.collect(),
        }
    }
}

impl<O: Offers> transform::Guest for O {
    fn open(name: String, config: String, input: Vec<data::Field>) -> Result<Vec<data::Field>, String> {
        begin(&name, &input);
        answer(|| {
            let input = Rc::new(read_schema(input)?);
            let operator = O::plugin().open(&name, &config, &input)?;
            let output = write_schema(operator.output());
            TRANSFORM.set(Some(Opened { input, operator }));
            Ok(output)
        })
    }

    fn process(clock: data::Clock, input: data::Batch) -> Result<transform::Output, String> {
        TRANSFORM.with_borrow(|opened| {
            call(|| {
                let Opened { input: schema, operator } = opened.as_ref().ok_or_else(not_open)?;
                let finished = operator.process(batch(schema, told(clock), input)?)?;
                let batch = written(finished.rows, finished.columns)?;
                Ok(transform::Output { batch, rejected: rejections(finished.rejected) })
            })
        })
    }
}

impl<O: Offers> aggregate::Guest for O {
    fn open(name: String, config: String, input: Vec<data::Field>) -> Result<Vec<data::Field>, String> {
        begin(&name, &input);
        answer(|| {
            let input = Rc::new(read_schema(input)?);
            let operator = O::plugin().open_aggregate(&name, &config, &input)?;
            let output = write_schema(operator.output());
            AGGREGATE.set(Some(Opened { input, operator }));
            Ok(output)
        })
    }

    fn accumulate(states: data::Column, groups: Vec<u8>, input: data::Batch) -> Result<data::Column, String> {
        with_aggregate(|Opened { input: schema, operator }| {
            let groups = cast::<u32>("groups", &groups, input.rows as usize)?;
            let input = batch(schema, Clock::default(), input)?;
            Ok(column(operator.accumulate(buffers(states), &groups, &input)?))
        })
    }

    fn merge(left: data::Column, right: data::Column) -> Result<data::Column, String> {
        with_aggregate(|opened| Ok(column(opened.operator.merge(buffers(left), buffers(right))?)))
    }

    fn retract(left: data::Column, right: data::Column) -> Result<data::Column, String> {
        with_aggregate(|opened| Ok(column(opened.operator.retract(buffers(left), buffers(right))?)))
    }

    fn finish(states: data::Column) -> Result<data::Batch, String> {
        with_aggregate(|opened| {
            let finished = opened.operator.finish(buffers(states))?;
            written(finished.rows, finished.columns)
        })
    }
}

fn with_aggregate<T>(act: impl FnOnce(&Opened<OpenedAggregate>) -> Result<T>) -> Result<T, String> {
    AGGREGATE.with_borrow(|opened| call(|| act(opened.as_ref().ok_or_else(not_open)?)))
}

impl<O: Offers> keyed::Guest for O {
    fn open(
        name: String,
        config: String,
        keys: Vec<data::Field>,
        input: Vec<data::Field>,
    ) -> Result<Vec<data::Field>, String> {
        begin(&name, &input);
        answer(|| {
            let (keys, input) = (Rc::new(read_schema(keys)?), Rc::new(read_schema(input)?));
            let operator = O::plugin().open_keyed(&name, &config, &keys, &input)?;
            let output = write_schema(operator.output());
            KEYED.set(Some((keys, Opened { input, operator })));
            Ok(output)
        })
    }

    fn process(clock: data::Clock, turn: keyed::Turn) -> Result<keyed::Outcome, String> {
        KEYED.with_borrow(|opened| {
            call(|| {
                let (keys, opened) = opened.as_ref().ok_or_else(not_open)?;
                let clock = told(clock);
                let row_keys = cast::<u32>("row-keys", &turn.row_keys, turn.rows.rows as usize)?.into_owned();
                let turn = Turn {
                    keys: batch(keys, clock, turn.keys)?,
                    states: buffers(turn.states),
                    rows: batch(&opened.input, clock, turn.rows)?,
                    row_keys,
                    due: turn.due.iter().map(|due| (due.key, due.at)).collect(),
                };
                let outcome = opened.operator.process(&turn)?;
                let timers = outcome.timers.into_iter().map(|(key, at)| keyed::Timer { key, at });
                Ok(keyed::Outcome {
                    output: written(outcome.finished.rows, outcome.finished.columns)?,
                    states: column(outcome.states),
                    timers: timers.collect(),
                    rejected: rejections(outcome.finished.rejected),
                })
            })
        })
    }

    fn migrate(from_version: String, states: data::Column) -> Result<data::Column, String> {
        KEYED.with_borrow(|opened| {
            call(|| {
                let (_, opened) = opened.as_ref().ok_or_else(not_open)?;
                Ok(column(opened.operator.migrate(&from_version, buffers(states))?))
            })
        })
    }
}

fn answer<T>(act: impl FnOnce() -> Result<T>) -> Result<T, String> {
    act().map_err(|error| error.to_string())
}

/// The answer of a call after `open`: it may be read far from the step that has the operator.
fn call<T>(act: impl FnOnce() -> Result<T>) -> Result<T, String> {
    place::forget();
    act().map_err(|error| NAME.with_borrow(|name| format!("operator `{name}`: {error}")))
}

fn not_open() -> Error {
    Error::new("the operator was called before `open`")
}

fn told(clock: data::Clock) -> Clock {
    Clock { batch_id: clock.batch_id, now: clock.now, watermark: clock.watermark }
}

fn batch(schema: &Rc<Schema>, clock: Clock, batch: data::Batch) -> Result<Batch> {
    let columns = batch.columns.into_iter().map(buffers).collect();
    Batch::new(Rc::clone(schema), clock, batch.rows as usize, columns)
}

fn written(rows: usize, columns: Vec<Buffers>) -> Result<data::Batch> {
    Ok(data::Batch { rows: u32::try_from(rows)?, columns: columns.into_iter().map(column).collect() })
}

fn rejections(rejected: Vec<Rejection>) -> Vec<data::Rejection> {
    rejected.into_iter().map(|one| data::Rejection { row: one.row, reason: one.reason }).collect()
}

fn buffers(column: data::Column) -> Buffers {
    Buffers { validity: column.validity, offsets: column.offsets, values: column.values }
}

fn column(buffers: Buffers) -> data::Column {
    data::Column { validity: buffers.validity, offsets: buffers.offsets, values: buffers.values }
}

fn read_schema(fields: Vec<data::Field>) -> Result<Schema> {
    let fields = fields.into_iter().map(|field| {
        let data_type = DataType::from_format(&field.data_type).ok_or_else(|| {
            Error::new(format!(
                "the column `{}` has a type unknown to the plugin: `{}`",
                field.name, field.data_type
            ))
        })?;
        let read = Field::new(field.name, data_type);
        Ok(if field.nullable { read.nullable() } else { read })
    });
    Schema::of(fields.collect::<Result<Vec<_>>>()?)
}

fn write_schema(schema: &Schema) -> Vec<data::Field> {
    let fields = schema.fields().iter().map(|field| data::Field {
        name: field.name().to_owned(),
        data_type: field.data_type().format().to_owned(),
        nullable: field.is_nullable(),
    });
    fields.collect()
}

/// What every operator's `open` does first. A trap carries no words; the host shows what stood on stderr before it.
#[allow(clippy::print_stderr, reason = "it is where the host looks")]
fn begin(operator: &str, input: &[data::Field]) {
    NAME.set(operator.to_owned());
    COLUMNS.set(input.iter().map(|field| field.name.clone()).collect());
    place::forget();
    std::panic::set_hook(Box::new(|info| {
        let place = COLUMNS.with_borrow(|columns| place::last_read(columns));
        let read = place.map_or_else(String::new, |place| format!("; last read: {place}"));
        NAME.with_borrow(|operator| eprintln!("operator `{operator}` {info}{read}"));
    }));
}
