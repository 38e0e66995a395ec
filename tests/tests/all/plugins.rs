//! Plugins over REST: what is taken, what is refused and with which words.

use std::fs;

use millstream_tests::{Answer, Server, plugin};
use serde_json::json;

use crate::support::{lines_file, server_with, spec_errors, table_sink, text};

#[test]
fn a_plugin_is_uploaded_shown_and_deleted() {
    let (_dir, server) = server_with(&[]);
    let uploaded = server.upload(&plugin("geo"));
    assert_eq!(uploaded.status, 201, "{uploaded:?}");
    assert_eq!((text(&uploaded.body, "name"), text(&uploaded.body, "version")), ("geo", "0.1.0"));
    let size = fs::metadata(plugin("geo")).expect("the component").len();
    assert_eq!(uploaded.body["size_bytes"], json!(size));
    assert_eq!(text(&uploaded.body, "digest").len(), 64, "SHA-256 in hexadecimal");
    assert_eq!(uploaded.body["kinds"], json!(["transform"]));

    // The same bytes again are no news.
    let again = server.upload(&plugin("geo"));
    assert_eq!((again.status, &again.body["digest"]), (200, &uploaded.body["digest"]), "{again:?}");

    let listed = server.get("/v1/plugins").body;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    for name in ["geo", "geo@0", "geo@0.1", "geo@0.1.0"] {
        let shown = server.get(&format!("/v1/plugins/{name}"));
        assert_eq!(shown.status, 200, "{name}: {shown:?}");
        let operators = shown.body["operators"].as_array().expect("operators");
        let distance = operators.iter().find(|operator| operator["name"] == "distance").expect("distance");
        assert_eq!(text(distance, "kind"), "transform");
        assert!(distance["config_schema"]["properties"]["to"].is_object(), "{distance:#}");
    }

    problem(&server.delete("/v1/plugins/geo"), 400, "/problems/bad-request", "name the version");
    assert_eq!(server.delete("/v1/plugins/geo@0.1.0").status, 204);
    problem(&server.delete("/v1/plugins/geo@0.1.0"), 404, "/problems/not-found", "geo");
    problem(&server.get("/v1/plugins/geo"), 404, "/problems/not-found", "geo");
    assert_eq!(server.get("/v1/plugins").body, json!([]));
}

#[test]
fn a_plugin_outlives_the_server() {
    let (dir, server) = server_with(&["geo"]);
    let before = server.get("/v1/plugins").body;
    server.stop();
    let server = Server::start(&dir.path().join("data"));
    assert_eq!(server.get("/v1/plugins").body, before);
}

#[test]
fn a_plugin_in_use_is_not_deleted() {
    let (dir, server) = server_with(&["json"]);
    server.deploy(&json!({
        "name": "picker",
        "sources": { "lines": lines_file(dir.path(), "in.txt", "{\"n\":1}\n") },
        "steps": { "picked": { "from": "lines", "wasm": "json/pick@0.1",
            "config": { "column": "value", "fields": [{ "name": "n", "type": "int64" }] } } },
        "sinks": { "out": table_sink(dir.path(), "out", "picked") },
    }));
    problem(&server.delete("/v1/plugins/json@0.1.0"), 409, "/problems/in-use", "picker");
    assert_eq!(server.delete("/v1/pipelines/picker?purge=true").status, 204);
    assert_eq!(server.delete("/v1/plugins/json@0.1.0").status, 204);
}

#[test]
fn a_version_keeps_its_bytes() {
    let (_dir, server) = server_with(&["geo"]);
    let mut other = fs::read(plugin("geo")).expect("the component");
    // A custom section at the end of a component changes its bytes and nothing else.
    other.extend([0, 3, 1, b'x', b'y']);
    let answer = server.send("/v1/plugins", &[("content-type", "application/wasm")], &other);
    problem(&answer, 409, "/problems/version-taken", "geo@0.1.0 exists with other bytes");
}

#[test]
fn what_is_no_plugin_is_refused_with_the_reason() {
    let (_dir, server) = server_with(&[]);
    let upload = |bytes: &[u8]| server.send("/v1/plugins", &[("content-type", "application/wasm")], bytes);
    let refused = |answer: Answer, words: &str| problem(&answer, 422, "/problems/invalid-plugin", words);
    refused(upload(b""), "this is no WebAssembly");
    refused(upload(b"#!/bin/sh\necho I am a plugin\n"), "this is no WebAssembly");
    let whole = fs::read(plugin("geo")).expect("the component");
    refused(upload(&whole[..whole.len() / 2]), "does not compile");
    for (artefact, words) in [
        (
            "not-a-component",
            "core WebAssembly module, a plugin is a component; build it for the target wasm32-wasip2",
        ),
        ("no-contract", "does not export millstream:plugin/catalog@0.1.0, so it is no plugin"),
        ("wrong-version", "this host speaks millstream:plugin@0.1.0; build the plugin again"),
        ("unknown-import", "the plugin imports `acme:secrets/vault@1.0.0`, which no plugin gets"),
        ("wrong-types", "no operators"),
        ("describe-trap", "the plugin cannot describe itself: the plugin trapped"),
        ("describe-loop", "the plugin cannot describe itself: the plugin did not answer within"),
        ("describe-dangling", "the plugin cannot describe itself"),
    ] {
        let path = millstream_tests::folder().join(format!("guests/artefacts/{artefact}.wat"));
        refused(upload(&wat::parse_file(path).expect("an artefact is WebAssembly text")), words);
    }
    assert_eq!(server.get("/v1/plugins").body, json!([]), "nothing of it was kept");
}

#[test]
fn a_plugin_that_is_too_large_is_refused() {
    let (_dir, server) = server_with(&[]);
    let answer = server.announce("/v1/plugins", "application/wasm", (64 << 20) + 1);
    problem(&answer, 413, "/problems/too-large", "67108864 bytes");
}

#[test]
fn an_operators_config_is_checked_at_deployment() {
    let (dir, server) = server_with(&["text", "json", "hostile"]);
    let errors = |wasm: &str, config: serde_json::Value| {
        spec_errors(&server.post(
            "/v1/pipelines/validate",
            &json!({
                "name": "p",
                "sources": { "lines": lines_file(dir.path(), "in.txt", "") },
                "steps": { "step": { "from": "lines", "wasm": wasm, "config": config } },
                "sinks": { "out": table_sink(dir.path(), "out", "step") },
            }),
        ))
    };
    for (wasm, config, path, words) in [
        ("text/split-words@0.1", json!({}), "steps.step.config", "column"),
        (
            "text/split-words@0.1",
            json!({ "column": "value", "lowercase": "yes" }),
            "steps.step.config",
            "lowercase",
        ),
        ("text/split-words@0.1", json!({ "column": "line" }), "steps.step.config", "`line`"),
        (
            "text/split-words@0.1",
            json!({ "column": "value", "lowercas": true }),
            "steps.step.config",
            "lowercas",
        ),
        (
            "text/regex-extract@0.1",
            json!({ "column": "value", "pattern": "(" }),
            "steps.step.config",
            "config.pattern",
        ),
        (
            "json/pick@0.1",
            json!({ "column": "value", "fields": [{ "name": "n", "type": "number" }] }),
            "steps.step.config",
            "fields",
        ),
        (
            "hostile/open-error@0.1",
            json!({}),
            "steps.step.config",
            "config.when: this operator refuses every config",
        ),
        ("hostile/open-trap@0.1", json!({}), "steps.step.wasm", "opening failed on purpose"),
        ("hostile/open-loop@0.1", json!({}), "steps.step.wasm", "did not answer within"),
        ("hostile/open-unknown-type@0.1", json!({}), "steps.step.wasm", "vendor:quaternion"),
        ("hostile/open-duplicate-column@0.1", json!({}), "steps.step.wasm", "value"),
        ("text/split-word@0.1", json!({ "column": "value" }), "steps.step.wasm", "split-words"),
        ("text/split-words@9", json!({ "column": "value" }), "steps.step.wasm", "0.1.0"),
        ("txt/split-words@0.1", json!({}), "steps.step.wasm", "`text`"),
        (
            "split-words",
            json!({}),
            "steps.step.wasm",
            "`split-words` names no operator: write `plugin/operator` or `plugin/operator@1`",
        ),
    ] {
        let found = errors(wasm, config);
        let right = |error: &String| error.starts_with(path) && error.contains(words);
        assert!(found.iter().any(right), "{wasm} with {path} and {words}: {found:?}");
    }
    assert_eq!(server.get("/v1/pipelines").body, json!([]), "validating deploys nothing");
}

fn problem(answer: &Answer, status: u16, kind: &str, words: &str) {
    assert_eq!((answer.status, text(&answer.body, "type")), (status, kind), "{answer:?}");
    assert!(text(&answer.body, "detail").contains(words), "{answer:?}");
}
