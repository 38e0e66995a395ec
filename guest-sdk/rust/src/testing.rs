//! Runs operators natively, without Wasm: batches from JSON rows, output as JSON rows, and what was
//! asked of the host. For tests of plugins.
//!
//! ```
//! use millstream_plugin::prelude::*;
//! use millstream_plugin::testing;
//! use serde_json::json;
//!
//! /// Keeps numbers above a bound.
//! #[derive(Deserialize, JsonSchema)]
//! struct Above { column: String, bound: i64 }
//!
//! fn above(config: Above, input: &Schema) -> Result<Transform> {
//!     let column = input.key::<Int64>(&config.column)?;
//!     Ok(Transform::new(input.clone(), move |batch, out| {
//!         let numbers = batch.read(column)?;
//!         let above = |row: &u32| numbers.get(*row as usize).is_some_and(|n| n > config.bound);
//!         let rows = (0..batch.len() as u32).filter(above).collect();
//!         out.keep_rows(batch, rows);
//!         Ok(())
//!     }))
//! }
//!
//! millstream_plugin::plugin! { name: "numbers", summary: "Numbers.", operators: [transform "above" => above] }
//!
//! # fn main() -> Result<()> {
//! let input = testing::batch(json!([{"n": 1}, {"n": 5}, {"n": null}]))?;
//! let ran = testing::run(&plugin(), "above", json!({"column": "n", "bound": 2}), input)?;
//! assert_eq!(ran.rows(), json!([{"n": 5}]));
//! # Ok(())
//! # }
//! ```

mod states;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::batch::{Batch, Buffers, Clock};
use crate::builders::{
    BinaryBuilder, BooleanBuilder, ColumnBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    Utf8Builder,
};
use crate::error::{Error, Result};
use crate::host::Level;
use crate::operator::Plugin;
use crate::output::Rejection;
use crate::rows::Row;
use crate::schema::{DataType, Field, Schema};

pub use states::{Keeper, aggregate, aggregate_and_retract};

/// What an operator asked of the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// Log lines, in order.
    pub logs: Vec<(Level, String)>,
    /// Counters, summed.
    pub counters: BTreeMap<String, u64>,
    /// Observed values, in order.
    pub observed: Vec<(String, f64)>,
}

/// What came of a batch.
#[derive(Debug)]
pub struct Ran {
    /// The output.
    pub output: Batch,
    /// Rows the operator could not take.
    pub rejected: Vec<Rejection>,
    /// What it asked of the host.
    pub calls: Calls,
}

impl Ran {
    /// The output as an array of objects; see [`rows`].
    ///
    /// # Panics
    /// When the operator wrote buffers that cannot be read.
    #[must_use]
    pub fn rows(&self) -> Value {
        rows(&self.output).expect("the operator wrote columns that can be read")
    }

    /// The reasons of rejection by row number.
    #[must_use]
    pub fn reasons(&self) -> Vec<(u32, &str)> {
        self.rejected.iter().map(|rejection| (rejection.row, rejection.reason.as_str())).collect()
    }
}

/// Opens an operator of `plugin` and runs one batch through it.
///
/// # Errors
/// When opening or processing gives one.
pub fn run(plugin: &Plugin, operator: &str, config: Value, input: Batch) -> Result<Ran> {
    crate::host::imp::take();
    let transform = plugin.open(operator, &config.to_string(), input.schema())?;
    let clock = *input.clock();
    let finished = transform.process(input)?;
    let output = Batch::new(Rc::new(transform.output().clone()), clock, finished.rows, finished.columns)?;
    Ok(Ran { output, rejected: finished.rejected, calls: crate::host::imp::take() })
}

/// A batch of JSON objects whose column types are guessed: text is utf8, numbers are int64 or, when
/// one has a fraction, float64. A column is nullable when a row has null or nothing there.
///
/// # Errors
/// When `rows` is not an array of objects, or a column mixes types or has nothing but nulls.
pub fn batch(rows: Value) -> Result<Batch> {
    let objects = objects(&rows)?;
    let mut names: Vec<&String> = Vec::new();
    for object in &objects {
        names.extend(object.keys().filter(|key| !names.contains(key)).collect::<Vec<_>>());
    }
    let fields = names.into_iter().map(|name| guess(name, &objects)).collect::<Result<Vec<_>>>()?;
    batch_of(Schema::of(fields)?, rows)
}

/// A batch of JSON objects with the types given: times are integers, bytes are hexadecimal text.
///
/// # Errors
/// When `rows` is not an array of objects, or a value does not fit its column.
pub fn batch_of(schema: Schema, rows: Value) -> Result<Batch> {
    let objects = objects(&rows)?;
    let columns = schema.fields().iter().map(|field| {
        let values = objects.iter().map(|object| object.get(field.name()).filter(|value| !value.is_null()));
        column(field.data_type(), values).ok_or_else(|| {
            Error::new(format!("a value of `{}` is not {}", field.name(), field.data_type()))
        })?
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Batch::new(Rc::new(schema), Clock::default(), objects.len(), columns)
}

/// A batch of one text column.
///
/// # Errors
/// When the texts are larger than 2 GiB.
pub fn texts(name: &str, texts: &[&str]) -> Result<Batch> {
    let schema = Schema::of([Field::new(name, DataType::Utf8)])?;
    let column = texts.iter().copied().map(Some).collect::<Utf8Builder>().finish()?;
    Batch::new(Rc::new(schema), Clock::default(), texts.len(), vec![column])
}

/// A batch as an array of objects: times are integers, bytes are hexadecimal text.
///
/// # Errors
/// When the buffers are not as the contract says.
pub fn rows(batch: &Batch) -> Result<Value> {
    let fields = batch.schema().fields();
    let object = |row: Row<'_>| {
        let pairs = fields.iter().map(|field| Ok((field.name().to_owned(), cell(row, field)?)));
        pairs.collect::<Result<Map<_, _>>>().map(Value::Object)
    };
    batch.rows().map(object).collect()
}

fn cell(row: Row<'_>, field: &Field) -> Result<Value> {
    let name = field.name();
    Ok(match field.data_type() {
        DataType::Boolean => row.boolean(name)?.into(),
        DataType::Int32 | DataType::Int64 => row.integer(name)?.into(),
        DataType::Float32 | DataType::Float64 => row.number(name)?.into(),
        DataType::Date => row.date(name)?.into(),
        DataType::Timestamp | DataType::LocalTimestamp => row.timestamp(name)?.into(),
        DataType::Utf8 => row.text(name)?.into(),
        DataType::Binary => row
            .bytes(name)?
            .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .into(),
    })
}

fn objects(rows: &Value) -> Result<Vec<&Map<String, Value>>> {
    let objects = rows.as_array().and_then(|rows| rows.iter().map(Value::as_object).collect());
    objects.ok_or_else(|| Error::new("the rows of a batch are an array of objects"))
}

fn guess(name: &str, objects: &[&Map<String, Value>]) -> Result<Field> {
    let values = || objects.iter().filter_map(|object| object.get(name)).filter(|value| !value.is_null());
    let data_type = if values().all(Value::is_string) {
        DataType::Utf8
    } else if values().all(Value::is_boolean) {
        DataType::Boolean
    } else if values().all(Value::is_i64) {
        DataType::Int64
    } else if values().all(Value::is_number) {
        DataType::Float64
    } else {
        return Err(Error::new(format!("`{name}` mixes types; use `batch_of`")));
    };
    let field = Field::new(name, data_type);
    match values().count() {
        0 => Err(Error::new(format!("`{name}` is always null; use `batch_of`"))),
        count if count < objects.len() => Ok(field.nullable()),
        _ => Ok(field),
    }
}

/// The column of these values, none when one does not fit.
fn column<'a>(
    data_type: DataType,
    values: impl Iterator<Item = Option<&'a Value>>,
) -> Option<Result<Buffers>> {
    fn all<'a, T, B: FromIterator<Option<T>> + ColumnBuilder>(
        values: impl Iterator<Item = Option<&'a Value>>,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<Result<Buffers>> {
        let builder: Option<B> =
            values.map(|value| value.map_or(Some(None), |value| read(value).map(Some))).collect();
        builder.map(ColumnBuilder::finish)
    }
    let small = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
    match data_type {
        DataType::Boolean => all::<_, BooleanBuilder>(values, Value::as_bool),
        DataType::Int32 | DataType::Date => all::<_, Int32Builder>(values, small),
        DataType::Int64 | DataType::Timestamp | DataType::LocalTimestamp => {
            all::<_, Int64Builder>(values, Value::as_i64)
        }
        #[allow(clippy::cast_possible_truncation, reason = "that is what float32 means")]
        DataType::Float32 => {
            all::<_, Float32Builder>(values, |value| value.as_f64().map(|number| number as f32))
        }
        DataType::Float64 => all::<_, Float64Builder>(values, Value::as_f64),
        DataType::Utf8 => all::<_, Utf8Builder>(values, Value::as_str),
        DataType::Binary => {
            let mut builder = BinaryBuilder::default();
            for value in values {
                match value {
                    Some(value) => builder.push(&unhex(value.as_str()?)?),
                    None => builder.push_null(),
                }
            }
            Some(builder.finish())
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().filter_map(|[high, low]| u8::try_from(high * 16 + low).ok()).collect())
}

#[cfg(test)]
mod tests;
