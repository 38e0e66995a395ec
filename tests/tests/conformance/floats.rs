//! Numbers that NDJSON does not know: NaN, infinities, the sign of zero. They come from CSV and go back to it.

use std::fs;

use millstream_tests::{command, file_rows};
use serde_json::json;

use crate::component::Component;

const ROWS: &str = "g,price\n\
                    plain,0.5\n\
                    none,\n\
                    not,NaN\n\
                    not,1\n\
                    up,inf\n\
                    down,-inf\n\
                    both,inf\n\
                    both,-inf\n\
                    zero,-0.0\n\
                    large,1e308\n\
                    large,1e308\n\
                    small,5e-324\n";

pub(crate) fn pass_through(component: &Component) {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::write(dir.path().join("prices.csv"), ROWS).unwrap();
    let sink = |from: &str| json!({ "from": from, "type": "file", "path": at(from), "format": "csv" });
    let currency = json!({ "column": "price", "rate": 2 });
    let mean = json!({
        "wasm": component.operator("mean"), "of": ["price"], "config": { "column": "price" },
    });
    let spec = json!({
        "name": "floats",
        "trigger": "available-now",
        "sources": { "prices": {
            "type": "file", "path": at("prices.csv"), "format": "csv", "schema": { "g": "utf8", "price": "float64" },
        } },
        "steps": {
            "converted": { "from": "prices", "wasm": component.operator("currency"), "config": currency },
            "means": { "from": "prices", "aggregate": { "by": ["g"], "compute": { "mean": mean } }, "emit": "update" },
        },
        "sinks": { "doubled": sink("converted"), "averaged": sink("means") },
    });
    let file = at("floats.json");
    fs::write(&file, spec.to_string()).unwrap();
    let said = command(&["run", &file, "--plugin", &component.path.display().to_string()]);
    assert!(said.ok, "{}", said.err);
    let lines = |name: &str| {
        let mut lines = file_rows(&dir.path().join(name));
        lines.sort();
        lines
    };
    let doubled = [
        "both,-inf,-inf",
        "both,inf,inf",
        "down,-inf,-inf",
        "large,1e308,inf",
        "large,1e308,inf",
        "none,,",
        "not,1.0,2.0",
        "not,NaN,NaN",
        "plain,0.5,1.0",
        "small,5e-324,1e-323",
        "up,inf,inf",
        "zero,-0.0,-0.0",
    ];
    assert_eq!(lines("converted"), doubled);
    let averaged = [
        "both,NaN",
        "down,-inf",
        "large,inf",
        "none,",
        "not,NaN",
        "plain,0.5",
        "small,5e-324",
        "up,inf",
        "zero,0.0",
    ];
    assert_eq!(lines("means"), averaged);
}
