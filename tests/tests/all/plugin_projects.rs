//! `millstream plugin new`, `build` and `wit`: from nothing to a component.

use std::fs;
use std::path::Path;
use std::process::Command;

use millstream_tests::{Said, command, command_in, folder, target};

use crate::plugin_tools::{project, tools};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn new(dir: &Path, name: &str, arguments: &[&str]) -> Said {
    let path = dir.join(name).display().to_string();
    command(&[&["plugin", "new", &path], arguments].concat())
}

#[test]
fn the_contract_is_printed_or_written() {
    let said = command(&["plugin", "wit"]);
    assert!(said.out.starts_with("package millstream:plugin@0.1.0;\n"), "{said:?}");
    assert!(said.out.contains("world plugin {") && said.out.matches("package ").count() == 1, "{said:?}");
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().join("deps/millstream");
    let said = command(&["plugin", "wit", &place.display().to_string()]);
    assert!(said.ok, "{said:?}");
    let names = |dir: &Path| -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let contract = folder().join("../wit");
    assert_eq!(names(&place), names(&contract));
    for name in names(&contract) {
        assert_eq!(text(&place.join(&name)), text(&contract.join(&name)));
    }
}

/// A new project is built offline, from what the workspace has fetched, in a folder that later runs find warm.
#[test]
fn a_new_rust_project_builds_and_passes_its_cases() {
    let dir = tempfile::tempdir().expect("a folder");
    let warm = target().join("new-plugins").display().to_string();
    let lock = folder().join("../Cargo.lock");
    let repository = folder().join("../guest-sdk/rust").display().to_string();
    let environment = [("CARGO_TARGET_DIR", warm.as_str()), ("CARGO_NET_OFFLINE", "true")];
    for (kind, operator, arguments) in [
        ("transform", "convert (transform)", &[][..]),
        ("aggregate", "share (aggregate)", &["--kit", repository.as_str()]),
        ("keyed", "silent (keyed)", &["--kit", repository.as_str()]),
    ] {
        let name = format!("new-{kind}");
        let said = new(dir.path(), &name, &[&["--lang", "rust", "--kind", kind], arguments].concat());
        assert!(said.ok, "{said:?}");
        let project = dir.path().join(&name);
        assert!(text(&project.join("README.md")).contains("millstream plugin test"));
        assert!(!text(&project.join("Cargo.toml")).contains("{{"), "every placeholder is filled");
        assert_eq!(project.join("kit/wit/worlds.wit").exists(), kind == "transform");
        fs::copy(&lock, project.join("Cargo.lock")).unwrap();
        let place = project.display().to_string();
        let said = command_in(&environment, &["plugin", "build", &place]);
        let expected = format!("{place}/build/{name}.wasm: {name}@0.1.0, {operator}, ");
        assert!(said.ok && said.out.starts_with(&expected), "{said:?}");
        let said = command(&["plugin", "test", &place]);
        assert!(said.ok && said.out.ends_with("1 passed, 0 failed\n"), "{said:?}");
        if kind != "transform" {
            continue;
        }
        // The kit's own test runner, once: the kit takes its time to compile.
        let native = Command::new(env!("CARGO"))
            .args(["test", "--quiet", "--lib"])
            .current_dir(&project)
            .envs(environment)
            .output()
            .expect("cargo runs");
        assert!(native.status.success(), "{}", String::from_utf8_lossy(&native.stdout));
    }
}

#[test]
fn nothing_is_written_where_something_is() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("shop")).unwrap();
    assert!(new(dir.path(), "shop", &["--lang", "python"]).ok, "an empty folder is as good as none");
    let said = new(dir.path(), "shop", &["--lang", "python"]);
    assert!(said.err.contains("shop is there and not empty: nothing was written"), "{said:?}");
    for name in ["Shop", "2shop", "shop_2"] {
        let said = new(dir.path(), name, &["--lang", "rust"]);
        assert!(said.err.contains(&format!("`{name}` cannot be a plugin's name")), "{said:?}");
        assert!(!dir.path().join(name).exists());
    }
    let said = new(dir.path(), "other", &["--lang", "rust", "--kit", "/nowhere"]);
    assert!(said.err.contains("/nowhere: "), "{said:?}");
    let said = new(dir.path(), "other", &["--lang", "cobol"]);
    assert_eq!(said.status, Some(2), "{said:?}");
}

#[test]
fn a_folder_without_a_manifest_is_no_project() {
    let dir = project("README.md", "");
    let said = command(&["plugin", "build", &dir.path().display().to_string()]);
    assert!(
        said.err.contains("is no plugin's project: it has none of Cargo.toml, pyproject.toml"),
        "{said:?}"
    );
}

#[test]
fn a_rust_project_may_name_its_profile() {
    let named = "[package]\n[package.metadata.millstream]\nprofile = \"plugin\"\n";
    for (manifest, profile) in [(named, "plugin"), ("[package]\n", "release")] {
        let dir = project("Cargo.toml", manifest);
        let path = tools(dir.path(), &[("cargo", "exit 1"), ("rustc", "echo /")]);
        let said = command_in(&[("PATH", &path)], &["plugin", "build", &dir.path().display().to_string()]);
        let words = format!("`cargo build --profile {profile} --target wasm32-wasip2` failed: see above");
        assert!(said.err.contains(&words), "{said:?}");
    }
}

#[test]
fn a_python_project_says_which_file_is_the_plugin() {
    let dir = project(
        "pyproject.toml",
        "[tool.other]\nmodule = \"x.py\"\n[tool.millstream]\nmodule = \"shop.py\"\n",
    );
    let said = command(&["plugin", "build", &dir.path().display().to_string()]);
    assert!(said.err.contains("pyproject.toml: there is no shop.py: name the plugin's file"), "{said:?}");
}

#[test]
fn core_modules_become_components_without_further_tools() {
    let module = wat::parse_file(folder().join("guests/artefacts/core-plugin.wat")).expect("an artefact");
    for (manifest, programs) in [
        ("Makefile", &[("make", "cp module build/other-name.core.wasm"), ("clang-19", "")][..]),
        ("go.mod", &[("go", "test \"$GOOS\" = wasip1\ncp module build/.made")]),
    ] {
        let dir = project(manifest, "");
        fs::write(dir.path().join("module"), &module).unwrap();
        let path = tools(dir.path(), programs);
        let place = dir.path().display().to_string();
        let said = command_in(&[("PATH", &path)], &["plugin", "build", &place]);
        assert!(said.ok, "{said:?}");
        let expected = format!("{place}/build/core.wasm: core@0.1.0, refuse (transform), ");
        assert!(said.out.starts_with(&expected), "{said:?}");
        // It is a plugin like any other.
        fs::create_dir(dir.path().join("cases")).unwrap();
        fs::write(dir.path().join("cases/refused.in.ndjson"), "{\"a\":1}\n").unwrap();
        fs::write(dir.path().join("cases/refused.yaml"), "error: not today\n").unwrap();
        let said = command(&["plugin", "test", &place]);
        assert_eq!(said.out, "ok      refused\n1 passed, 0 failed\n", "{said:?}");
    }
}

#[test]
fn what_was_built_and_is_no_plugin_leaves_the_component_of_before() {
    let dir = project("Makefile", "");
    fs::create_dir(dir.path().join("build")).unwrap();
    fs::write(dir.path().join("build/shop.wasm"), "of before").unwrap();
    fs::write(dir.path().join("module"), b"\0asm\x01\0\0\0").unwrap();
    let path = tools(dir.path(), &[("make", "cp module build/shop.core.wasm"), ("clang-19", "")]);
    let said = command_in(&[("PATH", &path)], &["plugin", "build", &dir.path().display().to_string()]);
    assert!(said.err.contains("build/shop.core.wasm: the module exports no operators"), "{said:?}");
    assert_eq!(text(&dir.path().join("build/shop.wasm")), "of before");
    let path_failing =
        tools(&dir.path().join("build"), &[("make", "echo no rule; exit 2"), ("clang-19", "")]);
    let said =
        command_in(&[("PATH", &path_failing)], &["plugin", "build", &dir.path().display().to_string()]);
    assert!(said.err.contains("no rule\n") && said.err.contains("`make` failed: see above"), "{said:?}");
}
