//! Output row by row: a record is a tuple of values in the order of the output's columns. Easy rather
//! than fast; where nanoseconds matter, build columns and [`crate::Output::set`] them.

use std::rc::Rc;

use crate::batch::Buffers;
use crate::builders::{
    BinaryBuilder, BooleanBuilder, ColumnBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    Utf8Builder,
};
use crate::error::{Error, Result};
use crate::schema::{DataType, Field, Schema};

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// For boolean columns.
    Boolean(bool),
    /// For columns of integers, times and floats.
    Integer(i64),
    /// For columns of integers, where it fits.
    Unsigned(u64),
    /// For columns of floats.
    Float(f64),
    /// For utf8 columns.
    Text(&'a str),
    /// For binary columns.
    Bytes(&'a [u8]),
}

/// What can be a value of a row; none is null.
pub trait Value {
    /// The value.
    fn cell(&self) -> Cell<'_>;
}

macro_rules! values {
    ($($type:ty, $value:ident => $cell:expr;)+) => {
        $(impl Value for $type {
            fn cell(&self) -> Cell<'_> {
                let $value = self;
                $cell
            }
        })+
    };
}

values! {
    Cell<'_>, value => *value;
    bool, value => Cell::Boolean(*value);
    i32, value => Cell::Integer((*value).into());
    u32, value => Cell::Integer((*value).into());
    i64, value => Cell::Integer(*value);
    u64, value => Cell::Unsigned(*value);
    f32, value => Cell::Float((*value).into());
    f64, value => Cell::Float(*value);
    str, value => Cell::Text(value);
    String, value => Cell::Text(value);
    [u8], value => Cell::Bytes(value);
    Vec<u8>, value => Cell::Bytes(value);
}

impl<T: Value + ?Sized> Value for &T {
    fn cell(&self) -> Cell<'_> {
        (**self).cell()
    }
}

impl<T: Value> Value for Option<T> {
    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, Value::cell)
    }
}

/// A row to be: a tuple of one to eight values, or a list of cells.
pub trait Record {
    /// Gives the values in their order.
    ///
    /// # Errors
    /// What `give` answers.
    fn each(&self, give: &mut dyn FnMut(Cell<'_>) -> Result<()>) -> Result<()>;
}

macro_rules! tuples {
    ($($($name:ident)+;)+) => {
        $(impl<$($name: Value),+> Record for ($($name,)+) {
            #[allow(non_snake_case, reason = "the value is called as its type")]
            fn each(&self, give: &mut dyn FnMut(Cell<'_>) -> Result<()>) -> Result<()> {
                let ($($name,)+) = self;
                $(give($name.cell())?;)+
                Ok(())
            }
        })+
    };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

impl Record for [Cell<'_>] {
    fn each(&self, give: &mut dyn FnMut(Cell<'_>) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(|cell| give(*cell))
    }
}

impl<T: Record + ?Sized> Record for &T {
    fn each(&self, give: &mut dyn FnMut(Cell<'_>) -> Result<()>) -> Result<()> {
        (**self).each(give)
    }
}

/// Rows pushed one by one.
#[derive(Debug)]
pub struct Records {
    schema: Rc<Schema>,
    columns: Vec<Column>,
    rows: usize,
}

impl Records {
    /// No rows yet.
    #[must_use]
    pub fn new(schema: Rc<Schema>) -> Self {
        let columns = schema.fields().iter().map(|field| Column::new(field.data_type())).collect();
        Self { schema, columns, rows: 0 }
    }

    /// How many rows were pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it has not as many values as there are columns, or one does not fit its column.
    pub fn push(&mut self, record: impl Record) -> Result<()> {
        let mut given = 0;
        let (fields, columns, row) = (self.schema.fields(), &mut self.columns, self.rows);
        record.each(&mut |cell| {
            if let (Some(field), Some(column)) = (fields.get(given), columns.get_mut(given)) {
                let at = |error: Error| error.within(format!("output column `{}`, row {row}", field.name()));
                column.push(field, cell).map_err(at)?;
            }
            given += 1;
            Ok(())
        })?;
        if given != fields.len() {
            let names: Vec<_> = fields.iter().map(Field::name).collect();
            return Err(Error::new(format!("a row of {given} values for the columns {}", names.join(", "))));
        }
        self.rows += 1;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Vec<Buffers>> {
        self.columns.into_iter().map(Column::finish).collect()
    }
}

/// A column of any type.
#[derive(Debug)]
enum Column {
    Boolean(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Utf8(Utf8Builder),
    Binary(BinaryBuilder),
}

impl Column {
    fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::default()),
            DataType::Int32 | DataType::Date => Self::Int32(Int32Builder::default()),
            DataType::Int64 | DataType::Timestamp | DataType::LocalTimestamp => {
                Self::Int64(Int64Builder::default())
            }
            DataType::Float32 => Self::Float32(Float32Builder::default()),
            DataType::Float64 => Self::Float64(Float64Builder::default()),
            DataType::Utf8 => Self::Utf8(Utf8Builder::default()),
            DataType::Binary => Self::Binary(BinaryBuilder::default()),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "that is what floats mean"
    )]
    fn push(&mut self, field: &Field, cell: Cell<'_>) -> Result<()> {
        if cell == Cell::Null {
            if !field.is_nullable() {
                return Err(Error::new("it is declared without nulls, but got one"));
            }
            self.push_null();
            return Ok(());
        }
        let wrong = || Error::new(format!("the value {cell:?} does not fit {}", field.data_type()));
        match (self, cell) {
            (Self::Boolean(column), Cell::Boolean(value)) => column.push(value),
            (Self::Int32(column), Cell::Integer(value)) => {
                column.push(i32::try_from(value).map_err(|_| wrong())?);
            }
            (Self::Int64(column), Cell::Integer(value)) => column.push(value),
            (Self::Int32(column), Cell::Unsigned(value)) => {
                column.push(i32::try_from(value).map_err(|_| wrong())?);
            }
            (Self::Int64(column), Cell::Unsigned(value)) => {
                column.push(i64::try_from(value).map_err(|_| wrong())?);
            }
            (Self::Float32(column), Cell::Float(value)) => column.push(value as f32),
            (Self::Float64(column), Cell::Float(value)) => column.push(value),
            (Self::Float32(column), Cell::Integer(value)) => column.push(value as f32),
            (Self::Float64(column), Cell::Integer(value)) => column.push(value as f64),
            (Self::Utf8(column), Cell::Text(value)) => column.push(value),
            (Self::Binary(column), Cell::Bytes(value)) => column.push(value),
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Boolean(column) => column.push_null(),
            Self::Int32(column) => column.push_null(),
            Self::Int64(column) => column.push_null(),
            Self::Float32(column) => column.push_null(),
            Self::Float64(column) => column.push_null(),
            Self::Utf8(column) => column.push_null(),
            Self::Binary(column) => column.push_null(),
        }
    }

    fn finish(self) -> Result<Buffers> {
        match self {
            Self::Boolean(column) => column.finish(),
            Self::Int32(column) => column.finish(),
            Self::Int64(column) => column.finish(),
            Self::Float32(column) => column.finish(),
            Self::Float64(column) => column.finish(),
            Self::Utf8(column) => column.finish(),
            Self::Binary(column) => column.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Records {
        let fields = [
            Field::new("n", DataType::Int32),
            Field::new("x", DataType::Float64).nullable(),
            Field::new("s", DataType::Utf8),
        ];
        Records::new(Rc::new(Schema::of(fields).unwrap()))
    }

    #[test]
    fn rows_become_columns() {
        let mut records = records();
        records.push((7, 1.5, "a")).unwrap();
        records.push((8i64, None::<f64>, String::from("bc"))).unwrap();
        assert_eq!(records.len(), 2);
        let columns = records.finish().unwrap();
        assert_eq!(columns[0].values, [7, 8].map(i32::to_le_bytes).concat());
        assert_eq!(columns[1].validity, [0b01]);
        assert_eq!(columns[2].values, b"abc");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |record: &[Cell<'_>]| records().push(record).unwrap_err().to_string();
        let (n, x, s) = (Cell::Integer(1), Cell::Null, Cell::Text("a"));
        assert_eq!(refused(&[n, x]), "a row of 2 values for the columns n, x, s");
        assert_eq!(refused(&[n, x, s, s]), "a row of 4 values for the columns n, x, s");
        assert_eq!(
            refused(&[x, x, s]),
            "output column `n`, row 0: it is declared without nulls, but got one"
        );
        assert_eq!(refused(&[s, x, s]), "output column `n`, row 0: the value Text(\"a\") does not fit int32");
        assert!(refused(&[Cell::Integer(1 << 40), x, s]).contains("does not fit int32"));
        let mut wide = Records::new(Rc::new(Schema::of([Field::new("n", DataType::Int64)]).unwrap()));
        wide.push((1_u64,)).unwrap();
        let error = wide.push((1_u64 << 63,)).unwrap_err();
        let words = "output column `n`, row 1: the value Unsigned(9223372036854775808) does not fit int64";
        assert_eq!(error.message(), words);
    }
}
