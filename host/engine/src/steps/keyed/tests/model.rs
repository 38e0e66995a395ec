//! A map from keys to sums that does row by row what the step does turn by turn.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::harness::{
    CLEARS, IS_REFUSED_ALOUD, IS_REJECTED, IS_SLOW, IS_TOO_LARGE, Ran, Row, TRAPS, Workers, parts,
    timer_does, timer_of,
};
use crate::batch::DeadLetterKind;
use crate::steps::Extent;
use crate::steps::keyed::search::timer_text;
use crate::steps::keyed::tests::harness::batch;

type Key = Option<&'static str>;

#[derive(Clone, Debug, PartialEq)]
struct Held {
    sum: Option<i64>,
    timer: Option<i64>,
    touched: i64,
}

const NOTHING: Held = Held { sum: None, timer: None, touched: i64::MIN };

struct Model {
    event_time: bool,
    ttl_us: Option<i64>,
    keys: BTreeMap<Key, Held>,
}

impl Model {
    fn run(&mut self, now_us: i64, watermark_us: Option<i64>, rows: &[Row]) -> Ran {
        let mut ran = Ran::default();
        let clock = if self.event_time { watermark_us } else { Some(now_us) };
        let mut due = Vec::new();
        for (key, held) in &mut self.keys {
            let Some(clock) = clock else { break };
            let timer = held.timer.filter(|at| *at <= clock);
            let expiry = held.touched.saturating_add(self.ttl_us.unwrap_or(i64::MAX));
            if expiry <= clock && self.ttl_us.is_some() && timer.is_none_or(|at| at >= expiry) {
                held.sum = None;
            }
            if let Some(at) = timer {
                held.timer = None;
                due.push((*key, at));
            }
        }
        for (key, at) in due {
            self.timer(key, at, now_us, &mut ran);
        }
        let mut by_key: BTreeMap<Key, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let least = watermark_us.filter(|_| self.event_time).unwrap_or(i64::MIN);
            match row.at.filter(|at| *at >= least) {
                _ if !self.event_time => by_key.entry(row.key).or_default().push(*row),
                Some(_) => by_key.entry(row.key).or_default().push(*row),
                None if row.at.is_none() => ran.refused.push((row.id, DeadLetterKind::Rejected)),
                None => ran.refused.push((row.id, DeadLetterKind::Late)),
            }
        }
        for (key, rows) in by_key {
            self.rows(key, rows, now_us, &mut ran);
        }
        self.keys.retain(|_, held| held.sum.is_some() || held.timer.is_some());
        ran.sorted()
    }

    fn timer(&mut self, key: Key, at: i64, now_us: i64, ran: &mut Ran) {
        let touched = if self.event_time { at } else { now_us };
        let Some(held) = self.keys.get_mut(&key) else { return };
        let keys = batch(&[Row { at: None, key, does: 0, id: 0 }]).project(&[1]).unwrap();
        let kind = match timer_does(held.sum.unwrap_or(0)) {
            TRAPS => DeadLetterKind::Trapped,
            IS_SLOW => DeadLetterKind::TimedOut,
            _ => {
                ran.emitted.push((key.map(str::to_owned), held.sum.unwrap_or(-1), at));
                held.touched = held.touched.max(touched);
                if held.sum.is_some_and(|sum| sum % 2 == 1) {
                    held.timer = Some(at + 7);
                } else {
                    held.sum = None;
                }
                return;
            }
        };
        ran.lost.push((timer_text(&keys, 0, at), kind));
    }

    fn rows(&mut self, key: Key, mut rows: Vec<Row>, now_us: i64, ran: &mut Ran) {
        let before = self.keys.get(&key).cloned().unwrap_or(NOTHING);
        let mut timeouts = 0;
        'again: loop {
            let (mut held, mut part, mut faults) = (before.clone(), Ran::default(), 0);
            for (place, row) in rows.iter().enumerate() {
                match row.does {
                    TRAPS if faults == 7 => {
                        part.refused
                            .extend(rows[place..].iter().map(|row| (row.id, DeadLetterKind::Trapped)));
                        break;
                    }
                    TRAPS => {
                        part.refused.push((row.id, DeadLetterKind::Trapped));
                        faults += 1;
                        continue;
                    }
                    IS_REFUSED_ALOUD => {
                        part.refused.push((row.id, DeadLetterKind::Rejected));
                        continue;
                    }
                    IS_SLOW => {
                        timeouts += 1;
                        let gone =
                            if timeouts == 3 { std::mem::take(&mut rows) } else { vec![rows.remove(place)] };
                        ran.refused.extend(gone.iter().map(|row| (row.id, DeadLetterKind::TimedOut)));
                        continue 'again;
                    }
                    IS_TOO_LARGE => {
                        ran.refused.extend(rows.iter().map(|row| (row.id, DeadLetterKind::InvalidOutput)));
                        return;
                    }
                    IS_REJECTED => part.refused.push((row.id, DeadLetterKind::Rejected)),
                    CLEARS => held.sum = None,
                    number => {
                        let sum = held.sum.unwrap_or(0) + number;
                        held.sum = Some(sum);
                        held.timer = timer_of(row.at.unwrap_or(0), number).or(held.timer);
                        if number % 5 == 0 {
                            part.emitted.push((key.map(str::to_owned), sum, row.id));
                        }
                    }
                }
                faults = 0;
                let touched = if self.event_time { row.at.unwrap_or(i64::MIN) } else { now_us };
                held.touched = held.touched.max(touched);
            }
            ran.emitted.extend(part.emitted);
            ran.refused.extend(part.refused);
            self.keys.insert(key, held);
            return;
        }
    }
}

#[derive(Clone, Debug)]
struct Batch {
    chunks: Vec<Vec<Row>>,
    passed_us: i64,
    restart: Option<(u32, bool)>,
}

#[derive(Clone, Debug)]
struct Setting {
    event_time: bool,
    ttl_us: Option<i64>,
    workers: u32,
    budget: Option<u64>,
}

fn check(setting: &Setting, batches: &[Batch]) {
    let parts = parts(setting.event_time, setting.ttl_us);
    let mut model = Model { event_time: setting.event_time, ttl_us: setting.ttl_us, keys: BTreeMap::new() };
    let build = |count: u32| Workers::with_budget(&parts, count, false, setting.budget);
    let mut workers = build(setting.workers);
    let mut saved = Vec::new();
    let (mut now_us, mut watermark_us) = (0, None);
    for batch in batches {
        let rows: Vec<Row> = batch.chunks.iter().flatten().copied().collect();
        let expected = model.run(now_us, watermark_us, &rows);
        assert_eq!(workers.run(now_us, watermark_us, &batch.chunks), expected);
        assert_eq!(workers.keys(), model.keys.len() as u64);
        let earliest = model.keys.values().filter_map(|held| held.timer).min();
        match setting.budget {
            None => assert_eq!(workers.earliest_timer_us(), earliest),
            // Nobody tells the file when a timer moves on.
            Some(_) => {
                let told_us = workers.earliest_timer_us();
                assert!(earliest.is_none_or(|true_us| told_us.is_some_and(|told_us| told_us <= true_us)));
            }
        }
        if let Some((count, full)) = batch.restart {
            let extent = if full { Extent::Full } else { Extent::Delta };
            if full {
                saved.clear();
            }
            saved.extend(workers.snapshot(extent));
            workers = build(count);
            workers.restore(&saved);
            assert_eq!(workers.keys(), model.keys.len() as u64);
        }
        now_us += batch.passed_us;
        watermark_us = Some(watermark_us.unwrap_or(-30) + batch.passed_us);
    }
}

/// A batch run again with what the first run put into its plan, by a plugin that is faster now.
fn check_replays(setting: &Setting, batches: &[Batch]) {
    let parts = parts(setting.event_time, setting.ttl_us);
    let mut workers = Workers::with_budget(&parts, setting.workers, false, setting.budget);
    let (mut now_us, mut watermark_us) = (0, None);
    for batch in batches {
        let before = workers.snapshot(Extent::Full);
        let mut first = workers.run(now_us, watermark_us, &batch.chunks);
        let mut again = Workers::with_budget(&parts, setting.workers, true, setting.budget);
        again.restore(&before);
        let is_timed_out = |id: i64| first.refused.contains(&(id, DeadLetterKind::TimedOut));
        let chunks: Vec<Vec<Row>> = batch
            .chunks
            .iter()
            .map(|chunk| chunk.iter().filter(|row| !is_timed_out(row.id)).copied().collect())
            .collect();
        let known: HashMap<String, String> = first
            .lost
            .iter()
            .filter(|lost| lost.1 == DeadLetterKind::TimedOut)
            .map(|lost| (lost.0.clone(), "slow".to_owned()))
            .collect();
        let second = again.try_run(now_us, watermark_us, &chunks, &known).unwrap();
        first.refused.retain(|(_, kind)| *kind != DeadLetterKind::TimedOut);
        assert_eq!(second, first);
        workers = Workers::with_budget(&parts, setting.workers, false, setting.budget);
        workers.restore(&again.snapshot(Extent::Full));
        now_us += batch.passed_us;
        watermark_us = Some(watermark_us.unwrap_or(-30) + batch.passed_us);
    }
}

fn a_row() -> impl Strategy<Value = Row> {
    let does = prop_oneof![
        30 => 0i64..40,
        2 => Just(TRAPS),
        1 => Just(IS_SLOW),
        2 => Just(IS_REJECTED),
        1 => Just(IS_TOO_LARGE),
        1 => Just(CLEARS),
        1 => Just(IS_REFUSED_ALOUD),
    ];
    let at = prop_oneof![20 => (-30i64..60).prop_map(Some), 1 => Just(None)];
    let key =
        proptest::option::of(proptest::sample::select(vec!["a", "b", "a key that is a long one, indeed"]));
    (at, key, does).prop_map(|(at, key, does)| Row { at, key, does, id: 0 })
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let chunks = proptest::collection::vec(proptest::collection::vec(a_row(), 0..9), 0..5);
    let restart =
        proptest::option::weighted(0.3, (proptest::sample::select(vec![1u32, 2, 4]), any::<bool>()));
    let batch = (chunks, 0i64..20, restart).prop_map(|(chunks, passed_us, restart)| Batch {
        chunks,
        passed_us,
        restart,
    });
    proptest::collection::vec(batch, 1..10).prop_map(|mut batches| {
        let mut id = 0;
        for batch in &mut batches {
            let mut slow = 0;
            for row in batch.chunks.iter_mut().flatten() {
                id += 1;
                row.id = id;
                slow += i64::from(row.does == IS_SLOW);
                // More of them one after the other would be a plugin that is broken.
                if row.does == IS_SLOW && slow > 4 {
                    row.does = 1;
                }
                if row.at.is_none() && row.does >= 0 {
                    row.does = 0;
                }
            }
        }
        batches
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    let ttl = proptest::option::of(proptest::sample::select(vec![1i64, 9, 40]));
    // Nothing stays in memory, or some.
    let budget = proptest::sample::select(vec![None, Some(1), Some(2500)]);
    (any::<bool>(), ttl, proptest::sample::select(vec![1u32, 2, 4]), budget)
        .prop_map(|(event_time, ttl_us, workers, budget)| Setting { event_time, ttl_us, workers, budget })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_comes_out_is_that_of_a_plain_map_whatever_the_cut_the_workers_and_the_restarts(
        setting in setting(),
        batches in batches(),
    ) {
        check(&setting, &batches);
    }

    #[test]
    fn a_batch_that_is_run_again_by_a_faster_plugin_gives_the_same(
        setting in setting(),
        batches in batches(),
    ) {
        check_replays(&setting, &batches);
    }
}
