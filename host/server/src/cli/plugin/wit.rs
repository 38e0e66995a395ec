//! `millstream plugin wit`: the contract, for whoever writes a kit or a plugin without one.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::contract;

pub(super) fn wit(dir: Option<&Path>, output: &mut Output) -> Result<(), CliError> {
    let Some(dir) = dir else { return output.text(&contract::document()) };
    let at = |path: &Path, error: &std::io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    fs::create_dir_all(dir).map_err(|error| at(dir, &error))?;
    for (name, text) in contract::FILES {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| at(&path, &error))?;
    }
    let names: Vec<&str> = contract::FILES.iter().map(|(name, _)| *name).collect();
    output.done(&format!("written to {}: {}", dir.display(), names.join(", ")), &json!({ "written": names }))
}
