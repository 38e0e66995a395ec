//! Every file says what it is for, is short enough to read, and leaves nothing for later.

use crate::source::{Source, sources};

const FOLDERS: [&str; 5] = ["host", "guest-sdk", "plugins", "tests", "benches"];

/// Past this, tests apart and split by noun.
const LINES_MAX: usize = 500;

fn all() -> Vec<Source> {
    FOLDERS.iter().flat_map(|folder| sources(folder)).collect()
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let silent: Vec<_> = all()
        .into_iter()
        .filter(|source| {
            !source.text.starts_with("//!") && !source.is_test() && !source.path.ends_with("/tests.rs")
        })
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "without a header: {silent:?}");
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<_> = all()
        .into_iter()
        .map(|source| (source.text.lines().count(), source.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let marks = ["#[ign", "todo", "unimplemented", "TO", "FIX"].iter().zip(["ore", "!(", "!(", "DO", "ME"]);
    let marks: Vec<String> = marks.map(|(start, end)| format!("{start}{end}")).collect();
    let mut left = Vec::new();
    for source in all() {
        for (number, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                left.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(left.is_empty(), "left for later:\n{}", left.join("\n"));
}

#[test]
fn host_code_does_not_unwrap() {
    let mut found = Vec::new();
    for source in sources("host").into_iter().filter(|source| !source.is_test()) {
        let lines = source
            .code()
            .filter(|(_, line)| line.contains(".unwrap()") && !line.trim_start().starts_with("//"));
        found.extend(lines.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    assert!(found.is_empty(), "say why it cannot fail, or pass the error on:\n{}", found.join("\n"));
}
