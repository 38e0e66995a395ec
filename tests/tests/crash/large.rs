//! Input that is much larger than the memory a server may take for it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::TcpStream;
use std::path::Path;

use millstream_tests::{Server, eventually, plugin};
use serde_json::{Value, json};

use crate::support::{counted, counts, dead_letters, peak_mib};

const MEMORY_MAX_MIB: u64 = 500;
const LONG_LINE_BYTES: usize = 100 * 1024 * 1024;

/// `head`, so many filling bytes, `tail`.
fn write_long(mut out: impl Write, head: &str, tail: &str) {
    let filling = vec![b'x'; 1024 * 1024];
    out.write_all(head.as_bytes()).unwrap();
    (0..LONG_LINE_BYTES / filling.len()).for_each(|_| out.write_all(&filling).unwrap());
    out.write_all(tail.as_bytes()).unwrap();
    out.flush().unwrap();
}

fn spec(dir: &Path, source: &Value) -> Value {
    json!({
        "name": "long",
        "trigger": { "every": "20ms" },
        "sources": { "in": source },
        "sinks": { "out": { "from": "in", "type": "sqlite", "path": dir.join("out.db"), "table": "rows" } }
    })
}

fn check(server: Server, dir: &Path, column: &str) {
    eventually("the rows on both sides", || {
        let db = dir.join("out.db");
        (db.exists() && server.wait_for("long", &["running", "starting"])["progress"].is_object())
            .then_some(())?;
        let rows = counted(&db, &format!("SELECT {column}, 1 FROM rows"));
        (rows == [("before".to_owned(), 1), ("after".to_owned(), 1)]).then_some(())
    });
    // A sink has a batch before the batch's commit, and its dead letters with it, are on record.
    let letters = eventually("the dead letter", || {
        Some(dead_letters(&server, "long")).filter(|letters| !letters.is_empty())
    });
    assert_eq!(letters.len(), 1, "{letters:#?}");
    assert_eq!(letters[0]["kind"], "malformed");
    assert!(letters[0]["reason"].as_str().unwrap().contains("max_record_bytes"), "{}", letters[0]["reason"]);
    let peak = peak_mib(&server);
    println!("100 MiB line, column {column}: {peak} MiB at most");
    assert!(peak < MEMORY_MAX_MIB, "{peak} MiB");
    server.stop();
}

#[test]
fn a_line_of_100_mib_in_a_file_is_a_dead_letter_between_two_rows() {
    let dir = tempfile::tempdir().unwrap();
    write_long(File::create(dir.path().join("in.txt")).unwrap(), "before\n", "\nafter\n");
    let server = Server::start(&dir.path().join("data"));
    server.deploy(&spec(
        dir.path(),
        &json!({ "type": "file", "path": dir.path().join("in.txt"), "format": "text" }),
    ));
    check(server, dir.path(), "value");
}

#[test]
fn a_line_of_100_mib_over_tcp_is_a_dead_letter_between_two_rows() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let source =
        json!({ "type": "tcp", "listen": "127.0.0.1:0", "format": "ndjson", "schema": { "s": "utf8" } });
    server.deploy(&spec(dir.path(), &source));
    let address = eventually("the address", || {
        server.get("/v1/pipelines/long").body["addresses"]["in"].as_str().map(str::to_owned)
    });
    write_long(
        TcpStream::connect(address).unwrap(),
        "{\"s\":\"before\"}\n{\"s\":\"",
        "\"}\n{\"s\":\"after\"}\n",
    );
    check(server, dir.path(), "s");
}

#[test]
fn a_body_of_100_mib_is_refused_and_its_neighbours_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let source = json!({ "type": "http", "stream": "s", "format": "ndjson", "schema": { "s": "utf8" } });
    server.deploy(&spec(dir.path(), &source));
    let _ = server.wait_for("long", &["running"]);
    let push =
        |body: &[u8]| server.try_send("/v1/streams/s", &[("content-type", "application/x-ndjson")], body);
    assert_eq!(push(b"{\"s\":\"before\"}\n").unwrap().status, 202);
    let mut long = Vec::with_capacity(LONG_LINE_BYTES + 100);
    write_long(&mut long, "{\"s\":\"", "\"}\n");
    // The server may answer and close while the client still writes: then the client sees a reset.
    if let Ok(answer) = push(&long) {
        assert_eq!(answer.status, 413, "{answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains("limit"), "{answer:?}");
    }
    // Within the limit of bodies, but not of records.
    long.truncate(8 * 1024 * 1024);
    long.extend_from_slice(b"\"}\n");
    assert_eq!(push(&long).unwrap().status, 202);
    assert_eq!(push(b"{\"s\":\"after\"}\n").unwrap().status, 202);
    check(server, dir.path(), "s");
}

#[test]
fn a_file_of_1_gib_is_counted_in_bounded_memory() {
    const LINE: &str =
        "the mill by the stream turns the stone while the water runs and the grain becomes flour\n";
    let dir = tempfile::tempdir().unwrap();
    let lines = (1 << 30) / LINE.len() + 1;
    {
        let block = LINE.repeat(10_000);
        let mut file = BufWriter::new(File::create(dir.path().join("in.txt")).unwrap());
        (0..lines / 10_000).for_each(|_| file.write_all(block.as_bytes()).unwrap());
        file.write_all(LINE.repeat(lines % 10_000).as_bytes()).unwrap();
        file.flush().unwrap();
    }
    let server = Server::start(&dir.path().join("data"));
    assert!(server.upload(&plugin("text")).status < 300);
    let db = dir.path().join("out.db");
    server.deploy(&json!({
        "name": "large",
        "trigger": "available-now",
        "sources": { "lines": { "type": "file", "path": dir.path().join("in.txt"), "format": "text" } },
        "steps": {
            "words": { "from": "lines", "wasm": "text/split-words", "config": { "column": "value" } },
            "tally": { "from": "words", "aggregate": { "by": ["word"], "compute": { "n": "count()" } } }
        },
        "sinks": { "out": { "from": "tally", "type": "sqlite", "path": db, "table": "counts", "key": ["word"] } }
    }));
    let _ = server.wait_for("large", &["finished"]);
    let peak = peak_mib(&server);
    println!("1 GiB: {peak} MiB at most");
    assert!(peak < MEMORY_MAX_MIB, "{peak} MiB");
    server.stop();
    let found = counts(&db, "SELECT word, n FROM counts");
    assert_eq!(found["the"], 5 * i64::try_from(lines).unwrap());
    assert_eq!(found["mill"], i64::try_from(lines).unwrap());
}
