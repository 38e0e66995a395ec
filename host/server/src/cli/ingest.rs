//! `millstream ingest`.

use std::io::Read;
use std::path::Path;

use super::args::Ingest;
use super::client::{Client, Sent, segment};
use super::error::CliError;
use super::output::Output;

pub(super) fn ingest(args: &Ingest, client: &Client, output: &mut Output) -> Result<(), CliError> {
    let bytes = read(&args.file)?;
    let sent = Sent {
        content_type: args.content_type.as_deref().unwrap_or("application/octet-stream"),
        bytes: &bytes,
        idempotency_key: args.idempotency_key.as_deref(),
    };
    let taken = client.post(&format!("/v1/streams/{}", segment(&args.stream)), &sent)?;
    let how = if taken["duplicate"] == true { "was there" } else { "taken" };
    output.done(&format!("{how} at offset {}", taken["offset"]), &taken)
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let fails =
        |error: std::io::Error| CliError::Failed(format!("{} cannot be read: {error}", file.display()));
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(fails)?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(fails)
}
