//! Builders against a plain model, read back through the views.

use proptest::prelude::*;

use super::*;
use crate::columns::{Boolean, ColumnType, Int64, Place, Utf8};

#[test]
fn no_null_means_no_bitmap() {
    let column = [1_i64, 2, 3].into_iter().collect::<Int64Builder>().finish().unwrap();
    assert!(column.validity.is_empty());
    assert_eq!(column.values.len(), 24);
}

#[test]
fn a_number_that_is_too_wide_is_told_with_its_row() {
    let mut numbers = Int32Builder::default();
    [1_i64, -7].into_iter().for_each(|number| numbers.push_wide(number));
    assert_eq!(numbers.clone().finish().unwrap().values, [1, -7].map(i32::to_le_bytes).concat());
    numbers.push_wide(1_u64 << 31);
    numbers.push_wide(i64::MIN);
    assert_eq!(numbers.len(), 4);
    assert_eq!(numbers.finish().unwrap_err().message(), "row 2: 2147483648 does not fit i32");
}

#[test]
fn an_empty_text_column_has_one_offset() {
    let column = Utf8Builder::default().finish().unwrap();
    assert_eq!((column.offsets, column.values), (vec![0; 4], vec![]));
}

#[test]
fn a_bitmap_ends_with_zeros() {
    let column = [None, Some(1_i64), Some(2)].into_iter().collect::<Int64Builder>().finish().unwrap();
    assert_eq!(column.validity, [0b110]);
}

#[test]
fn values_in_pieces() {
    use std::fmt::Write;
    let mut builder = Utf8Builder::default();
    write!(builder, "{}-zwei", 1).unwrap();
    builder.end_value();
    builder.end_value();
    let column = builder.finish().unwrap();
    assert_eq!(
        Utf8::view(&column, 2, Place::NOWHERE).unwrap().iter().collect::<Vec<_>>(),
        [Some("1-zwei"), Some("")]
    );
}

#[test]
fn buffers_handed_over_must_agree() {
    assert!(Utf8Builder::from_buffers("ab".into(), vec![0, 0, 0, 0, 2, 0, 0, 0]).is_ok());
    assert!(Utf8Builder::from_buffers("ab".into(), vec![0, 0, 0, 0, 3, 0, 0, 0]).is_err());
    assert!(Utf8Builder::from_buffers(String::new(), vec![]).is_err());
}

#[test]
fn mapped_is_map() {
    let column = Int64Builder::mapped(&[1.5_f64, -2.5], |x| x as i64).finish().unwrap();
    assert_eq!(Int64::view(&column, 2, Place::NOWHERE).unwrap().values(), [1, -2]);
}

#[test]
fn views_refuse_short_buffers() {
    let column = Buffers { values: vec![0; 15], ..Buffers::default() };
    assert_eq!(
        Int64::view(&column, 2, Place::NOWHERE).unwrap_err().message(),
        "the values buffer has 15 bytes where 16 are needed"
    );
    assert!(Utf8::view(&column, 1, Place::NOWHERE).is_err());
    assert!(Utf8::view(&Buffers::default(), 0, Place::NOWHERE).is_ok());
    let not_text =
        Buffers { values: vec![0xff], offsets: vec![0, 0, 0, 0, 1, 0, 0, 0], ..Buffers::default() };
    assert!(Utf8::view(&not_text, 1, Place::NOWHERE).is_err());
}

proptest! {
    #[test]
    fn what_is_pushed_is_read(texts in prop::collection::vec(prop::option::of("\\PC{0,40}"), 0..40)) {
        let column = texts.iter().map(Option::as_deref).collect::<Utf8Builder>().finish().unwrap();
        let view = Utf8::view(&column, texts.len(), Place::NOWHERE).unwrap();
        prop_assert!(view.iter().eq(texts.iter().map(Option::as_deref)));
    }

    #[test]
    fn booleans_too(values in prop::collection::vec(any::<Option<bool>>(), 0..40)) {
        let column = values.iter().copied().collect::<BooleanBuilder>().finish().unwrap();
        prop_assert!(Boolean::view(&column, values.len(), Place::NOWHERE).unwrap().iter().eq(values.iter().copied()));
    }

    #[test]
    fn select_is_indexing(
        texts in prop::collection::vec(prop::option::of("[a-zé]{0,20}"), 1..30),
        numbers in prop::collection::vec(any::<Option<i64>>(), 30),
        flags in prop::collection::vec(any::<Option<bool>>(), 30),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let rows: Vec<u32> = picks.iter().map(|pick| pick.index(texts.len()) as u32).collect();
        let pick = |row: &u32| *row as usize;

        let column = texts.iter().map(Option::as_deref).collect::<Utf8Builder>().finish().unwrap();
        let chosen = select(&column, DataType::Utf8, &rows).unwrap();
        let expected = rows.iter().map(|row| texts[pick(row)].as_deref());
        prop_assert!(Utf8::view(&chosen, rows.len(), Place::NOWHERE).unwrap().iter().eq(expected));

        let column = numbers.iter().copied().collect::<Int64Builder>().finish().unwrap();
        let chosen = select(&column, DataType::Int64, &rows).unwrap();
        prop_assert!(Int64::view(&chosen, rows.len(), Place::NOWHERE).unwrap().iter().eq(rows.iter().map(|row| numbers[pick(row)])));

        let column = flags.iter().copied().collect::<BooleanBuilder>().finish().unwrap();
        let chosen = select(&column, DataType::Boolean, &rows).unwrap();
        prop_assert!(Boolean::view(&chosen, rows.len(), Place::NOWHERE).unwrap().iter().eq(rows.iter().map(|row| flags[pick(row)])));
    }
}
