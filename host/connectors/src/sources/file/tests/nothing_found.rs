//! Paths that lead to no file.

use std::sync::{Arc, Mutex};

use super::*;

#[test]
fn a_pattern_without_files_is_warned_of_once_with_the_place() {
    let dir = TempDir::new().unwrap();
    let place = dir.path().display();
    for (path, available_now, expected) in [
        ("*.txt", true, format!("path `{place}/*.txt` matches no file: looked in {place}; nothing is read")),
        (
            "gone/*.txt",
            false,
            format!(
                "path `{place}/gone/*.txt` matches no file: looked in {place}/gone, which does not exist; files that come later are read"
            ),
        ),
        ("", true, format!("path `{place}/` holds no file: looked in {place}/; nothing is read")),
        (
            "later.txt",
            false,
            format!(
                "path `{place}/later.txt` is no file: looked in {place}/later.txt, which does not exist; files that come later are read"
            ),
        ),
    ] {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&warnings);
        let ctx = SourceCtx {
            available_now,
            warn: Arc::new(move |warning| told.lock().unwrap().push(warning)),
            ..crate::sources::testing::ctx("p")
        };
        let mut source = source::FileSource::new(checked(config(text(dir.path(), path))).unwrap(), &ctx);
        source.restore(None).unwrap();
        for _ in 0..3 {
            let poll = source.poll(ALL).unwrap();
            assert_eq!((poll.splits.len(), poll.finished), (0, available_now), "{path}");
        }
        assert_eq!(*warnings.lock().unwrap(), [expected]);
    }
}
