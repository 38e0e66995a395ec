//! Packs the kits, the contract and the templates into one compressed file, which `millstream plugin new` unpacks: an
//! author needs nothing but the program. And keeps the program small.

#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// What tools leave behind, and tests that only the kit itself needs.
const LEFT_OUT: [&str; 10] = [
    "target",
    "node_modules",
    "dist",
    "dist-test",
    "build",
    "tests",
    "test",
    "__pycache__",
    "Cargo.lock",
    "generate.sh",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../..");
    let mut files = BTreeMap::new();
    for folder in ["guest-sdk", "wit"] {
        collect(&root, Path::new(folder), &mut files)?;
    }
    println!("cargo:rerun-if-changed={}", root.join("Cargo.toml").display());
    fold_identical_code();
    let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    if let Some(manifest) = files.get_mut("guest-sdk/rust/Cargo.toml") {
        *manifest = standalone(&String::from_utf8_lossy(manifest), &workspace).into_bytes();
    }
    let path = Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("kits.deflate");
    let mut packed = DeflateEncoder::new(File::create(path)?, Compression::best());
    for (name, bytes) in files {
        for part in [name.as_bytes(), &bytes] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            packed.write_all(&length.to_le_bytes())?;
            packed.write_all(part)?;
        }
    }
    packed.finish().map(drop)
}

/// Functions that are the same, instruction by instruction, are linked once: 1.9 of 61.4 MB, mostly of generic code. Nothing
/// here tells functions apart by their addresses, but where SQLite does, equal code means the same to it. Only Rust's own
/// linker for this target is known to have the option.
fn fold_identical_code() {
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}

/// All files below a folder, by their paths from the root with `/`.
fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", root.join(folder).display());
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let (name, kind) = (entry.file_name().to_string_lossy().into_owned(), entry.file_type()?);
        let path = folder.join(&name);
        // A template may well have tests: only its own folders of output are left out.
        let is_left_out = LEFT_OUT.contains(&name.as_str()) && !path.starts_with("guest-sdk/templates");
        if name.starts_with('.') || is_left_out {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            files.insert(path.to_string_lossy().into_owned(), fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// The manifest of the Rust kit outside of its workspace: what it inherits is written out; tests and lints stay here.
fn standalone(manifest: &str, workspace: &str) -> String {
    let mut text = String::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if matches!(section, "[dev-dependencies]" | "[lints]") {
            continue;
        }
        let inherited = line.strip_suffix(".workspace = true").and_then(|key| {
            let from =
                if section == "[package]" { "[workspace.package]" } else { "[workspace.dependencies]" };
            let lines = workspace.lines().skip_while(|line| *line != from).skip(1);
            let mut own = lines.take_while(|line| !line.starts_with('['));
            own.find(|line| line.split('=').next().is_some_and(|name| name.trim() == key))
        });
        text.push_str(inherited.unwrap_or(line));
        text.push('\n');
    }
    text
}
