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
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{PackageName, Resolve};

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
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let mut packed =
        DeflateEncoder::new(File::create(Path::new(&out).join("kits.deflate"))?, Compression::best());
    for (name, bytes) in files {
        for part in [name.as_bytes(), &bytes] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            packed.write_all(&length.to_le_bytes())?;
            packed.write_all(part)?;
        }
    }
    packed.finish()?;
    component_types(&root.join("wit"), Path::new(&out))
}

/// For each choice of kinds of operators the section that tells a component's type, for core modules whose compiler did
/// not write one. Encoded here, so that the program needs no parser of WIT: that is 0.3 MB.
fn component_types(wit: &Path, out: &Path) -> io::Result<()> {
    const KINDS: [&str; 3] = ["transform", "aggregate", "keyed"];
    // An empty module; what comes behind it is the section.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    for choice in 1..1 << KINDS.len() {
        let mut resolve = Resolve::default();
        let (contract, _) = resolve.push_dir(wit).map_err(io::Error::other)?;
        let name = &resolve.packages[contract].name;
        let chosen = KINDS.iter().enumerate().filter(|(bit, _)| choice & 1 << bit != 0);
        let includes: String = chosen
            .map(|(_, kind)| format!("include millstream:plugin/{kind}-plugin@{};", version(name)))
            .collect();
        let built = resolve
            .push_str("built.wit", &format!("package millstream:built;\nworld built {{ {includes} }}\n"))
            .map_err(io::Error::other)?;
        let world = resolve.select_world(&[built], Some("built")).map_err(io::Error::other)?;
        let mut module = MODULE.to_vec();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .map_err(io::Error::other)?;
        fs::write(out.join(format!("component-type-{choice}.bin")), &module[MODULE.len()..])?;
    }
    Ok(())
}

fn version(name: &PackageName) -> String {
    name.version.as_ref().map(ToString::to_string).unwrap_or_default()
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

/// All files below a folder, by their paths from the root with `/`. Whether nothing there was left out: only such a folder is
/// watched as a whole, so that what tools leave behind changes nothing.
fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<bool> {
    let mut is_whole = true;
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        // A template may well have tests.
        let is_left_out = LEFT_OUT.contains(&name.as_str()) && !path.starts_with("guest-sdk/templates");
        if name.starts_with('.') || is_left_out {
            is_whole = false;
            continue;
        }
        // Through links: a kit has the contract as one, and a project gets it as files.
        if fs::metadata(entry.path())?.is_dir() {
            is_whole &= collect(root, &path, files)?;
        } else {
            println!("cargo:rerun-if-changed={}", entry.path().display());
            files.insert(path.to_string_lossy().into_owned(), fs::read(entry.path())?);
        }
    }
    if is_whole {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
    }
    Ok(is_whole)
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
