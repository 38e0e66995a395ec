//! A disk without room: the pipeline says so and waits, nothing acknowledged is lost, and once there
//! is room it goes on by itself.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{counts, drain, state, write_whole};

/// A disk of 8 MiB in memory; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(dir.path()).status();
        assert!(mounted.unwrap().success(), "these tests mount a small disk: run them as root");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes much more room.
    fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=512m"]).arg(self.path()).status();
        assert!(grown.unwrap().success());
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        for block in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test left may still be ending.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Why the pipeline is `retrying`, once it is.
fn retrying(server: &Server, pipeline: &str) -> String {
    let document = state(server, pipeline, "retrying");
    document["reason"].as_str().unwrap_or_else(|| panic!("no reason: {document:#}")).to_owned()
}

fn write_lines(dir: &Path, file: u64, lines: u64) {
    let mut text = String::new();
    (0..lines).for_each(|line| writeln!(text, "{file}-{line} {}", "x".repeat(60)).unwrap());
    write_whole(&dir.join(format!("{file}.txt")), &text);
}

fn file_pipeline(name: &str, input: &Path, db: &Path) -> Value {
    json!({
        "name": name,
        "trigger": { "every": "10ms", "max_bytes": "32KiB" },
        "checkpoint": { "every": "50ms" },
        "sources": { "in": { "type": "file", "path": input.join("*.txt"), "format": "text" } },
        "sinks": { "out": { "from": "in", "type": "sqlite", "path": db, "table": "rows" } }
    })
}

const ROWS: &str = "SELECT value, count(*) FROM rows GROUP BY value";

#[test]
fn a_full_data_directory_is_told_and_waited_for() {
    let disk = SmallDisk::mount();
    let dir = tempfile::tempdir().unwrap();
    let (input, db, pushed_db) =
        (dir.path().join("in"), dir.path().join("out.db"), dir.path().join("pushed.db"));
    fs::create_dir(&input).unwrap();
    write_lines(&input, 0, 500);
    let server = Server::start(&disk.path().join("data"));
    server.deploy(&file_pipeline("files", &input, &db));
    server.deploy(&json!({
        "name": "pushes",
        "trigger": { "every": "10ms" },
        "checkpoint": { "every": "50ms" },
        "sources": { "in": { "type": "http", "stream": "s", "format": "text" } },
        "sinks": { "out": { "from": "in", "type": "sqlite", "path": pushed_db, "table": "rows" } }
    }));
    let _ = server.wait_for("files", &["running"]);
    let _ = server.wait_for("pushes", &["running"]);
    let mut taken = Vec::new();
    let mut push = |number: u64| {
        let line = format!("{number} {}", "y".repeat(20_000));
        let answer = server.send("/v1/streams/s", &[("content-type", "text/plain")], line.as_bytes());
        if answer.status == 202 {
            taken.push(line);
        }
        answer
    };
    (0..5).for_each(|number| assert_eq!(push(number).status, 202));

    let filler = disk.fill();
    let mut number = 5;
    // The first may still fit into what the log of the journal has.
    let refused = eventually("a refusal", || {
        number += 1;
        let answer = push(number);
        disk.fill();
        (answer.status >= 500).then_some(answer)
    });
    // The journal has no room, or the pipeline already waits for some.
    assert!([503, 507].contains(&refused.status), "{refused:?}");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(!refused.body["title"].as_str().unwrap().is_empty(), "{refused:?}");
    assert!(detail.contains(&disk.path().display().to_string()) && detail.contains("full"), "{refused:?}");
    write_lines(&input, 1, 2000);
    let reason = retrying(&server, "files");
    assert!(reason.contains(&disk.path().display().to_string()), "{reason}");
    assert!(reason.contains("full") || reason.contains("No space left"), "{reason}");
    assert_eq!(server.get("/healthz").status, 200);

    fs::remove_file(filler).unwrap();
    eventually("a push to be taken again", || {
        number += 1;
        (push(number).status == 202).then_some(())
    });
    eventually("all rows", || (counts(&db, ROWS).len() == 2500).then_some(()));
    eventually("all pushed rows", || (counts(&pushed_db, ROWS).len() >= taken.len()).then_some(()));
    drain(&server, "files");
    drain(&server, "pushes");
    server.stop();
    assert!(counts(&db, ROWS).values().all(|&times| times == 1));
    let mut found: Vec<(String, i64)> = counts(&pushed_db, ROWS).into_iter().collect();
    let mut expected: Vec<(String, i64)> = taken.into_iter().map(|line| (line, 1)).collect();
    found.sort();
    expected.sort();
    assert!(found == expected, "{} acknowledged, {} found", expected.len(), found.len());
}

#[test]
fn a_full_disk_of_a_sink_is_told_and_waited_for() {
    let disk = SmallDisk::mount();
    let dir = tempfile::tempdir().unwrap();
    let (input, db) = (dir.path().join("in"), disk.path().join("out.db"));
    fs::create_dir(&input).unwrap();
    write_lines(&input, 0, 500);
    let mut spec = file_pipeline("lines", &input, &db);
    spec["sinks"]["files"] = json!({ "from": "in", "type": "file", "path": disk.path().join("files") });
    let server = Server::start(&dir.path().join("data"));
    server.deploy(&spec);
    eventually("the first rows", || {
        (db.exists() && server.wait_for("lines", &["running", "starting"])["progress"].is_object())
            .then_some(())
    });
    eventually("all first rows", || (counts(&db, ROWS).len() == 500).then_some(()));

    let filler = disk.fill();
    write_lines(&input, 1, 5000);
    let reason = retrying(&server, "lines");
    assert!(reason.contains(&disk.path().display().to_string()), "{reason}");
    assert!(
        reason.contains("full") || reason.contains("No space left") || reason.contains("no space left"),
        "{reason}"
    );
    fs::remove_file(filler).unwrap();
    eventually("all rows", || (counts(&db, ROWS).len() == 5500).then_some(()));
    drain(&server, "lines");
    server.stop();
    assert!(counts(&db, ROWS).values().all(|&times| times == 1));
    let manifest = fs::read_to_string(disk.path().join("files/_manifest.ndjson")).unwrap();
    let entries = manifest.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rows: u64 = entries.map(|entry| entry["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 5500);
}

#[test]
fn a_disk_without_room_for_cold_state_is_told_and_waited_for() {
    let disk = SmallDisk::mount();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let server = Server::start(&disk.path().join("data"));
    server.deploy(&json!({
        "name": "cold",
        "trigger": { "available-now": true, "max_rows": 20_000 },
        "checkpoint": { "every": "1h" },
        "parallelism": 1,
        "memory": "1MiB",
        "sources": { "in": { "type": "generate", "rows": 400_000, "schema": { "id": { "type": "sequence" }, "note": { "type": "text", "words": 4 } } } },
        "steps": {
            "seen": { "from": "in", "aggregate": { "by": ["id"], "compute": { "n": "count()", "last": "max(note)" } } },
            "end": { "from": "seen", "filter": "id >= 399990" },
        },
        "sinks": { "out": { "from": "end", "type": "file", "path": out } }
    }));
    let reason = retrying(&server, "cold");
    assert!(reason.contains("cold/seen-0.db") && reason.contains("the disk is full: make room"), "{reason}");
    disk.grow();
    let _ = server.wait_for("cold", &["finished"]);
    assert_eq!(millstream_tests::file_rows(&out).len(), 10);
    server.stop();
}
