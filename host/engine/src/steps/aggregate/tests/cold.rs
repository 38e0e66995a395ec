//! More groups than there is memory for.

use super::super::*;
use super::harness::*;

const CALLS: &[Call] = &[("count", None, false), ("sum", Some(INT), false), ("count", Some(INT), true)];

fn rows(range: std::ops::Range<i64>) -> Vec<Row> {
    range.map(|n| row(n % 10, &format!("key {n}"), n)).collect()
}

fn sizes(workers: &Workers) -> (u64, u64) {
    let sizes = workers.steps.iter().map(Aggregate::size);
    sizes.fold((0, 0), |(keys, cold), size| (keys + size.keys, cold + size.keys_cold))
}

#[test]
fn groups_leave_memory_and_come_back_with_their_values() {
    let config = config(&[TEXT], None, CALLS, Emit::Update);
    let (mut roomy, mut tight) = (Workers::new(&config, 2), Workers::with_budget(&config, 2, 100_000));
    for first in [0, 5_000, 10_000, 2_500, 0, 14_000] {
        let chunks: Vec<Vec<Row>> = rows(first..first + 5_000).chunks(700).map(<[Row]>::to_vec).collect();
        let expected = roomy.run(None, &chunks).unwrap();
        assert_eq!(tight.run(None, &chunks).unwrap(), expected);
        let hot: u64 = tight.steps.iter().map(|step| step.size().bytes).sum();
        let all: u64 = roomy.steps.iter().map(|step| step.size().bytes).sum();
        assert!(hot < all, "{hot} of {all} bytes");
        assert_eq!(sizes(&tight).0, sizes(&roomy).0);
    }
    let (keys, cold) = sizes(&tight);
    assert_eq!(keys, 19_000);
    assert!(cold > 18_000, "{cold}");
    assert!(tight.steps.iter().all(|step| step.size().bytes_cold > 0));
}

#[test]
fn groups_that_batches_touch_stay_in_memory() {
    let config = config(&[TEXT], None, &CALLS[..1], Emit::Update);
    let mut workers = Workers::with_budget(&config, 1, 400_000);
    let hot = rows(0..300);
    for batch in 0..40 {
        let mut chunk = hot.clone();
        chunk.extend(rows(1_000 + batch * 300..1_300 + batch * 300));
        workers.run(None, &[chunk]).unwrap();
        let before = workers.steps[0].size();
        workers.run(None, std::slice::from_ref(&hot)).unwrap();
        // None of them had to be brought back.
        assert_eq!(workers.steps[0].size().keys_cold, before.keys_cold, "batch {batch}");
    }
    assert!(sizes(&workers).1 > 5_000, "{:?}", sizes(&workers));
}

#[test]
fn a_window_with_cold_groups_gives_its_results_in_the_order_of_keys_and_frees_them() {
    let config = config(&[TEXT], Some(10), CALLS, Emit::Final);
    let (mut roomy, mut tight) = (Workers::new(&config, 1), Workers::with_budget(&config, 1, 1));
    for first in [0, 3_000, 1_500] {
        let chunks = [rows(first..first + 3_000)];
        assert_eq!(tight.run(None, &chunks).unwrap(), roomy.run(None, &chunks).unwrap());
    }
    assert_eq!(sizes(&tight), (6_000, 6_000));
    let expected = roomy.run(Some(10), &[]).unwrap();
    assert_eq!(expected.0.len(), 6_000);
    assert_eq!(tight.run(Some(10), &[]).unwrap(), expected);
    assert_eq!(sizes(&tight), (0, 0));
    assert_eq!(tight.steps[0].size().removed, 6_000);
}

#[test]
fn a_delta_holds_what_changed_and_left_memory_and_a_restore_keeps_to_the_budget() {
    // Distinct values are copied apart from groups.
    check_copies(CALLS);
    check_copies(&CALLS[..2]);
}

fn check_copies(calls: &[Call]) {
    let config = config(&[TEXT], Some(10), calls, Emit::Update);
    let mut tight = Workers::with_budget(&config, 2, 50_000);
    let mut saved = tight.snapshot(Extent::Full);
    tight.run(None, &[rows(0..9_000)]).unwrap();
    saved.extend(tight.snapshot(Extent::Delta));
    tight.run(None, &[rows(8_000..9_100)]).unwrap();
    tight.run(None, &[rows(0..1)]).unwrap();
    let delta = tight.snapshot(Extent::Delta);
    let groups = |chunks: &[StateChunk]| -> usize {
        chunks.iter().filter(|chunk| chunk.table == "groups").map(|chunk| chunk.rows.num_rows()).sum()
    };
    assert_eq!(groups(&delta), 1_101);
    saved.extend(delta);
    assert_eq!(groups(&tight.snapshot(Extent::Delta)), 0);
    assert_eq!(groups(&tight.snapshot(Extent::Full)), 9_100);
    let mut again = Workers::with_budget(&config, 1, 50_000);
    again.restore(&saved);
    assert_eq!(sizes(&again).0, 9_100);
    let bytes = again.steps[0].size().bytes;
    assert!(bytes < 150_000, "{bytes}");
    let mut roomy = Workers::new(&config, 1);
    roomy.restore(&saved);
    let chunks = [rows(0..9_200)];
    assert_eq!(again.run(None, &chunks).unwrap(), roomy.run(None, &chunks).unwrap());
}

#[test]
fn a_scratch_file_that_cannot_be_made_is_told_with_its_path_and_may_pass() {
    let mut step = Aggregate::new(config(&[TEXT], None, CALLS, Emit::Update)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cold"), "a file where a folder should be").unwrap();
    let path = dir.path().join("cold/step-0.db");
    let budget = Arc::new(crate::state::cold::MemoryBudget::new(1));
    step.spill_to(Spill { path: path.clone(), budget }).unwrap();
    step.accumulate(&context(None), &batch(&rows(0..3))).unwrap();
    let gathered = step.exchange().unwrap();
    step.merge(&context(None), &gathered[0]).unwrap();
    let StepError::Scratch { reason, full: false } = step.emit(&context(None)).unwrap_err() else { panic!() };
    assert!(reason.contains(&path.display().to_string()), "{reason}");
}
