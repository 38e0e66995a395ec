//! Logs that grow and are rotated.

use super::*;

fn append(path: &Path, text: &str) {
    fs::File::options().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What a log lost when it was rotated between two polls went unread without a word.
#[test]
fn a_rotated_log_is_read_to_its_end_before_the_new_one() {
    for (format, rows) in [
        (json!({ "format": "text" }), u64::MAX),
        (json!({ "format": "text" }), 1),
        (json!({ "format": "csv", "schema": { "a": "utf8" }, "csv": { "header": false } }), u64::MAX),
    ] {
        for keeps_old in [true, false] {
            let dir = TempDir::new().unwrap();
            let path = dir.path().join("log");
            let mut spec = json!({ "path": path, "tail": true });
            spec.as_object_mut().unwrap().extend(config(format.clone()));
            append(&path, "one\n");
            let mut source = open_with(spec.clone(), false);
            let mut splits = source.poll(ALL).unwrap().splits;
            let before = source.position();
            append(&path, "two\nunfinished");
            if keeps_old {
                fs::rename(&path, dir.path().join("log.1")).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            let mut since = Vec::new();
            let mut poll = |source: &mut dyn Source| {
                for _ in 0..8 {
                    since.extend(source.poll(Limits { rows, bytes: u64::MAX }).unwrap().splits);
                }
            };
            poll(&mut *source);
            // The writer still has the old file, and this is empty.
            append(&path, "");
            poll(&mut *source);
            append(&path, "three longer than all before\nfour\n");
            poll(&mut *source);
            assert!(source.poll(ALL).unwrap().splits.is_empty());
            splits.extend(since.iter().cloned());
            let expected = ["one", "two", "unfinished", "three longer than all before", "four"];
            assert_eq!(lines(&chunks(&*source, &splits).unwrap()), expected);

            // After a crash what was renamed is found, and what was deleted is missed.
            let mut restored = open_with(spec, false);
            restored.restore(Some(&before)).unwrap();
            if keeps_old {
                restored.advance(&since).unwrap();
                assert_eq!(restored.position(), source.position());
                assert_eq!(lines(&chunks(&*restored, &splits).unwrap()), expected);
            } else {
                let error = restored.advance(&since).unwrap_err();
                assert!(
                    matches!(&error, SourceError::Permanent(why) if why.contains("gone before all of it"))
                );
            }
            source.release(&source.position()).unwrap();
            assert_eq!(chunks(&*source, &splits[..1]).is_ok(), keeps_old);
        }
    }
}

#[test]
fn a_log_that_was_replaced_while_nothing_held_it_goes_on_with_the_new_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log");
    append(&path, "one\n");
    let mut source = open_with(json!({ "path": path, "format": "text", "tail": true }), false);
    let splits = source.poll(ALL).unwrap().splits;
    let position = source.position();
    // Created first, so that it cannot get the inode of the old one.
    append(&dir.path().join("new"), "other\n");
    fs::rename(dir.path().join("new"), &path).unwrap();
    drop(source);
    let mut restored = open_with(json!({ "path": path, "format": "text", "tail": true }), false);
    restored.restore(Some(&position)).unwrap();
    let more = restored.poll(ALL).unwrap().splits;
    assert_eq!(lines(&chunks(&*restored, &more).unwrap()), ["other"]);
    assert!(chunks(&*restored, &splits).is_err());
}
