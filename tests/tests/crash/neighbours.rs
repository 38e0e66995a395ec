//! What one pipeline does to itself, others do not feel.

use millstream_tests::{Server, eventually, plugin};
use serde_json::json;

use crate::support::committed;

#[test]
fn a_plugin_that_never_returns_does_not_hold_up_another_pipeline() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    assert!(server.upload(&plugin("hostile")).status < 300);
    let pipeline = |name: &str, operator: &str| {
        json!({
            "name": name,
            "trigger": { "every": "20ms" },
            "sources": { "in": { "type": "generate", "rate": 1000, "schema": { "s": { "type": "sequence" } } } },
            "steps": { "odd": { "from": "in", "wasm": format!("hostile/{operator}"), "deadline": "1h" } },
            "sinks": { "out": { "from": "odd", "type": "sqlite", "path": dir.path().join(format!("{name}.db")), "table": "rows" } }
        })
    };
    let stuck = ["stuck-1", "stuck-2", "stuck-3"];
    for name in stuck {
        server.deploy(&pipeline(name, "loop"));
    }
    for name in stuck {
        // Its first batch is planned, so the plugin is at it.
        eventually("the loop", || {
            server.get(&format!("/v1/pipelines/{name}/batches")).body[0].is_object().then_some(())
        });
    }
    server.deploy(&pipeline("sound", "identity"));
    let _ = server.wait_for("sound", &["running"]);
    let before = committed(&server, "sound");
    eventually("thirty batches of the sound one", || {
        (committed(&server, "sound") >= before + 30).then_some(())
    });
    for name in stuck {
        assert_eq!(committed(&server, name), 0, "{name} is still at its first batch");
    }
    // A stop must not wait for the hour that the loop may still take.
    server.stop();
}
