//! Real HTTP over loopback against a whole server; what needs a running engine is tested with the
//! whole system.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use ureq::http::{HeaderMap, Request};

use super::openapi::openapi_document;
use super::routes::ROUTES;
use crate::config::{Access, Config};
use crate::data_dir::DataDir;
use crate::registry::tests::{Described, component};
use crate::server::{Server, StartError};
use crate::station::Station;

struct Fixture {
    server: Server,
    dir: tempfile::TempDir,
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
    text: String,
}

impl Fixture {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = start(&dir, Access::ByAddress).await.unwrap();
        Self { server, dir }
    }

    async fn with_token(token: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        {
            let data = DataDir::lock(dir.path()).unwrap();
            let station = Station::with(data, Arc::new(Described), Handle::current()).unwrap();
            station.catalog.add_token("test", &Sha256::digest(token.as_bytes())).unwrap();
        }
        let server = start(&dir, Access::Token).await.unwrap();
        Self { server, dir }
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answered {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.server.address()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        spawn_blocking(move || {
            let config =
                ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
            let agent: ureq::Agent = config.build().into();
            let mut response = agent.run(request).unwrap();
            let text = response.body_mut().read_to_string().unwrap();
            Answered {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: serde_json::from_str(&text).unwrap_or_default(),
                text,
            }
        })
        .await
        .unwrap()
    }

    async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, &[], "").await
    }

    async fn upload(&self, bytes: Vec<u8>) -> Answered {
        self.ask("POST", "/v1/plugins", &[("content-type", "application/wasm")], bytes).await
    }
}

async fn start(dir: &tempfile::TempDir, access: Access) -> Result<Server, StartError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let data = DataDir::lock(dir.path()).unwrap();
    let station = Station::with(data, Arc::new(Described), Handle::current()).unwrap();
    let config =
        Config { access, plugin_bytes_max: 64 << 10, ingest_bytes_max: 1 << 10, ..Config::new(dir.path()) };
    Server::with(station, &config, listener, address)
}

fn is_problem(answered: &Answered, status: u16, kind: &str) {
    assert_eq!(answered.status, status, "{}", answered.text);
    assert_eq!(answered.headers["content-type"], "application/problem+json");
    assert_eq!(answered.body["type"], format!("/problems/{kind}"), "{}", answered.text);
    assert_eq!(answered.body["status"], status);
    for key in ["title", "detail"] {
        assert!(answered.body[key].as_str().is_some_and(|text| !text.is_empty()), "{}", answered.text);
    }
}

#[test]
fn every_route_is_in_the_openapi_document_and_nothing_else() {
    let document = openapi_document();
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push((path.clone(), method.clone()));
        }
    }
    let mut routed: Vec<(String, String)> =
        ROUTES.iter().map(|(path, method)| ((*path).to_owned(), (*method).to_owned())).collect();
    described.sort();
    routed.sort();
    assert_eq!(described, routed);
}

#[test]
fn every_operation_of_the_document_tells_of_problems_and_every_reference_leads_somewhere() {
    let document = openapi_document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_go_in_and_out() {
    let fixture = Fixture::open().await;
    let first = fixture.upload(component("text", "1.0.0", "x")).await;
    assert_eq!((first.status, &first.body["created"]), (201, &json!(true)));
    assert_eq!(fixture.upload(component("text", "1.0.0", "x")).await.status, 200);
    is_problem(&fixture.upload(component("text", "1.0.0", "y")).await, 409, "version-taken");
    is_problem(&fixture.upload(b"nonsense".to_vec()).await, 422, "invalid-plugin");
    let listed = fixture.get("/v1/plugins").await.body;
    assert_eq!(listed[0]["operators"][0]["name"], "split-words");
    assert_eq!(listed[0]["imports"], json!(["wasi:clocks"]));
    assert_eq!(fixture.get("/v1/plugins/text@1").await.body["version"], "1.0.0");
    let unknown = fixture.get("/v1/plugins/txt").await;
    is_problem(&unknown, 404, "not-found");
    assert!(unknown.body["detail"].as_str().unwrap().contains("did you mean `text`"));
    is_problem(&fixture.ask("DELETE", "/v1/plugins/text", &[], "").await, 400, "bad-request");
    assert_eq!(fixture.ask("DELETE", "/v1/plugins/text@1.0.0", &[], "").await.status, 204);
    assert_eq!(fixture.get("/v1/plugins").await.body, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_problem_document() {
    let fixture = Fixture::open().await;
    is_problem(&fixture.get("/v1/nothing").await, 404, "not-found");
    is_problem(&fixture.ask("PUT", "/v1/plugins", &[], "").await, 405, "method-not-allowed");
    is_problem(&fixture.upload(vec![0; (64 << 10) + 1]).await, 413, "too-large");
    is_problem(
        &fixture.ask("POST", "/v1/plugins", &[("content-type", "text/plain")], "x").await,
        415,
        "content-type",
    );
    let post = |body: &'static str, kind: &'static str| {
        let fixture = &fixture;
        async move { fixture.ask("POST", "/v1/pipelines", &[("content-type", kind)], body).await }
    };
    is_problem(&post("{", "application/json").await, 400, "bad-request");
    let twice = post("name: a\nname: b\n", "application/yaml").await;
    is_problem(&twice, 400, "bad-request");
    assert!(twice.body["detail"].as_str().unwrap().starts_with("line 2, column 1"), "{}", twice.text);
    is_problem(&post("x", "text/html").await, 415, "content-type");
    is_problem(&fixture.get("/v1/pipelines/p/progress?limt=3").await, 400, "bad-request");
    is_problem(&fixture.get("/v1/pipelines/p/dead-letters/abc").await, 400, "bad-request");
    is_problem(&fixture.get("/v1/pipelines/p").await, 404, "not-found");
    is_problem(&fixture.get("/v1/pipelines/p/tap/x").await, 404, "not-found");
    is_problem(&fixture.ask("POST", "/v1/streams/none", &[], "x").await, 404, "not-found");
    is_problem(&fixture.ask("POST", "/v1/streams/none", &[], vec![0; 2 << 10]).await, 413, "too-large");
    let long = "k".repeat(256);
    is_problem(
        &fixture.ask("POST", "/v1/streams/s", &[("idempotency-key", &long)], "x").await,
        400,
        "bad-request",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_spec_has_the_path_of_each_error() {
    let fixture = Fixture::open().await;
    let spec = "name: words\nsources:\n  lines: { type: file, path: x }\nsinks: {}\nsteps:\n  a: { from: lines, filtre: x }\n";
    for (method, path) in
        [("POST", "/v1/pipelines"), ("POST", "/v1/pipelines/validate"), ("PUT", "/v1/pipelines/words")]
    {
        let wrong = fixture.ask(method, path, &[("content-type", "application/yaml")], spec).await;
        is_problem(&wrong, 422, "invalid-spec");
        let error = &wrong.body["errors"][0];
        assert!(error["path"].as_str().unwrap().starts_with("steps.a"), "{}", wrong.text);
        assert!(error["message"].as_str().unwrap().contains("filter"), "{}", wrong.text);
    }
    let other =
        fixture.ask("PUT", "/v1/pipelines/other", &[("content-type", "application/yaml")], spec).await;
    is_problem(&other, 400, "bad-request");
    assert_eq!(fixture.get("/v1/pipelines").await.body, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_get_health_numbers_and_schemas() {
    let fixture = Fixture::open().await;
    assert_eq!(fixture.get("/healthz").await.body["status"], "ok");
    let mut ready = fixture.get("/readyz").await;
    while ready.status == 503 {
        ready = fixture.get("/readyz").await;
    }
    assert_eq!(ready.status, 200);
    let metrics = fixture.get("/metrics").await;
    assert!(metrics.text.contains("millstream_pipelines{state=\"running\"} 0"), "{}", metrics.text);
    assert!(metrics.text.contains("route=\"/healthz\""), "{}", metrics.text);
    assert!(fixture.get("/openapi.json").await.body["paths"]["/v1/plugins"]["post"].is_object());
    assert!(fixture.get("/v1/spec-schema").await.body["properties"]["sources"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_has_a_request_id() {
    let fixture = Fixture::open().await;
    let (one, two) = (fixture.get("/healthz").await, fixture.get("/nothing").await);
    assert_ne!(one.headers["x-request-id"], two.headers["x-request-id"]);
    let own = fixture.ask("GET", "/healthz", &[("x-request-id", "mine-7")], "").await;
    assert_eq!(own.headers["x-request-id"], "mine-7");
    let hostile = fixture.ask("GET", "/healthz", &[("x-request-id", "a b\"c")], "").await;
    assert_ne!(hostile.headers["x-request-id"], "a b\"c");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused() {
    let fixture = Fixture::open().await;
    let own = format!("http://{}", fixture.server.address());
    let upload = |headers: Vec<(&'static str, String)>| {
        let fixture = &fixture;
        async move {
            let mut all = vec![("content-type", "application/wasm")];
            all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            fixture.ask("POST", "/v1/plugins", &all, component("text", "1.0.0", "x")).await
        }
    };
    is_problem(&upload(vec![("origin", "http://evil.example".into())]).await, 403, "forbidden-origin");
    is_problem(&upload(vec![("origin", "null".into())]).await, 403, "forbidden-origin");
    is_problem(&upload(vec![("host", "evil.example".into())]).await, 403, "forbidden-host");
    is_problem(
        &fixture.ask("GET", "/v1/plugins", &[("host", "evil.example:7070")], "").await,
        403,
        "forbidden-host",
    );
    assert_eq!(upload(vec![("origin", own)]).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_bearers_of_a_token_are_answered_where_one_is_needed() {
    let fixture = Fixture::with_token("mst_right").await;
    let none = fixture.get("/v1/plugins").await;
    is_problem(&none, 401, "unauthorized");
    assert_eq!(none.headers["www-authenticate"], "Bearer");
    for wrong in ["Bearer mst_wrong", "Bearer ", "Basic mst_right", "mst_right"] {
        is_problem(
            &fixture.ask("GET", "/v1/plugins", &[("authorization", wrong)], "").await,
            401,
            "unauthorized",
        );
    }
    let right = fixture.ask("GET", "/v1/plugins", &[("authorization", "Bearer mst_right")], "").await;
    assert_eq!(right.status, 200);
    is_problem(&fixture.get("/metrics").await, 401, "unauthorized");
    assert_eq!(fixture.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_starts_where_one_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let Err(error) = start(&dir, Access::Token).await else { panic!("it started") };
    assert!(error.to_string().contains("millstream token create"), "{error}");
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let Err(error) = Server::start(Config::new(dir.path()), listener).await else { panic!("it started") };
    assert!(matches!(error, StartError::NoToken { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stopped_gives_its_folder_back_and_its_successor_knows_everything() {
    let fixture = Fixture::open().await;
    fixture.upload(component("text", "1.0.0", "x")).await;
    let refused = DataDir::lock(fixture.dir.path()).unwrap_err().to_string();
    assert!(refused.contains("in use by process"), "{refused}");
    let Fixture { server, dir } = fixture;
    server.stop().await;
    let server = start(&dir, Access::ByAddress).await.unwrap();
    let again = Fixture { server, dir };
    assert_eq!(again.get("/v1/plugins").await.body[0]["name"], "text");
}

#[tokio::test]
async fn every_json_answer_ends_its_line() {
    let fixture = Fixture::open().await;
    for path in ["/healthz", "/v1/pipelines", "/v1/plugins", "/v1/spec-schema", "/openapi.json", "/nowhere"] {
        let answered = fixture.ask("GET", path, &[], "").await;
        assert!(
            answered.text.ends_with("}\n") || answered.text.ends_with("]\n"),
            "{path}: {}",
            answered.text
        );
        assert!(!answered.text.ends_with("\n\n"), "{path}");
        assert!(answered.headers["content-type"].to_str().unwrap().contains("json"), "{path}");
    }
    fixture.server.stop().await;
}
