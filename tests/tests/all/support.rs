//! What several concerns share.

use std::path::Path;

use millstream_tests::{Answer, Server, plugin};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server on a folder of its own, with these plugins.
pub(crate) fn server_with(plugins: &[&str]) -> (TempDir, Server) {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::start(&dir.path().join("data"));
    for name in plugins {
        let answer = server.upload(&plugin(name));
        assert!(answer.status < 300, "{name}: {answer:?}");
    }
    (dir, server)
}

/// A file of lines, and a source that reads it.
pub(crate) fn lines_file(dir: &Path, name: &str, text: &str) -> Value {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("an input file");
    json!({ "type": "file", "path": path, "format": "text" })
}

/// A sink that appends to the table `out` of `<name>.db`.
pub(crate) fn table_sink(dir: &Path, name: &str, from: &str) -> Value {
    json!({ "from": from, "type": "sqlite", "path": dir.join(format!("{name}.db")), "table": "out" })
}

/// The rows of such a sink.
pub(crate) fn sunk(dir: &Path, name: &str) -> Vec<String> {
    let database = dir.join(format!("{name}.db"));
    if database.exists() { millstream_tests::table_rows(&database, "out") } else { Vec::new() }
}

/// The errors of a problem document about a spec, as `path: message`.
pub(crate) fn spec_errors(answer: &Answer) -> Vec<String> {
    assert_eq!((answer.status, &answer.body["type"]), (422, &json!("/problems/invalid-spec")), "{answer:?}");
    let errors = answer.body["errors"].as_array().expect("a list of errors");
    errors.iter().map(|error| format!("{}: {}", text(error, "path"), text(error, "message"))).collect()
}

/// A text of a document, empty when it is not there.
pub(crate) fn text<'a>(document: &'a Value, key: &str) -> &'a str {
    document[key].as_str().unwrap_or_default()
}
