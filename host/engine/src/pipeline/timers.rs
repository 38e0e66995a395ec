//! Batches that come for timers alone: on an idle stream nothing else would make one.

use super::deployment::Deployment;
use super::entry::What;
use super::lane::Report;
use crate::steps::TimerClock;

/// The earliest timer of each step that has timers, as of the newest batch.
#[derive(Debug)]
pub(crate) struct Timers {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    entry: usize,
    by_watermark: bool,
    /// When the earliest timer is due, or a time before that.
    earliest_us: Option<i64>,
    /// A batch came for it alone, and now there is one that is no later: another batch would be in vain.
    is_stuck: bool,
}

/// The batch after which lanes report their timers.
pub(crate) struct Ran<'a> {
    pub(crate) read_nothing: bool,
    pub(crate) now_us: i64,
    pub(crate) watermarks_us: &'a [Option<i64>],
}

impl Timers {
    pub(crate) fn new(deployment: &Deployment) -> Self {
        let entries = deployment.entries.iter().enumerate();
        let steps = entries.filter_map(|(entry, planned)| {
            let by_watermark = match &planned.what {
                What::State(state) => matches!(state.plan.parts().timers, TimerClock::EventTime(_)),
                What::Keyed { plan, .. } if plan.has_timers() => false,
                _ => return None,
            };
            Some(Step { entry, by_watermark, earliest_us: None, is_stuck: false })
        });
        Self { steps: steps.collect() }
    }

    /// No step has timers.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What the lanes say after a batch, or after recovery.
    pub(crate) fn note(&mut self, reports: &[Report], ran: Option<&Ran<'_>>) {
        for step in &mut self.steps {
            let earliest = reports.iter().filter_map(|report| *report.timers_us.get(step.entry)?);
            let earliest_us = earliest.min();
            step.is_stuck = ran.is_some_and(|ran| {
                let was_due = step.is_due(ran.now_us, |entry| ran.watermarks_us[entry]);
                ran.read_nothing && was_due && earliest_us.is_some() && earliest_us <= step.earliest_us
            });
            step.earliest_us = earliest_us;
        }
    }

    /// Whether a batch would find a timer due.
    pub(crate) fn are_due(&self, now_us: i64, watermark_us: impl Fn(usize) -> Option<i64> + Copy) -> bool {
        self.steps.iter().any(|step| !step.is_stuck && step.is_due(now_us, watermark_us))
    }
}

impl Step {
    fn is_due(&self, now_us: i64, watermark_us: impl Fn(usize) -> Option<i64>) -> bool {
        let now_us = if self.by_watermark { watermark_us(self.entry) } else { Some(now_us) };
        self.earliest_us.zip(now_us).is_some_and(|(at_us, now_us)| at_us <= now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(by_watermark: bool) -> Timers {
        Timers { steps: vec![Step { entry: 0, by_watermark, earliest_us: None, is_stuck: false }] }
    }

    fn reports(times_us: &[Option<i64>]) -> Vec<Report> {
        times_us.iter().map(|at_us| Report { timers_us: vec![*at_us], ..Report::default() }).collect()
    }

    #[test]
    fn the_earliest_of_all_workers_is_due_by_its_clock() {
        let mut timers = timers(true);
        timers.note(&reports(&[Some(7), None, Some(5)]), None);
        assert!(timers.are_due(0, |_| Some(5)));
        assert!(!timers.are_due(100, |_| Some(4)));
        assert!(!timers.are_due(100, |_| None));
    }

    #[test]
    fn a_timer_that_is_set_to_the_past_again_and_again_makes_one_batch_more() {
        let mut timers = timers(false);
        let ran = |read_nothing| Ran { read_nothing, now_us: 10, watermarks_us: &[None] };
        timers.note(&reports(&[Some(3)]), Some(&ran(false)));
        assert!(timers.are_due(10, |_| None));
        timers.note(&reports(&[Some(3)]), Some(&ran(true)));
        assert!(!timers.are_due(10, |_| None));
        // One that goes on gets as many as it needs.
        timers.note(&reports(&[Some(4)]), Some(&ran(true)));
        assert!(timers.are_due(10, |_| None));
        // A batch with rows has changed something.
        timers.note(&reports(&[Some(4)]), Some(&ran(false)));
        assert!(timers.are_due(10, |_| None));
    }

    #[test]
    fn a_timer_that_was_not_due_yet_is_not_stuck() {
        let mut timers = timers(false);
        timers.note(&reports(&[Some(30)]), None);
        timers.note(
            &reports(&[Some(30)]),
            Some(&Ran { read_nothing: true, now_us: 10, watermarks_us: &[None] }),
        );
        assert!(timers.are_due(30, |_| None));
    }
}
