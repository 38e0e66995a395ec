//! What a project's manifest says of the build. Manifests in TOML are read by line: a parser for one key would be the
//! larger part of this.

use std::fs;
use std::path::Path;

use crate::cli::error::CliError;

/// A text in a section of a manifest, where it is written as `key = "text"` on a line of its own.
pub(super) fn entry(manifest: &Path, section: &str, key: &str) -> Result<Option<String>, CliError> {
    let text = fs::read_to_string(manifest)
        .map_err(|error| CliError::Failed(format!("{}: {error}", manifest.display())))?;
    let header = format!("[{section}]");
    let inside = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let mut values = inside.take_while(|line| !line.starts_with('[')).filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    Ok(values.next())
}
