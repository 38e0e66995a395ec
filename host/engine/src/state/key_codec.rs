//! Key columns to bytes and back. Equal keys have equal bytes, and bytes are in the order of keys
//! (nulls first), so that sorted output needs no typed comparison.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowNativeTypeOp, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
};
use arrow_schema::{DataType, TimeUnit};

use super::{KeyColumn, StateError, key_rows};
use crate::batch::type_name;

/// Turns key columns into encoded keys and back.
///
/// `-0.0` equals `0.0`, and all NaNs are one key.
#[derive(Debug)]
pub struct KeyCodec {
    types: Vec<DataType>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// No key columns: all rows have the same, empty key.
    Unit,
    /// One column of text or bytes: as it is.
    Bytes,
    /// One column of fixed width: highest byte first, changed so that the order is kept.
    Word,
    /// Several columns: each as if it were alone, joined; with the bytes of its values where fixed.
    Rows(Vec<Option<usize>>),
}

impl KeyCodec {
    /// A codec for keys of these column types.
    ///
    /// # Errors
    /// When a type cannot be a key.
    pub fn new(types: Vec<DataType>) -> Result<Self, StateError> {
        if let Some(other) = types.iter().find(|data_type| !can_be_key(data_type)) {
            return Err(StateError::Unsupported(format!(
                "a column of type {} cannot be a key; boolean, int32, int64, float32, float64, utf8, binary, date \
                 and timestamp can",
                type_name(other)
            )));
        }
        let form = match types.as_slice() {
            [] => Form::Unit,
            [DataType::Utf8 | DataType::Binary] => Form::Bytes,
            [_] => Form::Word,
            _ => Form::Rows(types.iter().map(width).collect()),
        };
        Ok(Self { types, form })
    }

    /// The key of each of the `rows` rows.
    ///
    /// # Errors
    /// When the columns are not of the codec's types.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<KeyColumn, StateError> {
        self.check(columns)?;
        match &self.form {
            Form::Unit => Ok(KeyColumn::Words { words: vec![0; rows], width: 0, nulls: None }),
            Form::Bytes | Form::Word => Ok(alone(&columns[0])),
            Form::Rows(_) => {
                let columns: Vec<KeyColumn> = columns.iter().map(alone).collect();
                Ok(KeyColumn::Bytes(key_rows::join(&columns, rows)?))
            }
        }
    }

    /// The key columns of encoded keys.
    ///
    /// # Errors
    /// When the bytes are not of this codec's making.
    pub fn decode(&self, keys: &BinaryArray) -> Result<Vec<ArrayRef>, StateError> {
        Ok(match &self.form {
            Form::Unit => Vec::new(),
            Form::Bytes | Form::Word => vec![values(keys.clone(), &self.types[0])?],
            Form::Rows(widths) => {
                let columns = key_rows::split(keys, widths)?.into_iter().zip(&self.types);
                columns.map(|(column, data_type)| values(column, data_type)).collect::<Result<_, _>>()?
            }
        })
    }

    fn check(&self, columns: &[ArrayRef]) -> Result<(), StateError> {
        if columns.iter().map(|column| column.data_type()).eq(&self.types) {
            return Ok(());
        }
        let names =
            |types: &mut dyn Iterator<Item = &DataType>| types.map(type_name).collect::<Vec<_>>().join(", ");
        Err(StateError::Mismatch(format!(
            "the key columns should be ({}) but are ({})",
            names(&mut self.types.iter()),
            names(&mut columns.iter().map(|column| column.data_type()))
        )))
    }
}

fn can_be_key(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Utf8
            | DataType::Binary
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

/// Bytes of a key of this type; none if they differ.
fn width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::Utf8 | DataType::Binary => None,
        DataType::Boolean => Some(1),
        other => other.primitive_width(),
    }
}

/// The keys of a column that is the only one.
fn alone(column: &ArrayRef) -> KeyColumn {
    match column.data_type() {
        DataType::Utf8 => KeyColumn::Bytes(BinaryArray::from(column.as_string::<i32>().clone())),
        DataType::Binary => KeyColumn::Bytes(column.as_binary::<i32>().clone()),
        _ => words(column),
    }
}

/// The column of keys that are of `alone`'s making.
fn values(keys: BinaryArray, data_type: &DataType) -> Result<ArrayRef, StateError> {
    Ok(match data_type {
        DataType::Utf8 => Arc::new(StringArray::try_from_binary(keys)?),
        DataType::Binary => Arc::new(keys),
        _ => unwords(&keys, data_type),
    })
}

fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN.abs() } else { value + 0.0 }
}

fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN.abs() } else { value + 0.0 }
}

fn words(column: &ArrayRef) -> KeyColumn {
    match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean();
            let words = values.values().iter().map(u64::from).collect();
            KeyColumn::Words { words, width: 1, nulls: values.nulls().cloned() }
        }
        DataType::Int32 => words_of::<Int32Type>(column, 4, word_i32),
        DataType::Date32 => words_of::<Date32Type>(column, 4, word_i32),
        DataType::Int64 => words_of::<Int64Type>(column, 8, word_i64),
        DataType::Timestamp(..) => words_of::<TimestampMicrosecondType>(column, 8, word_i64),
        DataType::Float32 => words_of::<Float32Type>(column, 4, word_f32),
        _ => words_of::<Float64Type>(column, 8, word_f64),
    }
}

fn words_of<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    width: u8,
    word: impl Fn(T::Native) -> u64,
) -> KeyColumn {
    let values = column.as_primitive::<T>();
    let words = values.values().iter().map(|&value| word(value)).collect();
    KeyColumn::Words { words, width, nulls: values.nulls().cloned() }
}

fn word_i32(value: i32) -> u64 {
    u64::from((value.cast_unsigned() ^ (1 << 31)).swap_bytes())
}

fn word_i64(value: i64) -> u64 {
    (value.cast_unsigned() ^ (1 << 63)).swap_bytes()
}

fn word_f32(value: f32) -> u64 {
    let bits = canonical_f32(value).to_bits();
    let flip = (bits.cast_signed() >> 31).cast_unsigned() | (1 << 31);
    u64::from((bits ^ flip).swap_bytes())
}

fn word_f64(value: f64) -> u64 {
    let bits = canonical_f64(value).to_bits();
    let flip = (bits.cast_signed() >> 63).cast_unsigned() | (1 << 63);
    (bits ^ flip).swap_bytes()
}

fn unwords(keys: &BinaryArray, data_type: &DataType) -> ArrayRef {
    match data_type {
        DataType::Boolean => {
            let values: BooleanArray = keys.iter().map(|key| key.map(|key| key != [0])).collect();
            Arc::new(values)
        }
        DataType::Int32 => unwords_of::<Int32Type>(keys, data_type, |key| unword_32(key) as i32),
        DataType::Date32 => unwords_of::<Date32Type>(keys, data_type, |key| unword_32(key) as i32),
        DataType::Int64 => unwords_of::<Int64Type>(keys, data_type, |key| unword_64(key) as i64),
        DataType::Timestamp(..) => {
            unwords_of::<TimestampMicrosecondType>(keys, data_type, |key| unword_64(key) as i64)
        }
        DataType::Float32 => unwords_of::<Float32Type>(keys, data_type, |key| {
            let bits = unword_32(key).cast_signed();
            // What was negative had all its bits turned over, so its highest bit is set again now.
            f32::from_bits((bits ^ if bits < 0 { i32::MAX } else { 0 }).cast_unsigned())
        }),
        _ => unwords_of::<Float64Type>(keys, data_type, |key| {
            let bits = unword_64(key).cast_signed();
            f64::from_bits((bits ^ if bits < 0 { i64::MAX } else { 0 }).cast_unsigned())
        }),
    }
}

fn unwords_of<T: ArrowPrimitiveType>(
    keys: &BinaryArray,
    data_type: &DataType,
    unword: impl Fn(&[u8]) -> T::Native,
) -> ArrayRef
where
    T::Native: ArrowNativeTypeOp,
{
    let values: PrimitiveArray<T> = keys.iter().map(|key| key.map(&unword)).collect();
    Arc::new(values.with_data_type(data_type.clone()))
}

fn unword_32(key: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(key);
    u32::from_be_bytes(bytes) ^ (1 << 31)
}

fn unword_64(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(key);
    u64::from_be_bytes(bytes) ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use arrow_row::{RowConverter, SortField};
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::batch::timestamp_us;

    /// Encodes and decodes a column, and answers with the keys' bytes.
    fn round_trip(column: &ArrayRef) -> Vec<Option<Vec<u8>>> {
        let codec = KeyCodec::new(vec![column.data_type().clone()]).unwrap();
        let mut keys = Vec::new();
        let encoded = codec.encode(std::slice::from_ref(column), column.len()).unwrap();
        encoded.for_each(|key| keys.push(key.map(<[u8]>::to_vec)));
        let bytes: BinaryArray = keys.iter().map(Option::as_deref).collect();
        assert_eq!(&codec.decode(&bytes).unwrap(), std::slice::from_ref(column));
        keys
    }

    #[test]
    fn keys_of_every_type_come_back_and_are_in_the_order_of_their_values() {
        let ints: ArrayRef =
            Arc::new(PrimitiveArray::<Int64Type>::from(vec![None, Some(-300), Some(-1), Some(0), Some(256)]));
        let floats: ArrayRef = Arc::new(PrimitiveArray::<Float64Type>::from(vec![
            None,
            Some(f64::NEG_INFINITY),
            Some(-0.5),
            Some(0.0),
            Some(1e300),
        ]));
        let texts: ArrayRef =
            Arc::new(StringArray::from(vec![None, Some(""), Some("a"), Some("a\0"), Some("ö")]));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![None, Some(false), Some(true)]));
        let cast = |column: &ArrayRef, data_type| arrow_cast::cast(column, &data_type).unwrap();
        let ints_32 = cast(&ints, DataType::Int32);
        let small: ArrayRef =
            Arc::new(PrimitiveArray::<Float32Type>::from(vec![None, Some(-2.5), Some(0.0), Some(7.0)]));
        let columns = [
            cast(&ints_32, DataType::Date32),
            cast(&ints, timestamp_us()),
            cast(&texts, DataType::Binary),
            ints_32,
            small,
            ints,
            floats,
            texts,
            flags,
        ];
        for column in &columns {
            let keys = round_trip(column);
            assert!(keys.is_sorted_by(|left, right| left < right), "{}: {keys:?}", column.data_type());
        }
    }

    #[test]
    fn columns_of_another_type_and_types_that_are_no_keys_are_refused() {
        let codec = KeyCodec::new(vec![DataType::Int64]).unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let error = codec.encode(&[texts], 1).unwrap_err();
        assert_eq!(error.to_string(), "the key columns should be (int64) but are (utf8)");
        assert!(matches!(KeyCodec::new(vec![DataType::Null]), Err(StateError::Unsupported(_))));
    }

    /// Columns whose values are often equal, or begin alike, or hold what ends a value.
    fn columns() -> impl Strategy<Value = Vec<ArrayRef>> {
        let text = "[a\\x00\\x01ö]{0,3}|[a-b]{14,26}";
        let bytes = vec(prop::sample::select(vec![0, 1, 255]), 0..4);
        let int = prop_oneof![-1i64..2, any::<i64>()];
        let float = prop_oneof![
            prop::sample::select(vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, -1.5]),
            any::<f64>()
        ];
        vec((of(text), of(bytes), of(int), of(float), of(any::<bool>())), 0..40).prop_map(|rows| {
            let texts: StringArray = rows.iter().map(|row| row.0.as_deref()).collect();
            let bytes: BinaryArray = rows.iter().map(|row| row.1.as_deref()).collect();
            let ints: PrimitiveArray<Int64Type> = rows.iter().map(|row| row.2).collect();
            let floats: PrimitiveArray<Float64Type> = rows.iter().map(|row| row.3).collect();
            let flags: BooleanArray = rows.iter().map(|row| row.4).collect();
            let small: PrimitiveArray<Float32Type> =
                rows.iter().map(|row| row.3.map(|value| value as f32)).collect();
            let narrow: PrimitiveArray<Int32Type> =
                rows.iter().map(|row| row.2.map(|value| value as i32)).collect();
            let days = narrow.reinterpret_cast::<Date32Type>();
            let times = ints.reinterpret_cast::<TimestampMicrosecondType>().with_timezone("UTC");
            vec![
                Arc::new(texts) as ArrayRef,
                Arc::new(bytes),
                Arc::new(ints),
                Arc::new(floats),
                Arc::new(flags),
                Arc::new(small),
                Arc::new(narrow),
                Arc::new(days),
                Arc::new(times),
            ]
        })
    }

    /// The column with one NaN and without the negative zero.
    fn canonical(column: &ArrayRef) -> ArrayRef {
        match column.data_type() {
            DataType::Float32 => {
                Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(canonical_f32))
            }
            DataType::Float64 => {
                Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(canonical_f64))
            }
            _ => Arc::clone(column),
        }
    }

    proptest! {
        #[test]
        fn keys_of_several_columns_are_equal_and_ordered_as_arrow_orders_rows_and_come_back(
            columns in columns(),
            picks in vec(any::<prop::sample::Index>(), 2..5),
            cut in any::<prop::sample::Index>(),
        ) {
            // A slice, because offsets and nulls of a chunk need not begin at zero.
            let first = cut.index(columns[0].len() + 1);
            let rows = columns[0].len() - first;
            let columns: Vec<ArrayRef> =
                picks.iter().map(|pick| columns[pick.index(columns.len())].slice(first, rows)).collect();
            let types: Vec<DataType> = columns.iter().map(|column| column.data_type().clone()).collect();
            let codec = KeyCodec::new(types.clone()).unwrap();
            let KeyColumn::Bytes(keys) = codec.encode(&columns, rows).unwrap() else { unreachable!() };
            prop_assert_eq!(keys.len(), rows);

            let canonical: Vec<ArrayRef> = columns.iter().map(canonical).collect();
            let model = RowConverter::new(types.into_iter().map(SortField::new).collect()).unwrap();
            let model = model.convert_columns(&canonical).unwrap();
            for left in 0..rows {
                for right in 0..rows {
                    prop_assert_eq!(
                        keys.value(left).cmp(keys.value(right)),
                        model.row(left).cmp(&model.row(right))
                    );
                }
            }
            for (decoded, canonical) in codec.decode(&keys).unwrap().iter().zip(&canonical) {
                prop_assert_eq!(decoded.data_type(), canonical.data_type());
                // Compared by their rows, because no float is equal to NaN.
                let rows = |column: &ArrayRef| {
                    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())]).unwrap();
                    converter.convert_columns(std::slice::from_ref(column)).unwrap().try_into_binary().unwrap()
                };
                prop_assert_eq!(rows(decoded), rows(canonical));
            }
        }
    }
}
