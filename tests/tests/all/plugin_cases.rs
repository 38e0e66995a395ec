//! `millstream plugin test`: golden cases of a project.

use std::fs;
use std::path::Path;

use millstream_tests::{Said, command, plugin};
use tempfile::TempDir;

/// A project with these files in `cases/`.
fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("cases")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join("cases").join(name), text).unwrap();
    }
    dir
}

fn test(dir: &Path, name: &str, arguments: &[&str]) -> Said {
    let (dir, component) = (dir.display().to_string(), plugin(name).display().to_string());
    command(&[&["plugin", "test", &dir, "--component", &component], arguments].concat())
}

const WORDS: &str = "operator: split-words\nconfig: { column: line }\n";

#[test]
fn a_case_passes_when_all_rows_are_the_same_by_value() {
    let dir = project(&[
        ("mean.yaml", "operator: mean\nconfig: { column: x }\nkey: [k]\n"),
        ("mean.in.ndjson", "{\"k\":9007199254740993,\"x\":1}\n{\"k\":9007199254740993,\"x\":3}\n"),
        ("mean.out.ndjson", "{\"mean\":2,\"k\":9007199254740993}\n"),
    ]);
    let said = test(dir.path(), "stats", &[]);
    assert_eq!((said.status, said.out.as_str()), (Some(0), "ok      mean\n1 passed, 0 failed\n"), "{said:?}");
    // Beyond 2^53 a digit is a difference.
    fs::write(dir.path().join("cases/mean.out.ndjson"), "{\"mean\":2,\"k\":9007199254740992}\n").unwrap();
    let said = test(dir.path(), "stats", &[]);
    assert_eq!(said.status, Some(1), "{said:?}");
}

#[test]
fn a_case_that_fails_shows_where_rows_differ() {
    let dir = project(&[
        ("words.yaml", WORDS),
        ("words.in.ndjson", "{\"line\":\"a b c\"}\n"),
        ("words.out.ndjson", "{\"word\":\"a\"}\n{\"word\":\"x\"}\n{\"word\":\"c\"}\n"),
    ]);
    let said = test(dir.path(), "text", &[]);
    let expected = "FAILED  words\nwords.out.ndjson (- expected, + found):\n    1   {\"word\":\"a\"}\n    2 - {\"word\":\"x\"}\n      \
                    + {\"word\":\"b\"}\n    3   {\"word\":\"c\"}\n0 passed, 1 failed\n";
    assert_eq!((said.status, said.out.as_str()), (Some(1), expected), "{said:?}");
    let json = test(dir.path(), "text", &["--output", "json"]);
    let reports: serde_json::Value = serde_json::from_str(&json.out).expect("one document");
    assert_eq!(reports[0]["name"], "words");
}

#[test]
fn rows_that_cannot_be_used_must_be_expected() {
    let files = [
        ("pick.yaml", "operator: pick\nconfig: { column: doc, fields: [{ name: n, type: int64 }] }\n"),
        ("pick.in.ndjson", "{\"doc\":\"{\\\"n\\\":1}\"}\n{\"doc\":\"nothing\"}\n"),
        ("pick.out.ndjson", "{\"doc\":\"{\\\"n\\\":1}\",\"n\":1}\n"),
    ];
    let dir = project(&files);
    let said = test(dir.path(), "json", &[]);
    assert!(
        said.out.contains("pick.dead.ndjson (- expected, + found)") && said.out.contains("      + {\"row\":"),
        "{said:?}"
    );
    // What a line does not say is not asked for.
    fs::write(dir.path().join("cases/pick.dead.ndjson"), "{\"row\":{\"doc\":\"nothing\"}}\n").unwrap();
    let said = test(dir.path(), "json", &[]);
    assert_eq!(said.status, Some(0), "{said:?}");
    fs::write(
        dir.path().join("cases/pick.dead.ndjson"),
        "{\"row\":{\"doc\":\"nothing\"},\"reason\":\"other\"}\n",
    )
    .unwrap();
    assert_eq!(test(dir.path(), "json", &[]).status, Some(1));
}

#[test]
fn an_expected_error_must_come_with_its_words() {
    let dir = project(&[
        ("open.yaml", "operator: open-error\nerror: refuses every config\n"),
        ("open.in.ndjson", "{\"value\":\"x\"}\n"),
        ("call.yaml", "operator: trap\nconfig: { when: bad }\nerror: trapped\n"),
        ("call.in.ndjson", "{\"value\":\"bad\"}\n"),
        ("none.yaml", "operator: trap\nconfig: { when: bad }\nerror: trapped\n"),
        ("none.in.ndjson", "{\"value\":\"good\"}\n"),
        ("other.yaml", "operator: open-error\nerror: something else\n"),
        ("other.in.ndjson", "{\"value\":\"x\"}\n"),
    ]);
    let said = test(dir.path(), "hostile", &[]);
    assert!(said.out.starts_with("ok      call\nFAILED  none\n"), "{said:?}");
    assert!(said.out.contains("an error with `trapped` was expected, and there was none"), "{said:?}");
    assert!(said.out.contains("ok      open\nFAILED  other\n"), "{said:?}");
    assert!(said.out.contains("an error with `something else` was expected; there was: "), "{said:?}");
}

#[test]
fn bless_writes_what_comes_out_now() {
    let dir = project(&[
        ("pick.yaml", "operator: pick\nconfig: { column: doc, fields: [{ name: n, type: int64 }] }\n"),
        ("pick.in.ndjson", "{\"doc\":\"{\\\"n\\\":1}\"}\n{\"doc\":\"nothing\"}\n"),
    ]);
    let said = test(dir.path(), "json", &["--bless"]);
    assert!(said.ok && said.out.starts_with("written: "), "{said:?}");
    let read = |name: &str| fs::read_to_string(dir.path().join("cases").join(name)).unwrap();
    assert_eq!(read("pick.out.ndjson"), "{\"doc\":\"{\\\"n\\\":1}\",\"n\":1}\n");
    assert!(
        read("pick.dead.ndjson")
            .starts_with("{\"row\":{\"doc\":\"nothing\"},\"kind\":\"rejected\",\"reason\":\"")
    );
    assert_eq!(test(dir.path(), "json", &[]).status, Some(0));
    assert_eq!(test(dir.path(), "json", &["--bless"]).out, "nothing has changed\n");
    fs::write(dir.path().join("cases/pick.in.ndjson"), "{\"doc\":\"{\\\"n\\\":2}\"}\n").unwrap();
    assert!(test(dir.path(), "json", &["--bless"]).ok);
    assert!(!dir.path().join("cases/pick.dead.ndjson").exists(), "no row is rejected any more");
}

#[test]
fn a_case_that_is_wrong_names_its_file_and_key() {
    for (yaml, words) in [
        ("operatr: split-words\n", "did you mean `operator`"),
        ("operator: split-word\nconfig: { column: line }\n", "did you mean `split-words`"),
        ("operator: split-words\nconfig: { colum: line }\n", "config: unknown key `colum`"),
        ("operator: split-words\nbatch_rows: many\n", "batch_rows: "),
        ("operator: [\n", "line "),
        ("error: [1]\n", "error: a text"),
    ] {
        let dir = project(&[("words.yaml", yaml), ("words.in.ndjson", "{\"line\":\"a\"}\n")]);
        let said = test(dir.path(), "text", &[]);
        assert_eq!(said.status, Some(1), "{yaml}: {said:?}");
        assert!(said.out.contains("cases/words.yaml: ") && said.out.contains(words), "{yaml}: {said:?}");
    }
    let dir = project(&[]);
    let said = test(dir.path(), "text", &[]);
    assert!(said.err.contains("no cases: a case is NAME.in.ndjson with NAME.yaml"), "{said:?}");
    let bare = dir.path().display().to_string();
    let said = command(&["plugin", "test", &bare]);
    assert!(said.err.contains("there is no component: run `millstream plugin build"), "{said:?}");
}
