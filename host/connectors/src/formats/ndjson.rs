//! `ndjson`: a line is a JSON object. Missing keys are null, keys without a column are ignored.

use arrow_array::RecordBatch;
use arrow_json::ReaderBuilder;
use arrow_schema::{ArrowError, DataType, SchemaRef};
use serde_json::{Map, Value};

use super::column::{self, Columns, Wire};
use super::cut::Span;
use super::isolate::{Decode, runs};
use super::shown;

/// Decodes JSON lines into columns.
pub(crate) struct Ndjson<'a> {
    /// What is wanted of them.
    pub(crate) columns: &'a Columns,
}

impl Decode for Ndjson<'_> {
    fn schema(&self) -> &SchemaRef {
        self.columns.schema()
    }

    fn decode(&self, bytes: &[u8], spans: &[Span]) -> Result<RecordBatch, ArrowError> {
        // The decoder knows no lines: without this, a line that is cut off could go on in the next.
        if !spans.iter().all(|span| is_braced(&bytes[span.start..span.end])) {
            return Err(ArrowError::JsonError("a line is no object".to_owned()));
        }
        let builder = ReaderBuilder::new(self.columns.wire_schema().clone()).with_batch_size(spans.len() + 1);
        let mut decoder = builder.build_decoder()?;
        for run in runs(bytes, spans) {
            let used = decoder.decode(run)?;
            if used < run.len() {
                return Err(ArrowError::JsonError("a line holds several objects".to_owned()));
            }
        }
        match decoder.flush()? {
            Some(rows) => self.columns.finish(rows.columns(), rows.num_rows()),
            None => Ok(RecordBatch::new_empty(self.schema().clone())),
        }
    }

    fn explain(&self, record: &[u8]) -> Option<String> {
        let object: Map<String, Value> = match serde_json::from_slice(record) {
            Ok(Value::Object(object)) => object,
            Ok(other) => return Some(format!("the line is {}, expected a JSON object", kind(&other))),
            Err(error) => return Some(format!("the line is no JSON: {error}")),
        };
        let fields = self.columns.schema().fields().iter().enumerate();
        fields.into_iter().find_map(|(index, field)| {
            let wire = self.columns.wire(index);
            let expected = column::expected(wire, field.data_type());
            match object.get(field.name()) {
                None | Some(Value::Null) if field.is_nullable() => None,
                None => Some(format!(
                    "column `{}` is missing and may not be null, expected {expected}",
                    field.name()
                )),
                Some(Value::Null) => {
                    Some(format!("column `{}` may not be null, expected {expected}", field.name()))
                }
                Some(value) if fits(value, wire, field.data_type()) => None,
                Some(value) => {
                    let text = value.to_string();
                    Some(format!("column `{}` is {}, expected {expected}", field.name(), shown(&text)))
                }
            }
        })
    }
}

fn is_braced(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.len() >= 2 && line[0] == b'{' && line[line.len() - 1] == b'}'
}

fn fits(value: &Value, wire: Wire, data_type: &DataType) -> bool {
    match value {
        Value::String(text) if *data_type == DataType::Binary => {
            text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        Value::String(text) => *data_type != DataType::Boolean && column::text_fits(text, wire, data_type),
        Value::Number(number) => {
            let text_type = matches!(data_type, DataType::Utf8 | DataType::Binary | DataType::Boolean);
            !text_type && wire != Wire::Parsed && column::text_fits(&number.to_string(), wire, data_type)
        }
        Value::Bool(_) => *data_type == DataType::Boolean,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
