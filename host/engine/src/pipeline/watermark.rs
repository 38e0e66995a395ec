//! The watermark of each entry, as a pure function of what the batches before have seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::spec::WatermarkPolicy;

/// An entry, as far as its watermark depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimeNode {
    /// A source with event time; rows may come so much later than the greatest time seen.
    Source { delay_us: i64 },
    /// A source whose rows have no event time: it says nothing about the watermark.
    Timeless,
    /// Rows pass at once.
    Through { inputs: Vec<usize> },
    /// Rows are held until the watermark passes: what comes out in a batch was due at the watermark
    /// of the batch before, less `back_us`, so those downstream live by that.
    Holds { inputs: Vec<usize>, back_us: i64 },
}

/// What the watermarks of a pipeline follow from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermarks {
    policy: WatermarkPolicy,
    /// By entry; only sources have seen something.
    seen_us: Vec<Option<i64>>,
    /// By entry; only sources can be idle.
    idle: Vec<bool>,
    /// By entry: what is read side by side. A source is as far as the one that is least far.
    partitions: Vec<BTreeMap<String, Partition>>,
    /// By entry: the watermark of the newest batch. It never falls.
    given_us: Vec<Option<i64>>,
}

/// A part of a source that is read beside others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Partition {
    seen_us: Option<i64>,
    idle: bool,
}

/// An entry's part of the watermarks, as it is saved with a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedMark {
    seen_us: Option<i64>,
    idle: bool,
    given_us: Option<i64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    partitions: BTreeMap<String, Partition>,
}

impl Watermarks {
    pub(crate) fn new(entries: usize, policy: WatermarkPolicy) -> Self {
        let nothing = vec![None; entries];
        Self {
            policy,
            seen_us: nothing.clone(),
            idle: vec![false; entries],
            partitions: vec![BTreeMap::new(); entries],
            given_us: nothing,
        }
    }

    /// By the names of entries, because a changed pipeline has them at other places.
    pub(crate) fn save(&self, names: &[Arc<str>]) -> BTreeMap<String, SavedMark> {
        let mark = |i: usize| SavedMark {
            seen_us: self.seen_us[i],
            idle: self.idle[i],
            given_us: self.given_us[i],
            partitions: self.partitions[i].clone(),
        };
        names.iter().enumerate().map(|(i, name)| (name.to_string(), mark(i))).collect()
    }

    pub(crate) fn load(
        saved: &BTreeMap<String, SavedMark>,
        names: &[Arc<str>],
        policy: WatermarkPolicy,
    ) -> Self {
        let mut marks = Self::new(names.len(), policy);
        for (i, name) in names.iter().enumerate() {
            let mark = saved.get(&**name).cloned().unwrap_or_default();
            (marks.seen_us[i], marks.idle[i], marks.given_us[i]) = (mark.seen_us, mark.idle, mark.given_us);
            marks.partitions[i] = mark.partitions;
        }
        marks
    }

    /// A batch has seen an event time in a source.
    pub(crate) fn see(&mut self, source: usize, time_us: i64) {
        self.seen_us[source] = self.seen_us[source].max(Some(time_us));
    }

    /// A batch has seen an event time in a partition of a source.
    pub(crate) fn see_partition(&mut self, source: usize, name: &str, time_us: i64) {
        if let Some(partition) = self.partitions[source].get_mut(name) {
            partition.seen_us = partition.seen_us.max(Some(time_us));
        }
    }

    /// The plan says which partitions a source has, and which of them are idle.
    pub(crate) fn set_partitions(&mut self, source: usize, partitions: &BTreeMap<String, bool>) {
        let known = std::mem::take(&mut self.partitions[source]);
        let partition = |(name, idle): (&String, &bool)| {
            let seen_us = known.get(name).and_then(|known| known.seen_us);
            (name.clone(), Partition { seen_us, idle: *idle })
        };
        self.partitions[source] = partitions.iter().map(partition).collect();
    }

    /// The partitions that a source is known to have.
    pub(crate) fn partitions(&self, source: usize) -> Vec<String> {
        self.partitions[source].keys().cloned().collect()
    }

    /// Up to where a source has been seen: of partitions that are not idle, the least; none while one of them
    /// has shown nothing.
    fn seen(&self, source: usize) -> Option<i64> {
        let partitions = &self.partitions[source];
        if partitions.is_empty() {
            return self.seen_us[source];
        }
        partitions
            .values()
            .filter(|partition| !partition.idle)
            .map(|partition| partition.seen_us)
            .min()
            .flatten()
    }

    /// The plan says whether a source is idle: then it does not hold the watermark back.
    pub(crate) fn set_idle(&mut self, source: usize, idle: bool) {
        self.idle[source] = idle;
    }

    /// The watermark of each entry in the next batch. `nodes` are in the order of the graph.
    pub(crate) fn advance(&mut self, nodes: &[TimeNode]) -> Vec<Option<i64>> {
        let before = self.given_us.clone();
        for (i, node) in nodes.iter().enumerate() {
            let now = match node {
                TimeNode::Timeless => None,
                TimeNode::Source { delay_us } => self.seen(i).map(|max| max.saturating_sub(*delay_us)),
                TimeNode::Through { inputs } | TimeNode::Holds { inputs, .. } => {
                    self.of_inputs(nodes, &before, inputs)
                }
            };
            self.given_us[i] = self.given_us[i].max(now);
        }
        self.given_us.clone()
    }

    /// The watermark of an entry in the newest batch.
    pub(crate) fn of(&self, entry: usize) -> Option<i64> {
        self.given_us[entry]
    }

    /// Whether another batch without rows would have other watermarks than the newest one.
    pub(crate) fn would_advance(&self, nodes: &[TimeNode]) -> bool {
        self.clone().advance(nodes) != self.given_us
    }

    /// Over inputs that count, the least; none while one of them has seen nothing. Or the greatest.
    fn of_inputs(&self, nodes: &[TimeNode], before: &[Option<i64>], inputs: &[usize]) -> Option<i64> {
        let counting = inputs.iter().filter(|input| self.counts(nodes, **input));
        let out = |input: &usize| match nodes[*input] {
            TimeNode::Holds { back_us, .. } => before[*input].map(|us| us.saturating_sub(back_us)),
            _ => self.given_us[*input],
        };
        match self.policy {
            WatermarkPolicy::Min => counting.map(out).min().flatten(),
            WatermarkPolicy::Max => counting.map(out).max().flatten(),
        }
    }

    /// Whether an entry has a source that says something about time.
    fn counts(&self, nodes: &[TimeNode], entry: usize) -> bool {
        match &nodes[entry] {
            TimeNode::Timeless => false,
            TimeNode::Source { .. } => !self.idle[entry],
            TimeNode::Through { inputs } | TimeNode::Holds { inputs, .. } => {
                inputs.iter().any(|input| self.counts(nodes, *input))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sources and their union.
    fn union() -> Vec<TimeNode> {
        let source = |delay_us| TimeNode::Source { delay_us };
        vec![source(5), source(0), TimeNode::Through { inputs: vec![0, 1] }]
    }

    #[test]
    fn the_slowest_source_holds_the_watermark() {
        let mut marks = Watermarks::new(3, WatermarkPolicy::Min);
        assert_eq!(marks.advance(&union())[2], None);
        marks.see(0, 100);
        assert_eq!(marks.advance(&union())[2], None);
        marks.see(1, 50);
        assert_eq!(marks.advance(&union())[2], Some(50));
        marks.see(1, 500);
        assert_eq!(marks.advance(&union())[2], Some(95));
    }

    #[test]
    fn or_the_fastest_source_moves_it() {
        let mut marks = Watermarks::new(3, WatermarkPolicy::Max);
        marks.see(0, 100);
        assert_eq!(marks.advance(&union())[2], Some(95));
        marks.see(1, 50);
        assert_eq!(marks.advance(&union())[2], Some(95));
        marks.see(1, 500);
        assert_eq!(marks.advance(&union())[2], Some(500));
    }

    #[test]
    fn an_idle_source_is_left_out_and_the_watermark_never_falls() {
        let mut marks = Watermarks::new(3, WatermarkPolicy::Min);
        marks.see(0, 105);
        marks.set_idle(1, true);
        assert_eq!(marks.advance(&union())[2], Some(100));
        marks.set_idle(1, false);
        marks.see(1, 10);
        assert_eq!(marks.advance(&union())[2], Some(100));
        marks.set_idle(0, true);
        marks.set_idle(1, true);
        assert_eq!(marks.advance(&union())[2], Some(100));
    }

    #[test]
    fn the_slowest_partition_holds_its_source_until_it_is_idle_or_gone() {
        let nodes = vec![TimeNode::Source { delay_us: 5 }];
        let names = [Arc::from("source")];
        let partitions = |idle: &[(&str, bool)]| -> BTreeMap<String, bool> {
            idle.iter().map(|(name, idle)| ((*name).to_owned(), *idle)).collect()
        };
        let mut marks = Watermarks::new(1, WatermarkPolicy::Min);
        marks.set_partitions(0, &partitions(&[("fast", false), ("slow", false)]));
        marks.see_partition(0, "fast", 1_000);
        assert_eq!(marks.advance(&nodes), [None]);
        marks.see_partition(0, "slow", 100);
        assert_eq!(marks.advance(&nodes), [Some(95)]);
        // What is saved with a checkpoint goes on from there.
        let mut marks = Watermarks::load(&marks.save(&names), &names, WatermarkPolicy::Min);
        assert_eq!(marks.partitions(0), ["fast", "slow"]);
        marks.see_partition(0, "fast", 2_000);
        assert_eq!(marks.advance(&nodes), [Some(95)]);
        marks.set_partitions(0, &partitions(&[("fast", false), ("slow", true)]));
        assert_eq!(marks.advance(&nodes), [Some(1_995)]);
        // One that comes back, or a new one, holds it again; it never falls.
        marks.set_partitions(0, &partitions(&[("fast", false), ("new", false), ("slow", false)]));
        marks.see_partition(0, "fast", 3_000);
        marks.see_partition(0, "slow", 2_500);
        assert_eq!(marks.advance(&nodes), [Some(1_995)]);
        marks.see_partition(0, "new", 2_700);
        assert_eq!(marks.advance(&nodes), [Some(2_495)]);
        marks.set_partitions(0, &partitions(&[("fast", false)]));
        assert_eq!(marks.advance(&nodes), [Some(2_995)]);
    }

    #[test]
    fn a_source_without_event_time_says_nothing() {
        let nodes = vec![
            TimeNode::Source { delay_us: 0 },
            TimeNode::Timeless,
            TimeNode::Through { inputs: vec![0, 1] },
        ];
        let mut marks = Watermarks::new(3, WatermarkPolicy::Min);
        marks.see(0, 7);
        assert_eq!(marks.advance(&nodes)[2], Some(7));
    }

    #[test]
    fn behind_a_step_that_holds_rows_the_watermark_comes_a_batch_later() {
        let nodes = vec![
            TimeNode::Source { delay_us: 0 },
            TimeNode::Holds { inputs: vec![0], back_us: 0 },
            TimeNode::Through { inputs: vec![1] },
        ];
        let mut marks = Watermarks::new(3, WatermarkPolicy::Min);
        marks.see(0, 10);
        assert_eq!(marks.advance(&nodes), [Some(10), Some(10), None]);
        assert!(marks.would_advance(&nodes));
        assert_eq!(marks.advance(&nodes), [Some(10), Some(10), Some(10)]);
        assert!(!marks.would_advance(&nodes));
    }
}
