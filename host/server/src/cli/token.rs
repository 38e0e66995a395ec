//! `millstream token`: works on the data directory, so that the first token needs no server; one
//! that runs takes changes at once.

use millstream_engine::clock::SystemClock;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::args::{Place, Token};
use super::error::CliError;
use super::output::Output;
use crate::catalog::Catalog;
use crate::data_dir::catalog_in;
use crate::random;

/// 32 random bytes: not to be guessed, and so a plain hash is enough to store.
const TOKEN_BYTES: usize = 32;

pub(super) fn token(command: &Token, output: &mut Output) -> Result<(), CliError> {
    match command {
        Token::Create { name, place } => {
            let token = format!("mst_{}", random::hex::<TOKEN_BYTES>().map_err(|error| failed(&error))?);
            let hash = Sha256::digest(token.as_bytes());
            if !open(place)?.add_token(name, &hash).map_err(|error| failed(&error))? {
                return Err(CliError::Failed(format!(
                    "a token `{name}` exists: revoke it first, or choose another name"
                )));
            }
            output.note("This token is shown once and not stored:");
            output.done(&token, &json!({ "name": name, "token": token }))
        }
        Token::List { place } => {
            let tokens = open(place)?.tokens().map_err(|error| failed(&error))?;
            let tokens: Vec<Value> = tokens
                .iter()
                .map(|token| json!({ "name": token.name, "created_at": rfc3339(token.created_at_us) }))
                .collect();
            output.list(&Value::Array(tokens), &[("name", "name"), ("created", "created_at")])
        }
        Token::Revoke { name, place } => {
            if !open(place)?.remove_token(name).map_err(|error| failed(&error))? {
                return Err(CliError::Failed(format!("there is no token `{name}`")));
            }
            output.done(&format!("revoked {name}"), &json!({ "revoked": name }))
        }
    }
}

fn open(place: &Place) -> Result<Catalog, CliError> {
    std::fs::create_dir_all(&place.data_dir).map_err(|error| failed(&error))?;
    Catalog::open(&catalog_in(&place.data_dir), SystemClock::shared()).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> CliError {
    CliError::Failed(error.to_string())
}

fn rfc3339(us: i64) -> String {
    chrono::DateTime::from_timestamp_micros(us).map(|time| time.to_rfc3339()).unwrap_or_default()
}
