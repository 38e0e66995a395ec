//! What several of these tests do: write files as a whole, ask databases, watch a pipeline.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use millstream_tests::{Server, eventually};
use rusqlite::Connection;
use serde_json::Value;

/// A file that appears whole: what watches the folder must never see half of it.
pub(crate) fn write_whole(path: &Path, text: &str) {
    let hidden = path.with_extension("part");
    fs::write(&hidden, text).unwrap();
    fs::rename(&hidden, path).unwrap();
}

/// The rows of a query with a text and a number.
pub(crate) fn counted(db: &Path, sql: &str) -> Vec<(String, i64)> {
    let db = Connection::open(db).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The same where each text comes once.
pub(crate) fn counts(db: &Path, sql: &str) -> BTreeMap<String, i64> {
    let rows = counted(db, sql);
    let all = rows.len();
    let map: BTreeMap<_, _> = rows.into_iter().collect();
    assert_eq!(map.len(), all, "a key is there twice: {sql}");
    map
}

/// The number of the newest batch that is on record as committed.
pub(crate) fn committed(server: &Server, pipeline: &str) -> u64 {
    let batches = server.get(&format!("/v1/pipelines/{pipeline}/batches?limit=3")).body;
    let all = batches.as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = all
        .iter()
        .filter(|batch| batch["state"] == "committed")
        .filter_map(|batch| batch["batch_id"].as_u64());
    ids.max().unwrap_or(0)
}

/// Waits until the pipeline's state is `state`; gives the document. Unlike `Server::wait_for` this
/// takes any state on the way, also failed.
pub(crate) fn state(server: &Server, pipeline: &str, state: &str) -> Value {
    eventually(&format!("{pipeline} to be {state}"), || {
        let body = server.get(&format!("/v1/pipelines/{pipeline}")).body;
        (body["state"] == state).then_some(body)
    })
}

/// Lets the pipeline finish what is there and stop.
pub(crate) fn drain(server: &Server, pipeline: &str) {
    let _ = server.wait_for(pipeline, &["running"]);
    let answer = server.post(&format!("/v1/pipelines/{pipeline}/drain"), &serde_json::json!({}));
    assert!(answer.status < 300, "{answer:?}");
    let _ = server.wait_for(pipeline, &["stopped", "finished"]);
}

/// The most memory that the server has had, in MiB.
pub(crate) fn peak_mib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says VmHWM");
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
    kib / 1024
}

/// All dead letters.
pub(crate) fn dead_letters(server: &Server, pipeline: &str) -> Vec<Value> {
    let letters = server.get(&format!("/v1/pipelines/{pipeline}/dead-letters")).body;
    letters.as_array().expect("a list of dead letters").clone()
}
