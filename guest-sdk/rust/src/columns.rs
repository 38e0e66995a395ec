//! Typed views over the byte buffers of a column: borrowed, without copying and without work a row.
//! A view checks lengths when it is made; that offsets never fall the host has checked already.

use std::borrow::Cow;

use bytemuck::Pod;

use crate::batch::Buffers;
use crate::error::{Error, Result};
use crate::schema::DataType;

pub use crate::place::Place;

// Casts of the buffers would read wrong numbers elsewhere.
const _: () = assert!(cfg!(target_endian = "little"), "the contract's buffers are little-endian");

/// A type that [`crate::Schema::key`] can ask for and [`crate::Batch::read`] can read.
pub trait ColumnType: 'static {
    /// What reading gives.
    type View<'a>;

    /// What is wanted, in words.
    const NAME: &'static str;

    /// Whether a column of `data_type` can be read as this.
    fn accepts(data_type: DataType) -> bool;

    /// A view of `rows` rows of the column at `place`.
    ///
    /// # Errors
    /// When a buffer is too short, or text is not UTF-8.
    fn view(column: &Buffers, rows: usize, place: Place) -> Result<Self::View<'_>>;
}

/// Which rows are null.
#[derive(Clone, Copy, Debug)]
pub struct Validity<'a> {
    bits: &'a [u8],
}

impl<'a> Validity<'a> {
    fn new(column: &'a Buffers, rows: usize) -> Result<Self> {
        let bits = &column.validity[..];
        if !bits.is_empty() {
            enough("validity", bits.len(), rows.div_ceil(8))?;
        }
        Ok(Self { bits })
    }

    /// Whether no row at all is null: then nothing needs to be asked a row.
    #[must_use]
    pub fn all_valid(&self) -> bool {
        self.bits.is_empty()
    }

    /// Whether `row` has a value.
    #[inline]
    #[must_use]
    pub fn is_valid(&self, row: usize) -> bool {
        self.bits.is_empty() || bit(self.bits, row)
    }
}

/// A view of a column of numbers.
#[derive(Clone, Debug)]
pub struct Numbers<'a, T: Pod> {
    values: Cow<'a, [T]>,
    validity: Validity<'a>,
    place: Place,
}

impl<'a, T: Pod> Numbers<'a, T> {
    fn new(column: &'a Buffers, rows: usize, place: Place) -> Result<Self> {
        let values = cast::<T>("values", &column.values, rows)?;
        Ok(Self { values, validity: Validity::new(column, rows)?, place })
    }

    /// One number a row; where the row is null the number means nothing.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Which rows are null.
    #[must_use]
    pub fn validity(&self) -> Validity<'a> {
        self.validity
    }

    /// The number of `row`, none when it is null.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> Option<T> {
        self.place.reads(row);
        self.validity.is_valid(row).then(|| self.values[row])
    }

    /// The numbers in order, none for a null.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<T>> {
        (0..self.values.len()).map(|row| self.get(row))
    }
}

/// A view of a column of booleans.
#[derive(Clone, Copy, Debug)]
pub struct Booleans<'a> {
    bits: &'a [u8],
    rows: usize,
    validity: Validity<'a>,
    place: Place,
}

impl<'a> Booleans<'a> {
    /// The value of `row`, none when it is null.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> Option<bool> {
        self.place.reads(row);
        assert!(row < self.rows, "row {row} of {}", self.rows);
        self.validity.is_valid(row).then(|| bit(self.bits, row))
    }

    /// The values in order, none for a null.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<bool>> {
        (0..self.rows).map(|row| self.get(row))
    }

    /// Which rows are null.
    #[must_use]
    pub fn validity(&self) -> Validity<'a> {
        self.validity
    }
}

/// A view of a column of byte strings.
#[derive(Clone, Debug)]
pub struct Bytes<'a> {
    values: &'a [u8],
    offsets: Cow<'a, [u32]>,
    validity: Validity<'a>,
    place: Place,
}

impl<'a> Bytes<'a> {
    fn new(column: &'a Buffers, rows: usize, place: Place) -> Result<Self> {
        // A column of no rows may come without even its first offset.
        let offsets = if rows == 0 {
            Cow::Borrowed(&[0][..])
        } else {
            cast::<u32>("offsets", &column.offsets, rows + 1)?
        };
        let last = offsets.last().map_or(0, |last| *last as usize);
        let values = column.values.get(..last).ok_or_else(|| short("values", column.values.len(), last))?;
        Ok(Self { values, offsets, validity: Validity::new(column, rows)?, place })
    }

    /// The bytes of `row`, none when it is null.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        self.place.reads(row);
        self.validity.is_valid(row).then(|| {
            let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
            &self.values[start..end]
        })
    }

    /// The values in order, none for a null.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> {
        (0..self.offsets.len() - 1).map(|row| self.get(row))
    }

    /// All values one after the other.
    #[must_use]
    pub fn values(&self) -> &'a [u8] {
        self.values
    }

    /// Where each row's value starts in [`Bytes::values`]; the last is where the last one ends.
    #[must_use]
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Which rows are null.
    #[must_use]
    pub fn validity(&self) -> Validity<'a> {
        self.validity
    }
}

/// A view of a column of text. The whole buffer is checked at once, which is cheaper than each row.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    text: &'a str,
    bytes: Bytes<'a>,
}

impl<'a> Texts<'a> {
    /// The text of `row`, none when it is null.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.bytes.place.reads(row);
        self.bytes.validity.is_valid(row).then(|| {
            let (start, end) = (self.bytes.offsets[row] as usize, self.bytes.offsets[row + 1] as usize);
            &self.text[start..end]
        })
    }

    /// The texts in order, none for a null.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&'a str>> {
        (0..self.bytes.offsets.len() - 1).map(|row| self.get(row))
    }

    /// All texts one after the other.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Where each row's text starts in [`Texts::text`], in bytes; the last is where the last one ends.
    #[must_use]
    pub fn offsets(&self) -> &[u32] {
        &self.bytes.offsets
    }

    /// Which rows are null.
    #[must_use]
    pub fn validity(&self) -> Validity<'a> {
        self.bytes.validity
    }
}

macro_rules! number_types {
    ($($(#[$doc:meta])* $marker:ident: $native:ty = $name:literal, $($data_type:ident)|+;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $marker {}

            impl ColumnType for $marker {
                type View<'a> = Numbers<'a, $native>;
                const NAME: &'static str = $name;

                fn accepts(data_type: DataType) -> bool {
                    matches!(data_type, $(DataType::$data_type)|+)
                }

                fn view(column: &Buffers, rows: usize, place: Place) -> Result<Self::View<'_>> {
                    Numbers::new(column, rows, place)
                }
            }
        )+
    };
}

number_types! {
    /// Reads int32 columns.
    Int32: i32 = "int32", Int32;
    /// Reads int64 columns.
    Int64: i64 = "int64", Int64;
    /// Reads float32 columns.
    Float32: f32 = "float32", Float32;
    /// Reads float64 columns.
    Float64: f64 = "float64", Float64;
    /// Reads dates, as days since the Unix epoch.
    Date: i32 = "date", Date;
    /// Reads timestamps, with a zone or without, in microseconds.
    Timestamp: i64 = "timestamp", Timestamp | LocalTimestamp;
}

/// Reads boolean columns.
#[derive(Clone, Copy, Debug)]
pub enum Boolean {}

impl ColumnType for Boolean {
    type View<'a> = Booleans<'a>;
    const NAME: &'static str = "boolean";

    fn accepts(data_type: DataType) -> bool {
        data_type == DataType::Boolean
    }

    fn view(column: &Buffers, rows: usize, place: Place) -> Result<Booleans<'_>> {
        enough("values", column.values.len(), rows.div_ceil(8))?;
        Ok(Booleans { bits: &column.values, rows, validity: Validity::new(column, rows)?, place })
    }
}

/// Reads utf8 columns.
#[derive(Clone, Copy, Debug)]
pub enum Utf8 {}

impl ColumnType for Utf8 {
    type View<'a> = Texts<'a>;
    const NAME: &'static str = "utf8";

    fn accepts(data_type: DataType) -> bool {
        data_type == DataType::Utf8
    }

    fn view(column: &Buffers, rows: usize, place: Place) -> Result<Texts<'_>> {
        let bytes = Bytes::new(column, rows, place)?;
        let text = simdutf8::basic::from_utf8(bytes.values)?;
        Ok(Texts { text, bytes })
    }
}

/// Reads binary columns, and text as its bytes.
#[derive(Clone, Copy, Debug)]
pub enum Binary {}

impl ColumnType for Binary {
    type View<'a> = Bytes<'a>;
    const NAME: &'static str = "binary or utf8";

    fn accepts(data_type: DataType) -> bool {
        matches!(data_type, DataType::Binary | DataType::Utf8)
    }

    fn view(column: &Buffers, rows: usize, place: Place) -> Result<Bytes<'_>> {
        Bytes::new(column, rows, place)
    }
}

#[inline]
pub(crate) fn bit(bits: &[u8], row: usize) -> bool {
    bits[row / 8] >> (row % 8) & 1 == 1
}

/// The first `count` values of a buffer; borrowed unless the allocator placed it askew.
pub(crate) fn cast<'a, T: Pod>(part: &str, bytes: &'a [u8], count: usize) -> Result<Cow<'a, [T]>> {
    let needed = count * size_of::<T>();
    let bytes = bytes.get(..needed).ok_or_else(|| short(part, bytes.len(), needed))?;
    Ok(match bytemuck::try_cast_slice(bytes) {
        Ok(values) => Cow::Borrowed(values),
        Err(_) => Cow::Owned(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()),
    })
}

fn enough(part: &str, have: usize, needed: usize) -> Result<()> {
    if have < needed { Err(short(part, have, needed)) } else { Ok(()) }
}

fn short(part: &str, have: usize, needed: usize) -> Error {
    Error::new(format!("the {part} buffer has {have} bytes where {needed} are needed"))
}
