//! What columns there are: types, fields, schemas, and keys that remember a column's place and type.

use std::fmt;
use std::marker::PhantomData;

use crate::columns::ColumnType;
use crate::error::{Error, Result, nearest};

/// The types a column can have. All other types that the contract may grow are refused in `open`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// 32 bits, IEEE 754.
    Float32,
    /// 64 bits, IEEE 754.
    Float64,
    /// Days since the Unix epoch.
    Date,
    /// Microseconds since the Unix epoch, in UTC.
    Timestamp,
    /// Microseconds since 1970-01-01 00:00 on a clock of no known zone.
    LocalTimestamp,
    /// Text.
    Utf8,
    /// Bytes.
    Binary,
}

impl DataType {
    const ALL: [Self; 10] = [
        Self::Boolean,
        Self::Int32,
        Self::Int64,
        Self::Float32,
        Self::Float64,
        Self::Date,
        Self::Timestamp,
        Self::LocalTimestamp,
        Self::Utf8,
        Self::Binary,
    ];

    /// The format string of the Arrow C data interface, as in the contract.
    #[must_use]
    pub fn format(self) -> &'static str {
        match self {
            Self::Boolean => "b",
            Self::Int32 => "i",
            Self::Int64 => "l",
            Self::Float32 => "f",
            Self::Float64 => "g",
            Self::Date => "tdD",
            Self::Timestamp => "tsu:UTC",
            Self::LocalTimestamp => "tsu:",
            Self::Utf8 => "u",
            Self::Binary => "z",
        }
    }

    /// The type with this format string.
    #[must_use]
    pub fn from_format(format: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|data_type| data_type.format() == format)
    }

    /// The type's name in pipelines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::LocalTimestamp => "local-timestamp",
            Self::Utf8 => "utf8",
            Self::Binary => "binary",
        }
    }

    /// Bytes of one value; none for booleans (one bit) and types of varying length.
    pub(crate) fn width(self) -> Option<usize> {
        match self {
            Self::Int32 | Self::Float32 | Self::Date => Some(4),
            Self::Int64 | Self::Float64 | Self::Timestamp | Self::LocalTimestamp => Some(8),
            Self::Boolean | Self::Utf8 | Self::Binary => None,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A column's name, type and whether it may hold nulls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    data_type: DataType,
    nullable: bool,
}

impl Field {
    /// A column without nulls.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type, nullable: false }
    }

    /// The same column, and it may hold nulls.
    #[must_use]
    pub fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Whether it may hold nulls.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }
}

/// The columns of a batch, in order. Names are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    fields: Vec<Field>,
}

impl Schema {
    /// The schema of these columns.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn of(fields: impl IntoIterator<Item = Field>) -> Result<Self> {
        fields.into_iter().try_fold(Self::default(), Self::with)
    }

    /// This schema and one more column, the last.
    ///
    /// # Errors
    /// When there is a column of that name already.
    pub fn with(mut self, field: Field) -> Result<Self> {
        if self.position(&field.name).is_some() {
            return Err(Error::new(format!(
                "there would be two columns called `{}`; choose another name for the new one",
                field.name
            )));
        }
        self.fields.push(field);
        Ok(self)
    }

    /// The columns.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Where the column of this name is.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The column of this name.
    ///
    /// # Errors
    /// When there is none; the message names the nearest.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.index(name).map(|index| &self.fields[index])
    }

    /// A key to read the column of this name with, as a `T`: `input.key::<Utf8>("line")?`.
    ///
    /// # Errors
    /// When there is no such column, or it has another type.
    pub fn key<T: ColumnType>(&self, name: &str) -> Result<Key<T>> {
        let index = self.index(name)?;
        let data_type = self.fields[index].data_type;
        if T::accepts(data_type) {
            return Ok(Key { index, column_type: PhantomData });
        }
        Err(Error::new(format!("the column `{name}` is {data_type}; it must be {}", T::NAME)))
    }

    pub(crate) fn index(&self, name: &str) -> Result<usize> {
        self.position(name).ok_or_else(|| {
            let known = self.fields.iter().map(Field::name);
            Error::new(format!("the input has no column `{name}`; {}", nearest(name, known)))
        })
    }
}

/// A column's place in the input, its type checked once in `open`.
pub struct Key<T> {
    index: usize,
    column_type: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    pub(crate) fn index(self) -> usize {
        self.index
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Int64, Utf8};

    #[test]
    fn formats_are_those_of_the_contract() {
        for data_type in DataType::ALL {
            assert_eq!(DataType::from_format(data_type.format()), Some(data_type));
        }
        assert_eq!(DataType::from_format("tsn:"), None);
    }

    #[test]
    fn a_key_needs_the_column_and_its_type() {
        let schema =
            Schema::of([Field::new("line", DataType::Utf8), Field::new("n", DataType::Int64)]).unwrap();
        assert_eq!(schema.key::<Int64>("n").unwrap().index(), 1);
        assert_eq!(
            schema.key::<Utf8>("lin").unwrap_err().message(),
            "the input has no column `lin`; did you mean `line`?"
        );
        assert_eq!(
            schema.key::<Utf8>("n").unwrap_err().message(),
            "the column `n` is int64; it must be utf8"
        );
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let field = || Field::new("a", DataType::Utf8);
        assert!(Schema::of([field(), field()]).unwrap_err().message().contains("two columns called `a`"));
    }
}
