//! The project's Rust files, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file of the project.
pub(crate) struct Source {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The lines that are code outside of tests: a `mod tests` ends what is looked at.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..end].lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Tests may do what the code must not.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/tests.rs", "/testing.rs", "tests/", "/benches/", "benches/"]
            .iter()
            .any(|part| self.path.contains(part) && (part.starts_with('/') || self.path.starts_with(part)))
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    millstream_tests::folder().parent().expect("the tests are a member of the workspace").to_owned()
}

/// All Rust files below `folder`, without what was built.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "no Rust file below {folder}");
    found
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            found.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
        }
    }
}
