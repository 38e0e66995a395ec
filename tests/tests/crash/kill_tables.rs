//! `kill -9` while a table changes: batches that run again see the version that they saw first.

use std::fmt::Write as _;

use millstream_tests::{Server, eventually};
use serde_json::json;

use crate::kills::kill_again_and_again;
use crate::random::Random;
use crate::support::{counts, drain, write_whole};

#[test]
fn batches_that_run_again_see_the_table_that_they_saw_first() {
    let mut random = Random::of("kill_tables");
    let dir = tempfile::tempdir().unwrap();
    let (db, table) = (dir.path().join("out.db"), dir.path().join("rates.csv"));
    write_whole(&table, "k,rate\na,1\nb,1\n");
    let server = Server::start(&dir.path().join("data"));
    server.deploy(&json!({
        "name": "rates",
        "trigger": { "every": "1ms", "max_bytes": "64B" },
        // Long enough for some lives to run everything again, and short enough for others.
        "checkpoint": { "every": "300ms" },
        "sources": { "in": { "type": "http", "stream": "rates", "format": "ndjson",
            "schema": { "id": "int64", "k": "utf8" } } },
        "tables": { "rates": { "type": "file", "path": table, "format": "csv",
            "schema": { "k": "utf8", "rate": "int64" }, "refresh": "10ms" } },
        "steps": {
            "rated": { "join": { "left": "in", "right": "rates", "on": ["k"] } },
            "sums": { "from": "rated", "aggregate": { "by": ["rates_version"], "compute": { "s": "sum(rate)" } } }
        },
        "sinks": {
            "rows_out": { "from": "rated", "type": "sqlite", "path": db, "table": "rated" },
            "sums_out": { "from": "sums", "type": "sqlite", "path": db, "table": "sums", "key": ["rates_version"] }
        }
    }));
    let (mut id, mut rate) = (0, 1);
    let server = kill_again_and_again(&mut random, server, "rates", 24, |server, _| {
        let _ = server.wait_for("rates", &["running"]);
        for _ in 0..6 {
            let mut body = String::new();
            for key in ["a", "b", "c"] {
                writeln!(body, "{{\"id\":{id},\"k\":\"{key}\"}}").unwrap();
                id += 1;
            }
            let answer = server.send("/v1/streams/rates", &[], body.as_bytes());
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        // Some of these rows see the old table, some the new one; and another is there after the crash.
        rate += 1;
        write_whole(&table, &format!("k,rate\na,{rate}\nb,{}\n", rate * 1000));
    });
    drain(&server, "rates");
    server.stop();
    let sums = "SELECT cast(rates_version AS TEXT), s FROM sums";
    let of_rows = "SELECT cast(rates_version AS TEXT), sum(rate) FROM rated GROUP BY rates_version";
    let (sums, of_rows) = (counts(&db, sums), counts(&db, of_rows));
    // State that was built again from batches that saw another table would differ from the rows.
    assert_eq!(sums, of_rows);
    println!("{} versions were seen", sums.len());
    assert!(sums.len() > 3, "{sums:?}");
    let ids = counts(&db, "SELECT id, count(*) FROM (SELECT cast(id AS TEXT) AS id FROM rated) GROUP BY id");
    assert_eq!(ids.len(), id / 3 * 2, "each row with a rate is there");
    assert!(ids.values().all(|&times| times == 1), "no row is there twice");
}

#[test]
fn a_table_that_changed_while_the_server_was_dead_changes_nothing_that_was() {
    let dir = tempfile::tempdir().unwrap();
    let (db, table) = (dir.path().join("out.db"), dir.path().join("rates.csv"));
    write_whole(&table, "k,rate\na,1\n");
    let data = dir.path().join("data");
    let server = Server::start(&data);
    server.deploy(&json!({
        "name": "rates",
        "trigger": { "every": "1ms" },
        // No checkpoint: all batches run again.
        "checkpoint": { "every": "1h" },
        "sources": { "in": { "type": "http", "stream": "rates", "format": "text" } },
        "tables": { "rates": { "type": "file", "path": table, "format": "csv",
            "schema": { "k": "utf8", "rate": "int64" }, "refresh": "1h" } },
        "steps": {
            "rated": { "join": { "left": "in", "right": "rates", "on": { "value": "k" }, "kind": "left" } },
            "sums": { "from": "rated", "aggregate": { "by": ["value"], "compute": { "s": "sum(rate)", "v": "max(rates_version)" } } }
        },
        "sinks": { "out": { "from": "sums", "type": "sqlite", "path": db, "table": "sums", "key": ["value"] } }
    }));
    let sum = |expected: i64| {
        eventually("the sum", || {
            let is_there =
                db.exists() && counts(&db, "SELECT value, s FROM sums").get("a") == Some(&expected);
            is_there.then_some(())
        });
    };
    let push = |server: &Server| {
        let _ = server.wait_for("rates", &["running"]);
        let answer = server.send("/v1/streams/rates", &[("content-type", "text/plain")], b"a\n");
        assert_eq!(answer.status, 202, "{answer:?}");
    };
    push(&server);
    sum(1);
    server.kill();
    write_whole(&table, "k,rate\na,10\n");
    let server = Server::start(&data);
    push(&server);
    sum(11);
    server.kill();
    // It cannot be read now, and is what it was.
    write_whole(&table, "k,rate\na,ten\n");
    let server = Server::start(&data);
    push(&server);
    sum(21);
    server.kill();
    write_whole(&table, "k,rate\na,100\n");
    let server = Server::start(&data);
    push(&server);
    sum(121);
    assert_eq!(counts(&db, "SELECT value, v FROM sums")["a"], 3);
    server.stop();
}
