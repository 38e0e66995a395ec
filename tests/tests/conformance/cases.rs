//! The golden cases in `plugins/examples/cases`.

use std::fs;

use millstream_tests::command;

use crate::component::{Component, examples};

pub(crate) fn all_pass(component: &Component) {
    let names = fs::read_dir(examples().join("cases")).unwrap().flatten();
    let cases = names.filter(|entry| entry.path().to_string_lossy().ends_with(".in.ndjson")).count();
    assert!(cases > 0, "there are no cases");
    let folder = examples().display().to_string();
    let file = component.path.display().to_string();
    let said = command(&["plugin", "test", &folder, "--component", &file]);
    assert!(said.ok, "{}{}", said.out, said.err);
    let last = said.out.lines().last().unwrap_or_default();
    assert_eq!(last, format!("{cases} passed, 0 failed"), "{}", said.out);
}
