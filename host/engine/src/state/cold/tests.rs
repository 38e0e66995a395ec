//! The store against a plain map.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::*;

type Key = Option<Vec<u8>>;

fn counts() -> Arc<Payload> {
    Arc::new(Payload::new([&Field::new("n", DataType::Int64, false)]).unwrap())
}

fn keys(keys: &[Key]) -> BinaryArray {
    keys.iter().map(Option::as_deref).collect()
}

fn rows(found: &ColdRows) -> BTreeMap<Key, i64> {
    let counts = found.payload[0].as_primitive::<Int64Type>();
    found.keys.iter().map(|key| key.map(<[u8]>::to_vec)).zip(counts.values().iter().copied()).collect()
}

fn scanned(store: &mut ColdStore, space: &ColdSpace, piece: usize) -> BTreeMap<Key, i64> {
    let mut all = BTreeMap::new();
    let mut cursor = Cursor::default();
    while let Some(found) = store.scan(space, &mut cursor, piece).unwrap() {
        for (key, count) in rows(&found) {
            assert_eq!(all.insert(key, count), None, "each key comes once");
        }
    }
    all
}

fn put(store: &mut ColdStore, space: &mut ColdSpace, of: &[(Key, i64)]) {
    let column: ArrayRef = Arc::new(of.iter().map(|(_, count)| *count).collect::<Int64Array>());
    let of: Vec<Key> = of.iter().map(|(key, _)| key.clone()).collect();
    store.put(space, &keys(&of), &[column]).unwrap();
}

#[test]
fn every_type_of_column_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let item = Arc::new(Field::new("item", DataType::Binary, false));
    let columns: Vec<(ArrayRef, bool)> = vec![
        (Arc::new(Int64Array::from(vec![1, -2, i64::MAX])), false),
        (Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN)])), true),
        (Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])), true),
        (Arc::new(StringArray::from(vec![Some("ä"), Some(""), None])), true),
        (
            Arc::new(
                ListArray::try_new(
                    item,
                    OffsetBuffer::from_lengths([2, 0, 1]),
                    Arc::new(BinaryArray::from(vec![&b"a"[..], b"", b"long"])),
                    Some(vec![true, true, true].into()),
                )
                .unwrap(),
            ),
            false,
        ),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(column, nullable)| Field::new("x", column.data_type().clone(), *nullable))
        .collect();
    let columns: Vec<ArrayRef> = columns.into_iter().map(|(column, _)| column).collect();
    let mut store = ColdStore::new(dir.path().join("a/b.db"));
    let mut space = ColdSpace::new(Arc::new(Payload::new(&fields).unwrap()));
    let names = [Some(b"one".to_vec()), None, Some(Vec::new())];
    // Sliced columns, as those of a chunk are.
    let sliced: Vec<ArrayRef> = columns.iter().map(|column| column.slice(1, 2)).collect();
    store.put(&mut space, &keys(&names[1..]), &sliced).unwrap();
    store
        .put(&mut space, &keys(&names[..1]), &columns.iter().map(|c| c.slice(0, 1)).collect::<Vec<_>>())
        .unwrap();
    for (row, name) in names.iter().enumerate() {
        let found = store.find(&mut space, &KeyColumn::Bytes(keys(std::slice::from_ref(name)))).unwrap();
        assert_eq!(found.keys, keys(std::slice::from_ref(name)));
        for (found, column) in found.payload.iter().zip(&columns) {
            assert_eq!(found, &column.slice(row, 1));
        }
    }
}

#[test]
fn a_removed_space_gives_its_room_to_others_and_the_file_goes_with_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cold.db");
    std::fs::write(&path, "left by a process that was killed").unwrap();
    let mut store = ColdStore::new(path.clone());
    let many: Vec<(Key, i64)> = (0..20_000).map(|n| (Some(i64::to_be_bytes(n).to_vec()), n)).collect();
    let mut size = 0;
    for round in 0..5 {
        let mut space = ColdSpace::new(counts());
        put(&mut store, &mut space, &many);
        assert!(
            store
                .find(&mut ColdSpace::new(counts()), &KeyColumn::Bytes(keys(&[None])))
                .unwrap()
                .keys
                .is_empty()
        );
        store.remove(&space).unwrap();
        if round == 1 {
            size = store.file_bytes();
        }
    }
    assert!(store.file_bytes() <= size, "{} of {size}", store.file_bytes());
    drop(store);
    assert!(!path.exists());
}

#[test]
fn filters_know_nearly_all_keys_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = ColdStore::new(dir.path().join("cold.db"));
    let mut space = ColdSpace::new(counts());
    let many = |range: std::ops::Range<i64>| -> Vec<(Key, i64)> {
        range.map(|n| (Some(n.to_le_bytes().to_vec()), n)).collect()
    };
    put(&mut store, &mut space, &many(0..60_000));
    let others: Vec<Key> = many(60_000..80_000).into_iter().map(|(key, _)| key).collect();
    let asked = space.asked(&KeyColumn::Bytes(keys(&others)));
    assert!(asked < 1000, "{asked} of 20,000 are looked for");
    assert!(space.bytes() < 60_000 * 5, "{}", space.bytes());
}

#[test]
fn keys_that_come_and_go_leave_their_room_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = ColdStore::new(dir.path().join("cold.db"));
    let mut space = ColdSpace::new(counts());
    let many = |round: i64| -> Vec<(Key, i64)> {
        (0..500).map(|n| (Some((round * 500 + n).to_le_bytes().to_vec()), round)).collect()
    };
    let mut sizes = Vec::new();
    for round in 0..200 {
        put(&mut store, &mut space, &many(round));
        let gone: Vec<Key> = many(round - 2).into_iter().map(|(key, _)| key).collect();
        store.forget(&mut space, &keys(&gone)).unwrap();
        sizes.push((space.bytes(), store.file_bytes()));
    }
    assert_eq!(scanned(&mut store, &space, 100).len(), 1000);
    assert!(
        sizes[199].0 <= sizes[60].0 && sizes[199].1 <= sizes[60].1 * 2,
        "{:?} {:?}",
        sizes[60],
        sizes[199]
    );
    // Of keys that have gone hardly one is looked for.
    let gone: Vec<Key> = (0..150).flat_map(many).map(|(key, _)| key).collect();
    let asked = space.asked(&KeyColumn::Bytes(keys(&gone)));
    assert!(asked < gone.len() / 2, "{asked} of {}", gone.len());
}

#[test]
fn long_rows_come_in_pieces_and_make_more_pages() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = ColdStore::new(dir.path().join("cold.db"));
    let text = Field::new("text", DataType::Utf8, false);
    let mut space = ColdSpace::new(Arc::new(Payload::new([&text]).unwrap()));
    let names: Vec<Key> = (0..300i64).map(|n| Some(n.to_le_bytes().to_vec())).collect();
    let column: ArrayRef = Arc::new((0..300).map(|n| Some("x".repeat(300_000 + n))).collect::<StringArray>());
    store.put(&mut space, &keys(&names), &[column]).unwrap();
    let pieces = store.find_all(&mut space, &KeyColumn::Bytes(keys(&names))).unwrap();
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces.iter().map(|piece| piece.keys.len()).sum::<usize>(), 300);
    // A key that is not there costs no page, and one that is costs few rows.
    assert!(space.bytes() > 256 * 512, "{}", space.bytes());
}

proptest! {
    #[test]
    fn lists_are_found_in_the_order_in_which_they_were_written(
        writes in proptest::collection::vec(proptest::collection::vec(
            (proptest::option::of(proptest::collection::vec(0u8..4, 0..4)), any::<i64>()), 0..900), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ColdStore::new(dir.path().join("cold.db"));
        let mut space = ColdSpace::of_lists(counts());
        let mut model: BTreeMap<Key, Vec<i64>> = BTreeMap::new();
        for write in writes {
            put(&mut store, &mut space, &write);
            write.into_iter().for_each(|(key, count)| model.entry(key).or_default().push(count));
            let asked: Vec<Key> = model.keys().cloned().collect();
            let found = store.find(&mut space, &KeyColumn::Bytes(keys(&asked))).unwrap();
            let mut lists: BTreeMap<Key, Vec<i64>> = BTreeMap::new();
            let counts = found.payload[0].as_primitive::<Int64Type>().values();
            for (key, count) in found.keys.iter().zip(counts) {
                lists.entry(key.map(<[u8]>::to_vec)).or_default().push(*count);
            }
            prop_assert_eq!(&lists, &model);
        }
    }

    #[test]
    fn keys_that_were_removed_are_not_found_until_they_are_written_again(
        rounds in proptest::collection::vec((
            proptest::collection::btree_map(proptest::collection::vec(0u8..4, 0..5), any::<i64>(), 0..600),
            proptest::collection::btree_set(proptest::collection::vec(0u8..4, 0..5), 0..600)), 1..14),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ColdStore::new(dir.path().join("cold.db"));
        let mut space = ColdSpace::new(counts());
        let mut model: BTreeMap<Key, i64> = BTreeMap::new();
        for (write, gone) in rounds {
            let write: Vec<(Key, i64)> = write.into_iter().map(|(key, count)| (Some(key), count)).collect();
            put(&mut store, &mut space, &write);
            let gone: Vec<Key> = gone.into_iter().map(Some).collect();
            store.forget(&mut space, &keys(&gone)).unwrap();
            let asked: Vec<Key> = model.keys().cloned().chain(write.iter().map(|(key, _)| key.clone())).collect();
            model.extend(write);
            model.retain(|key, _| !gone.contains(key));
            let found = store.find(&mut space, &KeyColumn::Bytes(keys(&asked))).unwrap();
            prop_assert_eq!(rows(&found), model.clone());
            prop_assert_eq!(scanned(&mut store, &space, 50), model.clone());
        }
    }

    #[test]
    fn what_was_written_last_is_found(
        writes in proptest::collection::vec(proptest::collection::btree_map(
            proptest::option::of(proptest::collection::vec(0u8..4, 0..6)), any::<i64>(), 0..1500), 1..12),
        asked in proptest::collection::btree_set(
            proptest::option::of(proptest::collection::vec(0u8..4, 0..6)), 0..300),
        piece in 1usize..2000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ColdStore::new(dir.path().join("cold.db"));
        let (mut space, mut other) = (ColdSpace::new(counts()), ColdSpace::new(counts()));
        put(&mut store, &mut other, &[(None, 7)]);
        let asked: Vec<Key> = asked.into_iter().collect();
        let mut model: BTreeMap<Key, i64> = BTreeMap::new();
        for write in writes {
            put(&mut store, &mut space, &write.clone().into_iter().collect::<Vec<_>>());
            model.extend(write);
            let found = store.find(&mut space, &KeyColumn::Bytes(keys(&asked))).unwrap();
            let expected: BTreeMap<Key, i64> =
                asked.iter().filter_map(|key| Some((key.clone(), *model.get(key)?))).collect();
            prop_assert_eq!(found.keys.len(), expected.len());
            prop_assert_eq!(rows(&found), expected);
        }
        prop_assert_eq!(scanned(&mut store, &space, piece), model);
        prop_assert_eq!(scanned(&mut store, &other, piece), BTreeMap::from([(None, 7)]));
    }
}
