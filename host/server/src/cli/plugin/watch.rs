//! Does something again whenever a file of a project changes. Files are looked at a few times a second: a project has
//! few of them, and that works on every file system.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::cli::error::CliError;
use crate::cli::output::Output;

/// From one look to the next.
const A_LOOK: Duration = Duration::from_millis(250);
/// Folders that tools write, or that are no work of the author's.
const NOT_LOOKED_AT: [&str; 6] = ["build", "dist", "kit", "node_modules", "target", "__pycache__"];

/// Length and time of each file.
type Seen = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Acts now and after every change, until the process is interrupted. What goes wrong is told, and the next change is
/// waited for: that is what somebody works on.
pub(super) fn watch(
    project: &Path,
    output: &mut Output,
    mut act: impl FnMut(&mut Output) -> Result<(), CliError>,
) -> Result<(), CliError> {
    loop {
        let before = look(project);
        match act(output) {
            Err(CliError::Reader) => return Err(CliError::Reader),
            Err(CliError::Said(_)) | Ok(()) => {}
            Err(error) => output.error(&error),
        }
        output.note(&format!("watching {}", project.display()));
        wait_for_change(project, before);
    }
}

/// Until files are others than before, and stay as they are for a moment: an editor writes several.
fn wait_for_change(project: &Path, before: Seen) {
    let mut last = before.clone();
    loop {
        thread::sleep(A_LOOK);
        let now = look(project);
        if now != before && now == last {
            return;
        }
        last = now;
    }
}

fn look(project: &Path) -> Seen {
    let mut seen = Seen::new();
    collect(project, &mut seen);
    seen
}

/// What cannot be read is as good as not there: it may be on its way to another name.
fn collect(folder: &Path, seen: &mut Seen) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(metadata) = entry.metadata() else { continue };
        if name.starts_with('.') || (metadata.is_dir() && NOT_LOOKED_AT.contains(&name.as_str())) {
            continue;
        }
        if metadata.is_dir() {
            collect(&entry.path(), seen);
        } else {
            seen.insert(entry.path(), (metadata.len(), metadata.modified().ok()));
        }
    }
}
