//! The one place that gives errors a status: RFC 9457 problem documents.

use std::fmt::Display;

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use millstream_engine::journal::Refused;
use millstream_engine::pipeline::SpecError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::CatalogError;
use crate::connectors::PushRefused;
use crate::document::DocumentError;
use crate::registry::RegistryError;
use crate::supervisor::SupervisorError;

/// What is wrong with a request, or why it could not be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A stable name of the kind of problem.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The kind in words.
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What happened here, and what to do.
    pub(crate) detail: String,
    /// Each error of a spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<PathError>,
}

/// One error of a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PathError {
    /// Path of the key, with dots.
    pub(crate) path: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// A client whose data is not taken now should come back after so many seconds: about the time in
/// which a pipeline that keeps up works off a full journal's edge.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A kind of problem: type, title, status.
pub(super) struct Kind(&'static str, &'static str, StatusCode);

macro_rules! kinds {
    ($($name:ident = $code:literal, $title:literal, $status:ident;)+) => {
        $(pub(super) const $name: Kind = Kind(concat!("/problems/", $code), $title, StatusCode::$status);)+
    };
}

kinds! {
    BAD_REQUEST = "bad-request", "The request cannot be read", BAD_REQUEST;
    UNAUTHORIZED = "unauthorized", "A token is needed", UNAUTHORIZED;
    FORBIDDEN_HOST = "forbidden-host", "The Host header is not this server's", FORBIDDEN;
    FORBIDDEN_ORIGIN = "forbidden-origin", "The request comes from another site", FORBIDDEN;
    NOT_FOUND = "not-found", "There is no such thing", NOT_FOUND;
    METHOD_NOT_ALLOWED = "method-not-allowed", "The path has no such method", METHOD_NOT_ALLOWED;
    EXISTS = "exists", "The name is taken", CONFLICT;
    VERSION_TAKEN = "version-taken", "The version is taken", CONFLICT;
    IN_USE = "in-use", "It is in use", CONFLICT;
    NOT_RUNNING = "not-running", "The pipeline does not run", CONFLICT;
    HAS_DATA = "has-data", "The pipeline has data", CONFLICT;
    KEY_REUSED = "key-reused", "The key was used for another body", CONFLICT;
    TOO_LARGE = "too-large", "The body is too large", PAYLOAD_TOO_LARGE;
    CONTENT_TYPE = "content-type", "The content type is not known here", UNSUPPORTED_MEDIA_TYPE;
    INVALID_SPEC = "invalid-spec", "The spec is wrong", UNPROCESSABLE_ENTITY;
    INVALID_PLUGIN = "invalid-plugin", "The bytes are no plugin", UNPROCESSABLE_ENTITY;
    FULL = "full", "No more can be taken now", TOO_MANY_REQUESTS;
    CLOSING = "closing", "The pipeline is stopping", SERVICE_UNAVAILABLE;
    NOT_READY = "not-ready", "The pipeline is not ready", SERVICE_UNAVAILABLE;
    JOURNAL = "journal", "The journal cannot be written", SERVICE_UNAVAILABLE;
    NO_ROOM = "no-room", "The disk is full", INSUFFICIENT_STORAGE;
    STARTING = "starting", "The server is starting", SERVICE_UNAVAILABLE;
    INTERNAL = "internal", "The server could not do it", INTERNAL_SERVER_ERROR;
}

impl Problem {
    /// A problem of a kind.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let Kind(kind, title, status) = kind;
        Self { kind, title, status: status.as_u16(), detail: detail.into(), errors: Vec::new() }
    }

    /// The log gets the cause, the client gets it in words too: it is its owner's machine.
    pub(super) fn internal(cause: &dyn Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(INTERNAL, cause.to_string())
    }

    pub(super) fn too_large(bytes_max: usize) -> Self {
        Self::new(TOO_LARGE, format!("the body is over the limit of {bytes_max} bytes"))
    }

    fn spec(errors: Vec<SpecError>) -> Self {
        let detail = SupervisorError::Invalid(errors.clone()).to_string();
        let errors = errors.into_iter().map(|e| PathError { path: e.path, message: e.message }).collect();
        Self { errors, ..Self::new(INVALID_SPEC, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = serde_json::to_vec(&self).unwrap_or_default();
        body.push(b'\n');
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        Self::internal(&error)
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let kind = match &error {
            RegistryError::Invalid(_) => INVALID_PLUGIN,
            RegistryError::VersionTaken { .. } => VERSION_TAKEN,
            RegistryError::Unknown(_) => NOT_FOUND,
            RegistryError::InUse { .. } => IN_USE,
            RegistryError::Catalog(cause) => return Self::internal(cause),
        };
        Self::new(kind, error.to_string())
    }
}

impl From<SupervisorError> for Problem {
    fn from(error: SupervisorError) -> Self {
        let kind = match error {
            SupervisorError::Invalid(errors) => return Self::spec(errors),
            SupervisorError::Unknown(_) => NOT_FOUND,
            SupervisorError::Exists(_) => EXISTS,
            SupervisorError::BadRequest(_) => BAD_REQUEST,
            SupervisorError::NotRunning(_) => NOT_RUNNING,
            SupervisorError::HasData(_) => HAS_DATA,
            SupervisorError::Catalog(_) | SupervisorError::Data(_) | SupervisorError::Engine(_) => {
                return Self::internal(&error);
            }
        };
        Self::new(kind, error.to_string())
    }
}

impl From<PushRefused> for Problem {
    fn from(refused: PushRefused) -> Self {
        let kind = match &refused {
            PushRefused::Unknown(_) => NOT_FOUND,
            PushRefused::ContentType(_) => CONTENT_TYPE,
            PushRefused::Malformed(_) => BAD_REQUEST,
            PushRefused::Refused(Refused::Full) => FULL,
            PushRefused::Refused(Refused::KeyReused) => KEY_REUSED,
            PushRefused::Refused(Refused::Closed) => CLOSING,
            // Neither is the request's fault, and the journal has logged the cause.
            PushRefused::Refused(Refused::NoRoom(_)) => NO_ROOM,
            PushRefused::Refused(Refused::Failed(_)) => JOURNAL,
        };
        Self::new(kind, refused.to_string())
    }
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        Self::new(BAD_REQUEST, error.to_string())
    }
}

/// Answers a path that is none.
pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(NOT_FOUND, format!("there is no {}; /openapi.json lists all paths", uri.path()))
}

/// Answers a method that a path does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        METHOD_NOT_ALLOWED,
        format!("{} has no {method}; /openapi.json lists what it has", uri.path()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_cannot_take_a_body_says_when_to_come_back() {
        for (refused, status, comes_back) in [
            (Refused::Full, 429, true),
            (Refused::NoRoom("/data: full".into()), 507, false),
            (Refused::Failed("/data: I/O error".into()), 503, true),
            (Refused::Closed, 503, true),
        ] {
            let response = Problem::from(PushRefused::Refused(refused.clone())).into_response();
            assert_eq!(response.status(), status, "{refused}");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), comes_back, "{refused}");
        }
    }
}
