//! `kill -9` while a client pushes: what was acknowledged is used, and once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use millstream_tests::Server;
use serde_json::json;

use crate::kills::kill_again_and_again;
use crate::random::Random;
use crate::support::{counts, drain};

/// Where the server is now; it changes with each life.
type Address = Arc<Mutex<String>>;

/// Sends a body until it is acknowledged, whatever happens to the server meanwhile.
fn push(agent: &ureq::Agent, address: &Address, key: &str, body: &str, tries: &mut u64) {
    loop {
        *tries += 1;
        let url = format!("{}/v1/streams/orders", address.lock().unwrap());
        let sent =
            agent.post(url).header("Idempotency-Key", key).content_type("application/x-ndjson").send(body);
        match sent.map(|answer| answer.status().as_u16()) {
            Ok(200 | 202) => return,
            // 429 and 5xx: come back later. 404: another test's server has got the dead one's port.
            Ok(404 | 429 | 500..) | Err(_) => thread::sleep(Duration::from_millis(2)),
            Ok(status) => panic!("{key} was answered with {status}"),
        }
    }
}

#[test]
fn acknowledged_pushes_are_counted_once() {
    let mut random = Random::of("kill_pushes");
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("out.db");
    let server = Server::start(&dir.path().join("data"));
    server.deploy(&json!({
        "name": "orders",
        "trigger": { "every": "10ms", "max_bytes": "8KiB" },
        "checkpoint": { "every": "70ms" },
        "sources": { "in": { "type": "http", "stream": "orders", "format": "ndjson",
            "schema": { "id": "int64", "k": "utf8", "n": "int64" } } },
        "steps": { "sums": { "from": "in", "aggregate": { "by": ["k"], "compute": { "c": "count()", "s": "sum(n)" } } } },
        "sinks": {
            "sums_out": { "from": "sums", "type": "sqlite", "path": db, "table": "sums", "key": ["k"] },
            "rows_out": { "from": "in", "type": "sqlite", "path": db, "table": "orders" }
        }
    }));

    let address: Address = Arc::new(Mutex::new(server.url.clone()));
    let done = Arc::new(AtomicBool::new(false));
    let client = thread::spawn({
        let (address, done) = (Arc::clone(&address), Arc::clone(&done));
        move || {
            let config = ureq::Agent::config_builder().http_status_as_error(false);
            let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(5))).build().into();
            let mut random = Random::of("kill_pushes_rows");
            let (mut sums, mut sizes, mut id, mut batch, mut tries) =
                (BTreeMap::new(), BTreeMap::new(), 0, 0, 0);
            while !done.load(Ordering::Relaxed) {
                let mut body = String::new();
                for _ in 0..1 + random.below(30) {
                    let (key, n) = (format!("k{}", random.below(7)), random.below(1000));
                    writeln!(body, "{{\"id\":{id},\"k\":\"{key}\",\"n\":{n}}}").unwrap();
                    *sums.entry(key.clone()).or_insert(0) += i64::try_from(n).unwrap();
                    *sizes.entry(key).or_insert(0) += 1;
                    id += 1;
                }
                push(&agent, &address, &format!("batch-{batch}"), &body, &mut tries);
                batch += 1;
            }
            println!("{batch} bodies in {tries} tries, {id} rows");
            (sums, sizes, id)
        }
    });
    let server = kill_again_and_again(&mut random, server, "orders", 32, |server, _| {
        address.lock().unwrap().clone_from(&server.url);
    });
    address.lock().unwrap().clone_from(&server.url);
    done.store(true, Ordering::Relaxed);
    let (sums, sizes, rows) = client.join().unwrap();
    drain(&server, "orders");
    server.stop();
    assert_eq!(counts(&db, "SELECT k, c FROM sums"), sizes);
    assert_eq!(counts(&db, "SELECT k, s FROM sums"), sums);
    let ids = counts(&db, "SELECT id, count(*) FROM (SELECT cast(id AS TEXT) AS id FROM orders) GROUP BY id");
    assert_eq!(ids.len(), rows, "each row is there");
    assert!(ids.values().all(|&times| times == 1), "no row is there twice");
}
