//! Snapshots and what comes back of them.

use super::super::*;
use super::harness::*;

const CALLS: &[Call] = &[("count", None, false), ("count", Some(INT), true)];

fn update() -> AggregateConfig {
    config(&[TEXT], Some(10), CALLS, Emit::Update)
}

#[test]
fn a_delta_holds_only_what_changed() {
    let mut workers = Workers::new(&update(), 1);
    workers.run(None, &[vec![row(1, "a", 1), row(1, "b", 1), row(1, "c", 1)]]).unwrap();
    let rows = |chunks: &[StateChunk]| -> Vec<(String, usize)> {
        chunks.iter().map(|chunk| (chunk.table.clone(), chunk.rows.num_rows())).collect()
    };
    let full = [("groups".to_owned(), 3), ("distinct:f1".to_owned(), 3)];
    assert_eq!(rows(&workers.snapshot(Extent::Delta)), full);
    assert_eq!(rows(&workers.snapshot(Extent::Delta)), []);
    workers.run(None, &[vec![row(1, "b", 1)]]).unwrap();
    assert_eq!(rows(&workers.snapshot(Extent::Delta)), [("groups".to_owned(), 1)]);
    assert_eq!(rows(&workers.snapshot(Extent::Full)), full);
}

#[test]
fn a_window_that_was_closed_after_the_full_copy_gives_no_second_final_rows() {
    let config = config(&[TEXT], Some(10), CALLS, Emit::Final);
    let mut workers = Workers::new(&config, 1);
    workers.run(None, &[vec![row(1, "a", 1)]]).unwrap();
    let mut saved = workers.snapshot(Extent::Full);
    assert_eq!(workers.run(Some(10), &[]).unwrap().0.len(), 1);
    saved.extend(workers.snapshot(Extent::Delta));
    let mut again = Workers::new(&config, 2);
    again.restore(&saved);
    assert!(again.run(Some(10), &[]).unwrap().0.is_empty());
    assert_eq!(again.steps.iter().map(|step| step.size().keys).sum::<u64>(), 0);
}

#[test]
fn each_group_comes_back_to_one_worker_only() {
    let mut four = Workers::new(&update(), 4);
    let rows: Vec<Row> = (0..500).map(|n| row(n % 30, &format!("k{n}"), n)).collect();
    four.run(None, &rows.chunks(50).map(<[Row]>::to_vec).collect::<Vec<_>>()).unwrap();
    let saved = four.snapshot(Extent::Full);
    let mut two = Workers::new(&update(), 2);
    two.restore(&saved);
    let keys: Vec<u64> = two.steps.iter().map(|step| step.size().keys).collect();
    assert_eq!(keys.iter().sum::<u64>(), 500);
    assert!(keys.iter().all(|&keys| keys > 150), "{keys:?}");
}

#[test]
fn state_of_another_aggregation_is_refused_with_both_descriptions() {
    let mut workers = Workers::new(&update(), 1);
    workers.run(None, &[vec![row(1, "a", 1)]]).unwrap();
    let saved = workers.snapshot(Extent::Full);
    let refused = |config: AggregateConfig, parts: &[&str]| {
        let mut step = Aggregate::new(config).unwrap();
        let error = saved.iter().find_map(|chunk| step.restore(chunk).err()).unwrap();
        let StepError::State(message) = error else { panic!("{error:?}") };
        parts.iter().for_each(|part| assert!(message.contains(part), "{part}: {message}"));
    };
    refused(config(&[TEXT], Some(20), CALLS, Emit::Update), &["tumbling 10 us", "tumbling 20 us"]);
    refused(config(&[INT], Some(10), CALLS, Emit::Update), &["text Utf8", "int Int64"]);
    refused(config(&[TEXT], Some(10), &CALLS[..1], Emit::Update), &["count distinct(int64)"]);
}

#[test]
fn a_table_of_state_that_is_not_known_is_refused() {
    let mut step = Aggregate::new(update()).unwrap();
    let rows = batch(&[]);
    for table in ["timers", "distinct:f0", "distinct:other", "closed", "groups"] {
        let error = step.restore(&StateChunk { table: table.into(), rows: rows.clone() }).unwrap_err();
        assert!(matches!(&error, StepError::State(message) if message.contains(table)), "{error:?}");
    }
}
