//! The log: what happens when nobody reads it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use millstream_tests::{binary, eventually};
use serde_json::Value;

/// A server that cannot say goodbye ends all the same: two seconds are for the log and the connections.
const END: Duration = Duration::from_secs(20);

#[test]
fn a_server_whose_log_nobody_reads_serves_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "json", "--data-dir"])
        .arg(dir.path().join("data"))
        .env("MILLSTREAM_LOG", "debug")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read as far as the address; the pipe stays open, and full once 64 KiB are in it.
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the server says where it listens");
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["address"].as_str() {
            break address.to_owned();
        }
    };
    let config = ureq::Agent::config_builder().timeout_global(Some(END)).build();
    let agent = ureq::Agent::new_with_config(config);
    for _ in 0..2000 {
        let answer = agent.get(format!("http://{address}/healthz")).call();
        assert_eq!(answer.expect("requests do not wait for the log").status(), 200);
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    #[allow(clippy::disallowed_methods, reason = "what is measured is real time")]
    let start = Instant::now();
    let status = eventually("the server's end", || child.try_wait().unwrap());
    assert!(status.success() && start.elapsed() < END, "{status} after {:?}", start.elapsed());
    drop(log);
}
