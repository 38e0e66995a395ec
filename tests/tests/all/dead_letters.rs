//! Dead letters over REST: listed, filtered, shown, and replayed once their cause is mended.

use std::path::Path;

use millstream_tests::{Server, eventually};
use serde_json::{Value, json};

use crate::support::{server_with, sunk, table_sink, text};

/// Takes records with whole numbers in `n` and words in `w` that match `pattern`.
fn spec(dir: &Path, n: &str, pattern: &str) -> Value {
    json!({
        "name": "orders",
        "trigger": { "every": "10ms" },
        "sources": { "orders": { "type": "http", "stream": "orders", "format": "ndjson", "schema": { "n": n, "w": "utf8" } } },
        "steps": {
            "typed": { "from": "orders", "select": { "n": "CAST(n AS text)", "w": "w" } },
            "parts": { "from": "typed", "wasm": "text/regex-extract@0.1", "config": { "column": "w", "pattern": pattern } },
        },
        "sinks": { "out": table_sink(dir, "out", "parts") },
    })
}

const STRICT: &str = "^(?P<digits>[0-9]+)$";
const LOOSE: &str = "^[a-z]?(?P<digits>[0-9]+)$";

fn push(server: &Server, body: &str) {
    let answer = server.send("/v1/streams/orders", &[], body.as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
}

fn letters(server: &Server, count: usize) -> Vec<Value> {
    eventually(&format!("{count} dead letters"), || {
        Some(server.dead_letters("orders")).filter(|letters| letters.len() >= count)
    })
}

fn replay(server: &Server, which: &Value) -> Value {
    let answer = server.post("/v1/pipelines/orders/dead-letters/replay", which);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["replayed"].clone()
}

#[test]
fn dead_letters_are_listed_filtered_shown_and_replayed_once() {
    let (dir, server) = server_with(&["text"]);
    server.deploy(&spec(dir.path(), "int64", STRICT));
    let _ = server.wait_for("orders", &["running"]);
    push(
        &server,
        "{\"n\":1,\"w\":\"10\"}\n{\"n\":2,\"w\":\"x20\"}\nno json\n{\"n\":\"three\",\"w\":\"30\"}\n{\"n\":4,\"w\":\"??\"}\n",
    );
    let all = letters(&server, 4);
    assert_eq!(all.len(), 4, "{all:#?}");
    assert_eq!(sunk(dir.path(), "out"), [r#""1" | "10" | "10""#]);

    let asked = |query: &str| -> Vec<Value> {
        let answer = server.get(&format!("/v1/pipelines/orders/dead-letters?{query}"));
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.body.as_array().cloned().unwrap_or_default()
    };
    assert_eq!(asked("kind=malformed").len(), 2);
    assert_eq!(asked("kind=rejected&entry=parts").len(), 2);
    assert_eq!(asked("entry=nobody").len(), 0);
    assert_eq!(asked("limit=1"), all[..1]);
    assert_eq!(asked(&format!("after={}", all[1]["id"])), all[2..]);
    assert_eq!(server.get("/v1/pipelines/orders/dead-letters?kind=lost").status, 400);
    let one = server.get(&format!("/v1/pipelines/orders/dead-letters/{}", all[0]["id"]));
    assert_eq!((one.status, &one.body), (200, &all[0]));
    assert_eq!(server.get("/v1/pipelines/orders/dead-letters/999").status, 404);
    assert_eq!(server.get("/v1/pipelines/nobody/dead-letters").status, 404);

    let by_text =
        |part: &str| all.iter().find(|letter| text(letter, "text").contains(part)).expect("a letter").clone();
    let (word, bad) = (by_text("x20"), by_text("no json"));
    assert_eq!(
        (text(&word, "entry"), text(&word, "kind"), text(&word, "text")),
        ("parts", "rejected", r#"{"n":"2","w":"x20"}"#)
    );
    assert_eq!(
        (text(&bad, "entry"), text(&bad, "kind"), text(&bad, "text")),
        ("orders", "malformed", "no json")
    );
    assert!(text(&bad, "reason").contains("the line is no JSON"), "{bad:#}");

    // Mended: a looser pattern takes one of the two words, text takes the number in quotes.
    let replaced = server.put("/v1/pipelines/orders", &spec(dir.path(), "utf8", LOOSE));
    assert_eq!(replaced.status, 200, "{replaced:?}");
    assert_eq!(replaced.body["version"], json!(2));
    let _ = server.wait_for("orders", &["running"]);
    assert_eq!(replay(&server, &json!({ "id": word["id"] })), json!(1));
    let rows =
        eventually("the replayed row", || Some(sunk(dir.path(), "out")).filter(|rows| rows.len() == 2));
    assert_eq!(rows, [r#""1" | "10" | "10""#, r#""2" | "x20" | "20""#]);
    // The sink has the batch a moment before it is on record.
    let replayed = eventually("the replay on record", || {
        let letter = server.get(&format!("/v1/pipelines/orders/dead-letters/{}", word["id"])).body;
        letter["replayed_in"].is_u64().then_some(letter)
    });
    assert!(replayed["replayed_in"].as_u64() > word["batch_id"].as_u64(), "{replayed:#}");

    // What was replayed is not replayed by `{}`; the rest is, and what is still bad is back as a new letter.
    assert_eq!(replay(&server, &json!({})), json!(3));
    let rows =
        eventually("the number in quotes", || Some(sunk(dir.path(), "out")).filter(|rows| rows.len() == 3));
    assert_eq!(rows[2], r#""three" | "30" | "30""#);
    let after = letters(&server, 6);
    assert_eq!(after.len(), 6, "{after:#?}");
    assert_eq!(after.iter().filter(|letter| letter["replayed_in"].is_null()).count(), 2, "{after:#?}");
    assert_eq!(replay(&server, &json!({ "kind": "late" })), json!(0));
    assert_eq!(
        server.post("/v1/pipelines/orders/dead-letters/replay", &json!({ "knid": "late" })).status,
        422
    );
    assert_eq!(sunk(dir.path(), "out").len(), 3, "each row arrives once");
}

#[test]
fn a_stopped_pipeline_keeps_its_dead_letters_and_replays_none() {
    let (dir, server) = server_with(&["text"]);
    server.deploy(&spec(dir.path(), "int64", STRICT));
    let _ = server.wait_for("orders", &["running"]);
    push(&server, "{\"n\":1,\"w\":\"no\"}\n");
    let before = letters(&server, 1);
    assert_eq!(server.post("/v1/pipelines/orders/stop", &json!({})).status, 200);
    assert_eq!(letters(&server, 1), before);
    let refused = server.post("/v1/pipelines/orders/dead-letters/replay", &json!({}));
    assert_eq!((refused.status, text(&refused.body, "type")), (409, "/problems/not-running"), "{refused:?}");
}

#[test]
fn a_replay_that_is_asked_for_twice_goes_once() {
    let (dir, server) = server_with(&["text"]);
    server.deploy(&spec(dir.path(), "int64", STRICT));
    let _ = server.wait_for("orders", &["running"]);
    push(&server, "{\"n\":1,\"w\":\"a1\"}\n");
    let _ = letters(&server, 1);
    let mut mended = spec(dir.path(), "int64", LOOSE);
    // The next batch is so far away that both requests come before it.
    mended["trigger"] = json!({ "every": "1s" });
    assert_eq!(server.put("/v1/pipelines/orders", &mended).status, 200);
    let _ = server.wait_for("orders", &["running"]);
    push(&server, "{\"n\":2,\"w\":\"2\"}\n");
    eventually("a batch", || (sunk(dir.path(), "out").len() == 1).then_some(()));
    for _ in 0..3 {
        let _ = replay(&server, &json!({}));
    }
    push(&server, "{\"n\":3,\"w\":\"3\"}\n");
    let rows = eventually("the last row", || {
        Some(sunk(dir.path(), "out")).filter(|rows| rows.iter().any(|row| row.starts_with("\"3\"")))
    });
    assert_eq!(rows.len(), 3, "{rows:?}");
    // And once more, when it is in a batch that is not yet on record.
    push(&server, "{\"n\":4,\"w\":\"4\"}\n");
    let _ = replay(&server, &json!({}));
    let rows = eventually("the row after it", || {
        Some(sunk(dir.path(), "out")).filter(|rows| rows.iter().any(|row| row.starts_with("\"4\"")))
    });
    assert_eq!(rows.len(), 4, "{rows:?}");
}
