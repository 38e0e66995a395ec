//! Who is answered: tokens, and the guards of a server without them.

use millstream_tests::{Server, command};
use serde_json::json;

use crate::support::{server_with, text};

#[test]
fn a_token_is_asked_for_and_can_be_revoked() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data").display().to_string();
    for arguments in [["--listen", "127.0.0.1:0", "--require-token"].as_slice(), &["--listen", "0.0.0.0:0"]] {
        let alone = command(&[&["serve", "--data-dir", &data], arguments].concat());
        assert!(
            !alone.ok
                && alone
                    .err
                    .contains("need a token and there is none: make one with `millstream token create NAME`"),
            "{alone:?}"
        );
    }
    let created = command(&["token", "create", "ci", "--data-dir", &data, "--output", "json"]);
    assert!(created.ok, "{created:?}");
    let server = Server::start_with(&dir.path().join("data"), &["--require-token"]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).status, 200, "probes have no tokens");
    }
    for path in ["/v1/pipelines", "/v1/plugins", "/metrics", "/openapi.json"] {
        let refused = server.get(path);
        assert_eq!((refused.status, text(&refused.body, "type")), (401, "/problems/unauthorized"), "{path}");
        assert!(text(&refused.body, "detail").contains("millstream token create NAME"), "{refused:?}");
    }
    let document: serde_json::Value = serde_json::from_str(&created.out).expect("a document");
    let token = text(&document, "token").to_owned();
    let asked = |header: &str| server.get_with("/v1/pipelines", &[("authorization", header)]);
    assert_eq!(
        (asked(&format!("Bearer {token}")).status, asked(&format!("bearer {token}")).status),
        (200, 200)
    );
    for wrong in ["Bearer ", "Bearer wrong", &format!("Bearer {token}x"), &format!("Basic {token}"), &token] {
        assert_eq!(asked(wrong).status, 401, "{wrong}");
    }
    let listed = server.command(&["pipeline", "list", "--token", &token]);
    assert!(listed.ok, "{listed:?}");
    let refused = server.command(&["pipeline", "list"]);
    assert!(!refused.ok && refused.err.contains("A token is needed"), "{refused:?}");

    let names = command(&["token", "list", "--data-dir", &data]);
    assert!(names.ok && names.out.contains("ci") && !names.out.contains(&token), "{names:?}");
    assert!(command(&["token", "revoke", "ci", "--data-dir", &data]).ok);
    assert_eq!(asked(&format!("Bearer {token}")).status, 401, "from now on");
}

#[test]
fn pages_of_other_sites_get_no_answer() {
    let (_dir, server) = server_with(&[]);
    let from = |origin: &str| {
        server.send(
            "/v1/pipelines/validate",
            &[("origin", origin), ("content-type", "application/json")],
            b"{}",
        )
    };
    let refused = from("https://evil.example");
    assert_eq!(
        (refused.status, text(&refused.body, "type")),
        (403, "/problems/forbidden-origin"),
        "{refused:?}"
    );
    assert_eq!(from(&server.url).status, 422, "its own page is let through");
    let rebound = server.get_with("/v1/pipelines", &[("host", "evil.example")]);
    assert_eq!(
        (rebound.status, text(&rebound.body, "type")),
        (403, "/problems/forbidden-host"),
        "{rebound:?}"
    );
    assert_eq!(server.get("/v1/pipelines").body, json!([]));
}
