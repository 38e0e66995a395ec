//! A language's example component, run by the command line.

use std::path::{Path, PathBuf};

use millstream_tests::{Said, command_with_input};

/// The component that `millstream plugin build` made of `plugins/examples/<language>`.
pub(crate) struct Component {
    pub(crate) path: PathBuf,
    language: String,
}

/// The folder of all languages' examples.
pub(crate) fn examples() -> PathBuf {
    millstream_tests::folder().join("../plugins/examples")
}

impl Component {
    pub(crate) fn of(language: &str) -> Self {
        let folder = examples().join(language).join("build");
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let components: Vec<PathBuf> = files.filter(|path| is_component(path)).collect();
        match components.as_slice() {
            [path] => Self { path: path.clone(), language: language.to_owned() },
            found => panic!("{} holds {found:?}, not one component: run `make examples`", folder.display()),
        }
    }

    /// An operator, as a pipeline names it.
    pub(crate) fn operator(&self, name: &str) -> String {
        format!("examples-{}/{name}@0.1", self.language)
    }

    /// Pipes rows through an operator.
    pub(crate) fn run(&self, operator: &str, arguments: &[&str], input: &str) -> Said {
        let component = format!("{}#{operator}", self.path.display());
        command_with_input(&[&["plugin", "run", &component], arguments].concat(), input)
    }
}

/// Kits that go by a core module leave it beside the component.
fn is_component(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".wasm") && !name.ends_with(".core.wasm")
}
