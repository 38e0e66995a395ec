//! A plugin's project: a folder with sources, `cases/` and, once it was built, `build/NAME.wasm`.

use std::path::{Path, PathBuf};

use super::build::components;
use crate::cli::error::CliError;

/// The component of a project: the one that was built.
pub(super) fn built(project: &Path) -> Result<PathBuf, CliError> {
    let build = project.join("build");
    let found = components(&build);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(CliError::Failed(format!(
            "{}: there is no component: run `millstream plugin build {}`, or name one with --component",
            build.display(),
            project.display()
        ))),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(CliError::Failed(format!(
                "there are several components: name one with --component ({})",
                names.join(", ")
            )))
        }
    }
}
