//! `millstream plugin new`, as a newcomer goes on from there: what it writes builds, passes its golden cases and its own
//! unit tests. Rust's templates are built in the suite `all`, offline.

use std::path::{Path, PathBuf};
use std::process::Command;

use millstream_tests::{Said, command, command_in};

macro_rules! languages {
    ($($language:ident),*) => {$(
        mod $language {
            #[test]
            fn a_new_transform_builds_and_passes_its_tests() {
                super::project(stringify!($language), "transform");
            }

            #[test]
            fn a_new_aggregate_builds_and_passes_its_tests() {
                super::project(stringify!($language), "aggregate");
            }

            #[test]
            fn a_new_keyed_operator_builds_and_passes_its_tests() {
                super::project(stringify!($language), "keyed");
            }
        }
    )*};
}

languages!(python, typescript, go, c, cpp, zig);

/// What a language needs before the first build, and how its unit tests are run: as the README of a new project says.
struct Ways {
    install: &'static [&'static str],
    test: &'static [&'static str],
}

fn ways(language: &str) -> Ways {
    match language {
        "python" => Ways {
            install: &["python3 -m venv .venv", ".venv/bin/pip install -q './kit/guest-sdk/python[build]'"],
            test: &[".venv/bin/python -m unittest discover -s tests"],
        },
        "typescript" => Ways { install: &[], test: &["npm test"] },
        "go" => Ways { install: &[], test: &["go test ./..."] },
        _ => Ways { install: &[], test: &["make test"] },
    }
}

fn project(language: &str, kind: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let name = format!("new-{kind}");
    let project = dir.path().join(&name);
    let place = project.display().to_string();
    let (path, ways) = (path(), ways(language));
    assert_ok(&command(&["plugin", "new", &place, "--lang", language, "--kind", kind]));
    for line in ways.install {
        run(line, &project, &path);
    }
    let built = command_in(&[("PATH", &path)], &["plugin", "build", &place]);
    assert_ok(&built);
    assert!(built.out.starts_with(&format!("{place}/build/{name}.wasm: {name}@0.1.0, ")), "{built:?}");
    assert!(built.out.contains(&format!(" ({kind}), ")), "{built:?}");
    let cases = command(&["plugin", "test", &place]);
    assert!(cases.ok && cases.out.ends_with("1 passed, 0 failed\n"), "{cases:?}");
    for line in ways.test {
        run(line, &project, &path);
    }
}

/// The path, with what `scripts/toolchains.sh` has installed before it.
fn path() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let home = PathBuf::from(variable("HOME").expect("a home"));
    let cache = variable("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let tools = variable("MILLSTREAM_TOOLS").map_or_else(|| cache.join("millstream/tools"), PathBuf::from);
    format!("{}:{}", tools.join("python/bin").display(), variable("PATH").expect("a path"))
}

/// Runs a line of a README.
fn run(line: &str, project: &Path, path: &str) {
    let shell = Command::new("sh").args(["-c", line]).current_dir(project).env("PATH", path).output();
    assert_ok(&shell.expect("a shell runs").into());
}

fn assert_ok(said: &Said) {
    assert!(said.ok, "{}{}", said.out, said.err);
}
