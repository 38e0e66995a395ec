//! More keys than there is memory for.

use super::harness::{CLEARS, Row, Workers, parts};
use crate::steps::Extent;
use crate::steps::keyed::tests::harness::Ran;

fn keys(count: usize) -> Vec<&'static str> {
    (0..count).map(|key| &*Box::leak(format!("customer {key}").into())).collect()
}

/// Rows that add 4 to the sum of each key, which sets its timer two before their time.
fn rows(keys: &[&'static str], at: i64) -> Vec<Vec<Row>> {
    let row = |(id, key): (i64, &&'static str)| Row { at: Some(at), key: Some(key), does: 4, id };
    (0..).zip(keys).map(row).collect::<Vec<_>>().chunks(1000).map(<[Row]>::to_vec).collect()
}

/// Runs the same in both; what comes out is the same.
fn both(roomy: &mut Workers, tight: &mut Workers, watermark_us: i64, chunks: &[Vec<Row>]) -> Ran {
    let expected = roomy.run(0, Some(watermark_us), chunks);
    assert_eq!(tight.run(0, Some(watermark_us), chunks), expected);
    assert_eq!(tight.keys(), roomy.keys());
    expected
}

#[test]
fn states_leave_memory_and_come_back_when_rows_need_them_or_timers_are_due_or_they_expire() {
    let keys = keys(20_000);
    // Nothing expires before its timer.
    for ttl_us in [None, Some(700)] {
        let parts = parts(true, ttl_us);
        let mut roomy = Workers::new(&parts, 2, false);
        let mut tight = Workers::with_budget(&parts, 2, false, Some(200_000));
        for batch in 0..10 {
            // Their timers are due at 1998 to 2007.
            let at = 2000 + batch;
            let own = &keys[batch as usize * 2000..][..2000];
            assert_eq!(both(&mut roomy, &mut tight, 1000, &rows(own, at)), Ran::default());
        }
        let size = tight.size();
        assert!(size.keys_cold > 17_000 && size.bytes_cold > 500_000, "{size:?}");
        assert!(size.bytes < 600_000 && size.bytes < roomy.size().bytes / 3, "{size:?}");
        // Rows of cold keys: their sums go on, and their timers move to later.
        both(&mut roomy, &mut tight, 1000, &rows(&keys[..3000], 2020));
        for (watermark_us, due) in [(2002, 10_000 - 3_000), (2005, 6_000), (2018, 4_000 + 3_000)] {
            let ran = both(&mut roomy, &mut tight, watermark_us, &[]);
            assert_eq!(ran.emitted.len(), due, "{watermark_us} {ttl_us:?}");
        }
        assert_eq!(tight.earliest_timer_us(), None, "{ttl_us:?}");
        assert_eq!(tight.keys(), 0, "an even sum is cleared by its timer");
    }
}

#[test]
fn cold_states_without_a_timer_expire_and_a_key_that_begins_anew_knows_nothing_of_its_past() {
    let keys = keys(8_000);
    let parts = parts(true, Some(100));
    let mut roomy = Workers::new(&parts, 1, false);
    let mut tight = Workers::with_budget(&parts, 1, false, Some(1));
    let of = |at: i64, does: i64, keys: &[&'static str]| -> Vec<Vec<Row>> {
        vec![(0..).zip(keys).map(|(id, key)| Row { at: Some(at), key: Some(key), does, id }).collect()]
    };
    // A sum of 15 each, and no timer.
    both(&mut roomy, &mut tight, 0, &of(10, 15, &keys));
    assert_eq!(tight.size().keys_cold, 8_000);
    // Half of them go on to live longer.
    both(&mut roomy, &mut tight, 20, &of(50, 15, &keys[..4_000]));
    both(&mut roomy, &mut tight, 110, &[]);
    assert_eq!(tight.keys(), 4_000);
    // Cleared by a row, and there again: also where the file has what they were.
    both(&mut roomy, &mut tight, 110, &of(120, CLEARS, &keys[..2_000]));
    assert_eq!(tight.keys(), 2_000);
    let mut copies = tight.snapshot(Extent::Full);
    let ran = both(&mut roomy, &mut tight, 115, &of(130, 15, &keys));
    assert_eq!(ran.emitted.iter().filter(|emitted| emitted.1 == 15).count(), 6_000);
    copies.extend(tight.snapshot(Extent::Delta));
    let mut again = Workers::with_budget(&parts, 2, false, Some(50_000));
    again.restore(&copies);
    assert_eq!(again.keys(), 8_000);
    let ran = both(&mut roomy, &mut again, 140, &of(150, 15, &keys));
    assert_eq!(ran.emitted.iter().filter(|emitted| emitted.1 == 60).count(), 2_000);
}

#[test]
fn keys_that_come_and_go_leave_no_trace_in_memory_or_on_disk() {
    let parts = parts(true, None);
    let mut tight = Workers::with_budget(&parts, 1, false, Some(1));
    let mut sizes = Vec::new();
    for batch in 0..120 {
        let own: Vec<&'static str> =
            (0..500).map(|key| &*Box::leak(format!("visit {batch} {key}").into())).collect();
        // Each is there for two batches, and then its timer clears it.
        let at = batch * 10 + 20;
        tight.run(0, Some(batch * 10), &rows(&own, at));
        tight.snapshot(Extent::Delta);
        assert!(tight.keys() <= 1500, "{}", tight.keys());
        sizes.push(tight.size());
    }
    let (middle, last) = (sizes[40], sizes[119]);
    assert!(last.bytes < middle.bytes * 2 && last.bytes_cold < middle.bytes_cold * 2, "{middle:?} {last:?}");
}
