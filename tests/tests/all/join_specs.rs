//! Joins that are wrong: what is said, word for word, and where.

use serde_json::{Value, json};

use crate::specs::{errors, sound};
use crate::support::server_with;

#[test]
fn what_a_join_needs_is_said_with_its_path() {
    let (_dir, server) = server_with(&[]);
    let mut spec = sound();
    spec["sources"]["paid"] = json!({ "type": "file", "path": "/nowhere/paid.csv", "format": "csv",
        "schema": { "at": "timestamp", "page": "utf8", "n": "float64", "n_right": "int64" },
        "event_time": { "column": "at" } });
    spec["sources"]["timeless"] = json!({ "type": "file", "path": "/nowhere/text", "format": "text" });
    spec["sinks"]["rest"] = json!({ "from": "timeless", "type": "file", "path": "/nowhere/rest" });
    let join = |right: &str, on: Value, kind: &str| json!({ "left": "clicks", "right": right, "on": on, "kind": kind, "within": "1h" });
    let page = || json!(["page"]);
    let mut unbounded = join("paid", page(), "inner");
    unbounded.as_object_mut().expect("a map").shift_remove("within");
    let mut wrong = Vec::new();
    for (join, expected) in [
        (
            unbounded,
            "steps.known.join.within: missing: a match might come at any time, so each row would be kept for ever; say",
        ),
        (join("paid", json!(["pge"]), "inner"), "steps.known.join.on.pge: on the left side: "),
        (join("paid", json!({ "page": "pge" }), "inner"), "steps.known.join.on.page: on the right side: "),
        (
            join("paid", json!(["n"]), "semi"),
            "steps.known.join.on.n: int64 on the left side and float64 on the right, so no two are equal: make them alike",
        ),
        (join("paid", json!([]), "inner"), "steps.known.join.on: name at least one column"),
        (
            join("paid", json!("page"), "inner"),
            "steps.known: join.on: `on` is a list of columns that both sides have",
        ),
        (join("paid", page(), "outer"), "steps.known: join.kind: unknown value `outer`"),
        (
            join("paid", page(), "inner"),
            "steps.known.join.right: both sides have `n`, and `n_right` is taken too: give one another name with a `select` before",
        ),
        (
            join("timeless", json!({ "page": "line" }), "inner"),
            "steps.known.join.right: its rows have no event time",
        ),
        (join("piad", page(), "inner"), "steps.known.join.right: unknown entry `piad`: did you mean `paid`?"),
    ] {
        spec["steps"]["known"] = json!({ "join": join });
        let found = errors(&server, &spec);
        if !found.iter().any(|error| error.starts_with(expected)) {
            wrong.push(format!("{join} should say {expected}\nbut says {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    spec["steps"]["known"] = json!({ "join": join("paid", page(), "semi"), "late": "side" });
    let found = errors(&server, &spec);
    let expected = "steps.known.late: late rows of both inputs would leave by one way out, and are not alike: 4 columns here, 3 there";
    assert!(found.iter().any(|error| error.starts_with(expected)), "{found:#?}");
    spec["steps"]["known"] = json!({ "join": join("paid", page(), "semi") });
    assert_eq!(server.post("/v1/pipelines/validate", &spec).status, 200);
    // Nothing to tell the late rows of either side apart by, and no need to.
    spec["steps"]["known"] = json!({ "join": join("clicks", page(), "inner"), "late": "side" });
    spec["sinks"]["late"] = json!({ "from": "known.late", "type": "file", "path": "/nowhere/late" });
    spec["sinks"]["other"] = json!({ "from": "paid", "type": "file", "path": "/nowhere/other" });
    let answer = server.post("/v1/pipelines/validate", &spec);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn what_a_join_by_window_needs_is_said_with_its_path() {
    let (_dir, server) = server_with(&[]);
    let mut spec = sound();
    spec["sources"]["paid"] = json!({ "type": "file", "path": "/nowhere/paid.csv", "format": "csv",
        "schema": { "at": "timestamp", "page": "utf8", "window_start": "timestamp" }, "event_time": { "column": "at" } });
    let join = |more: Value| {
        let mut join = json!({ "left": "clicks", "right": "clicks", "on": ["page"] });
        join.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        join
    };
    spec["sinks"]["paid_out"] = json!({ "from": "paid", "type": "file", "path": "/nowhere/paid" });
    let mut wrong = Vec::new();
    for (join, expected) in [
        (
            join(json!({ "window": { "tumbling": "10s" }, "within": "1h" })),
            "steps.known.join.window: a join has either `window` or `within`",
        ),
        (
            join(json!({ "window": { "session": "30s" } })),
            "steps.known.join.window.session: a join has no session windows: a session would grow",
        ),
        (join(json!({ "window": { "sliding": "10s" } })), "steps.known.join.window.slide: missing"),
        (
            join(json!({ "window": { "sliding": "1s", "slide": "2s" } })),
            "steps.known.join.window.sliding: windows of 1000000 us every 2000000 us leave gaps",
        ),
        (join(json!({ "window": {} })), "steps.known.join.window: a join's window is one of"),
        (join(json!({ "window": { "tumblin": "10s" } })), "steps.known: join.window: unknown key `tumblin`"),
        (
            join(json!({ "window": { "tumbling": "10s" }, "right": "paid" })),
            "steps.known.join.window: the output begins with `window_start` and `window_end`, and the rows have a column `window_start`",
        ),
    ] {
        spec["steps"]["known"] = json!({ "join": join });
        let found = errors(&server, &spec);
        if !found.iter().any(|error| error.starts_with(expected)) {
            wrong.push(format!("{join} should say {expected}\nbut says {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
