//! `ndjson`: a line is a JSON object. A key that is missing is null, keys without a column are
//! ignored (but must be JSON). Nothing is converted: a value that is not of its column's type makes
//! the record bad, and so does a column that stands twice.
//!
//! What a column takes besides null:
//! - `boolean`: `true` and `false`;
//! - `int32`, `int64`, `timestamp_s`, `timestamp_ms`, `timestamp_us`: a number without fraction and
//!   exponent (neither `1.0` nor `1e3`) that is in range; never a string;
//! - `float32`, `float64`: any number up to the greatest float; the nearest float is taken;
//! - `utf8`: a string; `binary`: a string of hexadecimal digits, two a byte;
//! - `date`: a string `YYYY-MM-DD`;
//! - `timestamp`: a string by RFC 3339; without an offset it is UTC, without a time midnight; digits
//!   beyond microseconds are cut off, as everywhere in the engine.

use std::collections::HashMap;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;
use millstream_engine::batch::Chunk;
use serde_json::Value;

use super::cells::Cells;
use super::column::{self, Columns};
use super::cut::Cut;
use super::json::{NotJson, Scanner};
use super::{bad_record, shown};

/// With more columns than this a table finds them faster than a search.
const SEARCHED_COLUMNS_MAX: usize = 16;

/// The rows of a cut: one pass, no tree, no halving; a bad record takes back what it had appended.
pub(crate) fn rows(columns: &Columns, cut: &Cut<'_>, origin: &str) -> Result<Chunk, ArrowError> {
    let mut reader = Reader::new(columns, cut.spans.len());
    let mut bad = Vec::new();
    // A newline is never part of a longer character, so lines are valid if their whole is.
    let whole = simdutf8::basic::from_utf8(cut.bytes).ok();
    for span in cut.spans {
        let record = &cut.bytes[span.start..span.end];
        let line = match whole {
            Some(text) => Ok(&text[span.start..span.end]),
            None => simdutf8::compat::from_utf8(record),
        };
        let reason = match line {
            Ok(line) => match reader.read(line) {
                Ok(()) => continue,
                Err(fault) => reader.explain(line, fault),
            },
            Err(error) => format!("the line is no JSON: it is not UTF-8: {error}"),
        };
        let position = format!("{origin}, byte {}", cut.at + span.start as u64);
        bad.push(bad_record(position, record, reason));
    }
    Ok(Chunk { rows: reader.finish()?, bad })
}

/// Why a line is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NotJson,
    /// The column, and where its value is in the line.
    Value {
        column: usize,
        from: usize,
        to: usize,
    },
    Null(usize),
    Missing(usize),
    Twice(usize),
}

impl From<NotJson> for Fault {
    fn from(_: NotJson) -> Self {
        Self::NotJson
    }
}

struct Reader<'a> {
    columns: &'a Columns,
    names: Vec<&'a str>,
    /// Only when there are many columns.
    places: HashMap<&'a str, usize>,
    cells: Vec<Cells>,
    rows: usize,
    scratch: String,
}

impl<'a> Reader<'a> {
    fn new(columns: &'a Columns, rows: usize) -> Self {
        let fields = columns.schema().fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let places = match names.len() > SEARCHED_COLUMNS_MAX {
            true => names.iter().enumerate().map(|(place, name)| (*name, place)).collect(),
            false => HashMap::new(),
        };
        let cells = fields.iter().enumerate();
        let cells = cells.map(|(index, field)| Cells::new(field.data_type(), columns.wire(index), rows));
        Self { columns, names, places, cells: cells.collect(), rows: 0, scratch: String::new() }
    }

    fn read(&mut self, line: &str) -> Result<(), Fault> {
        let read = self.object(&mut Scanner::new(line)).and_then(|()| self.complete());
        match read {
            Ok(()) => self.rows += 1,
            Err(_) => self.cells.iter_mut().for_each(|cells| cells.truncate(self.rows)),
        }
        read
    }

    fn object(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        scanner.space();
        scanner.expect(b'{')?;
        scanner.space();
        if scanner.skip(b'}') {
            return Ok(scanner.end()?);
        }
        // Keys mostly come in the same order, so the search begins where it ended.
        let mut hint = 0;
        loop {
            let key = scanner.string(&mut self.scratch)?;
            let column = find(&self.names, &self.places, key, hint);
            scanner.space();
            scanner.expect(b':')?;
            scanner.space();
            match column {
                Some(column) => {
                    self.value(column, scanner)?;
                    hint = column + 1;
                }
                None => scanner.value(&mut self.scratch)?,
            }
            scanner.space();
            if scanner.skip(b'}') {
                return Ok(scanner.end()?);
            }
            scanner.expect(b',')?;
            scanner.space();
        }
    }

    #[inline]
    fn value(&mut self, column: usize, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let cells = &mut self.cells[column];
        if cells.len() > self.rows {
            return Err(Fault::Twice(column));
        }
        if scanner.peek() == b'n' {
            scanner.word("null")?;
            if !self.columns.schema().field(column).is_nullable() {
                return Err(Fault::Null(column));
            }
            cells.push_null();
            return Ok(());
        }
        let from = scanner.at();
        if cells.push(scanner, &mut self.scratch)? {
            return Ok(());
        }
        scanner.go_back(from);
        scanner.value(&mut self.scratch)?;
        Err(Fault::Value { column, from, to: scanner.at() })
    }

    /// Makes columns whose keys are missing null.
    fn complete(&mut self) -> Result<(), Fault> {
        let fields = self.columns.schema().fields();
        for (column, cells) in self.cells.iter_mut().enumerate() {
            if cells.len() > self.rows {
                continue;
            }
            if !fields[column].is_nullable() {
                return Err(Fault::Missing(column));
            }
            cells.push_null();
        }
        Ok(())
    }

    fn explain(&self, line: &str, fault: Fault) -> String {
        let expected = |column: usize| {
            let data_type = self.columns.schema().field(column).data_type();
            column::expected(self.columns.wire(column), data_type)
        };
        match fault {
            Fault::NotJson => not_json(line),
            Fault::Value { column, from, to } => {
                let (value, data_type) = (&line[from..to], self.columns.schema().field(column).data_type());
                if let Some(why) = column::out_of_range(value, data_type) {
                    return format!("column `{}` is {}, {why}", self.names[column], shown(value));
                }
                let value = shown(value);
                format!("column `{}` is {value}, expected {}", self.names[column], expected(column))
            }
            Fault::Null(column) => {
                format!("column `{}` may not be null, expected {}", self.names[column], expected(column))
            }
            Fault::Missing(column) => format!(
                "column `{}` is missing and may not be null, expected {}",
                self.names[column],
                expected(column)
            ),
            Fault::Twice(column) => format!("column `{}` stands twice, expected once", self.names[column]),
        }
    }

    fn finish(self) -> Result<RecordBatch, ArrowError> {
        let schema = self.columns.schema();
        let cells = self.cells.into_iter().zip(schema.fields());
        let arrays = cells.map(|(cells, field)| cells.finish(field.data_type()));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<_, _>>()?, &options)
    }
}

#[inline]
fn find(names: &[&str], places: &HashMap<&str, usize>, key: &str, hint: usize) -> Option<usize> {
    if names.get(hint) == Some(&key) {
        return Some(hint);
    }
    match places.is_empty() {
        true => names.iter().position(|name| *name == key),
        false => places.get(key).copied(),
    }
}

/// A slower reader has better words for what is wrong.
fn not_json(line: &str) -> String {
    let kind = match serde_json::from_str(line) {
        Err(error) => return format!("the line is no JSON: {error}"),
        Ok(Value::Null) => "null",
        Ok(Value::Bool(_)) => "a boolean",
        Ok(Value::Number(_)) => "a number",
        Ok(Value::String(_)) => "a string",
        Ok(Value::Array(_)) => "an array",
        Ok(Value::Object(_)) => return "the line is no JSON that can be read".to_owned(),
    };
    format!("the line is {kind}, expected a JSON object")
}
