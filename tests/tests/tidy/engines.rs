//! A heavy engine has one room; `rusqlite` has the few that store or speak SQL.

use crate::source::sources;

/// Crate, and the places that may name it.
const ROOMS: &[(&str, &[&str])] = &[
    ("wasmtime", &["host/wasm/"]),
    ("wasmtime_wasi", &["host/wasm/"]),
    ("wit_bindgen", &["guest-sdk/rust/", "tests/guests/", "host/wasm/tests/"]),
    ("wit_component", &["host/server/build.rs", "host/server/src/cli/plugin/component.rs"]),
    ("wit_parser", &["host/server/build.rs"]),
    ("wasmparser", &["host/server/src/cli/plugin/component.rs"]),
    ("axum", &["host/server/src/api/", "host/server/src/server.rs"]),
    ("utoipa", &["host/server/src/"]),
    ("sqlparser", &["host/engine/src/expr/"]),
    ("arrow_row", &["host/engine/src/state/"]),
    (
        "parquet",
        &[
            "host/connectors/src/formats/",
            "host/connectors/src/sources/file/",
            "host/connectors/src/sinks/file/",
        ],
    ),
    ("clap", &["host/server/src/cli/", "host/server/src/config.rs"]),
    (
        "rusqlite",
        &[
            "host/engine/src/sqlite/",
            // The `sql` step and queries store nothing: their statements run in databases in memory.
            "host/engine/src/steps/sql/",
            "host/engine/src/query/",
            "host/engine/src/checkpoint/",
            "host/engine/src/journal/",
            // State that memory has no room for.
            "host/engine/src/state/cold/",
            "host/connectors/src/sinks/sqlite/",
            "host/connectors/src/tables/sqlite.rs",
            "host/server/src/catalog/",
        ],
    ),
];

#[test]
fn each_engine_stays_in_its_room() {
    let mut wrong = Vec::new();
    for source in sources("host").into_iter().chain(sources("guest-sdk")).chain(sources("plugins")) {
        if source.is_test() {
            continue;
        }
        for (number, line) in source.code() {
            let line = line.trim_start();
            for (engine, rooms) in ROOMS {
                let named =
                    line.starts_with(&format!("use {engine}::")) || line.contains(&format!(" {engine}::"));
                let commented = line.starts_with("//");
                if named && !commented && !rooms.iter().any(|room| source.path.starts_with(room)) {
                    wrong.push(format!("{}:{number}: {engine}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "outside of their rooms:\n{}", wrong.join("\n"));
}
