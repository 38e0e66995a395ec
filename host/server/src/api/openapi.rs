//! What all operations of the OpenAPI document have in common.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};

use super::error::Problem;
use super::routes::Document;

/// The OpenAPI document of the server, as JSON.
#[must_use]
pub fn openapi_document() -> serde_json::Value {
    serde_json::to_value(Document::openapi()).unwrap_or_default()
}

/// Adds the problem document to every operation, and the bearer token.
pub(super) struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components.schemas.insert(Problem::name().into_owned(), Problem::schema());
        let mut nested = Vec::new();
        Problem::schemas(&mut nested);
        components.schemas.extend(nested);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        for item in document.paths.paths.values_mut() {
            for operation in
                [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
            {
                let content =
                    ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
                let problem = ResponseBuilder::new()
                    .description("What is wrong, as RFC 9457 has it")
                    .content("application/problem+json", content)
                    .build();
                operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
            }
        }
    }
}
