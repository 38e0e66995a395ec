//! `millstream plugin run`: rows through one operator, with the engine's own steps.

use millstream_tests::{Said, command_with_input, plugin};
use serde_json::Value;

/// `millstream plugin run` of a stock operator.
fn run(operator: &str, arguments: &[&str], input: &str) -> Said {
    let (name, operator) = operator.split_once('#').expect("a component and an operator");
    let component = format!("{}#{operator}", plugin(name).display());
    command_with_input(&[&["plugin", "run", &component], arguments].concat(), input)
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn a_transform_gets_rows_with_the_columns_that_they_have() {
    let ran = run(
        "text#split-words",
        &["--config", "column: line"],
        "{\"line\":\"a mill\"}\n{\"line\":null}\n{\"line\":\"b\"}\n",
    );
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(lines(&ran.out), [r#"{"word":"a"}"#, r#"{"word":"mill"}"#, r#"{"word":"b"}"#]);
}

#[test]
fn rows_that_cannot_be_used_go_to_standard_error_and_give_status_3() {
    let config = r#"{ "column": "doc", "fields": [{ "name": "n", "type": "int64" }] }"#;
    let input = "{\"doc\":\"{\\\"n\\\":9007199254740993}\"}\n{\"doc\":\"no JSON\"}\nnot even a row\n";
    let ran = run("json#pick", &["--config", config], input);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert_eq!(lines(&ran.out), [r#"{"doc":"{\"n\":9007199254740993}","n":9007199254740993}"#]);
    let dead: Vec<Value> = ran.err.lines().map(|line| serde_json::from_str(line).expect("NDJSON")).collect();
    let of =
        |kind: &str| dead.iter().find(|row| row["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {ran:?}"));
    assert_eq!(of("rejected")["row"]["doc"], "no JSON");
    assert!(of("rejected")["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{ran:?}");
    assert_eq!(of("malformed")["row"], "not even a row");
}

#[test]
fn an_aggregate_gives_one_row_a_group() {
    let input: String = (0..25_000).map(|n| format!("{{\"k\":\"{}\",\"x\":{n}}}\n", n % 2)).collect();
    let ran = run("stats#mean", &["--config", "column: x", "--key", "k"], &input);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(lines(&ran.out), [r#"{"k":"0","mean":12499.0}"#, r#"{"k":"1","mean":12500.0}"#]);
}

#[test]
fn all_windows_close_at_the_end_of_the_input() {
    let input = "{\"at\":\"2024-01-01T00:00:01Z\",\"x\":1}\n{\"at\":\"2024-01-01T00:00:12Z\",\"x\":2}\n{\"at\":\"2024-01-01T00:00:14Z\",\"x\":4}\n";
    let ran =
        run("stats#mean", &["--config", "column: x", "--time", "at", "--window", "tumbling: 10s"], input);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let rows: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&str, f64)> = rows
        .iter()
        .map(|row| (row["window_start"].as_str().unwrap(), row["mean"].as_f64().unwrap()))
        .collect();
    assert_eq!(told, [("2024-01-01T00:00:00.000000Z", 1.0), ("2024-01-01T00:00:10.000000Z", 3.0)]);
}

#[test]
fn all_timers_come_at_the_end_of_the_input() {
    let input = "{\"user\":\"a\",\"at\":1000}\n{\"user\":\"b\",\"at\":1500}\n{\"user\":\"a\",\"at\":2000}\n{\"user\":\"a\",\"at\":90000}\n";
    let ran = run(
        "stats#sessions",
        &[
            "--config",
            "{ time: at, gap_ms: 5000 }",
            "--schema",
            "{ user: utf8, at: { type: timestamp_ms, nullable: false } }",
            "--key",
            "user",
            "--time",
            "at",
            "--batch-rows",
            "2",
        ],
        input,
    );
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let mut rows: Vec<(String, i64)> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|row: Value| (row["user"].as_str().unwrap().to_owned(), row["count"].as_i64().unwrap()))
        .collect();
    rows.sort();
    assert_eq!(rows, [("a".into(), 1), ("a".into(), 2), ("b".into(), 1)]);
}

#[test]
fn what_cannot_be_tried_is_told_with_the_option_at_fault() {
    let row = "{\"line\":\"a\",\"n\":1}\n";
    for (operator, arguments, words) in [
        ("text#split-words", &[][..], "config: "),
        ("text#split-words", &["--config", "{ colum: line }"], "did you mean `column`"),
        ("text#split-words", &["--config", "{ column: lin }"], "`lin`"),
        ("text#split-words", &["--config", "{ column: n }"], "`n`"),
        ("text#split-words", &["--config", "{"], "--config: line 1"),
        ("text#split-words", &["--config", "@/nowhere.json"], "--config: /nowhere.json: "),
        ("text#split-word", &[], "did you mean `split-words`"),
        (
            "text#split-words",
            &["--config", "column: line", "--key", "n"],
            "key: `split-words` is a transform",
        ),
        (
            "text#split-words",
            &["--config", "column: line", "--window", "tumbling: 1s"],
            "only aggregates have windows",
        ),
        ("text#split-words", &["--config", "column: line", "--time", "n"], "timestamp_ms"),
        ("text#split-words", &["--config", "column: line", "--time", "when"], "when"),
        ("text#split-words", &["--config", "column: line", "--schema", "{ line: text }"], "schema.line"),
        ("text#split-words", &["--config", "column: line", "--deadline", "soon"], "--deadline"),
        ("stats#mean", &["--config", "column: n", "--window", "tumbling: 1s"], "time: a window needs"),
        ("stats#mean", &["--config", "column: n", "--window", "{ tumblin: 1s }"], "did you mean `tumbling`"),
    ] {
        let ran = run(operator, arguments, row);
        assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{operator} {arguments:?}: {ran:?}");
        assert!(ran.err.contains(words), "{operator} {arguments:?} {words}: {ran:?}");
    }
    let component = plugin("text").display().to_string();
    let ran = command_with_input(&["plugin", "run", &component], row);
    assert!(ran.err.contains("several operators: say which one is meant (split-words, "), "{ran:?}");
    let ran = command_with_input(&["plugin", "run", "/nowhere.wasm"], row);
    assert!(ran.err.contains("/nowhere.wasm: "), "{ran:?}");
}

#[test]
fn a_plugin_that_breaks_costs_the_rows_at_fault_alone() {
    let input = "{\"value\":\"good\"}\n{\"value\":\"bad\"}\n{\"value\":\"better\"}\n";
    let ran = run("hostile#trap", &["--config", "{ when: bad }"], input);
    assert_eq!((ran.status, lines(&ran.out).len()), (Some(3), 2), "{ran:?}");
    assert!(ran.err.contains("\"kind\":\"trapped\"") && ran.err.contains("{\"value\":\"bad\"}"), "{ran:?}");
}

#[test]
fn an_empty_input_needs_to_be_told_its_columns() {
    let ran = run("text#split-words", &["--config", "column: line"], "");
    assert!(ran.err.contains("schema: the input has no rows"), "{ran:?}");
    let ran = run("text#split-words", &["--config", "column: line", "--schema", "line: utf8"], "");
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""), "{ran:?}");
}
