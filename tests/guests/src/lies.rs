//! Operators whose answer is not what the contract says. Each changes every column it can.

use millstream_plugin::bindings::data::{Batch, Clock, Column, Field, Rejection};
use millstream_plugin::bindings::transform::exports::millstream::plugin::transform::Output;

type Answer = Result<Output, String>;

fn answer(batch: Batch) -> Answer {
    Ok(Output { batch, rejected: Vec::new() })
}

/// Does `lie` to the columns of text and bytes.
fn varying(mut batch: Batch, fields: &[Field], lie: impl Fn(&mut Column, usize)) -> Answer {
    let rows = batch.rows as usize;
    let columns = batch.columns.iter_mut().zip(fields);
    columns
        .filter(|(_, field)| matches!(&*field.data_type, "u" | "z"))
        .for_each(|(column, _)| lie(column, rows));
    answer(batch)
}

fn little_endian(offsets: impl IntoIterator<Item = usize>) -> Vec<u8> {
    offsets.into_iter().flat_map(|offset| (offset as u32).to_le_bytes()).collect()
}

pub(crate) fn falling_offsets(_: Clock, batch: Batch, fields: &[Field]) -> Answer {
    varying(batch, fields, |column, rows| {
        let end = column.values.len().max(1);
        column.values.resize(end, b'x');
        column.offsets = little_endian((0..=rows).map(|row| if row % 2 == 0 { end } else { 0 }));
    })
}

pub(crate) fn offsets_past_end(_: Clock, batch: Batch, fields: &[Field]) -> Answer {
    varying(batch, fields, |column, rows| {
        let end = column.values.len() + 1000;
        column.offsets = little_endian((0..=rows).map(|row| if row == rows { end } else { 0 }));
    })
}

pub(crate) fn short_offsets(_: Clock, batch: Batch, fields: &[Field]) -> Answer {
    varying(batch, fields, |column, rows| column.offsets.truncate(rows * 4))
}

pub(crate) fn invalid_utf8(_: Clock, batch: Batch, fields: &[Field]) -> Answer {
    varying(batch, fields, |column, rows| {
        column.validity.clear();
        column.values = vec![0xff];
        column.offsets = little_endian((0..=rows).map(|row| usize::from(row == rows)));
    })
}

/// The whole buffer is text, its parts are not.
pub(crate) fn cut_character(_: Clock, batch: Batch, fields: &[Field]) -> Answer {
    varying(batch, fields, |column, rows| {
        column.validity.clear();
        column.values = "é".into();
        column.offsets = little_endian((0..=rows).map(|row| row.min(2)));
    })
}

pub(crate) fn short_values(_: Clock, mut batch: Batch, _: &[Field]) -> Answer {
    for column in &mut batch.columns {
        let half = column.values.len() / 2;
        column.values.truncate(half);
    }
    answer(batch)
}

/// Nine rows need a second byte of validity.
pub(crate) fn short_validity(_: Clock, _: Batch, fields: &[Field]) -> Answer {
    const ROWS: usize = 9;
    let columns = fields.iter().map(|field| {
        let offsets = match &*field.data_type {
            "u" | "z" => little_endian([0; ROWS + 1]),
            _ => Vec::new(),
        };
        let width = match &*field.data_type {
            "u" | "z" => 0,
            "b" => ROWS.div_ceil(8),
            "i" | "f" | "tdD" => ROWS * 4,
            _ => ROWS * 8,
        };
        Column { validity: vec![0b1010_1010], offsets, values: vec![0; width] }
    });
    answer(Batch { rows: ROWS as u32, columns: columns.collect() })
}

pub(crate) fn null_in_required(_: Clock, mut batch: Batch, _: &[Field]) -> Answer {
    let bytes = batch.rows.div_ceil(8) as usize;
    batch.columns.iter_mut().for_each(|column| column.validity = vec![0; bytes]);
    answer(batch)
}

pub(crate) fn wrong_row_count(_: Clock, batch: Batch, _: &[Field]) -> Answer {
    answer(Batch { rows: batch.rows + 1, ..batch })
}

pub(crate) fn wrong_schema(_: Clock, mut batch: Batch, _: &[Field]) -> Answer {
    batch.columns.pop();
    answer(batch)
}

pub(crate) fn reject_row_out_of_range(_: Clock, batch: Batch, _: &[Field]) -> Answer {
    let rejected = vec![Rejection { row: batch.rows + 5, reason: "it is not there".to_owned() }];
    Ok(Output { batch, rejected })
}

pub(crate) fn reject_twice(_: Clock, batch: Batch, _: &[Field]) -> Answer {
    let rejection = |reason: &str| Rejection { row: 0, reason: reason.to_owned() };
    Ok(Output { batch, rejected: vec![rejection("once"), rejection("twice")] })
}
