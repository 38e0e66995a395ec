//! `type: generate`: rows made up from a seed. Row `i` is a function of the seed and `i` alone, so
//! the source can be read again without a journal; it is the source of benchmarks.

mod column;
mod pool;
mod random;
mod source;
mod spec;

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use millstream_engine::pipeline::{OpenSource, Replay, SourceCtx, SourcePlan, SpecError, read};
use millstream_engine::source::SourceError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use column::Column;
use spec::ColumnSpec;

/// Columns of one generator.
const COLUMNS_MAX: usize = 1000;

/// The keys of a generator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenerateSpec {
    /// Rows per second, or `unlimited`.
    #[serde(default)]
    rate: Rate,
    /// Rows in all; endless unless given.
    rows: Option<u64>,
    /// The columns, in order, and how their values are made.
    #[schemars(with = "std::collections::BTreeMap<String, ColumnSpec>")]
    schema: Map<String, Value>,
    /// Another seed makes other rows; 0 unless given.
    #[serde(default)]
    seed: u64,
}

/// How fast rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Rate {
    /// So many rows per second.
    PerSecond(f64),
    /// `unlimited`: as many as the pipeline takes.
    #[default]
    #[serde(with = "unlimited")]
    #[schemars(with = "String")]
    Unlimited,
}

mod unlimited {
    use serde::{Deserialize, Deserializer, de};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
        match String::deserialize(from)?.as_str() {
            "unlimited" => Ok(()),
            _ => Err(de::Error::custom("not `unlimited`")),
        }
    }
}

/// A generator's spec, checked.
#[derive(Debug)]
pub(crate) struct GenerateConfig {
    rows_per_second: Option<f64>,
    rows: u64,
    schema: SchemaRef,
    columns: Vec<Column>,
    row_bytes: u64,
}

/// Checks the spec of a generator.
pub(crate) fn plan(config: Map<String, Value>) -> Result<Box<dyn SourcePlan>, SpecError> {
    let spec: GenerateSpec = read(Value::Object(config))?;
    let rows_per_second = match spec.rate {
        Rate::Unlimited => None,
        Rate::PerSecond(rate) if rate.is_finite() && rate > 0.0 => Some(rate),
        Rate::PerSecond(rate) => {
            return Err(SpecError::new(
                "rate",
                format!("{rate} is no rate: give rows per second above 0, or `unlimited`"),
            ));
        }
    };
    if spec.schema.is_empty() || spec.schema.len() > COLUMNS_MAX {
        return Err(SpecError::new(
            "schema",
            format!("give from 1 to {COLUMNS_MAX} columns: `id: {{ type: sequence }}`"),
        ));
    }
    let (mut columns, mut fields, mut row_bytes) = (Vec::new(), Vec::new(), 0);
    for (index, (name, value)) in spec.schema.into_iter().enumerate() {
        let at = |error: SpecError| error.under(&name).under("schema");
        let column: ColumnSpec = read(value).map_err(at)?;
        let column =
            Column::new(&column, random::stream(spec.seed, index as u64), rows_per_second).map_err(at)?;
        fields.push(Field::new(&name, column.data_type(), false));
        row_bytes += column.value_bytes();
        columns.push(column);
    }
    let schema = Arc::new(Schema::new(fields));
    let rows = spec.rows.unwrap_or(u64::MAX);
    Ok(Box::new(GeneratePlan(Arc::new(GenerateConfig { rows_per_second, rows, schema, columns, row_bytes }))))
}

struct GeneratePlan(Arc<GenerateConfig>);

impl SourcePlan for GeneratePlan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn replay(&self) -> Replay {
        Replay::Replayable
    }

    fn open(self: Box<Self>, ctx: SourceCtx) -> Result<OpenSource, SourceError> {
        Ok(OpenSource::Pull(Box::new(source::GenerateSource::new(self.0, ctx.clock))))
    }
}

#[cfg(test)]
mod tests;
