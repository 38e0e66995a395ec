//! `millstream plugin new`: a project that builds, with an operator, its tests and the kit.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;

use super::args::{Kind, Lang, NewArgs};
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::kits::{self, PackedFile};

/// Bytes of a plugin's name, as the host has it.
const NAME_BYTES_MAX: usize = 64;

pub(super) fn new(args: &NewArgs, output: &mut Output) -> Result<(), CliError> {
    let name = args.name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    check_name(&name)?;
    let project = &args.name;
    check_empty(project)?;
    let files = kits::files().map_err(|error| CliError::Failed(format!("the templates: {error}")))?;
    let kit = match &args.kit {
        // With ./ because Go and pip take it for a name otherwise.
        None => format!("./kit/{}", args.lang.kit()),
        Some(given) => given_kit(given)?,
    };
    let template = Template { name: &name, kit: &kit };
    let written = template.write(project, args.lang, args.kind, &files)?;
    let with_kit = args.kit.is_none();
    if with_kit {
        write_kit(project, args.lang, &files)?;
    }
    let dir = project.display();
    let sentence = format!(
        "{dir}: {} files{}. Next:\n  cd {dir}\n  millstream plugin build\n  millstream plugin test",
        written.len(),
        if with_kit { " and the kit" } else { "" }
    );
    output.done(&sentence, &json!({ "project": project, "name": name, "files": written }))
}

/// What hosts accept, and what every language's own tools do, too.
fn check_name(name: &str) -> Result<(), CliError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_plain) && !name.ends_with('-') {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "`{name}` cannot be a plugin's name: 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens, a letter first"
    )))
}

fn check_empty(project: &Path) -> Result<(), CliError> {
    let is_empty = match fs::read_dir(project) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(at(project, &error)),
    };
    if is_empty {
        return Ok(());
    }
    Err(CliError::Failed(format!("{} is there and not empty: nothing was written", project.display())))
}

fn given_kit(given: &Path) -> Result<String, CliError> {
    // Projects are built from wherever they are: only a whole path leads to the kit from there.
    let whole = fs::canonicalize(given).map_err(|error| at(given, &error))?;
    if whole.is_dir() {
        Ok(whole.display().to_string())
    } else {
        Err(at(given, &io::ErrorKind::NotADirectory.into()))
    }
}

struct Template<'a> {
    name: &'a str,
    kit: &'a str,
}

impl Template<'_> {
    fn write(
        &self,
        project: &Path,
        lang: Lang,
        kind: Kind,
        files: &[PackedFile],
    ) -> Result<Vec<String>, CliError> {
        let mut written = Vec::new();
        let (lang, kind) = (lang.word(), kind.word());
        let own = format!("guest-sdk/templates/{lang}/{kind}/");
        if !files.iter().any(|file| file.path.starts_with(&own)) {
            return Err(CliError::Failed(format!("this program has no template for {kind} in {lang}")));
        }
        let sources = [
            (format!("{lang}/common"), ""),
            (format!("{lang}/{kind}"), ""),
            (format!("cases/{kind}"), "cases/"),
        ];
        for (folder, into) in sources {
            let prefix = format!("guest-sdk/templates/{folder}/");
            for file in files {
                let Some(inside) = file.path.strip_prefix(&prefix) else { continue };
                let inside = format!("{into}{}", with_dots(inside));
                let text = self.fill(&String::from_utf8_lossy(&file.bytes));
                write(&project.join(&inside), text.as_bytes())?;
                written.push(inside);
            }
        }
        written.sort();
        written.dedup();
        Ok(written)
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{{name}}", self.name).replace("{{kit}}", self.kit)
    }
}

/// A file that begins with a dot is called `dot-…` among the templates, where it would mean something itself.
fn with_dots(path: &str) -> String {
    let parts = path.split('/');
    let parts =
        parts.map(|part| part.strip_prefix("dot-").map_or(part.to_owned(), |rest| format!(".{rest}")));
    parts.collect::<Vec<_>>().join("/")
}

/// The kit as a small checkout, so that its own paths lead where they should.
fn write_kit(project: &Path, lang: Lang, files: &[PackedFile]) -> Result<(), CliError> {
    let folders = lang.folders().iter().map(|folder| format!("guest-sdk/{folder}/"));
    let folders: Vec<String> = folders.chain(["wit/".to_owned()]).collect();
    let wanted = files.iter().filter(|file| folders.iter().any(|folder| file.path.starts_with(folder)));
    wanted.into_iter().try_for_each(|file| write(&project.join("kit").join(&file.path), &file.bytes))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|error| at(dir, &error))?;
    fs::write(path, bytes).map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &io::Error) -> CliError {
    CliError::Failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_language_has_a_template_of_every_kind_with_cases() {
        let files = kits::files().unwrap();
        for lang in Lang::value_variants() {
            for kind in Kind::value_variants() {
                let dir = tempfile::tempdir().unwrap();
                let kit = lang.kit();
                let template = Template { name: "dot-shop", kit: &kit };
                let written = template.write(dir.path(), *lang, *kind, &files).unwrap();
                for file in [".gitignore", "README.md"] {
                    assert!(written.iter().any(|path| path == file), "{lang:?} {kind:?} {file}: {written:?}");
                }
                assert!(
                    written.iter().any(|path| path.starts_with("cases/") && path.ends_with(".in.ndjson"))
                );
                for file in written {
                    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
                    assert!(!text.contains("{{name}}") && !text.contains("kit}}"), "{lang:?} {file}");
                }
            }
        }
    }

    #[test]
    fn names_are_those_that_hosts_and_tools_accept() {
        for name in ["a", "shop", "shop-2", "a1-b2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "Shop", "2shop", "-shop", "shop-", "sh op", "shöp", "shop_2", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
