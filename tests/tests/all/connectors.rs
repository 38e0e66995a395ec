//! Sources and sinks at work behind REST that the other concerns do not use: Parquet files, TCP as a
//! client, a journal that is full.

use std::io::Write;
use std::net::TcpListener;

use millstream_tests::eventually;
use serde_json::json;

use crate::support::{server_with, sunk, table_sink, text};

#[test]
fn rows_keep_their_values_through_parquet_files() {
    let (dir, server) = server_with(&[]);
    let csv = dir.path().join("rows.csv");
    std::fs::write(
        &csv,
        "id,word,x,day,at,raw\n1,größe,0.5,2024-02-29,2024-02-29T12:00:00.000001Z,00ff\n2,,,,,\n",
    )
    .unwrap();
    let schema = json!({ "id": "int64", "word": "utf8", "x": "float64", "day": "date", "at": "timestamp", "raw": "binary" });
    let parquet = dir.path().join("parquet");
    let source = json!({ "type": "file", "path": csv, "format": "csv", "schema": schema });
    server.deploy(&json!({
        "name": "write", "trigger": "available-now",
        "sources": { "in": source },
        "sinks": { "out": { "from": "in", "type": "file", "path": parquet, "format": "parquet" },
            "plain": table_sink(dir.path(), "plain", "in") },
    }));
    let _ = server.wait_for("write", &["finished"]);
    server.deploy(&json!({
        "name": "read", "trigger": "available-now",
        "sources": { "in": { "type": "file", "path": parquet.join("*.parquet"), "format": "parquet", "schema": schema } },
        "sinks": { "out": table_sink(dir.path(), "read", "in") },
    }));
    let _ = server.wait_for("read", &["finished"]);
    let rows = sunk(dir.path(), "read");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows, sunk(dir.path(), "plain"));
    assert!(
        rows[0].starts_with("1 | \"größe\" | 0.5 | \"2024-02-29\" | ") && rows[0].ends_with("x'00ff'"),
        "{rows:?}"
    );
    assert_eq!(rows[1], "2 | NULL | NULL | NULL | NULL | NULL");
}

#[test]
fn a_tcp_client_reads_lines_and_connects_again() {
    let (dir, server) = server_with(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    server.deploy(&json!({
        "name": "client", "trigger": { "every": "5ms" },
        "sources": { "in": { "type": "tcp", "connect": address, "format": "text" } },
        "sinks": { "out": table_sink(dir.path(), "client", "in") },
    }));
    let (mut first, _) = listener.accept().unwrap();
    first.write_all("één\ntw".as_bytes()).unwrap();
    first.write_all(b"ee").unwrap();
    drop(first);
    let (mut second, _) = listener.accept().unwrap();
    second.write_all(b"drie\n").unwrap();
    let rows = eventually("all lines", || Some(sunk(dir.path(), "client")).filter(|rows| rows.len() >= 3));
    assert_eq!(rows, ["\"drie\"", "\"twee\"", "\"één\""]);
}

#[test]
fn a_full_journal_refuses_until_a_checkpoint_has_made_room() {
    let (dir, server) = server_with(&[]);
    server.deploy(&json!({
        "name": "small", "trigger": { "every": "5ms" },
        // Only a stop makes one.
        "checkpoint": { "every": "1h" },
        "sources": { "in": { "type": "http", "stream": "small", "format": "text", "journal_max": "1KiB" } },
        "sinks": { "out": table_sink(dir.path(), "small", "in") },
    }));
    let _ = server.wait_for("small", &["running"]);
    let push = |line: &str| server.send("/v1/streams/small", &[], line.as_bytes());
    let long = "x".repeat(2000);
    assert_eq!(push(&long).status, 202);
    let refused = push("more");
    assert_eq!((refused.status, text(&refused.body, "type")), (429, "/problems/full"), "{refused:?}");
    let retry_after = refused.headers.get("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(retry_after.is_some_and(|seconds| seconds > 0), "{refused:?}");

    eventually("the first row", || Some(sunk(dir.path(), "small")).filter(|rows| rows.len() == 1));
    assert_eq!(server.post("/v1/pipelines/small/restart", &json!({})).status, 200);
    let taken = eventually("room", || Some(push("more")).filter(|answer| answer.status < 300));
    assert_eq!(taken.status, 202);
    let rows = eventually("both rows", || Some(sunk(dir.path(), "small")).filter(|rows| rows.len() == 2));
    assert_eq!(rows, ["\"more\"".to_owned(), format!("\"{long}\"")]);
}
