//! Lowering and lifting against each other: what a guest would get, given back, is the same rows;
//! whatever bytes it gives back instead, nothing panics.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{Lowered, cut, fields, formats, lift, rejections, schema};
use crate::bindings::millstream::plugin::data::{BatchResult, ColumnResult, FieldResult, Rejection};
use crate::error::Fault;
use crate::limits::Limits;

/// What a guest that returns its input returns.
fn returned(lowered: &Lowered<'_>) -> BatchResult {
    let columns = lowered.columns();
    let columns = columns.iter().map(|column| ColumnResult {
        validity: column.validity.to_vec(),
        offsets: column.offsets.to_vec(),
        values: column.values.to_vec(),
    });
    BatchResult { rows: lowered.rows(), columns: columns.collect() }
}

fn batches() -> impl Strategy<Value = RecordBatch> {
    let row = (of(any::<bool>()), of(any::<i64>()), any::<f64>(), of(".{0,6}"), of(vec(any::<u8>(), 0..6)));
    vec(row, 0..70).prop_map(|rows| {
        let booleans: BooleanArray = rows.iter().map(|row| row.0).collect();
        let numbers: Int64Array = rows.iter().map(|row| row.1).collect();
        let floats: Float64Array = rows.iter().map(|row| Some(row.2)).collect();
        let texts: StringArray = rows.iter().map(|row| row.3.as_deref()).collect();
        let binaries: BinaryArray = rows.iter().map(|row| row.4.as_deref()).collect();
        let columns: [ArrayRef; 5] =
            [Arc::new(booleans), Arc::new(numbers), Arc::new(floats), Arc::new(texts), Arc::new(binaries)];
        RecordBatch::try_from_iter_with_nullable(
            ["a", "b", "c", "d", "e"].into_iter().zip(columns).map(|(name, array)| (name, array, true)),
        )
        .unwrap()
    })
}

proptest! {
    #[test]
    fn any_slice_comes_back(batch in batches(), cut in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let offset = cut.0.index(batch.num_rows() + 1);
        let slice = batch.slice(offset, cut.1.index(batch.num_rows() - offset + 1));
        let lowered = Lowered::new(&slice).unwrap();
        let lifted = lift(&batch.schema(), returned(&lowered), &Limits::default()).unwrap();
        // Compared as data, because no float is equal to NaN.
        for (lifted, slice) in lifted.columns().iter().zip(slice.columns()) {
            if let Some(floats) = lifted.as_any().downcast_ref::<Float64Array>() {
                let slice = slice.as_any().downcast_ref::<Float64Array>().unwrap();
                let bits = |array: &Float64Array| array.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(floats), bits(slice));
            } else {
                prop_assert_eq!(lifted, slice);
            }
        }
    }

    #[test]
    fn a_slice_gives_the_guest_the_same_bytes_as_a_copy(batch in batches(), at in any::<prop::sample::Index>()) {
        let offset = at.index(batch.num_rows() + 1);
        let slice = batch.slice(offset, batch.num_rows() - offset);
        let copy = lift(&slice.schema(), returned(&Lowered::new(&slice).unwrap()), &Limits::default()).unwrap();
        let bytes = |batch: &RecordBatch| {
            let batch = returned(&Lowered::new(batch).unwrap());
            batch.columns.into_iter().map(|c| (c.validity, c.offsets, c.values)).collect::<Vec<_>>()
        };
        prop_assert_eq!(bytes(&slice), bytes(&copy));
    }

    #[test]
    fn any_bytes_are_a_valid_batch_or_an_error(
        rows in 0u32..20,
        columns in vec((vec(any::<u8>(), 0..12), vec(0i32..12, 0..20), vec(any::<u8>(), 0..170)), 3),
    ) {
        let columns = columns.into_iter().map(|(validity, offsets, values)| ColumnResult {
            validity,
            offsets: offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect(),
            values,
        });
        let batch = BatchResult { rows, columns: columns.collect() };
        if let Ok(batch) = lift(&three(), batch, &Limits::default()) {
            for column in batch.columns() {
                column.to_data().validate_full().unwrap();
            }
        }
    }

    #[test]
    fn any_offsets_are_a_valid_column_or_an_error(
        offsets in vec(0i32..10, 1..6),
        values in prop_oneof![vec(any::<u8>(), 8), ".{2,4}".prop_map(String::into_bytes)],
    ) {
        let rows = u32::try_from(offsets.len() - 1).unwrap();
        let offsets = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let columns = vec![ColumnResult { validity: vec![], offsets, values }];
        let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
        if let Ok(batch) = lift(&schema, BatchResult { rows, columns }, &Limits::default()) {
            batch.column(0).to_data().validate_full().unwrap();
        }
    }

    #[test]
    fn text_is_refused_from_the_first_row_on_that_the_standard_library_refuses(
        pieces in vec(pieces(), 0..12),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        nulls in vec(any::<bool>(), 13),
    ) {
        let values = pieces.concat();
        let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut.index(values.len() + 1)).collect();
        // Half of the cuts where characters begin, so that good columns are not too rare.
        let begins = |at: usize| values.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
        for offset in offsets.iter_mut().step_by(2) {
            *offset = (*offset..=values.len()).find(|&at| begins(at)).unwrap_or(values.len());
        }
        offsets.extend([0, values.len()]);
        offsets.sort_unstable();
        check_text(&offsets, &values, &nulls[..offsets.len() - 1])?;
    }

    #[test]
    fn any_bytes_as_text_are_judged_as_by_the_standard_library(
        values in vec(any::<u8>(), 0..200),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut.index(values.len() + 1)).collect();
        offsets.extend([0, values.len()]);
        offsets.sort_unstable();
        check_text(&offsets, &values, &vec![true; offsets.len() - 1])?;
    }

    #[test]
    fn cut_text_is_a_prefix_within_the_bound(text in ".{0,20}", max in 0usize..30) {
        let cut = cut(&text, max);
        prop_assert!(cut.len() <= max && text.starts_with(cut));
        prop_assert!(cut.len() + 4 > max.min(text.len()));
    }
}

/// Parts of text: mostly good ones, long enough for blocks of 64 bytes, and a few that no text has.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let broken: [&[u8]; 9] = [
        b"\x80",
        b"\xc3",
        b"\xc0\x80",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x9f\x98",
        b"\xf4\x90\x80\x80",
        b"\xff",
    ];
    prop_oneof![
        8 => "[a-z ]{0,80}".prop_map(String::into_bytes),
        8 => "[äöü€日本😀a]{0,40}".prop_map(String::into_bytes),
        1 => prop::sample::select(broken.map(<[u8]>::to_vec).to_vec()),
    ]
}

/// Gives a column of text back and compares with the standard library, row by row.
fn check_text(offsets: &[usize], values: &[u8], valid: &[bool]) -> Result<(), TestCaseError> {
    let texts: Vec<_> =
        offsets.windows(2).map(|ends| std::str::from_utf8(&values[ends[0]..ends[1]])).collect();
    let mut validity = vec![0; valid.len().div_ceil(8)];
    for (row, &valid) in valid.iter().enumerate() {
        validity[row / 8] |= u8::from(valid) << (row % 8);
    }
    let column = ColumnResult {
        validity,
        offsets: offsets.iter().flat_map(|&offset| (offset as i32).to_le_bytes()).collect(),
        values: values.to_vec(),
    };
    let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
    let batch = BatchResult { rows: valid.len() as u32, columns: vec![column] };
    match (lift(&schema, batch, &Limits::default()), texts.iter().position(Result::is_err)) {
        (Ok(batch), None) => {
            let texts = texts.iter().zip(valid).map(|(text, &valid)| text.ok().filter(|_| valid));
            prop_assert_eq!(batch.column(0).as_string::<i32>(), &texts.collect::<StringArray>());
            batch.column(0).to_data().validate_full().unwrap();
        }
        (Err(Fault::InvalidBatch { column, row, what }), Some(broken)) => {
            prop_assert_eq!(column.as_deref(), Some("`s`"));
            prop_assert_eq!((row, what.as_str()), (Some(broken as u32), "is no UTF-8"));
        }
        (other, broken) => prop_assert!(false, "{other:?}, but row {broken:?} is no UTF-8"),
    }
    Ok(())
}

fn three() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("b", DataType::Boolean, false),
    ]))
}

#[test]
fn schema_comes_back_as_it_went() {
    let zone = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
    let mut types = vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
    ];
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        types.extend([zone(unit, None), zone(unit, Some("UTC"))]);
    }
    let field = |(i, data_type): (usize, DataType)| Field::new(format!("c{i}"), data_type, i % 2 == 0);
    let given = Schema::new(types.into_iter().enumerate().map(field).collect::<Vec<_>>());
    let formats = formats(&given).unwrap();
    let told = fields(&given, &formats);
    let told: Vec<FieldResult> = told
        .iter()
        .map(|field| FieldResult {
            name: field.name.into(),
            data_type: field.data_type.into(),
            nullable: field.nullable,
        })
        .collect();
    assert_eq!(schema(&told).unwrap(), given);
}

#[test]
fn other_zones_and_types_do_not_cross() {
    let zone = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
    for data_type in [zone, DataType::LargeUtf8, DataType::Decimal128(10, 2), DataType::Null] {
        assert!(formats(&Schema::new(vec![Field::new("c", data_type, true)])).is_err());
    }
    for format in ["tsu:Europe/Berlin", "tsu", "+l", "", "U", "é"] {
        let field = FieldResult { name: "c".into(), data_type: format.into(), nullable: true };
        assert!(schema(&[field]).is_err(), "{format}");
    }
}

#[test]
fn rejected_rows_must_rise_within_the_batch() {
    let check = |rows: &[u32]| {
        let rejected = rows.iter().map(|&row| Rejection { row, reason: "no".into() }).collect();
        rejections(rejected, 3, &Limits::default()).is_ok()
    };
    assert!(check(&[]) && check(&[0, 1, 2]) && check(&[2]));
    assert!(!check(&[3]) && !check(&[1, 1]) && !check(&[1, 0]) && !check(&[u32::MAX]));
}
