//! `millstream run`: one pipeline, the same engine, no server.

use millstream_tests::{command, plugin, table_rows};

use crate::command_line::{file_source, words};

#[test]
fn run_runs_one_pipeline_without_a_server() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = words(dir.path(), &file_source(dir.path(), "mill mill stream\n"), "available-now");
    let text = plugin("text").display().to_string();
    let ran = command(&["run", &file, "--plugin", &text]);
    assert!(ran.ok, "{ran:?}");
    assert!(ran.err.contains("batch 1: 1 rows in, 2 out"), "{ran:?}");
    assert_eq!(table_rows(&dir.path().join("out.db"), "out"), [r#""mill" | 2"#, r#""stream" | 1"#]);
}

#[test]
fn run_warns_when_there_is_nothing_to_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().display();
    let source = format!("{{ type: file, path: \"{place}/*.txt\", format: text }}");
    let file = words(dir.path(), &source, "available-now");
    let ran = command(&["run", &file, "--plugin", &plugin("text").display().to_string()]);
    assert!(ran.ok, "{ran:?}");
    let expected =
        format!("warning: path `{place}/*.txt` matches no file: looked in {place}; nothing is read");
    assert!(ran.err.contains(&expected), "{ran:?}");
}

#[test]
fn run_goes_on_where_it_stopped_when_it_has_a_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data").display().to_string();
    let text = plugin("text").display().to_string();
    let file = words(dir.path(), &file_source(dir.path(), "mill\n"), "available-now");
    for _ in 0..2 {
        let ran = command(&["run", &file, "--plugin", &text, "--data-dir", &data]);
        assert!(ran.ok, "{ran:?}");
        assert_eq!(table_rows(&dir.path().join("out.db"), "out"), [r#""mill" | 1"#], "no line counts twice");
    }
}
