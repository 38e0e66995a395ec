//! The real binary as a child process: started on a free port, spoken to over REST, stopped by its
//! own process id.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::wait::eventually;

/// The folder that cargo builds into: the test binary stands in `<target>/release/deps`.
///
/// # Panics
/// When the test stands elsewhere.
#[must_use]
pub fn target() -> PathBuf {
    let me = std::env::current_exe().expect("a test knows where it is");
    let up = me.ancestors().nth(3).expect("tests run from target/release/deps");
    up.to_owned()
}

/// The `millstream` binary under test.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn binary() -> PathBuf {
    let path = target().join("release/millstream");
    assert!(path.exists(), "{} is missing: run `make build`", path.display());
    path
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Its data folder.
    pub dir: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, as JSON where it is JSON, else as a JSON string.
    pub body: Value,
}

impl Server {
    /// Starts a server on `dir` and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// The same with further arguments of `serve`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(dir: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "json", "--data-dir"])
            .arg(dir)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        thread::spawn({
            let log = Arc::clone(&log);
            move || stderr.lines().map_while(Result::ok).for_each(|line| log.lock().unwrap().push(line))
        });
        let mut server = Self { child, url: String::new(), dir: dir.to_owned(), log };
        let address = eventually("the server's address", || {
            if let Ok(Some(status)) = server.child.try_wait() {
                panic!("the server ended with {status}: {}", server.log().join("\n"));
            }
            server.log().iter().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                let found = line["address"].as_str().or_else(|| line["fields"]["address"].as_str());
                found.map(str::to_owned)
            })
        });
        server.url = format!("http://{address}");
        server
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines it has logged so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Ends it as a power failure would: at once, wherever it is.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it was running");
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it does not end with success.
    pub fn stop(mut self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let status = eventually("the server's end", || self.child.try_wait().expect("it is ours"));
        assert!(status.success(), "{status}: {}", self.log().join("\n"));
    }

    /// GET.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        answer(agent().get(self.at(path)).call())
    }

    /// GET with headers.
    #[must_use]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = agent().get(self.at(path));
        answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call())
    }

    /// POST with a spec in YAML.
    #[must_use]
    pub fn post_yaml(&self, path: &str, spec: &str) -> Answer {
        self.send(path, &[("content-type", "application/yaml")], spec.as_bytes())
    }

    /// Dead letters of a pipeline, the oldest first.
    ///
    /// # Panics
    /// When there is no such pipeline.
    #[must_use]
    pub fn dead_letters(&self, pipeline: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v1/pipelines/{pipeline}/dead-letters?limit=1000"));
        answer.body.as_array().cloned().unwrap_or_else(|| panic!("{answer:?}"))
    }

    /// POST with a JSON body.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        answer(agent().post(self.at(path)).send_json(body))
    }

    /// PUT with a JSON body.
    #[must_use]
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        answer(agent().put(self.at(path)).send_json(body))
    }

    /// DELETE.
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        answer(agent().delete(self.at(path)).call())
    }

    /// POST with any body and headers.
    #[must_use]
    pub fn send(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(path, headers, body).expect("the server answers")
    }

    /// The same, where the server may be gone.
    ///
    /// # Errors
    /// When there was no answer.
    pub fn try_send(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, ureq::Error> {
        let request = headers
            .iter()
            .fold(agent().post(self.at(path)), |request, (name, value)| request.header(*name, *value));
        request.send(body).map(|response| answer(Ok(response)))
    }

    /// Any method with a body that may be no JSON.
    #[must_use]
    pub fn send_as(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(self.at(path))
            .header("content-type", "application/json");
        answer(agent().run(request.body(body).expect("a request")))
    }

    /// POST of which only the head is sent: what is too large is refused before it comes.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn announce(&self, path: &str, content_type: &str, length: usize) -> Answer {
        let address = self.url.strip_prefix("http://").expect("the address");
        let mut socket = TcpStream::connect(address).expect("the server listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("an answer");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        Answer { status, headers: BTreeMap::new(), body }
    }

    /// Uploads a component.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn upload(&self, component: &Path) -> Answer {
        let bytes = std::fs::read(component).expect("the component can be read");
        self.send("/v1/plugins", &[("content-type", "application/wasm")], &bytes)
    }

    /// Deploys a pipeline that must be accepted.
    ///
    /// # Panics
    /// When it is refused.
    pub fn deploy(&self, spec: &Value) {
        let answer = self.post("/v1/pipelines", spec);
        assert!(answer.status < 300, "{answer:?}");
    }

    /// Waits until a pipeline is in one of `states`; gives its document.
    ///
    /// # Panics
    /// When it fails instead, or never gets there.
    #[must_use]
    pub fn wait_for(&self, pipeline: &str, states: &[&str]) -> Value {
        eventually(&format!("{pipeline} to be {states:?}"), || {
            let body = self.get(&format!("/v1/pipelines/{pipeline}")).body;
            let state = body["state"]["state"]
                .as_str()
                .or_else(|| body["state"].as_str())
                .unwrap_or_default()
                .to_owned();
            assert!(state != "failed" || states.contains(&"failed"), "{body:#}");
            states.contains(&state.as_str()).then_some(body)
        })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build())
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = response.expect("the server answers");
    let status = response.status().as_u16();
    let pairs = response.headers().iter();
    let text_of = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = pairs.map(|(name, value)| (name.to_string(), text_of(value))).collect();
    let text = response.body_mut().read_to_string().expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}
