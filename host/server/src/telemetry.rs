//! Log lines and numbers: how the program's log looks, and what `/metrics` says of pipelines.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use millstream_engine::pipeline::{MetricValue, PluginMetric, Progress};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, log_filter};
use crate::log_lines::{LogGuard, LogLine, LogLines};

/// Sends log lines to standard error; the first call of a process counts. What is logged is
/// chosen by MILLSTREAM_LOG, as in `info,millstream_engine=debug`. Nobody who logs waits for a reader.
pub fn log_to_stderr(format: LogFormat) -> LogGuard {
    let filter = EnvFilter::try_new(log_filter()).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    // Without a thread, lines are written where they come from.
    let lines = LogLines::start(std::io::stderr()).ok();
    let queue = lines.clone();
    let writer = move || -> Box<dyn Write> {
        match &queue {
            Some(lines) => Box::new(LogLine(Arc::clone(lines))),
            None => Box::new(std::io::stderr()),
        }
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(writer);
    let set = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_target(false).try_init(),
    };
    // A test harness may have set its own; it stays.
    drop(set);
    LogGuard::new(lines)
}

/// The numbers of one server; several servers in a process do not mix.
pub(crate) struct Telemetry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

/// Bounds of durations in seconds: a batch takes from under a millisecond to its time limit.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Telemetry {
    /// No numbers yet.
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// Prometheus' text format.
    pub(crate) fn render(&self, pipelines_by_state: &BTreeMap<&'static str, u64>) -> String {
        with_local_recorder(&self.recorder, || {
            for (state, count) in pipelines_by_state {
                gauge!("millstream_pipelines", "state" => *state).set(*count as f64);
            }
        });
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// A batch was committed at `now_us`.
    pub(crate) fn batch(&self, progress: &Progress, now_us: i64) {
        with_local_recorder(&self.recorder, || record_batch(progress, now_us));
    }

    /// A plugin counted or observed.
    pub(crate) fn plugin(&self, pipeline: &str, metric: &PluginMetric) {
        let labels = [
            ("pipeline", pipeline.to_owned()),
            ("entry", metric.entry.clone()),
            ("name", metric.name.clone()),
        ];
        with_local_recorder(&self.recorder, || match metric.value {
            MetricValue::Count(more) => counter!("millstream_plugin_count_total", &labels).increment(more),
            MetricValue::Observation(value) => {
                histogram!("millstream_plugin_observation", &labels).record(value)
            }
        });
    }

    /// A request was answered.
    pub(crate) fn request(&self, route: &str, status: u16, seconds: f64) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        with_local_recorder(&self.recorder, || {
            histogram!("millstream_http_request_seconds", &labels).record(seconds)
        });
    }
}

fn record_batch(progress: &Progress, now_us: i64) {
    let pipeline = progress.name.clone();
    counter!("millstream_batches_total", "pipeline" => pipeline.clone()).increment(1);
    for (phase, ms) in &progress.duration_ms {
        histogram!("millstream_batch_seconds", "pipeline" => pipeline.clone(), "phase" => phase.clone())
            .record(ms / 1000.0);
    }
    for source in &progress.sources {
        let labels = [("pipeline", pipeline.clone()), ("source", source.name.clone())];
        counter!("millstream_rows_read_total", &labels).increment(source.num_input_rows);
        gauge!("millstream_backlog_bytes", &labels).set(source.backlog_bytes as f64);
    }
    for sink in &progress.sinks {
        let labels = [("pipeline", pipeline.clone()), ("sink", sink.name.clone())];
        counter!("millstream_rows_written_total", &labels).increment(sink.num_output_rows);
    }
    for step in &progress.steps {
        let labels = [("pipeline", pipeline.clone()), ("step", step.name.clone())];
        counter!("millstream_step_rows_in_total", &labels).increment(step.num_input_rows);
        counter!("millstream_step_rows_out_total", &labels).increment(step.num_output_rows);
    }
    for state in &progress.state_operators {
        let labels = [("pipeline", pipeline.clone()), ("step", state.operator_name.clone())];
        gauge!("millstream_state_bytes", &labels).set(state.memory_used_bytes as f64);
        gauge!("millstream_state_rows", &labels).set(state.num_rows_total as f64);
        gauge!("millstream_state_cold_bytes", &labels).set(state.cold_bytes as f64);
        gauge!("millstream_state_cold_rows", &labels).set(state.num_rows_cold as f64);
    }
    for (kind, count) in &progress.dead_letters {
        counter!("millstream_dead_letters_total", "pipeline" => pipeline.clone(), "kind" => kind.clone())
            .increment(*count);
    }
    if let Some(lag) = watermark_lag_seconds(progress, now_us) {
        gauge!("millstream_watermark_lag_seconds", "pipeline" => pipeline).set(lag);
    }
}

fn watermark_lag_seconds(progress: &Progress, now_us: i64) -> Option<f64> {
    let watermark = chrono::DateTime::parse_from_rfc3339(progress.event_time.get("watermark")?).ok()?;
    Some((now_us - watermark.timestamp_micros()) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use millstream_engine::pipeline::{SinkProgress, SourceProgress, StateProgress};

    use super::*;

    #[test]
    fn a_batch_shows_in_the_text() {
        let telemetry = Telemetry::new();
        let progress = Progress {
            name: "words".into(),
            duration_ms: [("triggerExecution".to_owned(), 3.0)].into(),
            event_time: [("watermark".to_owned(), "1970-01-01T00:00:01Z".to_owned())].into(),
            sources: vec![SourceProgress { name: "lines".into(), num_input_rows: 5, ..Default::default() }],
            sinks: vec![SinkProgress { name: "out".into(), num_output_rows: 3, ..Default::default() }],
            state_operators: vec![StateProgress {
                operator_name: "n".into(),
                memory_used_bytes: 9,
                num_rows_cold: 2,
                cold_bytes: 7,
                ..Default::default()
            }],
            dead_letters: [("late".to_owned(), 2)].into(),
            ..Progress::default()
        };
        telemetry.batch(&progress, 3_000_000);
        telemetry.batch(&progress, 3_500_000);
        let count = PluginMetric { entry: "w".into(), name: "words".into(), value: MetricValue::Count(4) };
        telemetry.plugin("words", &count);
        let text = telemetry.render(&[("running", 1)].into());
        for line in [
            "millstream_batches_total{pipeline=\"words\"} 2",
            "millstream_rows_read_total{pipeline=\"words\",source=\"lines\"} 10",
            "millstream_rows_written_total{pipeline=\"words\",sink=\"out\"} 6",
            "millstream_state_bytes{pipeline=\"words\",step=\"n\"} 9",
            "millstream_state_cold_bytes{pipeline=\"words\",step=\"n\"} 7",
            "millstream_state_cold_rows{pipeline=\"words\",step=\"n\"} 2",
            "millstream_dead_letters_total{pipeline=\"words\",kind=\"late\"} 4",
            "millstream_watermark_lag_seconds{pipeline=\"words\"} 2.5",
            "millstream_plugin_count_total{pipeline=\"words\",entry=\"w\",name=\"words\"} 4",
            "millstream_pipelines{state=\"running\"} 1",
            "millstream_batch_seconds_bucket{pipeline=\"words\",phase=\"triggerExecution\",le=\"0.005\"} 2",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
