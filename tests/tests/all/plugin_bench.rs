//! `millstream plugin bench`: what an operator costs.

use millstream_tests::{Said, command, plugin};
use serde_json::Value;

fn bench(operator: &str, arguments: &[&str]) -> Said {
    let (name, operator) = operator.split_once('#').expect("a component and an operator");
    let component = format!("{}#{operator}", plugin(name).display());
    command(&[&["plugin", "bench", &component], arguments].concat())
}

#[test]
fn each_kind_of_operator_is_measured_on_rows_that_are_made_up() {
    let schema = "{ k: int64, line: utf8, x: float64, at: timestamp, b: boolean }";
    for (operator, config, key) in [
        ("text#split-words", "column: line", None),
        ("stats#mean", "column: x", Some("k")),
        ("stats#sessions", "{ time: at, gap_ms: 10 }", Some("k")),
    ] {
        let mut arguments = vec!["--config", config, "--schema", schema, "--rows", "500", "--output", "json"];
        arguments.extend(key.iter().flat_map(|key| ["--key", key]));
        let said = bench(operator, &arguments);
        assert!(said.ok, "{operator}: {said:?}");
        let cost: Value = serde_json::from_str(&said.out).expect("one document");
        assert_eq!(cost["batch_rows"], 500);
        for number in
            ["row_ns", "boundary_row_ns", "memory_bytes", "component_bytes", "compile_ms", "instance_ms"]
        {
            assert!(cost[number].as_f64().is_some_and(|number| number > 0.0), "{operator} {number}: {cost}");
        }
        let ns = |key: &str| cost[key].as_f64().unwrap_or_default();
        assert!(ns("boundary_row_ns") <= ns("row_ns"), "a part of the whole: {cost}");
    }
}

#[test]
fn what_cannot_be_measured_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = dir.path().join("rows.ndjson");
    std::fs::write(&rows, "{\"line\":\"a\"}\n{\"line\":7}\n").unwrap();
    let rows = rows.display().to_string();
    let config = ["--config", "column: line"];
    for (arguments, words) in [
        (&[][..], "schema: rows are made up from it"),
        (&["--schema", "{ line: date }"], "schema.line: no rows can be made up with a column of type date"),
        (&["--input", "/nowhere.ndjson"], "/nowhere.ndjson: "),
        (&["--input", &rows], "`line` is utf8 in line 1 and int64 in line 2"),
        (&["--input", &rows, "--schema", "line: utf8"], "column `line` is 7, expected"),
        (&["--schema", "lin: utf8"], "config: "),
    ] {
        let said = bench("text#split-words", &[&config[..], arguments].concat());
        assert!(!said.ok && said.err.contains(words), "{words}: {said:?}");
    }
}
