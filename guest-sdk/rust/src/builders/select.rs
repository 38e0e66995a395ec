//! Copies chosen rows of a finished column: what filters, flat maps and rejections need.

use std::borrow::Cow;

use super::{BinaryBuilder, ColumnBuilder, validity::ValidityBuilder};
use crate::batch::Buffers;
use crate::columns::{bit, cast};
use crate::error::Result;
use crate::schema::DataType;

/// Row i of the result is row `rows[i]` of `column`; rows may be left out and repeated. The caller
/// has checked that the column has all of them.
pub(crate) fn select(column: &Buffers, data_type: DataType, rows: &[u32]) -> Result<Buffers> {
    let mut selected = match data_type {
        DataType::Boolean => Buffers { values: bits(&column.values, rows), ..Buffers::default() },
        DataType::Utf8 | DataType::Binary => varying(column, rows)?,
        _ => match data_type.width() {
            Some(4) => Buffers { values: fixed::<4>(&column.values, rows), ..Buffers::default() },
            _ => Buffers { values: fixed::<8>(&column.values, rows), ..Buffers::default() },
        },
    };
    if !column.validity.is_empty() {
        let mut validity = ValidityBuilder::default();
        let nulls = rows.iter().enumerate().filter(|(_, row)| !bit(&column.validity, **row as usize));
        nulls.for_each(|(to, _)| validity.null(to));
        selected.validity = validity.finish(rows.len());
    }
    Ok(selected)
}

fn fixed<const WIDTH: usize>(values: &[u8], rows: &[u32]) -> Vec<u8> {
    let (values, _) = values.as_chunks::<WIDTH>();
    let mut selected = Vec::with_capacity(rows.len() * WIDTH);
    rows.iter().for_each(|row| selected.extend_from_slice(&values[*row as usize]));
    selected
}

fn bits(values: &[u8], rows: &[u32]) -> Vec<u8> {
    let mut selected = vec![0; rows.len().div_ceil(8)];
    for (to, row) in rows.iter().enumerate() {
        selected[to / 8] |= u8::from(bit(values, *row as usize)) << (to % 8);
    }
    selected
}

fn varying(column: &Buffers, rows: &[u32]) -> Result<Buffers> {
    let offsets: Cow<'_, [u32]> = cast("offsets", &column.offsets, column.offsets.len() / 4)?;
    let mut builder = BinaryBuilder::with_capacity(rows.len(), 0);
    for row in rows {
        let row = *row as usize;
        builder.push(&column.values[offsets[row] as usize..offsets[row + 1] as usize]);
    }
    builder.finish()
}
