//! Tables: what a spec may say of them, how they are looked at again, and what happens when they cannot be read.

use std::path::Path;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::specs::errors;
use crate::support::{server_with, sunk, table_sink, text};

/// A pipeline of its own stream whose rows are joined with a table.
fn spec(dir: &Path, name: &str, table: &Value) -> Value {
    json!({
        "name": name,
        "trigger": { "every": "5ms" },
        "sources": { "in": { "type": "http", "stream": name, "format": "text" } },
        "tables": { "rates": table },
        "steps": { "rated": { "join": { "left": "in", "right": "rates", "on": { "value": "k" }, "kind": "left" } } },
        "sinks": { "out": table_sink(dir, name, "rated") },
    })
}

fn push(server: &Server, stream: &str, row: &str) {
    let answer =
        server.send(&format!("/v1/streams/{stream}"), &[("content-type", "text/plain")], row.as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// Pushes rows until one of them comes out as `expected`.
fn push_until(server: &Server, dir: &Path, name: &str, expected: &str) {
    eventually(expected, || {
        push(server, name, "a");
        sunk(dir, name).iter().any(|row| row == expected).then_some(())
    });
}

fn write_whole(path: &Path, text: &str) {
    let hidden = path.with_extension("part");
    std::fs::write(&hidden, text).expect("a file");
    std::fs::rename(&hidden, path).expect("a file");
}

fn wait_for_log(server: &Server, pipeline: &str, part: &str) {
    eventually(part, || {
        let logs = server.get(&format!("/v1/pipelines/{pipeline}/logs?limit=1000")).body;
        let mut lines = logs.as_array().into_iter().flatten();
        lines.any(|line| text(line, "message").contains(part) && text(line, "entry") == "rates").then_some(())
    });
}

#[test]
fn a_file_that_changes_is_a_new_version_and_one_that_is_bad_changes_nothing() {
    let (dir, server) = server_with(&[]);
    let file = dir.path().join("rates.csv");
    write_whole(&file, "k,rate\na,1\n");
    let table = json!({ "type": "file", "path": file, "format": "csv", "refresh": "10ms",
        "schema": { "k": "utf8", "rate": "int64" } });
    server.deploy(&spec(dir.path(), "rates", &table));
    let _ = server.wait_for("rates", &["running"]);
    push(&server, "rates", "b");
    push_until(&server, dir.path(), "rates", "\"a\" | 1 | 1");
    assert!(sunk(dir.path(), "rates").contains(&"\"b\" | NULL | 1".to_owned()));
    write_whole(&file, "k,rate\na,2\n");
    push_until(&server, dir.path(), "rates", "\"a\" | 2 | 2");
    write_whole(&file, "k,rate\na,three\n");
    wait_for_log(&server, "rates", "version 2 stays, because the table cannot be read: ");
    push(&server, "rates", "c");
    eventually("the row", || {
        sunk(dir.path(), "rates").contains(&"\"c\" | NULL | 2".to_owned()).then_some(())
    });
    std::fs::remove_file(&file).expect("it is there");
    wait_for_log(&server, "rates", "put the file there");
    write_whole(&file, "k,rate\na,4\n");
    push_until(&server, dir.path(), "rates", "\"a\" | 4 | 3");
    wait_for_log(&server, "rates", "version 3 was read: 1 rows");
}

#[test]
fn a_database_that_changes_is_a_new_version() {
    let (dir, server) = server_with(&[]);
    let file = dir.path().join("rates.db");
    let db = rusqlite::Connection::open(&file).expect("a database");
    db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE rates (k TEXT, rate INTEGER); INSERT INTO rates VALUES ('a', 1)")
        .expect("it is ours");
    let query = "SELECT k, rate FROM rates WHERE rate > 0";
    let table = json!({ "type": "sqlite", "path": file, "query": query, "refresh": "10ms",
        "schema": { "k": "utf8", "rate": "int64" } });
    server.deploy(&spec(dir.path(), "rates", &table));
    let _ = server.wait_for("rates", &["running"]);
    push_until(&server, dir.path(), "rates", "\"a\" | 1 | 1");
    db.execute("UPDATE rates SET rate = 2", []).expect("it is ours");
    push_until(&server, dir.path(), "rates", "\"a\" | 2 | 2");
}

#[test]
fn without_refresh_a_table_is_read_at_each_start() {
    let (dir, server) = server_with(&[]);
    let file = dir.path().join("rates.csv");
    write_whole(&file, "k,rate\na,1\n");
    let table =
        json!({ "type": "file", "path": file, "format": "csv", "schema": { "k": "utf8", "rate": "int64" } });
    server.deploy(&spec(dir.path(), "rates", &table));
    let _ = server.wait_for("rates", &["running"]);
    push_until(&server, dir.path(), "rates", "\"a\" | 1 | 1");
    write_whole(&file, "k,rate\na,2\n");
    let stopped = server.post("/v1/pipelines/rates/stop", &json!({}));
    assert!(stopped.status < 300, "{stopped:?}");
    let _ = server.wait_for("rates", &["stopped"]);
    let started = server.post("/v1/pipelines/rates/start", &json!({}));
    assert!(started.status < 300, "{started:?}");
    let _ = server.wait_for("rates", &["running"]);
    push_until(&server, dir.path(), "rates", "\"a\" | 2 | 2");
    assert!(!sunk(dir.path(), "rates").contains(&"\"a\" | 2 | 1".to_owned()));
}

#[test]
fn a_table_that_cannot_be_read_at_first_fails_the_pipeline_with_the_reason() {
    let (dir, server) = server_with(&[]);
    let missing = json!({ "type": "file", "path": dir.path().join("no.csv"), "format": "csv", "schema": { "k": "utf8" } });
    let file = dir.path().join("many.txt");
    write_whole(&file, "1\n2\n3\n");
    let schema = json!({ "k": "utf8" });
    let large = json!({ "type": "file", "path": file, "format": "csv", "schema": schema, "csv": { "header": false }, "max_rows": 2 });
    for (name, table, expected) in [
        ("missing", missing, "correct `path` or put the file there"),
        ("large", large, "the table has more than 2 rows"),
    ] {
        server.deploy(&spec(dir.path(), name, &table));
        let document = server.wait_for(name, &["failed"]);
        let reason = text(&document, "reason");
        assert!(reason.starts_with("table rates: ") && reason.contains(expected), "{reason}");
    }
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_its_path() {
    let (dir, server) = server_with(&[]);
    let table = json!({ "type": "file", "path": "/nowhere/rates.csv", "format": "csv",
        "schema": { "k": "utf8", "rate": "int64" } });
    let sound = spec(dir.path(), "rates", &table);
    assert_eq!(server.post("/v1/pipelines/validate", &sound).status, 200);
    let join = |left: &str, right: &str, more: Value| {
        let mut join = json!({ "left": left, "right": right, "on": { "value": "k" } });
        join.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!({ "join": join })
    };
    let mut wrong = Vec::new();
    for (pointer, value, expected) in [
        ("/tables/rates/type", json!("fil"), "tables.rates.type: unknown value `fil`: did you mean `file`?"),
        ("/tables/rates/refersh", json!("1h"), "tables.rates: unknown key `refersh`"),
        (
            "/tables/rates/refresh",
            json!("0s"),
            "tables.rates.refresh: 0 would look at the table all the time",
        ),
        ("/tables/rates/max_bytes", json!("3GiB"), "tables.rates.max_bytes: a table is held in memory"),
        ("/tables/other", table.clone(), "tables.other: nothing uses it"),
        ("/tables/in", table.clone(), "tables.in: the name is taken by sources.in"),
        (
            "/steps/rated",
            join("in", "rate", json!({})),
            "steps.rated.join.right: unknown entry `rate`: did you mean `rated`?",
        ),
        (
            "/steps/rated",
            join("rates", "in", json!({})),
            "steps.rated.join.left: `rates` is a table, and this takes rows of a stream",
        ),
        (
            "/steps/rated",
            json!({ "from": "rates", "filter": "true" }),
            "steps.rated.from: `rates` is a table, and this takes rows of a stream",
        ),
        (
            "/sinks/out/from",
            json!("rates"),
            "sinks.out.from: `rates` is a table, and this takes rows of a stream",
        ),
        (
            "/steps/rated",
            join("in", "rates", json!({ "within": "1h" })),
            "steps.rated.join.within: the right side is a table, whose rows have no event time",
        ),
        (
            "/steps/rated",
            join("in", "rates", json!({ "kind": "full" })),
            "steps.rated.join.kind: a table's rows do not come",
        ),
        (
            "/steps/rated",
            join("in", "rates", json!({ "on": { "value": "rate" } })),
            "steps.rated.join.on.value: utf8 on the left side and int64 on the right",
        ),
    ] {
        let mut spec = sound.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
        spec.pointer_mut(parent).and_then(Value::as_object_mut).expect("a map").insert(key.to_owned(), value);
        let found = errors(&server, &spec);
        if !found.iter().any(|error| error.starts_with(expected)) {
            wrong.push(format!("{pointer} should say {expected}\nbut says {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_table_is_an_entry_with_its_columns() {
    let (dir, server) = server_with(&[]);
    let file = dir.path().join("rates.csv");
    write_whole(&file, "k,rate\na,1\n");
    let table =
        json!({ "type": "file", "path": file, "format": "csv", "schema": { "k": "utf8", "rate": "int64" } });
    server.deploy(&spec(dir.path(), "rates", &table));
    let document = server.wait_for("rates", &["running"]);
    let entries = document["entries"].as_array().expect("a list of entries");
    let rates = entries.iter().find(|entry| entry["name"] == "rates").expect("it is one");
    assert_eq!((&rates["role"], &rates["kind"]), (&json!("table"), &json!("file")));
    assert_eq!(rates["columns"][1], json!({ "name": "rate", "type": "int64", "nullable": true }));
}
