//! Asks a server.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::error::CliError;

/// Long enough for a plugin to compile and a pipeline to stop; a server that is gone refuses at once.
const ANSWER: Duration = Duration::from_secs(300);

/// Answers are lists of at most a thousand documents.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A server, and the token to show it.
pub(super) struct Client {
    agent: Agent,
    server: String,
    token: Option<String>,
}

/// What is sent with a request.
pub(super) struct Sent<'a> {
    pub(super) content_type: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) idempotency_key: Option<&'a str>,
}

impl Client {
    pub(super) fn new(server: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_recv_response(Some(ANSWER))
            .build();
        Self { agent: config.into(), server: server.trim_end_matches('/').to_owned(), token }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, CliError> {
        let request = self.authorized(self.agent.get(self.url(path)));
        self.answer(request.call())
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), CliError> {
        let request = self.authorized(self.agent.delete(self.url(path)));
        self.answer(request.call()).map(|_| ())
    }

    pub(super) fn post(&self, path: &str, sent: &Sent<'_>) -> Result<Value, CliError> {
        self.send(self.agent.post(self.url(path)), sent)
    }

    pub(super) fn put(&self, path: &str, sent: &Sent<'_>) -> Result<Value, CliError> {
        self.send(self.agent.put(self.url(path)), sent)
    }

    /// Calls `each` for every server-sent event until the server ends them.
    pub(super) fn events(
        &self,
        path: &str,
        mut each: impl FnMut(&str, &str) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let request = self.authorized(self.agent.get(self.url(path)));
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return self.answer(Ok(response)).map(|_| ());
        }
        let mut event = String::new();
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let line = line.map_err(|error| CliError::Failed(format!("the server broke off: {error}")))?;
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut event);
            } else if let Some(data) = line.strip_prefix("data: ") {
                each(&event, data)?;
            }
        }
        Ok(())
    }

    fn send(
        &self,
        request: ureq::RequestBuilder<ureq::typestate::WithBody>,
        sent: &Sent<'_>,
    ) -> Result<Value, CliError> {
        let request = self.authorized(request).header("Content-Type", sent.content_type);
        let request = match sent.idempotency_key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        self.answer(request.send(sent.bytes))
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    fn answer(&self, response: Result<Response<Body>, ureq::Error>) -> Result<Value, CliError> {
        let response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        let reader = response.into_body().into_reader();
        reader
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| CliError::Failed(format!("the server broke off: {error}")))?;
        let document = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
        match document {
            Ok(document) if status.is_success() => Ok(document),
            Ok(problem) if problem.get("title").is_some() => Err(CliError::Problem(problem)),
            _ => Err(CliError::Failed(format!(
                "{} answered {status}: is it a millstream server?",
                self.server
            ))),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        let server = &self.server;
        CliError::Failed(format!(
            "the server {server} cannot be reached: {error}; start one with `millstream serve`, or name it with --server"
        ))
    }
}

/// Makes a name safe in a path.
pub(super) fn segment(name: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~@".contains(&c);
    name.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        assert_eq!(segment("text@1.0.0-rc.1"), "text@1.0.0-rc.1");
        assert_eq!(segment("../a b?ä"), "..%2Fa%20b%3F%C3%A4");
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let error = Client::new("http://127.0.0.1:1/", None).get("/v1/plugins").unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:1 cannot be reached"), "{error}");
    }
}
