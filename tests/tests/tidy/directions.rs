//! Inside a crate the compiler does not hold the direction of dependencies; these lists do. A room
//! may use itself and the rooms after its name.

use std::collections::BTreeMap;

use crate::source::{Source, sources};

/// Rooms of the engine, `pipeline -> {steps, checkpoint, journal} -> {windows, state, expr, sqlite,
/// source, sink, table} -> batch`.
const ENGINE: &[(&str, &[&str])] = &[
    ("batch", &[]),
    ("clock", &[]),
    ("source", &["batch"]),
    ("sink", &["batch"]),
    ("table", &["batch", "source"]),
    ("sqlite", &["batch"]),
    ("query", &["batch", "sqlite"]),
    ("expr", &["batch"]),
    ("windows", &["batch"]),
    ("state", &["batch", "sqlite"]),
    ("steps", &["batch", "expr", "sqlite", "state", "table", "windows"]),
    ("journal", &["batch", "source", "sqlite"]),
    ("checkpoint", &["batch", "source", "sqlite"]),
    (
        "pipeline",
        &[
            "batch",
            "clock",
            "source",
            "sink",
            "table",
            "sqlite",
            "expr",
            "windows",
            "state",
            "steps",
            "journal",
            "checkpoint",
            "query",
        ],
    ),
];

/// Rooms of the connectors.
const CONNECTORS: &[(&str, &[&str])] = &[
    ("formats", &[]),
    ("sources", &["formats"]),
    ("tables", &["formats", "sources"]),
    ("sinks", &[]),
    ("registry", &["formats", "sources", "tables", "sinks"]),
];

#[test]
fn rooms_of_the_engine_use_only_what_is_below_them() {
    check("host/engine/src", ENGINE);
}

#[test]
fn rooms_of_the_connectors_use_only_what_is_below_them() {
    check("host/connectors/src", CONNECTORS);
}

fn check(folder: &str, rooms: &[(&str, &[&str])]) {
    let allowed: BTreeMap<&str, &[&str]> = rooms.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources(folder) {
        let inside = source.path.strip_prefix(folder).expect("below the folder").trim_start_matches('/');
        let room = inside.split('/').next().expect("a path has a part").trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let allowed = allowed
            .get(room)
            .unwrap_or_else(|| panic!("{room} is a new room of {folder}: give it its place"));
        for (line, used) in uses(&source) {
            if used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}:{line}: `{room}` uses `{used}`", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "against the direction:\n{}", wrong.join("\n"));
}

/// The rooms named by `crate::room`, in `use` lines and elsewhere.
fn uses(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in source.code() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for part in line.split("crate::").skip(1) {
            let room: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let is_room = room.chars().next().is_some_and(char::is_lowercase);
            if is_room {
                found.push((number, room));
            }
        }
    }
    found
}
