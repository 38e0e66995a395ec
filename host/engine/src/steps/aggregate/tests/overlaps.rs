//! Windows that overlap, one after the other: what they have in common is not added up again.

use super::super::*;
use super::harness::*;
use crate::batch::EventTime;
use crate::windows::Windows;

/// A function that retracts and one that does not.
const CALLS: [Call; 2] = [("count", None, false), ("sum", Some(INT), false)];

fn sliding(size: i64, slide: i64) -> AggregateConfig {
    let mut config = config(&[TEXT], None, &CALLS, Emit::Final);
    config.window = Some(WindowConfig {
        kind: WindowKind::Fixed(Windows::sliding(size, slide, 0).unwrap()),
        time: EventTime::of_column(TIME),
        lateness_us: 0,
    });
    config
}

fn named(group: usize) -> String {
    format!("a key that is longer than a bucket: {group:06}")
}

#[test]
fn groups_that_left_all_panes_are_forgotten() {
    const KEYS: usize = 3_000;
    const PANES: i64 = 9;
    let mut workers = Workers::new(&sliding(20, 10), 1);
    for pane in 0..PANES {
        // Half of them were in the pane before.
        let first = pane as usize * KEYS / 2;
        let rows = (first..first + KEYS).map(|group| row(pane * 10, &named(group), pane)).collect();
        let (results, _) = workers.run(Some(pane * 10), &[rows]).unwrap();
        // The window that ends here has the panes before and before that.
        let expected: Vec<Vec<String>> = (0..first + KEYS)
            .filter_map(|group| {
                let of = |pane: i64| {
                    let first = pane as usize * KEYS / 2;
                    pane >= 0 && (first..first + KEYS).contains(&group)
                };
                let panes = [pane - 2, pane - 1].into_iter().filter(|pane| of(*pane)).collect::<Vec<_>>();
                let (count, sum) = (panes.len(), panes.iter().sum::<i64>());
                let times = [(pane - 2) * 10, pane * 10].map(|time| time.to_string());
                let told = [format!("{:?}", named(group)), count.to_string(), sum.to_string()];
                (count > 0).then(|| times.into_iter().chain(told).collect())
            })
            .collect();
        assert_eq!(results, expected);
    }
    let overlaps = workers.steps[0].overlaps.as_ref().unwrap();
    let ever = PANES as usize * KEYS / 2 + KEYS / 2;
    assert!(overlaps.table().len() < ever / 2, "{} of {ever} groups are known", overlaps.table().len());
}

#[test]
fn a_row_that_comes_when_its_pane_was_given_once_is_in_the_windows_after_it_and_leaves_them_again() {
    let mut workers = Workers::new(&sliding(30, 10), 1);
    let mut run = |watermark: i64, rows: &[Row]| -> Vec<[String; 3]> {
        let results = workers.run(Some(watermark), &[rows.to_vec()]).unwrap().0;
        results.into_iter().map(|row| [row[0].clone(), row[3].clone(), row[4].clone()]).collect()
    };
    let told = |window: i64, count: i64, sum: i64| [window, count, sum].map(|number| number.to_string());
    run(0, &[row(0, "a", 1), row(12, "a", 10), row(25, "a", 100)]);
    assert_eq!(run(31, &[row(15, "a", 1_000)]), [told(-20, 1, 1), told(-10, 2, 11), told(0, 3, 111)]);
    assert_eq!(run(41, &[row(45, "b", 7)]), [told(10, 3, 1_110)]);
    assert_eq!(run(61, &[]), [told(20, 1, 100), told(20, 1, 7), told(30, 1, 7)]);
}
