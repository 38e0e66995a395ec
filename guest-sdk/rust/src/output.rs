//! What an operator makes of a batch: new columns, input columns kept, rows left out or rejected.

use std::rc::Rc;

use crate::batch::{Batch, Buffers};
use crate::builders::{ColumnBuilder, select};
use crate::error::{Error, Result, nearest};
use crate::records::Records;
use crate::schema::{Field, Schema};

/// Collects the output of one batch. Every column of the output schema comes either from
/// [`Output::set`] or from a kept input; lengths are checked at the end.
#[derive(Debug)]
pub struct Output {
    schema: Rc<Schema>,
    columns: Vec<Option<(usize, Buffers)>>,
    kept: Option<(Batch, Option<Vec<u32>>)>,
    left_out: Vec<u32>,
    rejected: Vec<Rejection>,
}

/// An input row that the operator could not take; the host makes it a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Row of the input.
    pub row: u32,
    /// Why, in words that say what to do.
    pub reason: String,
}

/// A finished output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How many rows every column has.
    pub rows: usize,
    /// In the order of the output schema.
    pub columns: Vec<Buffers>,
    /// In the order of the input.
    pub rejected: Vec<Rejection>,
}

impl Output {
    /// An empty output.
    #[must_use]
    pub fn new(schema: Rc<Schema>) -> Self {
        let columns = schema.fields().iter().map(|_| None).collect();
        Self { schema, columns, kept: None, left_out: Vec::new(), rejected: Vec::new() }
    }

    /// Gives a column its values.
    ///
    /// # Errors
    /// When the output schema has no such column, or one of another type.
    pub fn set(&mut self, name: &str, column: impl ColumnBuilder) -> Result<()> {
        let index = self.schema.position(name).ok_or_else(|| {
            let known = self.schema.fields().iter().map(|field| field.name());
            Error::new(format!("the output has no column `{name}`; {}", nearest(name, known)))
        })?;
        let data_type = self.schema.fields()[index].data_type();
        if !column.builds(data_type) {
            return Err(Error::new(format!(
                "the output column `{name}` is {data_type}; use the builder for it"
            )));
        }
        let rows = column.len();
        let buffers = column.finish().map_err(|error| error.within(format!("output column `{name}`")))?;
        self.columns[index] = Some((rows, buffers));
        Ok(())
    }

    /// The output's columns.
    pub(crate) fn schema(&self) -> Rc<Schema> {
        Rc::clone(&self.schema)
    }

    /// Gives all columns the values of rows.
    pub(crate) fn set_records(&mut self, records: Records) -> Result<()> {
        let rows = records.len();
        self.columns = records.finish()?.into_iter().map(|column| Some((rows, column))).collect();
        Ok(())
    }

    /// Keeps the input: its columns fill those of the same name that were not set, without the rows
    /// rejected or skipped. Columns that are set have no value for those rows either.
    pub fn keep(&mut self, input: Batch) {
        self.kept = Some((input, None));
    }

    /// As [`Output::keep`], and output row i is input row `rows[i]`: for filters and flat maps.
    pub fn keep_rows(&mut self, input: Batch, rows: Vec<u32>) {
        self.kept = Some((input, Some(rows)));
    }

    /// Hands an input row back to the host as one that cannot be taken. Push no output for it.
    pub fn reject(&mut self, row: usize, reason: impl Into<String>) {
        let row = narrow(row);
        self.rejected.push(Rejection { row, reason: reason.into() });
        self.left_out.push(row);
    }

    /// Leaves an input row out of what is kept, on purpose. Push no output for it.
    pub fn skip(&mut self, row: usize) {
        self.left_out.push(narrow(row));
    }

    /// The output, after all checks.
    ///
    /// # Errors
    /// When a column is missing, columns differ in length, or one that is not nullable has null.
    pub fn finish(mut self) -> Result<Finished> {
        self.rejected.sort_by_key(|rejection| rejection.row);
        self.rejected.dedup_by_key(|rejection| rejection.row);
        let mut rows = None;
        if let Some((input, chosen)) = self.kept.take() {
            let chosen =
                chosen.map_or_else(|| survivors(input.len(), &mut self.left_out), |rows| Ok(Some(rows)))?;
            rows = Some(("the rows kept", chosen.as_ref().map_or(input.len(), Vec::len)));
            fill(&self.schema, &mut self.columns, input, chosen.as_deref())?;
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (field, column) in self.schema.fields().iter().zip(self.columns) {
            let (found, buffers) = column.ok_or_else(|| {
                Error::new(format!("the output column `{}` was neither set nor kept", field.name()))
            })?;
            let (first, expected) = *rows.get_or_insert((field.name(), found));
            if found != expected {
                let (row, which) = (found.min(expected), if found < expected { field.name() } else { first });
                return Err(Error::new(format!(
                    "the output column `{}` has {found} rows, but `{first}` {expected}: row {row} has no value in `{which}`",
                    field.name()
                )));
            }
            if let Some(row) = first_null(field, &buffers, found) {
                return Err(Error::new(format!(
                    "the output column `{}` has null in row {row}, but is not nullable",
                    field.name()
                )));
            }
            columns.push(buffers);
        }
        Ok(Finished { rows: rows.map_or(0, |(_, rows)| rows), columns, rejected: self.rejected })
    }
}

/// The first null of a column that may not have any.
fn first_null(field: &Field, buffers: &Buffers, rows: usize) -> Option<usize> {
    if field.is_nullable() || buffers.validity.is_empty() {
        return None;
    }
    let byte = buffers.validity.iter().position(|byte| *byte != u8::MAX)?;
    (byte * 8..rows).find(|row| buffers.validity[row / 8] >> (row % 8) & 1 == 0)
}

/// Moves input columns into the places of the same name that are still empty.
fn fill(
    schema: &Schema,
    columns: &mut [Option<(usize, Buffers)>],
    input: Batch,
    chosen: Option<&[u32]>,
) -> Result<()> {
    let rows = input.len();
    if let Some(row) = chosen.and_then(|chosen| chosen.iter().find(|row| **row as usize >= rows)) {
        return Err(Error::new(format!("row {row} cannot be kept: the input has {rows} rows")));
    }
    let fields = input.schema().fields().to_vec();
    for (field, buffers) in fields.iter().zip(input.into_columns()) {
        let Some(index) = schema.position(field.name()) else { continue };
        if columns[index].is_some() || schema.fields()[index].data_type() != field.data_type() {
            continue;
        }
        columns[index] = Some(match chosen {
            None => (rows, buffers),
            Some(chosen) => (chosen.len(), select(&buffers, field.data_type(), chosen)?),
        });
    }
    Ok(())
}

/// The rows that are not left out; none when that is all of them, so that nothing is copied.
fn survivors(rows: usize, left_out: &mut [u32]) -> Result<Option<Vec<u32>>> {
    if left_out.is_empty() {
        return Ok(None);
    }
    left_out.sort_unstable();
    let mut left_out = left_out.iter().copied().peekable();
    let mut kept = Vec::with_capacity(rows);
    for row in 0..narrow(rows) {
        if left_out.peek() == Some(&row) {
            while left_out.next_if_eq(&row).is_some() {}
        } else {
            kept.push(row);
        }
    }
    match left_out.next() {
        Some(row) => Err(Error::new(format!("row {row} was left out, but the input has {rows} rows"))),
        None => Ok(Some(kept)),
    }
}

/// Rows are counted in 32 bits by the contract; a number above that is no row and is refused later.
fn narrow(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
