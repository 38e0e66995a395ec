//! What steps remember, seen over REST and at the command line: of a pipeline that runs, and of one that
//! has stopped.

use std::path::Path;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{server_with, text};

const VISITS: &str = "\
{\"at\":\"2026-05-01T10:00:01Z\",\"user\":\"ann\",\"n\":1}
{\"at\":\"2026-05-01T10:00:02Z\",\"user\":\"bob\",\"n\":2}
{\"at\":\"2026-05-01T10:00:12Z\",\"user\":\"ann\",\"n\":3}
{\"at\":\"2026-05-01T10:00:13Z\",\"user\":null,\"n\":4}
";

/// A pipeline with every kind of step that remembers something, after a few rows and a checkpoint.
fn deploy_visits(server: &Server, dir: &Path) {
    let sink = |from: &str| json!({ "from": from, "type": "file", "path": dir.join(from) });
    let compute = json!({ "n": "count()", "mean": "avg(n)" });
    let table = dir.join("ages.csv");
    std::fs::write(&table, "user,age\nann,40\nbob,17\n").expect("a table");
    server.deploy(&json!({
        "name": "visits",
        "trigger": { "every": "5ms" },
        "checkpoint": { "every": "10ms" },
        "sources": { "visits": {
            "type": "http", "stream": "visits", "format": "ndjson",
            "schema": { "at": "timestamp", "user": "utf8", "n": "int64" },
            "event_time": { "column": "at", "delay": "1h" },
        } },
        "tables": { "ages": { "type": "file", "path": table, "format": "csv", "schema": { "user": "utf8", "age": "int64" } } },
        "steps": {
            "aged": { "join": { "left": "visits", "right": "ages", "on": ["user"] } },
            "ever": { "from": "visits", "aggregate": { "by": ["user"], "compute": compute } },
            "windows": { "from": "visits", "aggregate": { "by": ["user"], "window": { "tumbling": "10s" }, "compute": compute }, "emit": "final" },
            "sessions": { "from": "visits", "aggregate": { "by": ["user"], "window": { "session": "5s" }, "compute": compute }, "emit": "final" },
            "once": { "from": "visits", "dedup": { "by": ["user"], "within": "1min" } },
            "largest": { "from": "visits", "top": { "by": ["user"], "order": "n desc", "n": 1 } },
            "pairs": { "join": { "left": "visits", "right": "once", "on": ["user"], "within": "1min" } },
        },
        "sinks": {
            "aged_": sink("aged"), "ever_": sink("ever"), "windows_": sink("windows"), "sessions_": sink("sessions"),
            "largest_": sink("largest"), "pairs_": sink("pairs"),
        },
    }));
    let _ = server.wait_for("visits", &["running"]);
    assert_eq!(server.send("/v1/streams/visits", &[], VISITS.as_bytes()).status, 202);
    eventually("a checkpoint with the rows", || {
        let found = server.get("/v1/pipelines/visits/state/pairs").body;
        (rows(&found, "left").len() == 3).then_some(())
    });
}

fn state(server: &Server, step: &str, query: &str) -> Value {
    let answer = server.get(&format!("/v1/pipelines/visits/state/{step}{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn rows(found: &Value, table: &str) -> Vec<Value> {
    let tables = found["tables"].as_array().into_iter().flatten();
    let table = tables.filter(|one| one["table"] == table);
    table.flat_map(|table| table["rows"].as_array().cloned().unwrap_or_default()).collect()
}

#[test]
fn every_kind_of_step_shows_its_keys_and_values() {
    let (dir, server) = server_with(&[]);
    deploy_visits(&server, dir.path());
    let summary = server.get("/v1/pipelines/visits/state").body;
    let keys = |step: &str| {
        let of_step = summary.as_array().into_iter().flatten().find(|one| one["step"] == step);
        of_step.map(|one| (one["kind"].clone(), one["keys"].clone(), one["memory_bytes"].as_u64() > Some(0)))
    };
    assert_eq!(keys("ever"), Some((json!("aggregate"), json!(3), true)), "{summary}");
    assert_eq!(keys("windows"), Some((json!("aggregate"), json!(4), true)), "{summary}");
    let ever = state(&server, "ever", "");
    assert!(ever["checkpoint"].as_u64() > Some(0) && ever["more"] == false, "{ever}");
    let ann = json!({ "user": "ann", "n": 2, "mean": 2.0 });
    assert!(rows(&ever, "groups").len() == 3 && rows(&ever, "groups").contains(&ann), "{ever}");
    let windows = rows(&state(&server, "windows", ""), "groups");
    let first = json!({
        "window_start": "2026-05-01T10:00:00Z", "window_end": "2026-05-01T10:00:10Z", "user": "ann", "n": 1, "mean": 1.0,
    });
    assert!(windows.len() == 4 && windows.contains(&first), "{windows:?}");
    let sessions = rows(&state(&server, "sessions", ""), "sessions");
    assert!(sessions.len() == 4 && sessions.iter().all(|row| row["n"] == 1), "{sessions:?}");
    assert_eq!(rows(&state(&server, "once", ""), "seen").len(), 3);
    let largest = rows(&state(&server, "largest", ""), "rows");
    assert!(
        largest.len() == 3 && largest.iter().any(|row| row["user"] == "ann" && row["n"] == 3),
        "{largest:?}"
    );
    let pairs = state(&server, "pairs", "");
    assert_eq!((rows(&pairs, "left").len(), rows(&pairs, "right").len()), (3, 2), "{pairs}");
}

#[test]
fn a_key_is_looked_up_and_a_long_state_comes_in_pages() {
    let (dir, server) = server_with(&[]);
    deploy_visits(&server, dir.path());
    let ann = state(&server, "ever", "?key=%7B%22user%22:%22ann%22%7D");
    assert_eq!(rows(&ann, "groups"), [json!({ "user": "ann", "n": 2, "mean": 2.0 })]);
    let nobody = state(&server, "ever", "?key=%7B%22user%22:null%7D");
    assert_eq!(rows(&nobody, "groups"), [json!({ "user": null, "n": 1, "mean": 4.0 })]);
    assert!(rows(&state(&server, "ever", "?key=%7B%22user%22:%22eve%22%7D"), "groups").is_empty());
    let page = |offset: u32| state(&server, "ever", &format!("?limit=2&offset={offset}"));
    assert_eq!((rows(&page(0), "groups").len(), &page(0)["more"]), (2, &json!(true)));
    assert_eq!((rows(&page(2), "groups").len(), &page(2)["more"]), (1, &json!(false)));
    let both = [rows(&page(0), "groups"), rows(&page(2), "groups")].concat();
    assert_eq!(both, rows(&state(&server, "ever", ""), "groups"));
}

#[test]
fn what_is_not_there_is_told() {
    let (dir, server) = server_with(&[]);
    deploy_visits(&server, dir.path());
    let refused = |path: &str| {
        let answer = server.get(&format!("/v1/pipelines/visits/state/{path}"));
        (answer.status, text(&answer.body, "detail").to_owned())
    };
    let (status, why) = refused("visits");
    assert!(status == 404 && why.contains("the steps that remember something are ever, "), "{why}");
    let (status, why) = refused("ever?key=%7B%22usr%22:1%7D");
    assert!(status == 400 && why.contains("unknown column `usr`") && why.contains("`user`"), "{why}");
    let (status, why) = refused("ever?key=%7B%22n%22:%22many%22%7D");
    assert!(status == 400 && why.contains("\"many\" is no value of the column `n`, which is int64"), "{why}");
    let (status, why) = refused("ever?key=user");
    assert!(status == 400 && why.contains("no JSON object of columns"), "{why}");
}

#[test]
fn the_command_line_shows_state_also_of_a_stopped_pipeline() {
    let (dir, server) = server_with(&[]);
    deploy_visits(&server, dir.path());
    assert_eq!(server.post("/v1/pipelines/visits/stop", &json!({})).status, 200);
    let summary = server.command(&["pipeline", "state", "visits"]);
    assert!(summary.ok && summary.out.contains("ever      aggregate  3"), "{summary:?}");
    let ever = server.command(&["pipeline", "state", "visits", "ever", "--key", "user=bob"]);
    assert!(ever.ok && ever.out.starts_with("USER  N  MEAN\nbob   1  2.0\n"), "{ever:?}");
    assert!(ever.err.contains("as of checkpoint "), "{ever:?}");
    let page = server.command(&["pipeline", "state", "visits", "ever", "--limit", "1"]);
    assert!(page.out.lines().count() == 2 && page.err.contains("there is more"), "{page:?}");
    let unknown = server.command(&["pipeline", "state", "visits", "evr"]);
    assert!(!unknown.ok && unknown.err.contains("there is no state of `evr`"), "{unknown:?}");
}

#[test]
fn state_and_tables_are_asked_in_sql() {
    let (dir, server) = server_with(&[]);
    deploy_visits(&server, dir.path());
    let ask = |sql: &str| server.post("/v1/pipelines/visits/query", &json!({ "sql": sql }));
    let joined = ask("SELECT user, n, age FROM ever JOIN ages USING (user) WHERE n > 0 ORDER BY age DESC");
    assert_eq!(joined.status, 200, "{joined:?}");
    assert_eq!(joined.body["columns"], json!(["user", "n", "age"]));
    assert_eq!(joined.body["rows"], json!([["ann", 2, 40], ["bob", 1, 17]]));
    assert!(joined.body["checkpoint"].as_u64() > Some(0) && joined.body["more"] == false, "{joined:?}");
    let both = ask(
        "SELECT (SELECT count(*) FROM pairs_left), (SELECT count(*) FROM pairs_right), (SELECT sum(n) FROM windows)",
    );
    assert_eq!(both.body["rows"], json!([[3, 2, 4]]), "{both:?}");
    let refused = |sql: &str| {
        let answer = ask(sql);
        (answer.status, text(&answer.body, "detail").to_owned())
    };
    let (status, why) = refused("DELETE FROM ever");
    assert!(status == 400 && why.contains("one SELECT over state and tables"), "{why}");
    let (status, why) = refused("SELECT * FROM never");
    assert!(
        status == 400 && why.contains("no such table: never: there are ") && why.contains("ever"),
        "{why}"
    );

    let asked = server.command(&[
        "query",
        "visits",
        "SELECT n AS visits, user FROM ever ORDER BY user",
        "--limit",
        "2",
    ]);
    assert!(asked.ok && asked.out.starts_with("VISITS  USER\n1\n2       ann\n"), "{asked:?}");
    assert!(asked.err.contains("as of checkpoint ") && asked.err.contains("there is more"), "{asked:?}");
    assert_eq!(server.post("/v1/pipelines/visits/stop", &json!({})).status, 200);
    let stopped = server.command(&["query", "visits", "SELECT count(*) FROM ever"]);
    assert!(stopped.out.contains('3'), "a stopped pipeline is asked, too: {stopped:?}");
}
