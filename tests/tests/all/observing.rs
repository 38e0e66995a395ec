//! What can be seen of a server and its pipelines: live rows, progress, batches, checkpoints, logs,
//! numbers, probes, the API's description, problem documents.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{lines_file, server_with, sunk, table_sink, text};

/// A running pipeline that splits what comes on the stream `lines` into words.
fn deploy_words(server: &Server, dir: &Path) {
    server.deploy(&json!({
        "name": "words",
        "trigger": { "every": "5ms" },
        "checkpoint": { "every": "10ms" },
        "sources": { "lines": { "type": "http", "stream": "lines", "format": "text" } },
        "steps": {
            "split": { "from": "lines", "wasm": "text/split-words@0.1", "config": { "column": "value" } },
            "counts": { "from": "split", "aggregate": { "by": ["word"], "compute": { "n": "count()" } } },
        },
        "sinks": { "out": { "from": "counts", "type": "sqlite", "path": dir.join("out.db"), "table": "out", "key": ["word"] } },
    }));
    let _ = server.wait_for("words", &["running"]);
}

fn push(server: &Server, body: &str) {
    assert_eq!(server.send("/v1/streams/lines", &[], body.as_bytes()).status, 202);
}

/// A server-sent event: its name and its data.
type Event = (String, Value);

/// The lines of a tap, from when the server has answered.
fn tap(server: &Server, path: &str) -> impl Iterator<Item = Event> + use<> {
    let address = server.url.strip_prefix("http://").expect("an address").to_owned();
    let mut socket = TcpStream::connect(&address).expect("the server listens");
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("sent");
    let mut lines = BufReader::new(socket).lines().map_while(Result::ok);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(
        head[0].contains("200")
            && head.iter().any(|line| line.to_lowercase() == "content-type: text/event-stream"),
        "{head:?}"
    );
    let mut name = String::new();
    lines.filter_map(move |line| {
        if let Some(event) = line.strip_prefix("event: ") {
            event.clone_into(&mut name);
        }
        let data = line.strip_prefix("data: ")?;
        Some((name.clone(), serde_json::from_str(data).expect("data is JSON")))
    })
}

#[test]
fn a_tap_shows_rows_as_they_pass_and_the_end() {
    let (dir, server) = server_with(&["text"]);
    deploy_words(&server, dir.path());
    let entries = ["lines", "split", "counts", "out"];
    let mut taps: Vec<_> =
        entries.iter().map(|entry| tap(&server, &format!("/v1/pipelines/words/tap/{entry}"))).collect();
    push(&server, "drüben  drüben\n");
    let first: Vec<Event> = taps.iter_mut().map(|tap| tap.next().expect("an event")).collect();
    assert!(first.iter().all(|(name, data)| name == "rows" && data["batch"].is_u64()), "{first:?}");
    assert_eq!(first[0].1["rows"], json!([{ "value": "drüben  drüben" }]));
    assert_eq!(first[1].1["rows"], json!([{ "word": "drüben" }, { "word": "drüben" }]));
    assert_eq!(first[2].1["rows"], json!([{ "word": "drüben", "n": 2 }]));
    assert_eq!(first[3].1["rows"], first[2].1["rows"]);
    assert_eq!(server.get("/v1/pipelines/words/tap/nothing").status, 404);
    assert_eq!(server.get("/v1/pipelines/nothing/tap/lines").status, 404);
    assert_eq!(server.post("/v1/pipelines/words/stop", &json!({})).status, 200);
    for (entry, mut tap) in entries.iter().zip(taps) {
        assert_eq!(tap.next().map(|(name, _)| name).as_deref(), Some("end"), "{entry}");
    }
    assert_eq!(server.get("/v1/pipelines/words/tap/lines").status, 409, "a stopped pipeline has no rows");
}

#[test]
fn batches_tell_what_they_did() {
    let (dir, server) = server_with(&["text"]);
    deploy_words(&server, dir.path());
    push(&server, "to be or not to be\n\n");
    eventually("the words", || (sunk(dir.path(), "out").len() == 4).then_some(()));
    let newest = eventually("progress", || {
        let progress = server.get("/v1/pipelines/words/progress").body;
        progress.as_array().and_then(|all| all.iter().find(|one| one["numInputRows"] == 2)).cloned()
    });
    assert_eq!((text(&newest, "name"), &newest["batchId"]), ("words", &json!(1)), "{newest:#}");
    assert_eq!(
        (&newest["sources"][0]["name"], &newest["sources"][0]["numInputRows"]),
        (&json!("lines"), &json!(2))
    );
    assert_eq!(
        (&newest["sinks"][0]["name"], &newest["sinks"][0]["numOutputRows"]),
        (&json!("out"), &json!(4))
    );
    let split = newest["steps"]
        .as_array()
        .and_then(|steps| steps.iter().find(|step| step["name"] == "split"))
        .expect("the step");
    assert_eq!((&split["numInputRows"], &split["numOutputRows"]), (&json!(2), &json!(6)), "{split:#}");
    let state = &newest["stateOperators"][0];
    assert_eq!(
        (text(state, "operatorName"), &state["numRowsTotal"], &state["numRowsUpdated"]),
        ("counts", &json!(4), &json!(4))
    );
    for phase in ["latestOffset", "walCommit", "addBatch", "commitBatch", "triggerExecution"] {
        assert!(newest["durationMs"][phase].as_f64().is_some_and(|ms| ms >= 0.0), "{phase}: {newest:#}");
    }
    let batches = server.get("/v1/pipelines/words/batches").body;
    let first = batches.as_array().and_then(|all| all.last()).expect("a batch");
    assert_eq!((&first["batch_id"], text(first, "state")), (&json!(1), "committed"), "{first:#}");
    assert!(first["committed_at_us"].as_i64() >= first["planned_at_us"].as_i64());
    let digest = &server.get("/v1/plugins/text").body["digest"];
    assert!(first["plan"].to_string().contains(digest.as_str().unwrap_or("?")), "{first:#}");
    let checkpoint =
        eventually("a checkpoint", || server.get("/v1/pipelines/words/checkpoints").body.get(0).cloned());
    assert_eq!(checkpoint["batch_id"], json!(1), "{checkpoint:#}");
    assert!(checkpoint["bytes"].as_u64() > Some(0));

    let shown = server.get("/v1/pipelines/words").body;
    assert_eq!(
        (text(&shown, "state"), text(&shown, "wanted"), &shown["version"]),
        ("running", "running", &json!(1))
    );
    assert_eq!(shown["plugin_digests"], json!([digest]));
    assert_eq!(shown["progress"]["batchId"], json!(1));
    assert_eq!(server.get("/v1/pipelines/words/progress?limit=0").body, json!([]));
    assert_eq!(server.get("/v1/pipelines/words/progress?limit=x").status, 400);
    assert_eq!(server.get("/v1/pipelines/words/progress?lmit=1").status, 400);
}

#[test]
fn what_plugins_say_and_count_is_shown() {
    let (dir, server) = server_with(&["hostile"]);
    server.deploy(&json!({
        "name": "loud",
        "trigger": "available-now",
        "sources": { "lines": lines_file(dir.path(), "in.txt", "one\n") },
        "steps": { "flood": { "from": "lines", "wasm": "hostile/flood-counters@0.1", "deadline": "20s" },
                   "log": { "from": "flood", "wasm": "hostile/flood-log@0.1", "deadline": "20s" } },
        "sinks": { "out": table_sink(dir.path(), "out", "log") },
    }));
    let shown = server.wait_for("loud", &["finished"]);
    let numbers = shown["numbers"].as_array().expect("numbers");
    assert!(!numbers.is_empty() && numbers.len() <= 100, "{} numbers", numbers.len());
    let lines = server.get("/v1/pipelines/loud/logs?limit=1000").body;
    let lines = lines.as_array().expect("lines");
    let flood: Vec<&Value> =
        lines.iter().filter(|line| text(line, "message").contains("of a flood")).collect();
    assert!(
        !flood.is_empty() && flood.iter().all(|line| line["entry"] == "log" && line["level"] == "info"),
        "{lines:#?}"
    );
    let number = lines[0]["number"].as_u64().expect("a number");
    let two = server.get(&format!("/v1/pipelines/loud/logs?after={number}&limit=2")).body;
    assert_eq!(two, json!(lines[1..3]));
}

#[test]
fn metrics_count_rows_batches_and_requests() {
    let (dir, server) = server_with(&["text"]);
    deploy_words(&server, dir.path());
    push(&server, "a b c\n");
    eventually("the words", || (sunk(dir.path(), "out").len() == 3).then_some(()));
    let metrics = eventually("metrics", || {
        let body = server.get("/metrics").body;
        body.as_str().filter(|text| text.contains("millstream_rows_written_total")).map(str::to_owned)
    });
    let value = |name: &str, label: &str| -> f64 {
        let mut lines = metrics.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines
            .next()
            .and_then(|line| line.rsplit(' ').next())
            .and_then(|value| value.parse().ok())
            .unwrap_or(f64::NAN)
    };
    assert_eq!(value("millstream_rows_read_total{", "pipeline=\"words\""), 1.0, "{metrics}");
    assert_eq!(value("millstream_rows_written_total{", "pipeline=\"words\""), 3.0, "{metrics}");
    assert_eq!(value("millstream_pipelines{", "running"), 1.0, "{metrics}");
    assert!(value("millstream_http_request_seconds_count{", "/v1/streams/{stream}") >= 1.0, "{metrics}");
    assert!(
        metrics.lines().any(|line| line.starts_with("# TYPE millstream_batch_seconds histogram")),
        "{metrics}"
    );
}

#[test]
fn every_path_of_the_api_answers() {
    let (dir, server) = server_with(&["text"]);
    deploy_words(&server, dir.path());
    let document = server.get("/openapi.json").body;
    assert!(text(&document, "openapi").starts_with("3.1"), "{document}");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 20, "{paths:?}");
    for (path, methods) in paths {
        let at = path
            .replace("{pipeline}", "words")
            .replace("{plugin}", "text")
            .replace("{entry}", "nothing")
            .replace("{step}", "counts")
            .replace("{id}", "1")
            .replace("{stream}", "nothing");
        assert!(!at.contains('{'), "{path} has a parameter that this test does not know");
        for method in methods.as_object().expect("methods").keys() {
            let answer = match method.as_str() {
                "get" => server.get(&at),
                "post" => server.send(&at, &[("content-type", "application/json")], b"?"),
                "put" => server.send_as("PUT", &at, b"?"),
                "delete" => server.delete(&at.replace("words", "nobody").replace("text", "nobody@1.0.0")),
                other => panic!("{other} {path}"),
            };
            let known = answer.status < 500 && answer.status != 405;
            assert!(known, "{method} {path}: {answer:?}");
            if answer.status >= 400 {
                assert!(text(&answer.body, "type").starts_with("/problems/"), "{method} {path}: {answer:?}");
            }
        }
    }
    let schema = server.get("/v1/spec-schema").body;
    for key in ["name", "sources", "steps", "sinks"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(text(&server.get(path).body, "status"), "ok");
    }
}

#[test]
fn errors_are_problem_documents() {
    let (dir, server) = server_with(&[]);
    let spec = json!({
        "name": "p", "trigger": "available-now",
        "sources": { "lines": lines_file(dir.path(), "in.txt", "x\n") },
        "sinks": { "out": table_sink(dir.path(), "out", "lines") },
    });
    server.deploy(&spec);
    let _ = server.wait_for("p", &["finished"]);
    let mut other_name = spec.clone();
    other_name["name"] = json!("q");
    for (answer, status, kind, detail) in [
        (
            server.get("/v2/pipelines"),
            404,
            "not-found",
            "there is no /v2/pipelines; /openapi.json lists all paths",
        ),
        (server.get("/v1/pipelines/q"), 404, "not-found", "q"),
        (
            server.post("/v1/pipelines", &spec),
            409,
            "exists",
            "a pipeline `p` exists: replace it with PUT /v1/pipelines/p, or choose another name",
        ),
        (
            server.put("/v1/pipelines/p", &other_name),
            400,
            "bad-request",
            "the spec's name is `q`, the path's is `p`: they must be the same",
        ),
        (
            server.delete("/v1/pipelines/p"),
            409,
            "has-data",
            "pipeline `p` has data (state, offsets, dead letters): delete it with ?purge=true",
        ),
        (
            server.delete("/v1/pipelines"),
            405,
            "method-not-allowed",
            "/v1/pipelines has no DELETE; /openapi.json lists what it has",
        ),
        (server.get("/v1/pipelines/p/dead-letters?limt=3"), 400, "bad-request", "limt"),
        (server.get("/v1/pipelines/p/dead-letters/one"), 400, "bad-request", ""),
    ] {
        assert_eq!(
            (answer.status, text(&answer.body, "type")),
            (status, format!("/problems/{kind}").as_str()),
            "{answer:?}"
        );
        assert!(text(&answer.body, "detail").contains(detail), "should say {detail}: {answer:?}");
        assert_eq!(answer.body["status"], json!(status));
        assert!(!text(&answer.body, "title").is_empty());
    }
    assert_eq!(server.delete("/v1/pipelines/p?purge=true").status, 204);
    assert_eq!(server.get("/v1/pipelines").body, json!([]));
}

#[test]
fn an_event_time_that_is_always_null_is_told_once() {
    let (dir, server) = server_with(&[]);
    let path = dir.path().join("in.csv");
    std::fs::write(&path, "at,n\n,1\n,2\n").unwrap();
    server.deploy(&json!({
        "name": "timeless", "trigger": "available-now",
        "sources": { "in": { "type": "file", "path": path, "format": "csv",
            "schema": { "at": "timestamp", "n": "int64" }, "event_time": { "column": "at" } } },
        "sinks": { "out": table_sink(dir.path(), "out", "in") },
    }));
    let _ = server.wait_for("timeless", &["finished"]);
    let logs = server.get("/v1/pipelines/timeless/logs").body;
    let warnings: Vec<&Value> =
        logs.as_array().into_iter().flatten().filter(|line| line["level"] == "warn").collect();
    assert_eq!(warnings.len(), 1, "{logs:#}");
    assert_eq!(text(warnings[0], "entry"), "in");
    assert!(text(warnings[0], "message").contains("`at` is null in all 2 rows"), "{logs:#}");
}
