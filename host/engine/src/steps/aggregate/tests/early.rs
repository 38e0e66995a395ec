//! Results that go on early, against a plain model: rows by window and key, and when each was touched.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::harness::*;
use crate::batch::EventTime;
use crate::windows::Windows;

const CALLS: &[Call] = &[("count", None, false), ("sum", Some(INT), false)];

/// Of the plan's clock, from one early result to the next.
const EVERY_US: i64 = 10;

fn early(size: i64, slide: i64) -> AggregateConfig {
    let mut config = config(&[TEXT], None, CALLS, Emit::Early(EVERY_US));
    config.window = Some(WindowConfig {
        kind: WindowKind::Fixed(Windows::sliding(size, slide, 0).unwrap()),
        time: EventTime::of_column(TIME),
        lateness_us: 0,
    });
    config
}

#[derive(Clone, Debug)]
struct Batch {
    rows: Vec<(i64, u8, i64)>,
    watermark_step: i64,
    clock_step: i64,
    restart: Option<(u32, bool)>,
}

fn a_batch() -> impl Strategy<Value = Batch> {
    let rows = proptest::collection::vec((-5i64..50, 0u8..3, -9i64..9), 0..8);
    let workers = prop_oneof![Just(1u32), Just(2), Just(4)];
    let restart = proptest::option::weighted(0.3, (workers, any::<bool>()));
    (rows, 0i64..9, 0i64..9, restart).prop_map(|(rows, watermark_step, clock_step, restart)| Batch {
        rows,
        watermark_step,
        clock_step,
        restart,
    })
}

type Group = (i64, u8);

/// The rows of a group, and the time of the batch that brought the newest.
#[derive(Default)]
struct Known {
    ints: Vec<i64>,
    touched_us: i64,
}

fn check((size, slide): (i64, i64), workers: u32, budget: Option<u64>, batches: &[Batch]) {
    let config = early(size, slide);
    let build = |workers: u32| match budget {
        Some(bytes) => Workers::with_budget(&config, workers, bytes),
        None => Workers::new(&config, workers),
    };
    let mut workers = build(workers);
    let mut saved = workers.snapshot(Extent::Full);
    let mut model: BTreeMap<Group, Known> = BTreeMap::new();
    let (mut now_us, mut watermark_us) = (1_000, -10);
    let mut last_us = None;
    for batch in batches {
        now_us += batch.clock_step;
        let is_closed = |start: i64| start + size <= watermark_us;
        let closed: BTreeSet<Group> = model.keys().filter(|group| is_closed(group.0)).copied().collect();
        let result = |model: &BTreeMap<Group, Known>, (start, key): &Group| {
            let ints = &model[&(*start, *key)].ints;
            let sum: i64 = ints.iter().sum();
            vec![
                start.to_string(),
                (start + size).to_string(),
                format!("\"{key}\""),
                ints.len().to_string(),
                sum.to_string(),
            ]
        };
        let mut expected: Vec<Vec<String>> = closed.iter().map(|group| result(&model, group)).collect();
        model.retain(|group, _| !closed.contains(group));
        for (time, key, int) in &batch.rows {
            let starts = (time - size + 1..=*time).filter(|start| start.rem_euclid(slide) == 0);
            for start in starts.filter(|start| !is_closed(*start)) {
                let known = model.entry((start, *key)).or_default();
                known.ints.push(*int);
                known.touched_us = now_us;
            }
        }
        let since_us = *last_us.get_or_insert(now_us - 1);
        let changed: Vec<Group> =
            model.iter().filter(|(_, known)| known.touched_us > since_us).map(|(group, _)| *group).collect();
        let is_due = now_us - since_us >= EVERY_US;
        if is_due {
            last_us = Some(now_us);
            expected.extend(changed.iter().map(|group| result(&model, group)));
        }
        let rows: Vec<Row> =
            batch.rows.iter().map(|(time, key, int)| row(*time, &key.to_string(), *int)).collect();
        let chunks: Vec<Vec<Row>> = rows.chunks(3).map(<[Row]>::to_vec).collect();
        let given = workers.run_at(now_us, Some(watermark_us), &chunks).unwrap();
        let mut results = given.0;
        results.sort();
        expected.sort();
        assert_eq!(results, expected);
        if let Some((number, full)) = batch.restart {
            if full {
                saved = workers.snapshot(Extent::Full);
            } else {
                saved.extend(workers.snapshot(Extent::Delta));
            }
            workers = build(number);
            workers.restore(&saved);
        }
        watermark_us += batch.watermark_step;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn early_results_are_those_of_what_changed_whatever_the_cut_the_workers_and_the_restarts(
        windows in prop_oneof![Just((10, 10)), Just((10, 5)), Just((9, 3))],
        workers in prop_oneof![Just(1u32), Just(2), Just(4)],
        // Nothing stays in memory, or some.
        budget in proptest::sample::select(vec![None, Some(1), Some(6000)]),
        batches in proptest::collection::vec(a_batch(), 1..10),
    ) {
        check(windows, workers, budget, &batches);
    }
}

#[test]
fn groups_that_left_memory_go_on_early_all_the_same() {
    let config = early(1_000, 1_000);
    let (mut roomy, mut tight) = (Workers::new(&config, 2), Workers::with_budget(&config, 2, 100_000));
    for (now_us, first) in [(100, 0), (105, 4_000), (112, 6_000), (115, 3_000), (130, 0)] {
        let keys = if now_us == 130 { 0..0 } else { first..first + 3_000 };
        let rows: Vec<Row> = keys.map(|key| row(key % 1_000, &format!("key {key}"), key)).collect();
        let chunks: Vec<Vec<Row>> = rows.chunks(900).map(<[Row]>::to_vec).collect();
        let expected = roomy.run_at(now_us, Some(0), &chunks).unwrap();
        assert_eq!(tight.run_at(now_us, Some(0), &chunks).unwrap(), expected, "{now_us}");
        let due = [(112, 8_000), (130, 3_000)].into_iter().find(|(at, _)| *at == now_us);
        assert_eq!(expected.0.len(), due.map_or(0, |(_, groups)| groups), "{now_us}");
    }
    let cold: u64 = tight.steps.iter().map(|step| step.size().keys_cold).sum();
    assert!(cold > 6_000, "{cold}");
}

#[test]
fn a_step_says_when_early_results_are_due() {
    let mut workers = Workers::new(&early(10, 10), 1);
    assert_eq!(workers.steps[0].due_us(), None);
    workers.run_at(100, None, &[vec![row(1, "a", 1)]]).unwrap();
    assert_eq!(workers.steps[0].due_us(), Some(109));
    assert!(workers.run_at(105, None, &[]).unwrap().0.is_empty());
    assert_eq!(workers.run_at(109, None, &[]).unwrap().0, [["0", "10", "\"a\"", "1", "1"]]);
    assert_eq!(workers.steps[0].due_us(), None);
    assert!(workers.run_at(150, None, &[]).unwrap().0.is_empty());
    assert_eq!(workers.run_at(151, Some(10), &[]).unwrap().0, [["0", "10", "\"a\"", "1", "1"]]);
}
