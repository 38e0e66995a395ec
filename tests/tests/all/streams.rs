//! Push sources: HTTP bodies and TCP lines.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{server_with, sunk, table_sink, text};

/// A running pipeline that appends what comes on the stream of its own name.
fn deploy(server: &Server, dir: &Path, name: &str, format: &str, schema: &Value) {
    let mut source = json!({ "type": "http", "stream": name, "format": format, "max_record_bytes": 1000 });
    if !schema.is_null() {
        source["schema"] = schema.clone();
    }
    server.deploy(&json!({
        "name": name,
        "trigger": { "every": "5ms" },
        "sources": { "in": source },
        "sinks": { "out": table_sink(dir, name, "in") },
    }));
    let _ = server.wait_for(name, &["running"]);
}

fn rows(dir: &Path, name: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} rows of {name}"), || {
        Some(sunk(dir, name)).filter(|rows| rows.len() >= count)
    })
}

#[test]
fn every_format_of_bodies_arrives() {
    let (dir, server) = server_with(&[]);
    let schema = json!({ "id": "int64", "word": "utf8" });
    for (format, content_type, body) in [
        ("ndjson", "application/x-ndjson", "{\"id\":1,\"word\":\"größe\"}\n{\"id\":2}"),
        (
            "json",
            "application/json; charset=utf-8",
            "[ {\"id\": 1,\n \"word\": \"gr\\u00f6\\u00dfe\"}, {\"id\": 2} ]",
        ),
        ("csv", "text/csv", "word,id\r\n\"größe\",1\r\n,2\r\n"),
    ] {
        deploy(&server, dir.path(), format, format, &schema);
        let answer =
            server.send(&format!("/v1/streams/{format}"), &[("content-type", content_type)], body.as_bytes());
        assert_eq!((answer.status, &answer.body["duplicate"]), (202, &json!(false)), "{format}: {answer:?}");
        assert_eq!(rows(dir.path(), format, 2), ["1 | \"größe\"", "2 | NULL"], "{format}");
    }
    let one = server.send("/v1/streams/json", &[], b"{\"id\":3,\"word\":\"alone\"}");
    assert_eq!(one.status, 202, "{one:?}");
    assert_eq!(rows(dir.path(), "json", 3)[2], "3 | \"alone\"");
    deploy(&server, dir.path(), "text", "text", &Value::Null);
    let answer = server.send("/v1/streams/text", &[("content-type", "text/plain")], "één\n\ntwee".as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(rows(dir.path(), "text", 3), ["\"\"", "\"twee\"", "\"één\""]);
}

#[test]
fn the_same_key_sends_nothing_twice_and_is_for_one_body() {
    let (dir, server) = server_with(&[]);
    deploy(&server, dir.path(), "lines", "text", &Value::Null);
    let send = |key: &str, body: &[u8]| server.send("/v1/streams/lines", &[("idempotency-key", key)], body);
    let first = send("order-1", b"one\n");
    assert_eq!(first.status, 202, "{first:?}");
    let retry = send("order-1", b"one\n");
    assert_eq!(
        (retry.status, &retry.body["duplicate"], &retry.body["offset"]),
        (200, &json!(true), &first.body["offset"])
    );
    let reuse = send("order-1", b"two\n");
    assert_eq!((reuse.status, text(&reuse.body, "type")), (409, "/problems/key-reused"), "{reuse:?}");
    assert_eq!(send("", b"x\n").status, 400);
    assert_eq!(send(&"k".repeat(256), b"x\n").status, 400);
    assert_eq!(send("order-2", b"one\n").status, 202);
    assert_eq!(rows(dir.path(), "lines", 2), ["\"one\"", "\"one\""]);

    // A key is remembered over a restart of the pipeline and of the server.
    assert_eq!(server.post("/v1/pipelines/lines/restart", &json!({})).status, 200);
    let _ = server.wait_for("lines", &["running"]);
    assert_eq!(send("order-1", b"one\n").status, 200);
    let data = server.dir.clone();
    server.stop();
    let server = Server::start(&data);
    let _ = server.wait_for("lines", &["running"]);
    let retry = server.send("/v1/streams/lines", &[("idempotency-key", "order-2")], b"one\n");
    assert_eq!((retry.status, &retry.body["duplicate"]), (200, &json!(true)), "{retry:?}");
    assert_eq!(server.send("/v1/streams/lines", &[], b"end\n").status, 202);
    assert_eq!(rows(dir.path(), "lines", 3), ["\"end\"", "\"one\"", "\"one\""]);
}

#[test]
fn malformed_records_are_dead_letters_and_malformed_bodies_are_refused() {
    let (dir, server) = server_with(&[]);
    let schema = json!({ "id": "int64" });
    deploy(&server, dir.path(), "lines", "ndjson", &schema);
    deploy(&server, dir.path(), "array", "json", &schema);
    deploy(&server, dir.path(), "table", "csv", &schema);
    let long = format!("{{\"pad\":\"{}\"}}", "x".repeat(1000));
    let body = format!("{{\"id\":1}}\nnot json\n{{\"id\":\"two\"}}\n{long}\n{{\"id\":3}}\n");
    assert_eq!(server.send("/v1/streams/lines", &[], body.as_bytes()).status, 202);
    assert_eq!(rows(dir.path(), "lines", 2), ["1", "3"]);
    let letters = eventually("dead letters", || {
        Some(server.dead_letters("lines")).filter(|letters| letters.len() == 3)
    });
    for (letter, words) in letters.iter().zip(["no JSON", "column `id`", "max_record_bytes is 1000"]) {
        assert_eq!((text(letter, "entry"), text(letter, "kind")), ("in", "malformed"));
        assert!(text(letter, "reason").contains(words), "{letter:#}");
    }
    let refused = |stream: &str, headers: &[(&str, &str)], body: &[u8], status: u16, kind: &str| {
        let answer = server.send(&format!("/v1/streams/{stream}"), headers, body);
        assert_eq!((answer.status, text(&answer.body, "type")), (status, kind), "{stream}: {answer:?}");
    };
    refused("array", &[], b"[{\"id\":1},", 400, "/problems/bad-request");
    refused("array", &[], b"17", 400, "/problems/bad-request");
    refused("array", &[], b"[\"\xff\"]", 400, "/problems/bad-request");
    refused("table", &[], b"name\n1\n", 400, "/problems/bad-request");
    refused("lines", &[], b"", 400, "/problems/bad-request");
    refused("lines", &[("content-type", "text/csv")], b"id\n1\n", 415, "/problems/content-type");
    // Taken as it is, a compressed body would be lines of rubbish.
    refused("lines", &[("content-encoding", "gzip")], b"\x1f\x8b\x08", 415, "/problems/content-type");
    assert_eq!(sunk(dir.path(), "array"), [""; 0]);
}

#[test]
fn a_stream_exists_while_its_pipeline_runs() {
    let (dir, server) = server_with(&[]);
    deploy(&server, dir.path(), "lines", "text", &Value::Null);
    let unknown = server.send("/v1/streams/line", &[], b"x\n");
    assert_eq!((unknown.status, text(&unknown.body, "type")), (404, "/problems/not-found"));
    assert!(
        text(&unknown.body, "detail")
            .starts_with("unknown stream `line`: did you mean `lines`? (known: lines)"),
        "{unknown:?}"
    );
    let large = server.announce("/v1/streams/lines", "text/plain", (16 << 20) + 1);
    assert_eq!((large.status, text(&large.body, "type")), (413, "/problems/too-large"), "{large:?}");

    assert_eq!(server.post("/v1/pipelines/lines/stop", &json!({})).status, 200);
    assert_eq!(server.send("/v1/streams/lines", &[], b"x\n").status, 404);
    assert_eq!(server.post("/v1/pipelines/lines/start", &json!({})).status, 200);
    let _ = server.wait_for("lines", &["running"]);
    // It takes the stream a moment after it says that it runs.
    let sent = eventually("the stream", || {
        Some(server.send("/v1/streams/lines", &[], b"back\n")).filter(|answer| answer.status < 300)
    });
    assert_eq!(sent.status, 202);
    assert_eq!(rows(dir.path(), "lines", 1), ["\"back\""]);

    // One stream, one pipeline: the second fails and says whose it is.
    server.deploy(&json!({
        "name": "thief",
        "sources": { "in": { "type": "http", "stream": "lines", "format": "text" } },
        "sinks": { "out": table_sink(dir.path(), "thief", "in") },
    }));
    let thief = server.wait_for("thief", &["failed"]);
    assert!(text(&thief, "reason").contains("stream `lines` is taken by pipeline `lines`"), "{thief:#}");
}

#[test]
fn what_was_acknowledged_arrives_after_a_drain() {
    let (dir, server) = server_with(&[]);
    deploy(&server, dir.path(), "lines", "text", &Value::Null);
    for number in 0..50 {
        assert_eq!(server.send("/v1/streams/lines", &[], format!("line {number}\n").as_bytes()).status, 202);
    }
    assert_eq!(server.post("/v1/pipelines/lines/drain", &json!({})).status, 200);
    let _ = server.wait_for("lines", &["stopped"]);
    assert_eq!(sunk(dir.path(), "lines").len(), 50);
}

#[test]
fn lines_arrive_over_tcp() {
    let (dir, server) = server_with(&[]);
    server.deploy(&json!({
        "name": "sensors",
        "trigger": { "every": "5ms" },
        "sources": { "in": { "type": "tcp", "listen": "127.0.0.1:0", "format": "ndjson", "schema": { "id": "int64" }, "max_record_bytes": 100 } },
        "sinks": { "out": table_sink(dir.path(), "sensors", "in") },
    }));
    let address = eventually("the address", || {
        let document = server.get("/v1/pipelines/sensors").body;
        document["addresses"]["in"].as_str().map(str::to_owned)
    });
    let mut sockets: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(&address).expect("it listens")).collect();
    for (number, socket) in sockets.iter_mut().enumerate() {
        // A record in two pieces, with lines of the others between.
        write!(socket, "{{\"id\":{number}}}\n{{\"id\":").expect("sent");
    }
    for (number, socket) in sockets.iter_mut().enumerate() {
        write!(socket, "1{number}}}\nbad {number}\n{}\n{{\"id\":2{number}}}", "x".repeat(200)).expect("sent");
    }
    drop(sockets);
    assert_eq!(rows(dir.path(), "sensors", 9), ["0", "1", "10", "11", "12", "2", "20", "21", "22"]);
    let letters = eventually("dead letters", || {
        Some(server.dead_letters("sensors")).filter(|letters| letters.len() >= 6)
    });
    assert_eq!(
        letters.iter().filter(|letter| text(letter, "text").starts_with("bad ")).count(),
        3,
        "{letters:#?}"
    );
}
