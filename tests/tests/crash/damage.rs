//! Files of the data directory that are damaged, foreign or newer: refused with a reason, and left
//! as they are for a person to look at.

use std::fs;
use std::path::Path;
use std::process::Command;

use millstream_tests::{Server, binary, eventually};
use rusqlite::Connection;
use serde_json::json;

use crate::support::{committed, counts, state};

/// What can happen to a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    /// Its second half is gone.
    Half,
    /// Only its name is left.
    Empty,
    /// It is no database.
    Text,
    /// It is another program's database.
    Foreign,
    /// A newer program has written it.
    Newer,
}

const ALL: [Damage; 5] = [Damage::Half, Damage::Empty, Damage::Text, Damage::Foreign, Damage::Newer];

impl Damage {
    fn do_to(self, path: &Path) {
        match self {
            Self::Half => {
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            }
            Self::Empty => fs::write(path, "").unwrap(),
            Self::Text => fs::write(path, "this is a letter to my mother\n".repeat(500)).unwrap(),
            Self::Foreign => {
                fs::remove_file(path).unwrap();
                Connection::open(path).unwrap().execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
            }
            Self::Newer => {
                let db = Connection::open(path).unwrap();
                if path.ends_with("catalog.db") {
                    db.execute_batch("UPDATE meta SET value = 99 WHERE key = 'format'").unwrap();
                } else {
                    db.pragma_update(None, "user_version", 99).unwrap();
                }
                db.pragma_update(None, "journal_mode", "DELETE").unwrap();
            }
        }
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Half => &["damaged", "malformed"],
            Self::Empty => &["empty"],
            Self::Text => &["no SQLite database", "not a database"],
            Self::Foreign => &["another program's"],
            Self::Newer => &["format 99"],
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A data directory with a pipeline that has state, a journal and checkpoints, and another one.
fn prepared(dir: &Path) {
    let server = Server::start(&dir.join("data"));
    server.deploy(&json!({
        "name": "hurt",
        "checkpoint": { "every": "1h" },
        "sources": { "in": { "type": "http", "stream": "s", "format": "text" } },
        "steps": { "tally": { "from": "in", "aggregate": { "by": ["value"], "compute": { "n": "count()" } } } },
        "sinks": { "out": { "from": "tally", "type": "sqlite", "path": dir.join("hurt.db"), "table": "counts", "key": ["value"] } }
    }));
    server.deploy(&json!({
        "name": "sound",
        "trigger": { "every": "20ms" },
        "sources": { "in": { "type": "generate", "rate": 1000, "schema": { "s": { "type": "sequence" } } } },
        "sinks": { "out": { "from": "in", "type": "sqlite", "path": dir.join("sound.db"), "table": "rows" } }
    }));
    let _ = server.wait_for("hurt", &["running"]);
    let lines: String = (0..2000).map(|line| format!("line {line}\n")).collect();
    let push = |body: &str| server.send("/v1/streams/s", &[("content-type", "text/plain")], body.as_bytes());
    assert_eq!(push(&lines).status, 202);
    let query = "SELECT value, n FROM counts";
    eventually("its rows", || {
        (committed(&server, "hurt") > 0 && counts(&dir.join("hurt.db"), query).len() == 2000).then_some(())
    });
    server.stop();
}

#[test]
fn a_damaged_file_fails_its_pipeline_only_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let (data, kept) = (dir.path().join("data"), dir.path().join("kept"));
    copy(&data, &kept);
    for file in ["checkpoint.db", "state.db", "journal-in.db"] {
        for damage in ALL {
            let path = data.join("pipelines/hurt").join(file);
            damage.do_to(&path);
            let before = fs::read(&path).unwrap();
            let server = Server::start(&data);
            let _ = server.wait_for("sound", &["running"]);
            let seen = committed(&server, "sound");
            let document = eventually(&format!("{file} {damage:?} to be refused"), || {
                let document = server.get("/v1/pipelines/hurt").body;
                assert!(document["state"] != "running", "{file} {damage:?} was taken");
                (document["state"] == "failed").then_some(document)
            });
            let reason = document["reason"].as_str().unwrap();
            assert!(reason.contains(&path.display().to_string()), "{damage:?}: {reason}");
            assert!(damage.words().iter().any(|word| reason.contains(word)), "{file} {damage:?}: {reason}");
            eventually("the other one's batches", || (committed(&server, "sound") > seen + 2).then_some(()));
            server.stop();
            assert!(fs::read(&path).unwrap() == before, "{file} {damage:?}: the file was changed");
            fs::remove_dir_all(data.join("pipelines/hurt")).unwrap();
            copy(&kept.join("pipelines/hurt"), &data.join("pipelines/hurt"));
        }
    }
    // With its own files back it goes on where it was.
    let server = Server::start(&data);
    let _ = state(&server, "hurt", "running");
    let answer = server.send("/v1/streams/s", &[("content-type", "text/plain")], b"line 7\n");
    assert_eq!(answer.status, 202);
    eventually("the next row", || {
        let found = counts(&dir.path().join("hurt.db"), "SELECT value, n FROM counts");
        (found.len() == 2000 && found["line 7"] == 2).then_some(())
    });
}

#[test]
fn a_damaged_catalog_stops_the_start_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let data = dir.path().join("data");
    let path = data.join("catalog.db");
    let sound = fs::read(&path).unwrap();
    for damage in ALL {
        damage.do_to(&path);
        let before = fs::read(&path).unwrap();
        let mut server = Command::new(binary());
        server.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
        let ended = server.arg("--log").arg("json").stderr(std::process::Stdio::piped()).spawn().unwrap();
        let said = ended_with_failure(ended, &format!("{damage:?}"));
        assert!(said.contains(&path.display().to_string()), "{damage:?}: {said}");
        assert!(damage.words().iter().any(|word| said.contains(word)), "{damage:?}: {said}");
        assert!(fs::read(&path).unwrap() == before, "{damage:?}: the file was changed");
        for side in ["catalog.db-wal", "catalog.db-shm"] {
            let _ = fs::remove_file(data.join(side));
        }
        fs::write(&path, &sound).unwrap();
    }
    let server = Server::start(&data);
    let _ = state(&server, "hurt", "running");
}

/// Waits for the end of a server that should refuse to start; one that starts is ended.
fn ended_with_failure(mut child: std::process::Child, what: &str) -> String {
    use std::io::BufRead as _;
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    for line in stderr.lines().map_while(Result::ok) {
        said += &line;
        if line.contains("\"serving\"") {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what}: the server started");
        }
    }
    assert!(!child.wait().unwrap().success(), "{what}: {said}");
    said
}
