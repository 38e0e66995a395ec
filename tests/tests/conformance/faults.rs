//! Everything that can go wrong in an operator: it costs the rows it is about, and is told in words.

use millstream_tests::command;
use serde_json::Value;

use crate::component::Component;

const LINES: &str = "{\"line\":\"one\",\"n\":1}\n{\"line\":\"bad\",\"n\":2}\n{\"line\":\"three\",\"n\":3}\n";
const SCHEMA: &str = "{ line: utf8, n: int64 }";

fn hostile(component: &Component, how: &str, more: &[&str]) -> (Option<i32>, String, Vec<Value>) {
    let config = format!("{{ do: \"{how}\", column: line }}");
    let arguments = [&["--config", &config, "--schema", SCHEMA], more].concat();
    let said = component.run("hostile", &arguments, LINES);
    let dead = said.err.lines().map(|line| {
        serde_json::from_str(line)
            .unwrap_or_else(|_| panic!("`{how}` should cost rows alone, but: {}", said.err))
    });
    (said.status, said.out.clone(), dead.collect())
}

fn reason(row: &Value) -> &str {
    row["reason"].as_str().unwrap_or_default()
}

pub(crate) fn thrown(component: &Component) {
    let (status, out, dead) = hostile(component, "nothing", &[]);
    assert_eq!((status, out.as_str(), dead), (Some(0), LINES, vec![]));
    let (status, out, dead) = hostile(component, "throw", &[]);
    assert_eq!(status, Some(3), "{dead:?}");
    assert_eq!(out, LINES.replace("{\"line\":\"bad\",\"n\":2}\n", ""), "{dead:?}");
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0]["row"]["line"], "bad", "{dead:?}");
    // What can only trap leaves the functions it was in, or what it wrote.
    let reason = reason(&dead[0]).to_lowercase();
    assert!(reason.contains("hostile") || component.aborts() && reason.contains("throw"), "{dead:?}");
}

pub(crate) fn wrong_answers(component: &Component) {
    for (how, column) in [("uneven", "line"), ("null", "out"), ("overflow", "out"), ("wrong-type", "out")] {
        let (status, out, dead) = hostile(component, how, &[]);
        assert_eq!((status, out.as_str()), (Some(3), ""), "{how}: {dead:?}");
        assert_eq!(dead.len(), 3, "{how}: {dead:?}");
        for row in &dead {
            let reason = reason(row);
            assert!(reason.contains("hostile") && reason.contains(column), "{how}: {reason}");
            assert!(!reason.contains("wasm trap"), "{how} should be told in words: {reason}");
        }
    }
}

pub(crate) fn endless(component: &Component) {
    let (status, out, dead) = hostile(component, "spin", &["--deadline", "300ms"]);
    assert_eq!((status, out.as_str()), (Some(3), ""), "{dead:?}");
    assert!(dead.iter().all(|row| row["kind"] == "timed-out"), "{dead:?}");
    let (status, out, dead) = hostile(component, "grow", &["--deadline", "60s", "--memory", "128MiB"]);
    assert_eq!((status, out.as_str(), dead.len()), (Some(3), "", 3), "{dead:?}");
}

/// What an operator of this kind is given besides.
fn grouped(operator: &str) -> &'static [&'static str] {
    match operator {
        "mean" => &["--key", "id"],
        "sessions" => &["--key", "id", "--time", "at"],
        _ => &[],
    }
}

pub(crate) fn configs(component: &Component) {
    let refused = |operator: &str, config: &str, key: &str| {
        let schema = "{ line: utf8, price: float64, id: int64, at: timestamp_ms }";
        let arguments = [&["--config", config, "--schema", schema], grouped(operator)].concat();
        let said = component.run(operator, &arguments, "");
        assert_eq!(said.status, Some(1), "{operator} {config}: {said:?}");
        assert!(said.err.contains(key), "{operator} {config} should name {key}: {}", said.err);
    };
    refused("split-words", "{}", "column");
    refused("split-words", "{ column: 7 }", "column");
    refused("split-words", "{ column: line, colour: red }", "colour");
    refused("currency", "{ column: price, rate: cheap }", "rate");
    refused("json-pick", "{ column: line, fields: [{ name: n, type: int65 }] }", "type");
    refused("mean", "{ column: price, colour: red }", "colour");
    refused("sessions", "{ time: at, gap_ms: 0 }", "gap_ms");
    refused("sessions", "{ time: at, gap_ms: soon }", "gap_ms");
}

pub(crate) fn columns(component: &Component) {
    let refused = |operator: &str, config: &str, words: &[&str]| {
        let schema = "{ line: utf8, price: float64, id: int64, at: timestamp_ms }";
        let arguments = [&["--config", config, "--schema", schema], grouped(operator)].concat();
        let said = component.run(operator, &arguments, "");
        assert_eq!(said.status, Some(1), "{operator} {config}: {said:?}");
        for word in words {
            assert!(said.err.contains(word), "{operator} {config} should name {word}: {}", said.err);
        }
    };
    refused("split-words", "{ column: lines }", &["lines"]);
    refused("split-words", "{ column: price }", &["price", "float64", "utf8"]);
    refused("currency", "{ column: id, rate: 2 }", &["id", "int64", "float64"]);
    refused("json-pick", "{ column: at, fields: [{ name: n, type: int64 }] }", &["at", "timestamp", "utf8"]);
    refused("mean", "{ column: line }", &["line", "utf8"]);
    refused("sessions", "{ time: line, gap_ms: 1 }", &["line", "utf8", "timestamp"]);
}

/// Batch after batch of garbage: a collector has to run many times, and it may not be at work while the host hands a
/// batch over.
pub(crate) fn garbage(component: &Component) {
    let operator = format!("{}#json-pick", component.path.display());
    let config = "{ column: body, fields: [{ name: n, type: int64 }] }";
    let said = command(&["plugin", "bench", &operator, "--config", config, "--schema", "{ body: utf8 }"]);
    assert!(said.ok, "{}", said.err);
}
