use millstream_engine::clock::SystemClock;
use millstream_engine::pipeline::{Events, LogLine, MetricValue, PluginMetric};
use serde_json::json;

use super::deploy::is_name;
use super::*;
use crate::catalog::Wanted;
use crate::registry::tests::Described;
use crate::station::Station;

fn feed() -> Feed {
    Feed::new("words", Arc::new(Telemetry::new()), SystemClock::shared())
}

fn line(n: u64) -> LogLine {
    LogLine { time_us: 0, level: "info".into(), entry: None, message: n.to_string() }
}

#[test]
fn old_lines_go_and_numbers_stay() {
    let feed = feed();
    for n in 1..=1005 {
        feed.log(line(n));
    }
    let first = feed.lines(0, 2);
    assert_eq!(first[0].number, 6);
    assert_eq!(first[0].line.message, "6");
    assert_eq!(feed.lines(1003, 10).iter().map(|l| l.number).collect::<Vec<_>>(), [1004, 1005]);
    assert!(feed.lines(1005, 10).is_empty());
    assert!(feed.lines(u64::MAX - 1, 10).is_empty());
    assert_eq!(feed.last_lines(2)[0].number, 1004);
}

#[test]
fn a_plugin_that_makes_up_numbers_is_cut_off_with_one_warning() {
    let feed = feed();
    for n in 0..150 {
        let metric = PluginMetric { entry: "w".into(), name: format!("n{n}"), value: MetricValue::Count(1) };
        feed.metric(metric);
    }
    assert_eq!(feed.numbers().len(), 100);
    let lines = feed.last_lines(10);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].line.message.contains("n100"));
}

#[test]
fn observations_have_mean_and_last() {
    let feed = feed();
    for value in [1.0, 3.0] {
        feed.metric(PluginMetric {
            entry: "w".into(),
            name: "ms".into(),
            value: MetricValue::Observation(value),
        });
    }
    let numbers = feed.numbers();
    let totals = numbers[0].totals;
    assert_eq!((totals.count, totals.mean, totals.last), (2, Some(2.0), Some(3.0)));
}

#[test]
fn names_that_could_be_paths_are_no_names() {
    for good in ["a", "word-count", "0"] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "A", "-a", "a_b", "ä", "a b", &"a".repeat(64)] {
        assert!(!is_name(bad), "{bad}");
    }
}

fn station(dir: &tempfile::TempDir) -> Station {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let data = DataDir::lock(dir.path()).unwrap();
    Station::with(data, Arc::new(Described), runtime.handle().clone()).unwrap()
}

#[test]
fn a_wrong_spec_changes_nothing_and_says_where_it_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let station = station(&dir);
    for (document, path) in [
        (json!({ "name": "../x", "sources": {}, "sinks": {} }), "name"),
        (json!({ "name": "x", "sources": { "a": { "tpye": "file" } }, "sinks": {} }), "sources.a"),
        (json!([]), ""),
    ] {
        let error = station.supervisor.deploy(document, Mode::Create, Wanted::Running).unwrap_err();
        let SupervisorError::Invalid(errors) = error else { panic!("{error}") };
        assert!(errors[0].path.starts_with(path), "{errors:?}");
    }
    assert!(station.supervisor.list().is_empty());
    assert!(station.catalog.pipelines().unwrap().is_empty());
}

#[test]
fn an_unknown_pipeline_is_answered_with_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let station = station(&dir);
    let spec = r#"{"name":"words","sources":{},"sinks":{}}"#;
    station.catalog.put_pipeline("words", "1", spec, &[], Wanted::Stopped).unwrap();
    station.supervisor.restore().unwrap();
    let error = station.supervisor.stop("word").unwrap_err().to_string();
    assert!(error.contains("did you mean `words`"), "{error}");
    assert!(matches!(station.supervisor.drain("words"), Err(SupervisorError::NotRunning(_))));
}

#[test]
fn a_pipeline_that_cannot_be_restored_is_failed_and_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let station = station(&dir);
    let broken = r#"{"name":"broken","sources":{"a":{"type":"no-such-connector"}},"sinks":{}}"#;
    station.catalog.put_pipeline("broken", "1", broken, &[], Wanted::Running).unwrap();
    station.catalog.put_pipeline("unread", "2", "{}", &[], Wanted::Running).unwrap();
    station.supervisor.restore().unwrap();
    let states: Vec<&str> = station.supervisor.list().iter().map(|pipeline| pipeline.state).collect();
    assert_eq!(states, ["failed", "failed"]);
    assert!(station.supervisor.list()[1].reason.is_some());
    assert_eq!(station.supervisor.by_state()["failed"], 2);
    station.supervisor.delete("broken", false).unwrap();
    assert_eq!(station.catalog.pipelines().unwrap().len(), 1);
}

#[test]
fn data_is_deleted_only_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let station = station(&dir);
    station.catalog.put_pipeline("words", "1a", "{}", &[], Wanted::Stopped).unwrap();
    station.supervisor.restore().unwrap();
    let folder = dir.path().join("pipelines/words");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("checkpoint.db"), "x").unwrap();
    let error = station.supervisor.delete("words", false).unwrap_err();
    assert!(error.to_string().contains("purge=true"), "{error}");
    assert!(folder.exists());
    station.supervisor.delete("words", true).unwrap();
    assert!(!folder.exists());
    assert_eq!(std::fs::read_dir(dir.path().join("pipelines")).unwrap().count(), 0);
}
