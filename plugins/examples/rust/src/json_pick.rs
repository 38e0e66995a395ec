//! `json-pick`: a transform that rejects the rows it can do nothing with.

use millstream_plugin::prelude::*;
use serde_json::Value;

/// Picks values out of a column of JSON documents.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonPick {
    /// The column of JSON text.
    column: String,
    /// What to pick.
    fields: Vec<Picked>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Picked {
    /// The name of the new column.
    name: String,
    /// Where the value is: a JSON pointer (RFC 6901); by default the name as a key.
    pointer: Option<String>,
    /// What the value must be.
    #[serde(rename = "type")]
    kind: Kind,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Boolean,
    Int64,
    Float64,
    Utf8,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Utf8 => DataType::Utf8,
        }
    }

    fn is(self, value: &Value) -> bool {
        match self {
            Self::Boolean => value.is_boolean(),
            Self::Int64 => whole(value).is_some(),
            Self::Float64 => value.is_number(),
            Self::Utf8 => value.is_string(),
        }
    }
}

/// A whole number of 64 bits; one with a fraction or an exponent only where floats are exact.
#[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(value: &Value) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let float = || value.as_f64().filter(|_| value.is_f64());
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT_MAX;
    value.as_i64().or_else(|| float().filter(exact).map(|number| number as i64))
}

pub(crate) fn json_pick(config: JsonPick, input: &Schema) -> Result<Transform> {
    let column = input.key::<Utf8>(&config.column)?;
    let fields = config.fields.iter().map(|field| Field::new(&field.name, field.kind.data_type()).nullable());
    let output = Schema::of(fields)?;
    let pointer = |field: &Picked| {
        field
            .pointer
            .clone()
            .unwrap_or_else(|| format!("/{}", field.name.replace('~', "~0").replace('/', "~1")))
    };
    let pointers: Vec<String> = config.fields.iter().map(pointer).collect();
    Ok(Transform::new(output, move |batch, out| {
        let documents: Vec<Option<Value>> = batch
            .read(column)?
            .iter()
            .zip(0_u32..)
            .map(|(text, row)| match serde_json::from_str(text.unwrap_or("null")) {
                Ok(document) => Some(document),
                Err(_) => {
                    out.reject(row as usize, "not JSON".to_owned());
                    None
                }
            })
            .collect();
        let is_right = |document: &Value| {
            let mut wrong = config.fields.iter().zip(&pointers).filter(|(field, pointer)| {
                document.pointer(pointer).is_some_and(|value| !value.is_null() && !field.kind.is(value))
            });
            wrong.next().map(|(field, pointer)| format!("{pointer} is no {}", field.kind.data_type()))
        };
        let mut rows = Vec::with_capacity(documents.len());
        for (row, document) in documents.iter().enumerate() {
            let Some(document) = document else { continue };
            match is_right(document) {
                None => rows.push(document),
                Some(reason) => out.reject(row, reason),
            }
        }
        for (field, pointer) in config.fields.iter().zip(&pointers) {
            let values = rows.iter().map(|document| document.pointer(pointer));
            match field.kind {
                Kind::Boolean => {
                    out.set(&field.name, values.map(|value| value?.as_bool()).collect::<BooleanBuilder>())
                }
                Kind::Int64 => {
                    out.set(&field.name, values.map(|value| whole(value?)).collect::<Int64Builder>())
                }
                Kind::Float64 => {
                    out.set(&field.name, values.map(|value| value?.as_f64()).collect::<Float64Builder>())
                }
                Kind::Utf8 => {
                    out.set(&field.name, values.map(|value| value?.as_str()).collect::<Utf8Builder>())
                }
            }?;
        }
        Ok(())
    }))
}
