//! Columns as bytes row by row, and back: what is kept of a group beside its key.

use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::{Buffer, NullBuffer, bit_util};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field};

use crate::state::StateError;

/// Stands for null in the place of a length.
const NULL: u32 = u32::MAX;

/// How rows of certain columns are written.
#[derive(Clone, Debug)]
pub struct Payload {
    columns: Vec<Form>,
}

/// How the values of a column are written.
#[derive(Clone, Debug)]
struct Form {
    data_type: DataType,
    shape: Shape,
    /// A byte before each value of fixed width says whether there is one.
    nullable: bool,
}

#[derive(Clone, Debug)]
enum Shape {
    Bit,
    /// So many bytes.
    Fixed(usize),
    /// A length, then so many bytes.
    Bytes,
    /// A number, then so many values.
    List(Box<Form>),
}

impl Payload {
    /// A payload of these columns.
    ///
    /// # Errors
    /// When one has a type that cannot be kept outside of memory.
    pub fn new<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Result<Self, StateError> {
        let columns = fields.into_iter().map(Form::of).collect::<Result<_, _>>()?;
        Ok(Self { columns })
    }

    /// The columns, ready to be written row by row.
    pub(super) fn readers(&self, columns: &[ArrayRef]) -> Result<Vec<Reader>, StateError> {
        let types = self.columns.iter().map(|form| &form.data_type);
        if !columns.iter().map(|column| column.data_type()).eq(types) {
            return Err(StateError::Mismatch("columns of cold state are not of the types agreed on".into()));
        }
        let pairs = self.columns.iter().zip(columns);
        Ok(pairs.map(|(form, column)| Reader::new(form, column.to_data())).collect())
    }

    /// Columns to put rows into.
    pub(super) fn builders(&self) -> Vec<Builder> {
        self.columns.iter().map(Builder::new).collect()
    }
}

impl Form {
    fn of(field: &Field) -> Result<Self, StateError> {
        let data_type = field.data_type().clone();
        let shape = match &data_type {
            DataType::Boolean => Shape::Bit,
            DataType::Utf8 | DataType::Binary => Shape::Bytes,
            DataType::List(item) => Shape::List(Box::new(Self::of(item)?)),
            other => Shape::Fixed(other.primitive_width().ok_or_else(|| {
                StateError::Unsupported(format!("state of type {other} cannot leave memory"))
            })?),
        };
        Ok(Self { data_type, shape, nullable: field.is_nullable() })
    }
}

/// A column whose values are written into rows.
pub(super) struct Reader {
    shape: Shape,
    nullable: bool,
    data: ArrayData,
    items: Option<Box<Reader>>,
}

impl Reader {
    fn new(form: &Form, data: ArrayData) -> Self {
        let items = match &form.shape {
            Shape::List(item) => Some(Box::new(Self::new(item, data.child_data()[0].clone()))),
            _ => None,
        };
        Self { shape: form.shape.clone(), nullable: form.nullable, data, items }
    }

    /// Appends the value of a row.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        let is_null = self.data.is_null(row);
        let row = row + self.data.offset();
        match &self.shape {
            Shape::Bit | Shape::Fixed(_) if is_null => out.push(0),
            Shape::Bytes | Shape::List(_) if is_null => out.extend_from_slice(&NULL.to_le_bytes()),
            Shape::Bit => out.push(1 + u8::from(bit_util::get_bit(self.data.buffers()[0].as_slice(), row))),
            Shape::Fixed(width) => {
                if self.nullable {
                    out.push(1);
                }
                out.extend_from_slice(&self.data.buffers()[0].as_slice()[row * width..][..*width]);
            }
            Shape::Bytes => {
                let (start, end) = self.ends(row);
                out.extend_from_slice(&((end - start) as u32).to_le_bytes());
                out.extend_from_slice(&self.data.buffers()[1].as_slice()[start..end]);
            }
            Shape::List(_) => {
                let (start, end) = self.ends(row);
                out.extend_from_slice(&((end - start) as u32).to_le_bytes());
                if let Some(items) = &self.items {
                    (start..end).for_each(|item| items.write(item, out));
                }
            }
        }
    }

    fn ends(&self, row: usize) -> (usize, usize) {
        let offsets: &[i32] = self.data.buffers()[0].typed_data();
        (offsets[row] as usize, offsets[row + 1] as usize)
    }
}

/// A column that rows are read into.
pub(super) struct Builder {
    form: Form,
    /// Values one after the other; of booleans a byte each.
    bytes: Vec<u8>,
    ends: Vec<i32>,
    is_valid: Vec<bool>,
    items: Option<Box<Builder>>,
}

impl Builder {
    fn new(form: &Form) -> Self {
        let items = match &form.shape {
            Shape::List(item) => Some(Box::new(Self::new(item))),
            _ => None,
        };
        Self { form: form.clone(), bytes: Vec::new(), ends: vec![0], is_valid: Vec::new(), items }
    }

    /// Reads a value from the front of `input`.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<(), StateError> {
        let is_valid = match &self.form.shape {
            Shape::Bit => {
                let value = take(input, 1)?[0];
                self.bytes.push(u8::from(value == 2));
                value > 0
            }
            Shape::Fixed(width) => {
                let is_valid = !self.form.nullable || take(input, 1)?[0] > 0;
                match is_valid {
                    true => self.bytes.extend_from_slice(take(input, *width)?),
                    false => self.bytes.resize(self.bytes.len() + width, 0),
                }
                is_valid
            }
            Shape::Bytes => {
                let length = length(input)?;
                self.bytes.extend_from_slice(take(input, length.unwrap_or(0))?);
                self.end(self.bytes.len())?;
                length.is_some()
            }
            Shape::List(_) => {
                let length = length(input)?;
                let mut end = 0;
                if let Some(items) = &mut self.items {
                    for _ in 0..length.unwrap_or(0) {
                        items.read(input)?;
                    }
                    end = items.is_valid.len();
                }
                self.end(end)?;
                length.is_some()
            }
        };
        self.is_valid.push(is_valid);
        Ok(())
    }

    fn end(&mut self, end: usize) -> Result<(), StateError> {
        let end = i32::try_from(end).map_err(|_| {
            StateError::TooLarge("values that come back from disk take more than one column's 2 GiB".into())
        })?;
        self.ends.push(end);
        Ok(())
    }

    /// The column of the values that were read.
    pub(super) fn finish(self) -> Result<ArrayRef, StateError> {
        let rows = self.is_valid.len();
        let nulls = NullBuffer::from(self.is_valid);
        let data = ArrayData::builder(self.form.data_type).len(rows);
        let data = match (self.form.shape, self.items) {
            (Shape::Bit, _) => {
                let bits: arrow_buffer::BooleanBuffer = self.bytes.iter().map(|value| *value > 0).collect();
                data.add_buffer(bits.into_inner())
            }
            (Shape::Fixed(_), _) => data.add_buffer(Buffer::from_vec(self.bytes)),
            (Shape::Bytes, _) => {
                data.add_buffer(Buffer::from_vec(self.ends)).add_buffer(Buffer::from_vec(self.bytes))
            }
            (Shape::List(_), items) => {
                let data = data.add_buffer(Buffer::from_vec(self.ends));
                match items {
                    Some(items) => data.add_child_data(items.finish()?.to_data()),
                    None => data,
                }
            }
        };
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        // The file is ours, and text went in as text: it is checked all the same.
        Ok(make_array(data.nulls(nulls).align_buffers(true).build()?))
    }
}

fn take<'a>(input: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], StateError> {
    let (taken, rest) = input
        .split_at_checked(bytes)
        .ok_or_else(|| StateError::Mismatch("a row of cold state is shorter than its columns".into()))?;
    *input = rest;
    Ok(taken)
}

/// A length, or that there is no value.
fn length(input: &mut &[u8]) -> Result<Option<usize>, StateError> {
    let bytes = take(input, size_of::<u32>())?;
    let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    Ok((length != NULL).then_some(length as usize))
}
