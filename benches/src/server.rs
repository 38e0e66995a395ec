//! A server as a child process, spoken to over REST. It is killed when dropped.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Outcome;
use crate::clock::{now, poll};
use crate::process::{cpu_s, memory_mib};

/// Nothing that is measured takes so long.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running server.
pub(crate) struct Server {
    child: Child,
    url: String,
    agent: ureq::Agent,
    started: Instant,
    /// From the start of the process to the first answer that it is ready.
    pub(crate) ready_ms: f64,
}

/// What a pipeline took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PipelineCost {
    /// Seconds from its deployment to its end.
    pub(crate) wall_s: f64,
    /// The server's processor seconds meanwhile.
    pub(crate) cpu_s: f64,
}

impl Server {
    /// Starts a server on `dir` and waits until it is ready; its log is `dir`.log.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Outcome<Self> {
        // The port is free again when the listener is dropped; nobody else asks for it so soon.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::options().create(true).append(true).open(dir.with_extension("log"))?;
        let started = now();
        let child = Command::new(binary)
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(dir)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()?;
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent = ureq::Agent::new_with_config(config);
        let mut server = Self { child, url: format!("http://{address}"), agent, started, ready_ms: 0.0 };
        let ready = poll(Duration::from_millis(1), PATIENCE, || server.get("/readyz").ok());
        ready.ok_or_else(|| {
            format!("the server on {address} does not get ready: see {}.log", dir.display())
        })?;
        server.ready_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok(server)
    }

    /// GET that must succeed.
    pub(crate) fn get(&self, path: &str) -> Outcome<Value> {
        answer(path, self.agent.get(format!("{}{path}", self.url)).call()?)
    }

    /// POST of a JSON document that must succeed.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        answer(path, self.agent.post(format!("{}{path}", self.url)).send_json(body)?)
    }

    /// Uploads a component.
    pub(crate) fn upload(&self, component: &[u8]) -> Outcome<Value> {
        let request = self.agent.post(format!("{}/v1/plugins", self.url));
        answer("/v1/plugins", request.header("content-type", "application/wasm").send(component)?)
    }

    /// Server-sent events of a tap.
    pub(crate) fn tap(&self, pipeline: &str, entry: &str) -> Outcome<ureq::BodyReader<'static>> {
        let path = format!("{}/v1/pipelines/{pipeline}/tap/{entry}", self.url);
        Ok(self.agent.get(path).call()?.into_body().into_reader())
    }

    /// Deploys a pipeline and waits until `is_done` says so of its document; then stops it, outside
    /// of what is measured.
    pub(crate) fn measure(&self, spec: &Value, is_done: fn(&Value) -> bool) -> Outcome<PipelineCost> {
        let name = spec["name"].as_str().ok_or("a pipeline without a name")?;
        let (start, cpu_before) = (now(), cpu_s(self.pid()));
        self.post("/v1/pipelines", spec)?;
        self.wait_for(name, is_done)?;
        let cost =
            PipelineCost { wall_s: start.elapsed().as_secs_f64(), cpu_s: cpu_s(self.pid()) - cpu_before };
        self.post(&format!("/v1/pipelines/{name}/stop"), &Value::Null)?;
        Ok(cost)
    }

    /// Waits until `is_done` says so of a pipeline's document.
    pub(crate) fn wait_for(&self, pipeline: &str, is_done: fn(&Value) -> bool) -> Outcome<Value> {
        let path = format!("/v1/pipelines/{pipeline}");
        let found = poll(Duration::from_millis(10), PATIENCE, || match self.get(&path) {
            Ok(document) if document["state"] == "failed" => {
                Some(Err(format!("{pipeline} failed: {}", document["reason"])))
            }
            Ok(document) if is_done(&document) => Some(Ok(document)),
            Ok(_) => None,
            Err(error) => Some(Err(error.to_string())),
        });
        Ok(found.ok_or_else(|| format!("{pipeline} does not get on"))??)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Milliseconds since its process was started.
    pub(crate) fn age_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1000.0
    }

    /// Memory in MiB: `VmRSS:` now, `VmHWM:` the greatest so far.
    pub(crate) fn memory_mib(&self, line: &str) -> f64 {
        memory_mib(self.pid(), line).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `available-now` has read everything.
pub(crate) fn is_finished(document: &Value) -> bool {
    document["state"] == "finished"
}

/// What there was at the start is committed, and the pipeline waits for more.
pub(crate) fn has_no_backlog(document: &Value) -> bool {
    let progress = &document["progress"];
    let is_empty = |source: &Value| source["backlogBytes"] == 0;
    progress["sources"].as_array().is_some_and(|sources| !sources.is_empty() && sources.iter().all(is_empty))
}

/// The plugin `name`, built by `make plugins`.
pub(crate) fn plugin(target: &Path, name: &str) -> PathBuf {
    target.join(format!("wasm32-wasip2/plugin/{name}.wasm"))
}

fn answer(path: &str, mut response: ureq::http::Response<ureq::Body>) -> Outcome<Value> {
    let (status, text) = (response.status(), response.body_mut().read_to_string()?);
    if !status.is_success() {
        return Err(format!("{path}: {status}: {text}").into());
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
