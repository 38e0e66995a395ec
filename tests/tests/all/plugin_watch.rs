//! `millstream plugin push` of projects, and `--watch`: what is built goes into the pipelines that run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use millstream_tests::{binary, command_in, eventually, plugin};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{lines_file, server_with, sunk, table_sink, text};

/// A project whose `make` gives the component in `module`, and the path with that `make`.
fn project(component: &[u8]) -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let bin = dir.path().join(".bin");
    fs::create_dir(&bin).unwrap();
    for (name, script) in [("make", "cp module build/module.core.wasm"), ("clang-19", "")] {
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(dir.path().join("Makefile"), "").unwrap();
    fs::write(dir.path().join("module"), component).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    (dir, path)
}

/// The stock plugin `text` as another build of it: a custom section changes its bytes and nothing else.
fn another_build(number: u8) -> Vec<u8> {
    let mut bytes = fs::read(plugin("text")).expect("the component");
    bytes.extend([0, 3, 1, b'n', number]);
    bytes
}

#[test]
fn a_project_is_built_and_pushed() {
    let (_dir, server) = server_with(&[]);
    let (project, path) = project(&another_build(1));
    let place = project.path().display().to_string();
    let arguments = ["plugin", "push", &place, "--server", &server.url];
    let said = command_in(&[("PATH", &path)], &arguments);
    assert!(
        said.ok
            && said.out.contains("build/text.wasm: text@0.1.0")
            && said.out.ends_with("pushed text@0.1.0\n"),
        "{said:?}"
    );
    assert!(command_in(&[("PATH", &path)], &arguments).out.ends_with("was there: text@0.1.0\n"));
    fs::write(project.path().join("module"), another_build(2)).unwrap();
    let said = command_in(&[("PATH", &path)], &arguments);
    assert!(!said.ok && said.err.contains("exists with other bytes"), "{said:?}");
}

#[test]
fn watching_puts_each_build_into_the_pipelines_that_run() {
    let (dir, server) = server_with(&["text"]);
    let spec = |name: &str| {
        json!({
            "name": name,
            "sources": { "lines": lines_file(dir.path(), &format!("{name}-1.txt"), "a b\n") },
            "steps": { "words": { "from": "lines", "wasm": "text/split-words@0.1", "config": { "column": "value" } } },
            "sinks": { "out": table_sink(dir.path(), name, "words") },
        })
    };
    let mut running = spec("running");
    running["sources"]["lines"]["path"] = json!(dir.path().join("running-*.txt"));
    server.deploy(&running);
    server.deploy(&spec("stopped"));
    eventually("the first line", || (!sunk(dir.path(), "running").is_empty()).then_some(()));
    assert_eq!(server.post("/v1/pipelines/stopped/stop", &json!({})).status, 200);

    let (project, path) = project(&another_build(1));
    let watching = Watching::start(&["push", "--server", &server.url], project.path(), &path);
    let runs = |version: &str| {
        eventually(version, || {
            let pipeline = server.get("/v1/pipelines/running").body;
            let is_new =
                pipeline["spec"]["steps"]["words"]["wasm"] == json!(format!("text/split-words@{version}"));
            (is_new && text(&pipeline, "state") == "running").then_some(())
        });
    };
    runs("0.1.0-dev.1");
    fs::write(project.path().join("module"), another_build(2)).unwrap();
    runs("0.1.0-dev.2");
    // What does not build is told and changes nothing; what builds again does.
    fs::write(project.path().join("module"), "no component").unwrap();
    watching.says("err", "what was built is no plugin: ");
    runs("0.1.0-dev.2");
    fs::write(project.path().join("module"), another_build(3)).unwrap();
    runs("0.1.0-dev.3");

    fs::write(dir.path().join("running-2.txt"), "c\n").unwrap();
    eventually("the second line", || {
        (sunk(dir.path(), "running") == [r#""a""#, r#""b""#, r#""c""#]).then_some(())
    });
    let stopped = server.get("/v1/pipelines/stopped").body;
    assert_eq!(stopped["spec"]["steps"]["words"]["wasm"], "text/split-words@0.1", "nobody asked for it");
}

#[test]
fn watching_builds_and_tests_again_after_each_change() {
    let (project, path) = project(&another_build(1));
    let at = |name: &str| project.path().join(name);
    fs::create_dir(at("cases")).unwrap();
    fs::write(at("cases/words.yaml"), "operator: split-words\nconfig: { column: line }\n").unwrap();
    fs::write(at("cases/words.in.ndjson"), "{\"line\":\"a b\"}\n").unwrap();
    fs::write(at("cases/words.out.ndjson"), "{\"word\":\"a\"}\n").unwrap();
    let building = Watching::start(&["build"], project.path(), &path);
    building.says("out", "build/text.wasm: text@0.1.0");
    let testing = Watching::start(&["test"], project.path(), &path);
    testing.says("out", "0 passed, 1 failed");
    fs::write(at("cases/words.out.ndjson"), "{\"word\":\"a\"}\n{\"word\":\"b\"}\n").unwrap();
    testing.says("out", "1 passed, 0 failed");
    fs::write(at("module"), "no component").unwrap();
    building.says("err", "what was built is no plugin: ");
    testing.says("err", "what was built is no plugin: ");
}

/// `millstream plugin … --watch`, until it is dropped. What it says goes into two files beside the project.
struct Watching {
    child: Child,
    said: TempDir,
}

impl Watching {
    fn start(arguments: &[&str], project: &Path, path: &str) -> Self {
        let said = tempfile::tempdir().expect("a folder");
        let file = |name: &str| fs::File::create(said.path().join(name)).expect("a file");
        let child = Command::new(binary())
            .arg("plugin")
            .args(arguments)
            .arg("--watch")
            .arg(project)
            .env("PATH", path)
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn();
        Self { child: child.expect("the binary runs"), said }
    }

    fn says(&self, stream: &str, words: &str) {
        eventually(words, || {
            let said = fs::read_to_string(self.said.path().join(stream)).expect("what was said");
            said.contains(words).then_some(())
        });
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it was running");
    }
}
