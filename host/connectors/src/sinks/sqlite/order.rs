//! The order in which a batch's rows are written. Rows sorted by key touch each page of the table
//! once instead of again and again, which is the largest part of an upsert's time; rows of one key
//! stay in the order they came in, so the last one wins.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

/// A row of a batch: which part, and which row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowRef {
    /// Position of the record batch.
    pub(super) part: u32,
    /// Row in it.
    pub(super) row: u32,
}

/// The rows of a batch by key.
#[derive(Debug, Default)]
pub(super) struct KeyOrder {
    /// Rows without a null in their key, sorted by key, equal keys as they came.
    pub(super) sorted: Vec<RowRef>,
    /// Rows with a null in their key, as they came.
    pub(super) with_nulls: Vec<RowRef>,
}

/// Bytes of a key that are compared as one number.
const PREFIX_BYTES: usize = 8;

struct Entry {
    prefix: u64,
    start: usize,
    end: usize,
    row: RowRef,
}

/// Sorts the rows of all parts by the columns at `key`.
pub(super) fn by_key(parts: &[RecordBatch], key: &[usize]) -> KeyOrder {
    let rows = parts.iter().map(RecordBatch::num_rows).sum();
    let mut order = KeyOrder { sorted: Vec::new(), with_nulls: Vec::new() };
    let mut bytes: Vec<u8> = Vec::with_capacity(rows * 16);
    let mut entries: Vec<Entry> = Vec::with_capacity(rows);
    for (part, batch) in (0u32..).zip(parts) {
        let columns: Vec<KeyColumn<'_>> =
            key.iter().map(|&position| KeyColumn::new(batch.column(position))).collect();
        for (row, index) in (0u32..).zip(0..batch.num_rows()) {
            let row = RowRef { part, row };
            if columns.iter().any(|column| column.is_null(index)) {
                order.with_nulls.push(row);
                continue;
            }
            let start = bytes.len();
            for column in &columns {
                column.encode(index, &mut bytes);
            }
            entries.push(Entry { prefix: 0, start, end: bytes.len(), row });
        }
    }
    sort(&mut entries, &bytes);
    order.sorted = entries.into_iter().map(|entry| entry.row).collect();
    order
}

/// What all keys begin with (the same window, `https://`) says nothing; the bytes after it decide
/// most comparisons as one number.
fn sort(entries: &mut [Entry], bytes: &[u8]) {
    let Some(first) = entries.first() else { return };
    let first = &bytes[first.start..first.end];
    let mut common = first.len();
    for entry in entries.iter() {
        let key = &bytes[entry.start..entry.end];
        let limit = common.min(key.len());
        common = key[..limit].iter().zip(&first[..limit]).take_while(|(a, b)| a == b).count();
    }
    for entry in entries.iter_mut() {
        entry.start += common;
        let tail = &bytes[entry.start..entry.end];
        let mut prefix = [0; PREFIX_BYTES];
        let length = tail.len().min(PREFIX_BYTES);
        prefix[..length].copy_from_slice(&tail[..length]);
        entry.prefix = u64::from_be_bytes(prefix);
    }
    entries.sort_unstable_by(|a, b| {
        a.prefix
            .cmp(&b.prefix)
            .then_with(|| bytes[a.start..a.end].cmp(&bytes[b.start..b.end]))
            .then_with(|| a.row.cmp(&b.row))
    });
}

/// A key's column. Encodings sort as SQLite sorts; equal values have equal encodings, while
/// unequal keys may share one: that costs nothing but the best order.
struct KeyColumn<'a> {
    array: &'a dyn Array,
    values: Values<'a>,
}

enum Values<'a> {
    Booleans(&'a arrow_array::BooleanArray),
    Ints(&'a [i32]),
    Longs(&'a [i64]),
    Floats(&'a [f32]),
    Doubles(&'a [f64]),
    Texts(&'a arrow_array::StringArray),
    Bytes(&'a arrow_array::BinaryArray),
    Other,
}

impl<'a> KeyColumn<'a> {
    fn new(array: &'a dyn Array) -> Self {
        let values = match array.data_type() {
            DataType::Boolean => Values::Booleans(array.as_boolean()),
            DataType::Int32 => Values::Ints(array.as_primitive::<Int32Type>().values()),
            DataType::Date32 => Values::Ints(array.as_primitive::<Date32Type>().values()),
            DataType::Int64 => Values::Longs(array.as_primitive::<Int64Type>().values()),
            DataType::Timestamp(..) => {
                Values::Longs(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::Float32 => Values::Floats(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::Doubles(array.as_primitive::<Float64Type>().values()),
            DataType::Utf8 => Values::Texts(array.as_string()),
            DataType::Binary => Values::Bytes(array.as_binary()),
            _ => Values::Other,
        };
        Self { array, values }
    }

    /// SQLite stores NaN as NULL, so it is one here.
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
            || match &self.values {
                Values::Floats(values) => values[row].is_nan(),
                Values::Doubles(values) => values[row].is_nan(),
                _ => false,
            }
    }

    fn encode(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Booleans(values) => out.push(u8::from(values.value(row))),
            Values::Ints(values) => encode_integer(i64::from(values[row]), out),
            Values::Longs(values) => encode_integer(values[row], out),
            Values::Floats(values) => encode_float(f64::from(values[row]), out),
            Values::Doubles(values) => encode_float(values[row], out),
            Values::Texts(values) => encode_bytes(values.value(row).as_bytes(), out),
            Values::Bytes(values) => encode_bytes(values.value(row), out),
            Values::Other => {}
        }
    }
}

fn encode_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

/// Negative floats sort backwards by their bits; the two zeros are one number.
fn encode_float(value: f64, out: &mut Vec<u8>) {
    let bits = (value + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn encode_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(value);
    out.push(0);
}
