use millstream_engine::clock::SystemClock;

use super::*;

fn catalog(dir: &tempfile::TempDir) -> Catalog {
    Catalog::open(&dir.path().join("catalog.db"), SystemClock::shared()).unwrap()
}

fn plugin<'a>(version: &'a str, digest: &'a str) -> NewPlugin<'a> {
    NewPlugin { digest, name: "text", version, manifest: "{}", bytes: b"\0asm" }
}

#[test]
fn what_was_stored_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    {
        let catalog = catalog(&dir);
        catalog.add_plugin(&plugin("1.0.0", "aa")).unwrap();
        catalog
            .put_pipeline("words", "id-1", r#"{"name":"words"}"#, &["aa".into()], Wanted::Running)
            .unwrap();
        assert!(catalog.add_token("ci", &[7; 32]).unwrap());
    }
    let catalog = catalog(&dir);
    assert_eq!(catalog.plugins().unwrap()[0].size_bytes, 4);
    assert_eq!(catalog.plugin_bytes("aa").unwrap().unwrap(), b"\0asm");
    let row = &catalog.pipelines().unwrap()[0];
    assert_eq!((row.id.as_str(), row.wanted, row.current.version), ("id-1", Wanted::Running, 1));
    assert_eq!(catalog.tokens().unwrap()[0].hash, [7; 32]);
}

#[test]
fn a_newer_format_is_refused_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    drop(catalog(&dir));
    let path = dir.path().join("catalog.db");
    Connection::open(&path).unwrap().execute("UPDATE meta SET value = 9 WHERE key = 'format'", []).unwrap();
    let Err(error) = Catalog::open(&path, SystemClock::shared()) else { panic!("a newer format was opened") };
    assert!(error.to_string().contains("format 9"), "{error}");
    assert!(error.to_string().contains("newer millstream"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.db");
    std::fs::write(&path, "this is no database, although it is long enough to be one".repeat(30)).unwrap();
    assert!(Catalog::open(&path, SystemClock::shared()).is_err());
}

#[test]
fn name_and_version_are_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(&dir);
    assert!(catalog.add_plugin(&plugin("1.0.0", "aa")).unwrap().1);
    let (row, added) = catalog.add_plugin(&plugin("1.0.0", "bb")).unwrap();
    assert!(!added);
    assert_eq!(row.digest, "aa");
    assert!(catalog.add_plugin(&plugin("1.1.0", "bb")).unwrap().1);
}

#[test]
fn each_put_is_a_version_and_the_id_stays() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(&dir);
    catalog.put_pipeline("words", "first", "1", &["aa".into()], Wanted::Running).unwrap();
    let row = catalog.put_pipeline("words", "second", "2", &[], Wanted::Stopped).unwrap();
    assert_eq!((row.id.as_str(), row.current.version, row.current.spec.as_str()), ("first", 2, "2"));
    assert_eq!(row.wanted, Wanted::Stopped);
    catalog.set_wanted("words", Wanted::Running).unwrap();
    assert_eq!(catalog.pipelines().unwrap()[0].wanted, Wanted::Running);
    catalog.remove_pipeline("words").unwrap();
    assert!(catalog.pipelines().unwrap().is_empty());
    let again = catalog.put_pipeline("words", "third", "3", &[], Wanted::Stopped).unwrap();
    assert_eq!((again.id.as_str(), again.current.version), ("third", 1));
}

#[test]
fn a_plugin_is_kept_while_a_current_version_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(&dir);
    catalog.add_plugin(&plugin("1.0.0", "aa")).unwrap();
    catalog.put_pipeline("b", "1", "{}", &["aa".into()], Wanted::Stopped).unwrap();
    catalog.put_pipeline("a", "2", "{}", &["cc".into(), "aa".into()], Wanted::Running).unwrap();
    assert_eq!(catalog.remove_plugin("aa").unwrap(), ["a", "b"]);
    catalog.put_pipeline("a", "2", "{}", &[], Wanted::Running).unwrap();
    catalog.remove_pipeline("b").unwrap();
    assert!(catalog.remove_plugin("aa").unwrap().is_empty());
    assert!(catalog.plugins().unwrap().is_empty());
}

#[test]
fn token_names_are_unique_and_can_be_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = catalog(&dir);
    assert!(catalog.add_token("ci", &[1; 32]).unwrap());
    assert!(!catalog.add_token("ci", &[2; 32]).unwrap());
    assert!(catalog.remove_token("ci").unwrap());
    assert!(!catalog.remove_token("ci").unwrap());
}
