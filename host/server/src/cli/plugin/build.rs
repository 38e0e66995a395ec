//! `millstream plugin build`: the language's own tools, then a component that was loaded once, whatever the language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::component::component;
use super::manifest::entry;
use super::toolchain::{self, Language};
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::trial::Workbench;

/// Where tools that ask for it write what they make: it has no name of its own before it was looked at.
const MADE: &str = "build/.made";

/// Builds a project and says what came of it; answers with the component's file.
pub(super) fn build(project: &Path, output: &mut Output) -> Result<PathBuf, CliError> {
    let made = make(project)?;
    let bytes = fs::read(&made).map_err(|error| at(&made, error))?;
    let bytes = component(bytes).map_err(|why| at(&made, why))?;
    if made == project.join(MADE) {
        fs::remove_file(&made).map_err(|error| at(&made, error))?;
    }
    let (file, workbench) = place(project, &bytes)?;
    let description = workbench.plugin().description();
    let operators: Vec<Value> = description
        .operators
        .iter()
        .map(|operator| json!({ "name": operator.name, "kind": operator.kind.to_string() }))
        .collect();
    let names: Vec<String> = description
        .operators
        .iter()
        .map(|operator| format!("{} ({})", operator.name, operator.kind))
        .collect();
    let sentence = format!(
        "{}: {}@{}, {}, {} KiB",
        file.display(),
        description.name,
        description.version,
        names.join(", "),
        bytes.len().div_ceil(1024)
    );
    let document = json!({
        "file": file, "name": description.name, "version": description.version, "operators": operators,
        "size_bytes": bytes.len(),
    });
    output.done(&sentence, &document)?;
    Ok(file)
}

/// Puts a component into `build/` under its own name, once it was loaded: what is there can be used.
fn place(project: &Path, bytes: &[u8]) -> Result<(PathBuf, Workbench), CliError> {
    let build = project.join("build");
    fs::create_dir_all(&build).map_err(|error| at(&build, error))?;
    // Not called .wasm before it is whole.
    let unchecked = build.join(".unchecked");
    fs::write(&unchecked, bytes).map_err(|error| at(&unchecked, error))?;
    let workbench = Workbench::load(&unchecked).map_err(|error| {
        let why = error.0.replace(&format!("{}: ", unchecked.display()), "");
        CliError::Failed(format!("what was built is no plugin: {why}"))
    })?;
    let file = build.join(format!("{}.wasm", workbench.plugin().description().name));
    for stale in components(&build).into_iter().filter(|stale| *stale != file) {
        fs::remove_file(&stale).map_err(|error| at(&stale, error))?;
    }
    fs::rename(&unchecked, &file).map_err(|error| at(&file, error))?;
    Ok((file, workbench))
}

/// Runs the language's tools; answers with the component or core module that they left.
fn make(project: &Path) -> Result<PathBuf, CliError> {
    match Language::of(project)? {
        Language::Rust => rust(project),
        Language::Python => python(project),
        Language::TypeScript => typescript(project),
        Language::Go => go(project),
        Language::Make => c(project),
    }
}

fn rust(project: &Path) -> Result<PathBuf, CliError> {
    let cargo = toolchain::CARGO.find()?;
    toolchain::check_rust_target(project)?;
    // A member of a workspace has no profiles of its own.
    let profile = entry(&project.join("Cargo.toml"), "package.metadata.millstream", "profile")?;
    let profile = profile.as_deref().unwrap_or("release");
    let arguments = ["build", "--profile", profile, "--target", "wasm32-wasip2"];
    let mut command = Command::new(cargo);
    command.args(arguments).args(["--message-format", "json-render-diagnostics"]);
    command.current_dir(project).stderr(Stdio::inherit());
    let said = command.output().map_err(|error| failed("cargo", &error))?;
    if !said.status.success() {
        return Err(CliError::Failed(format!("`cargo {}` failed: see above", arguments.join(" "))));
    }
    // Where it went depends on the workspace and the environment; cargo says it.
    let messages = said.stdout.split(|byte| *byte == b'\n').rev();
    let mut files = messages.filter_map(|line| {
        let message: Value = serde_json::from_slice(line).ok()?;
        let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
        files.map(PathBuf::from).find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
    });
    files.next().ok_or_else(|| {
        CliError::Failed(
            "cargo made no .wasm file: Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`".to_owned(),
        )
    })
}

fn python(project: &Path) -> Result<PathBuf, CliError> {
    let module = python_module(project)?;
    let python = toolchain::python(project)?;
    run(project, &python, &["-m", "millstream.build", &module, "-o", MADE])?;
    Ok(project.join(MADE))
}

/// The file with the plugin: `[tool.millstream] module = "plugin.py"`, or `plugin.py`.
fn python_module(project: &Path) -> Result<String, CliError> {
    let manifest = project.join("pyproject.toml");
    let named = entry(&manifest, "tool.millstream", "module")?;
    let module = named.unwrap_or_else(|| "plugin.py".to_owned());
    if project.join(&module).is_file() {
        return Ok(module);
    }
    Err(at(
        &manifest,
        format!(
            "there is no {module}: name the plugin's file, as in\n  [tool.millstream]\n  module = \"shop.py\""
        ),
    ))
}

fn typescript(project: &Path) -> Result<PathBuf, CliError> {
    toolchain::NODE.find()?;
    let npm = toolchain::NPM.find()?;
    if !project.join("node_modules").is_dir() {
        // Not `ci`, which wants all of a package's optional parts, those for other systems too. This keeps to a lock
        // file as well.
        let is_locked = project.join("package-lock.json").is_file();
        let keep: &[&str] = if is_locked { &["--no-save"] } else { &[] };
        run(project, &npm, &[&["install", "--no-audit", "--no-fund"], keep].concat())?;
    }
    newest(project, || run(project, &npm, &["run", "--silent", "build"]))
}

fn go(project: &Path) -> Result<PathBuf, CliError> {
    let go = toolchain::GO.find()?;
    let mut command = Command::new(go);
    command.env("GOOS", "wasip1").env("GOARCH", "wasm").args([
        "build",
        "-buildmode=c-shared",
        // Neither symbols nor debug information: half of the module.
        "-ldflags=-s -w",
        "-o",
        MADE,
        ".",
    ]);
    finish(project, command, "go build")?;
    Ok(project.join(MADE))
}

fn c(project: &Path) -> Result<PathBuf, CliError> {
    let make = toolchain::MAKE.find()?;
    toolchain::check_c_compiler(project)?;
    run(project, &make, &[])?;
    let build = project.join("build");
    let modules: Vec<PathBuf> = wasm_files(&build).into_iter().filter(|file| is_core(file)).collect();
    match modules.as_slice() {
        [one] => Ok(one.clone()),
        _ => {
            Err(at(&build, format!("`make` left {} files NAME.core.wasm, and one is needed", modules.len())))
        }
    }
}

/// Runs a build that leaves a component in `build/` or beside the manifest, whatever it calls it.
fn newest(project: &Path, build: impl FnOnce() -> Result<(), CliError>) -> Result<PathBuf, CliError> {
    build()?;
    let places = [project.join("build"), project.to_owned()];
    let files = places.iter().flat_map(|place| components(place));
    let modified = |file: &PathBuf| {
        fs::metadata(file).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    files.max_by_key(modified).ok_or_else(|| {
        CliError::Failed("the build left no component: it must write build/NAME.wasm".to_owned())
    })
}

/// The components in a folder.
pub(super) fn components(folder: &Path) -> Vec<PathBuf> {
    wasm_files(folder).into_iter().filter(|file| !is_core(file)).collect()
}

fn is_core(file: &Path) -> bool {
    file.to_string_lossy().ends_with(".core.wasm")
}

fn wasm_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect();
    files.sort();
    files
}

fn run(project: &Path, program: &Path, arguments: &[&str]) -> Result<(), CliError> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let mut command = Command::new(program);
    command.args(arguments);
    finish(project, command, &[&name, arguments.join(" ").as_str()].join(" "))
}

/// Runs a tool to its end. What it says is no answer of ours: it goes to standard error.
fn finish(project: &Path, mut command: Command, name: &str) -> Result<(), CliError> {
    let build = project.join("build");
    fs::create_dir_all(&build).map_err(|error| at(&build, error))?;
    let status = command.current_dir(project).stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let status = status.map_err(|error| failed(name, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(CliError::Failed(format!("`{}` failed: see above", name.trim())))
    }
}

fn failed(name: &str, error: &std::io::Error) -> CliError {
    CliError::Failed(format!("`{name}` cannot be run: {error}"))
}

fn at(path: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::Failed(format!("{}: {error}", path.display()))
}
