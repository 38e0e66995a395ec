//! What is hard to come by at random: bounds, broken plugins, versions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::harness::{IS_SLOW, Row, TRAPS, Workers, parts};
use crate::batch::DeadLetterKind;
use crate::steps::{Extent, Initial, StepError};
use crate::table::{TableVersion, TableView};

fn row(key: &'static str, does: i64, id: i64) -> Row {
    Row { at: Some(id), key: Some(key), does, id }
}

fn workers() -> Workers {
    Workers::new(&parts(true, None), 1, false)
}

#[test]
fn more_rows_of_one_key_than_a_turn_holds_stay_in_order() {
    let rows: Vec<Row> = (0..40_000).map(|id| row("a", 5, id)).collect();
    let chunks: Vec<Vec<Row>> = rows.chunks(4096).map(<[Row]>::to_vec).collect();
    let ran = workers().run(0, None, &chunks);
    let sums: Vec<i64> = ran.emitted.iter().map(|emitted| emitted.1).collect();
    assert_eq!(sums, (1..=40_000).map(|count| count * 5).collect::<Vec<i64>>());
}

#[test]
fn more_keys_than_a_turn_holds_are_all_there() {
    let keys: Vec<&'static str> = (0..20_000).map(|key| &*Box::leak(format!("k{key}").into())).collect();
    let rows: Vec<Row> = (0..60_000).map(|id| row(keys[id as usize % keys.len()], 5, id)).collect();
    let chunks: Vec<Vec<Row>> = rows.chunks(4096).map(<[Row]>::to_vec).collect();
    for count in [1, 4] {
        let mut workers = Workers::new(&parts(true, None), count, false);
        let ran = workers.run(0, None, &chunks);
        assert_eq!((ran.emitted.len(), workers.keys()), (60_000, 20_000));
        let thirds = ran.emitted.iter().filter(|emitted| emitted.1 == 15).count();
        assert_eq!(thirds, 20_000);
    }
}

#[test]
fn a_plugin_that_breaks_at_every_row_ends_the_batch() {
    let keys: Vec<&'static str> = (0..100).map(|key| &*Box::leak(format!("k{key}").into())).collect();
    let broken = |chunk: Vec<Row>| {
        let error = workers().try_run(0, None, &[chunk], &HashMap::new()).unwrap_err();
        let StepError::Failed(message) = error else { panic!("{error:?}") };
        assert!(
            message.starts_with("test/sums: ") && message.contains("upload a repaired version"),
            "{message}"
        );
        message
    };
    let message = broken((0..100).map(|id| row(keys[id as usize], TRAPS, id)).collect());
    assert!(message.contains("64 rows or timers"), "{message}");
    // Of a single key only the first rows are tried, but nothing says that others would be taken.
    broken((0..100).map(|id| row("a", TRAPS, id)).collect());
    let message = broken((0..100).map(|id| row(keys[id as usize], IS_SLOW, id)).collect());
    assert!(message.contains("8 rows or timers"), "{message}");
}

#[test]
fn a_key_whose_state_breaks_the_plugin_does_not_stop_the_others() {
    let mut rows: Vec<Row> = (0..200).map(|id| row("a", TRAPS, id)).collect();
    rows.push(row("b", 5, 200));
    let ran = workers().run(0, None, &[rows]);
    assert_eq!(ran.emitted, [(Some("b".to_owned()), 5, 200)]);
    assert_eq!(ran.refused.len(), 200);
    assert!(ran.refused.iter().all(|refused| refused.1 == DeadLetterKind::Trapped));
}

#[test]
fn a_row_that_exceeds_its_time_takes_those_with_it_that_equal_it() {
    // A replay knows rows by their content alone.
    let slow = row("a", IS_SLOW, 7);
    let ran =
        workers().run(0, None, &[vec![row("a", 5, 1), slow, row("a", 5, 2)], vec![slow, row("a", 5, 3)]]);
    assert_eq!(ran.refused, [(7, DeadLetterKind::TimedOut), (7, DeadLetterKind::TimedOut)]);
    assert_eq!(ran.emitted.iter().map(|emitted| emitted.1).collect::<Vec<_>>(), [5, 10, 15]);
}

#[test]
fn states_of_another_version_are_migrated() {
    let mut old = Workers::new(&parts(true, None), 1, false);
    old.run(0, None, &[vec![row("a", 10, 1), row("b", 20, 2)]]);
    let saved = old.snapshot(Extent::Full);
    let newer = |version: &str| {
        let parts = crate::steps::StateParts { version: version.to_owned(), ..parts(true, None) };
        Workers::new(&parts, 2, false)
    };
    let mut new = newer("2.0.0");
    new.restore(&saved);
    let ran = new.run(0, None, &[vec![row("a", 5, 3), row("b", 5, 4)]]);
    let sums: Vec<i64> = ran.emitted.iter().map(|emitted| emitted.1).collect();
    assert_eq!(sums, [25, 45]);
    // Back again: from the newer one to the older.
    let mut back = Workers::new(&parts(true, None), 1, false);
    back.restore(&new.snapshot(Extent::Full));
    assert_eq!(back.run(0, None, &[vec![row("a", 5, 5)]]).emitted[0].1, 55);
}

#[test]
fn states_that_cannot_be_migrated_are_refused_with_the_way_out() {
    let old = crate::steps::StateParts { version: "0.0.1".to_owned(), ..parts(true, None) };
    let mut old = Workers::new(&old, 1, false);
    old.run(0, None, &[vec![row("a", 10, 1)]]);
    let saved = old.snapshot(Extent::Full);
    let error = workers().steps[0].restore(&saved[0]).unwrap_err().to_string();
    assert!(
        error.contains("states of 0.0.1 are unknown") && error.contains("go back to version 0.0.1"),
        "{error}"
    );
}

/// A table of keys and what their first row does; the id is left out.
fn table(rows: &[(&str, i64)]) -> TableView {
    let keys: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>());
    let does: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..).take(rows.len())));
    let others = [("note", Arc::clone(&keys)), ("does", does), ("key", keys), ("id", ids)];
    let rows = RecordBatch::try_from_iter(others).unwrap();
    let view = TableView::new("known", rows.schema());
    view.show(Arc::new(TableVersion { number: 1, rows }));
    view
}

#[test]
fn the_rows_of_a_table_come_once_before_all_others() {
    let known: Vec<(String, i64)> = (0..50).map(|key| (format!("k{key}"), 100)).collect();
    let known: Vec<(&str, i64)> = known.iter().map(|(key, does)| (key.as_str(), *does)).collect();
    let initial = Initial::new(table(&known), super::harness::schema()).unwrap();
    let parts = crate::steps::StateParts { initial: Some(initial), ..parts(false, None) };
    for (count, then) in [(1, 4), (4, 1)] {
        let mut workers = Workers::new(&parts, count, false);
        let ran = workers.run(0, None, &[vec![row("k7", 5, 100), row("new", 5, 101)]]);
        assert_eq!((ran.emitted.len(), workers.keys()), (52, 51));
        assert!(ran.emitted.contains(&(Some("k7".to_owned()), 105, 100)), "{ran:?}");
        let saved = workers.snapshot(Extent::Full);
        let mut again = Workers::new(&parts, then, false);
        again.restore(&saved);
        let ran = again.run(0, None, &[vec![row("k8", 5, 102)]]);
        assert_eq!(ran.emitted, [(Some("k8".to_owned()), 105, 102)]);
    }
}

#[test]
fn a_table_whose_rows_are_not_like_those_of_the_step_is_refused() {
    let schema = super::harness::schema();
    let without = |name: &str| {
        let view = table(&[("a", 1)]);
        let kept: Vec<usize> = (0..4).filter(|column| view.schema().field(*column).name() != name).collect();
        TableView::new("known", Arc::new(view.schema().project(&kept).unwrap()))
    };
    let error = Initial::new(without("does"), Arc::clone(&schema)).unwrap_err();
    assert!(error.contains("no column `does`"), "{error}");
    assert!(Initial::new(without("key"), Arc::clone(&schema)).is_ok());
    let text = vec![Field::new("does", DataType::Utf8, true)];
    let error = Initial::new(TableView::new("known", Arc::new(Schema::new(text))), schema).unwrap_err();
    assert!(error.contains("`does` is utf8") && error.contains("it is int64"), "{error}");
}

#[test]
fn state_of_another_step_is_refused() {
    let mut other = Workers::new(&parts(false, None), 1, false);
    other.run(0, None, &[vec![row("a", 10, 1)]]);
    let error = workers().steps[0].restore(&other.snapshot(Extent::Full)[0]).unwrap_err().to_string();
    assert!(error.contains("processing-time") && error.contains("event-time"), "{error}");
}

#[test]
fn keys_without_state_and_timer_are_forgotten() {
    let keys: Vec<&'static str> = (0..5_000).map(|key| &*Box::leak(format!("k{key}").into())).collect();
    let mut workers = Workers::new(&parts(true, Some(10)), 1, false);
    let rows: Vec<Row> = (0..5_000).map(|id| Row { at: Some(0), ..row(keys[id as usize], 0, id) }).collect();
    workers.run(0, None, &[rows]);
    let full = workers.steps[0].size();
    assert_eq!((full.keys, full.updated), (5_000, 5_000));
    let saved = workers.snapshot(Extent::Full);
    workers.run(0, Some(10), &[vec![row("k1", 5, 20)]]);
    let size = workers.steps[0].size();
    assert_eq!((size.keys, size.updated, size.removed), (1, 1, 5_000));
    // They are kept until a snapshot has told of them.
    let delta = workers.snapshot(Extent::Delta);
    assert_eq!(delta.iter().map(|chunk| chunk.rows.num_rows()).sum::<usize>(), 5_000);
    workers.run(0, Some(10), &[vec![row("k2", 5, 21)]]);
    assert!(workers.steps[0].size().bytes < full.bytes / 2);
    let mut again = Workers::new(&parts(true, Some(10)), 1, false);
    again.restore(&[saved, delta].concat());
    assert_eq!(again.keys(), 1);
    assert_eq!(again.run(0, Some(10), &[vec![row("k1", 5, 22)]]).emitted, [(Some("k1".to_owned()), 10, 22)]);
}
