//! `csv`: RFC 4180, with or without a header. With one, columns are found by name and others are
//! ignored. An empty field is null, or empty text in a text column that may not be null. In a float
//! column `NaN`, `inf` and `infinity`, with a sign and in any case, are those values; digits beyond the
//! greatest float make the record bad.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_csv::ReaderBuilder;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use millstream_engine::batch::BadRecord;
use millstream_engine::pipeline::SpecError;

use super::column::{self, Columns};
use super::cut::Span;
use super::isolate::{Decode, runs};
use super::shown;
use super::spec::CsvSpec;

/// How CSV is written, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsvConfig {
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Around fields.
    pub(crate) quote: u8,
    /// The first record names the columns.
    pub(crate) header: bool,
}

impl CsvConfig {
    /// Checks the keys.
    pub(crate) fn read(spec: &CsvSpec) -> Result<Self, SpecError> {
        let delimiter = character("delimiter", spec.delimiter.as_deref(), b',')?;
        let quote = character("quote", spec.quote.as_deref(), b'"')?;
        if delimiter == quote {
            return Err(SpecError::new("quote", "it is the same as the delimiter: choose another"));
        }
        Ok(Self { delimiter, quote, header: spec.header.unwrap_or(true) })
    }
}

fn character(key: &str, given: Option<&str>, default: u8) -> Result<u8, SpecError> {
    match given.map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) if byte.is_ascii() && !b"\r\n".contains(byte) => Ok(*byte),
        Some(_) => Err(SpecError::new(
            key,
            "it must be one ASCII character that is no line end, such as \",\" or \"\\t\"",
        )),
    }
}

/// Where the columns stand in a record.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// All fields of a record, as they are decoded.
    fields: SchemaRef,
    /// For each column, the index of its field.
    places: Vec<usize>,
    /// The header, if records under it are not laid out as the spec says.
    header: Option<Vec<u8>>,
}

impl Layout {
    /// The columns in the order of the spec.
    pub(crate) fn as_in_spec(columns: &Columns) -> Self {
        let places = (0..columns.schema().fields().len()).collect();
        Self { fields: raw_schema(columns), places, header: None }
    }

    /// A bad record must be readable later, without its file: its header goes with it.
    pub(crate) fn put_before(&self, bad: &mut [BadRecord]) {
        let Some(header) = &self.header else { return };
        for record in bad {
            record.bytes = [header, b"\n".as_slice(), &record.bytes].concat();
        }
    }
}

/// Binary columns come as text and are parsed from hexadecimal.
fn raw_type(data_type: &DataType) -> DataType {
    if *data_type == DataType::Binary { DataType::Utf8 } else { data_type.clone() }
}

fn raw_schema(columns: &Columns) -> SchemaRef {
    let fields = columns.wire_schema().fields().iter();
    let fields = fields.map(|field| Field::new(field.name(), raw_type(field.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Finds the columns by their names.
pub(crate) fn layout_of_header(
    columns: &Columns,
    config: &CsvConfig,
    header: &[u8],
) -> Result<Layout, String> {
    let header = header.strip_suffix(b"\r").unwrap_or(header);
    let names = split(header, config).ok_or("the header is not UTF-8")?;
    let wanted = columns.schema().fields();
    let mut places = Vec::with_capacity(wanted.len());
    for field in wanted {
        let place = names.iter().position(|name| name.trim() == field.name()).ok_or_else(|| {
            let there = names.iter().map(|name| name.trim()).collect::<Vec<_>>().join(", ");
            format!(
                "the header has no column `{}`; it has: {}; name the columns as the header does, or set csv: {{ header: false }}",
                field.name(),
                shown(&there)
            )
        })?;
        places.push(place);
    }
    let mut fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    for (place, field) in places.iter().zip(raw_schema(columns).fields()) {
        fields[*place] = field.as_ref().clone();
    }
    let as_in_spec = places.iter().copied().eq(0..names.len());
    let header = (!as_in_spec).then(|| header.to_vec());
    Ok(Layout { fields: Arc::new(Schema::new(fields)), places, header })
}

/// The fields of one record, without quotes; none when they are not UTF-8.
fn split(record: &[u8], config: &CsvConfig) -> Option<Vec<String>> {
    let record = std::str::from_utf8(record).ok()?;
    let (quote, delimiter) = (char::from(config.quote), char::from(config.delimiter));
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = record.chars().peekable();
    while let Some(character) = chars.next() {
        let field = fields.last_mut()?;
        if quoted && character == quote {
            if chars.next_if_eq(&quote).is_some() {
                field.push(quote);
            } else {
                quoted = false;
            }
        } else if !quoted && character == delimiter {
            fields.push(String::new());
        } else if !quoted && character == quote && field.is_empty() {
            quoted = true;
        } else {
            field.push(character);
        }
    }
    Some(fields)
}

/// Decodes CSV records into columns.
pub(crate) struct Csv<'a> {
    /// What is wanted of them.
    pub(crate) columns: &'a Columns,
    /// How they are written.
    pub(crate) config: &'a CsvConfig,
    /// Where the columns stand.
    pub(crate) layout: &'a Layout,
}

impl Decode for Csv<'_> {
    fn schema(&self) -> &SchemaRef {
        self.columns.schema()
    }

    fn decode(&self, bytes: &[u8], spans: &[Span]) -> Result<RecordBatch, ArrowError> {
        let mut decoder = ReaderBuilder::new(Arc::clone(&self.layout.fields))
            .with_delimiter(self.config.delimiter)
            .with_quote(self.config.quote)
            .with_batch_size(spans.len() + 1)
            .build_decoder();
        for mut run in runs(bytes, spans) {
            while !run.is_empty() {
                let used = decoder.decode(run)?;
                if used == 0 {
                    return Err(ArrowError::CsvError("a record holds several lines".to_owned()));
                }
                run = &run[used..];
            }
            // Ends a record whose line has no newline; says nothing otherwise.
            decoder.decode(&[])?;
        }
        let Some(rows) = decoder.flush()? else { return Ok(RecordBatch::new_empty(self.schema().clone())) };
        let fields = self.schema().fields().iter();
        let decoded = self.layout.places.iter().zip(fields);
        let decoded = decoded.map(|(place, field)| refine(rows.column(*place), field));
        let rows = self.columns.finish(&decoded.collect::<Result<Vec<_>, _>>()?, rows.num_rows())?;
        if rows.columns().iter().any(has_infinity) {
            self.check_range(bytes, spans)?;
        }
        Ok(rows)
    }

    fn explain(&self, record: &[u8]) -> Option<String> {
        let Some(values) = split(record, self.config) else {
            return Some("the record is not UTF-8: convert the data to UTF-8".to_owned());
        };
        let wanted = self.layout.fields.fields().len();
        if values.len() != wanted {
            return Some(format!("the record has {} fields, expected {wanted}", values.len()));
        }
        let fields = self.schema().fields().iter().zip(&self.layout.places).enumerate();
        fields.into_iter().find_map(|(index, (field, place))| {
            let (value, wire) = (&values[*place], self.columns.wire(index));
            let expected = column::expected(wire, field.data_type());
            if let Some(why) = column::out_of_range(value, field.data_type()) {
                return Some(format!("column `{}` is {:?}, {why}", field.name(), shown(value)));
            }
            match value.is_empty() {
                true if field.is_nullable() || *field.data_type() == DataType::Utf8 => None,
                true => Some(format!(
                    "column `{}` is empty and may not be null, expected {expected}",
                    field.name()
                )),
                false if column::text_fits(value, wire, field.data_type()) => None,
                false => {
                    Some(format!("column `{}` is {:?}, expected {expected}", field.name(), shown(value)))
                }
            }
        })
    }
}

impl Csv<'_> {
    /// Arrow's reader makes infinity of digits that are out of range and of the word `inf` alike.
    fn check_range(&self, bytes: &[u8], spans: &[Span]) -> Result<(), ArrowError> {
        for span in spans {
            let values = split(&bytes[span.start..span.end], self.config).unwrap_or_default();
            let fields = self.schema().fields().iter().zip(&self.layout.places);
            for (field, place) in fields {
                let value = values.get(*place).map(String::as_str).unwrap_or_default();
                if let Some(why) = column::out_of_range(value, field.data_type()) {
                    return Err(ArrowError::ParseError(format!("column `{}` is {why}", field.name())));
                }
            }
        }
        Ok(())
    }
}

fn has_infinity(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().any(|n| n.is_infinite()),
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().any(|n| n.is_infinite()),
        _ => false,
    }
}

/// What arrow's reader leaves to do: bytes in hexadecimal, empty text that is no null.
fn refine(array: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    match field.data_type() {
        DataType::Binary => {
            let mut bytes = BinaryBuilder::with_capacity(array.len(), 0);
            let mut value = Vec::new();
            for text in array.as_string::<i32>() {
                value.clear();
                if !text.is_none_or(|text| column::hexadecimal(text.as_bytes(), &mut value)) {
                    return Err(ArrowError::CsvError("no hexadecimal".to_owned()));
                }
                bytes.append_option(text.map(|_| &value));
            }
            Ok(Arc::new(bytes.finish()))
        }
        DataType::Utf8 if !field.is_nullable() && array.null_count() > 0 => {
            let values = array.as_string::<i32>().iter();
            Ok(Arc::new(values.map(|value| Some(value.unwrap_or_default())).collect::<StringArray>()))
        }
        _ => Ok(Arc::clone(array)),
    }
}
