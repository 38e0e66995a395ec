//! Parts of requests, read so that every refusal is a problem document; and answers in JSON.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{BAD_REQUEST, CONTENT_TYPE, Problem};
use crate::document::{self, DOCUMENT_BYTES_MAX, Syntax};

/// JSON on a line that ends: a terminal's next prompt begins on its own.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(mut line) => {
                line.push(b'\n');
                ([(header::CONTENT_TYPE, "application/json")], line).into_response()
            }
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}

/// An answer in JSON.
pub(super) type Answer<T> = Result<Json<T>, Problem>;

/// The names in the path.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(segments) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|refused| Problem::new(BAD_REQUEST, refused.body_text()))?;
        Ok(Self(segments))
    }
}

/// What is behind the question mark; an unknown key is an error.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|refused| Problem::new(BAD_REQUEST, refused.body_text()))?;
        Ok(Self(params))
    }
}

/// Reads a body of at most `bytes_max`. A compressed one is refused: taken as it is, it would become
/// records that nobody sent.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let coding = text(headers, &header::CONTENT_ENCODING).unwrap_or_default().trim();
    if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
        let detail = format!("bodies with `Content-Encoding: {coding}` are not read here: send it as it is");
        return Err(Problem::new(CONTENT_TYPE, detail));
    }
    let announced = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(Problem::too_large(bytes_max));
    }
    let mut stream = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| Problem::new(BAD_REQUEST, format!("the body broke off: {error}")))?;
        if whole.len() + part.len() > bytes_max {
            return Err(Problem::too_large(bytes_max));
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}

/// Reads a JSON or YAML document.
pub(super) async fn read_document(headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    let content_type = text(headers, &header::CONTENT_TYPE);
    let Some(syntax) = Syntax::of_content_type(content_type) else {
        let found = content_type.unwrap_or_default();
        let detail = format!("`{found}` is not read here: send application/json or application/yaml");
        return Err(Problem::new(CONTENT_TYPE, detail));
    };
    let bytes = read_body(headers, body, DOCUMENT_BYTES_MAX).await?;
    Ok(document::read(&bytes, syntax)?)
}

/// A header that is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
