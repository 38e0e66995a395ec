//! From what the lanes counted to the progress document of a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

use super::deployment::Deployment;
use super::graph::Role;
use super::lane::{Counts, Report};
use super::progress::{Progress, SinkProgress, SourceProgress, StateProgress, StepProgress};
use super::status::{LogLine, SharedEvents};
use crate::batch::{BatchId, DeadLetter};
use crate::checkpoint::{BatchPlan, SourcePart};
use crate::clock::Clock;
use crate::steps::StateSize;

/// What is known of a batch when it has run.
#[derive(Debug)]
pub(crate) struct BatchFacts {
    pub(crate) batch: BatchId,
    now_us: i64,
    /// By entry.
    pub(crate) counts: Vec<Counts>,
    /// By entry.
    sizes: Vec<Option<StateSize>>,
    watermarks_us: Vec<Option<i64>>,
    letters: BTreeMap<String, u64>,
    parts: BTreeMap<String, SourcePart>,
    /// Bytes that wait behind the batch, by source.
    pub(crate) backlogs: BTreeMap<String, u64>,
    started: Duration,
    since_last: Option<Duration>,
    /// Asking the sources.
    pub(crate) poll: Duration,
    /// Making the plan durable.
    pub(crate) wal: Duration,
    /// Running.
    run: Duration,
    /// When the last sink had committed, on the monotonic clock.
    pub(crate) written: Duration,
}

/// Knows what does not change from batch to batch.
pub(crate) struct Reporter {
    id: String,
    run_id: String,
    name: String,
    entries: Vec<Described>,
    last_started: Option<Duration>,
}

struct Described {
    name: String,
    role: Role,
    kind: String,
    keyed: bool,
}

impl Reporter {
    pub(crate) fn new(deployment: &Deployment, id: String, run_id: String) -> Self {
        let describe = |node: &super::graph::Node| Described {
            name: node.name.to_string(),
            role: node.role,
            kind: deployment.kind(&node.name).to_owned(),
            keyed: deployment.is_keyed(&node.name),
        };
        Self {
            id,
            run_id,
            name: deployment.spec.name.clone(),
            entries: deployment.graph.nodes.iter().map(describe).collect(),
            last_started: None,
        }
    }

    /// Adds up what the lanes counted; dead letters in the order of the lanes.
    pub(crate) fn facts(
        &mut self,
        plan: &BatchPlan,
        watermarks_us: &[Option<i64>],
        reports: Vec<Report>,
        started: Duration,
        run: Duration,
    ) -> (BatchFacts, Vec<DeadLetter>) {
        let mut counts = vec![Counts::default(); self.entries.len()];
        let mut sizes: Vec<Option<StateSize>> = vec![None; self.entries.len()];
        let mut letters = Vec::new();
        for report in reports {
            report.counts.iter().zip(&mut counts).for_each(|(from, to)| add(to, from));
            for (size, total) in report.sizes.iter().zip(&mut sizes) {
                if let Some(size) = size {
                    let total = total.get_or_insert_default();
                    total.keys += size.keys;
                    total.bytes += size.bytes;
                    total.updated += size.updated;
                    total.removed += size.removed;
                    total.keys_cold += size.keys_cold;
                    total.bytes_cold += size.bytes_cold;
                }
            }
            letters.extend(report.letters);
        }
        let mut by_kind: BTreeMap<String, u64> = BTreeMap::new();
        letters
            .iter()
            .for_each(|letter: &DeadLetter| *by_kind.entry(letter.kind.to_string()).or_default() += 1);
        let dropped: u64 = counts.iter().map(|count| count.dropped).sum();
        if dropped > 0 {
            by_kind.insert("dropped".to_owned(), dropped);
        }
        let since_last = self.last_started.map(|last| started.saturating_sub(last));
        self.last_started = Some(started);
        let facts = BatchFacts {
            batch: plan.batch,
            now_us: plan.now_us,
            counts,
            sizes,
            watermarks_us: watermarks_us.to_vec(),
            letters: by_kind,
            parts: plan.sources.clone(),
            backlogs: BTreeMap::new(),
            started,
            since_last,
            poll: Duration::ZERO,
            wal: Duration::ZERO,
            run,
            written: started + run,
        };
        (facts, letters)
    }

    /// The document, when the batch is committed.
    pub(crate) fn progress(&self, facts: &BatchFacts) -> Progress {
        let of_role = |role: Role| {
            let entries = self.entries.iter().zip(&facts.counts);
            entries.filter(move |(entry, _)| entry.role == role)
        };
        let num_input_rows = of_role(Role::Source).map(|(_, count)| count.rows_in).sum();
        let total = facts.written.saturating_sub(facts.started) + facts.poll + facts.wal;
        let commit = facts.written.saturating_sub(facts.started + facts.run);
        let durations = [
            ("latestOffset", facts.poll),
            ("walCommit", facts.wal),
            ("addBatch", facts.run),
            ("commitBatch", commit),
            ("triggerExecution", total),
        ];
        let empty = SourcePart::default();
        Progress {
            id: self.id.clone(),
            run_id: self.run_id.clone(),
            name: self.name.clone(),
            batch_id: facts.batch.0,
            timestamp: rfc3339(facts.now_us),
            num_input_rows,
            input_rows_per_second: rate(num_input_rows, facts.since_last.unwrap_or(total)),
            processed_rows_per_second: rate(num_input_rows, facts.run),
            duration_ms: durations.map(|(name, took)| (name.to_owned(), ms(took))).into(),
            event_time: event_time(facts),
            state_operators: self.state(facts),
            sources: of_role(Role::Source)
                .map(|(entry, count)| {
                    let part = facts.parts.get(&entry.name).unwrap_or(&empty);
                    let offset =
                        |split: Option<&crate::source::Split>| split.map_or(Value::Null, |s| s.0.clone());
                    SourceProgress {
                        name: entry.name.clone(),
                        description: entry.kind.clone(),
                        splits: part.splits.len() as u64,
                        start_offset: offset(part.splits.first()),
                        end_offset: offset(part.splits.last()),
                        num_input_rows: count.rows_in,
                        backlog_bytes: facts.backlogs.get(&entry.name).copied().unwrap_or_default(),
                        idle: part.idle,
                    }
                })
                .collect(),
            sinks: of_role(Role::Sink)
                .map(|(entry, count)| SinkProgress {
                    name: entry.name.clone(),
                    description: entry.kind.clone(),
                    num_output_rows: count.rows_in,
                })
                .collect(),
            steps: of_role(Role::Step)
                .map(|(entry, count)| StepProgress {
                    name: entry.name.clone(),
                    num_input_rows: count.rows_in,
                    num_output_rows: count.rows_out,
                    calls: count.calls,
                    busy_ms: ms(count.busy),
                })
                .collect(),
            dead_letters: facts.letters.clone(),
        }
    }

    fn state(&self, facts: &BatchFacts) -> Vec<StateProgress> {
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| entry.keyed);
        entries
            .map(|(i, entry)| {
                let size = facts.sizes[i].unwrap_or_default();
                StateProgress {
                    operator_name: entry.name.clone(),
                    num_rows_total: size.keys,
                    num_rows_updated: size.updated,
                    num_rows_removed: size.removed,
                    memory_used_bytes: size.bytes,
                    num_rows_cold: size.keys_cold,
                    cold_bytes: size.bytes_cold,
                    num_rows_dropped_by_watermark: facts.counts[i].late,
                }
            })
            .collect()
    }

    /// A line for the pipeline's log.
    #[allow(clippy::unused_self, reason = "what is logged is the pipeline's")]
    pub(crate) fn log(
        &self,
        events: &SharedEvents,
        clock: &dyn Clock,
        level: &str,
        entry: Option<&str>,
        message: String,
    ) {
        let entry = entry.map(str::to_owned);
        events.log(LogLine { time_us: clock.now_us(), level: level.to_owned(), entry, message });
    }
}

fn add(to: &mut Counts, from: &Counts) {
    to.rows_in += from.rows_in;
    to.rows_out += from.rows_out;
    to.calls += from.calls;
    to.busy += from.busy;
    to.late += from.late;
    to.dropped += from.dropped;
    to.without_time += from.without_time;
    to.max_time_us = to.max_time_us.max(from.max_time_us);
}

fn event_time(facts: &BatchFacts) -> BTreeMap<String, String> {
    let watermark = facts.watermarks_us.iter().flatten().min();
    let max = facts.counts.iter().filter_map(|count| count.max_time_us).max();
    let named = [("watermark", watermark.copied()), ("max", max)];
    named.into_iter().filter_map(|(name, time)| Some((name.to_owned(), rfc3339(time?)))).collect()
}

/// Times outside of what RFC 3339 can say are given in microseconds.
fn rfc3339(us: i64) -> String {
    DateTime::from_timestamp_micros(us)
        .map_or_else(|| us.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(rows: u64, duration: Duration) -> f64 {
    (rows as f64 / duration.as_secs_f64().max(1e-6)).round()
}
