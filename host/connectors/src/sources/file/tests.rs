//! Real files in temporary directories.

mod followed;
mod nothing_found;
mod parquet_files;

use std::fs;
use std::io::Write;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use millstream_engine::batch::Chunk;
use millstream_engine::clock::SystemClock;
use millstream_engine::source::{Limits, Position, Source, Split};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const ALL: Limits = Limits { rows: u64::MAX, bytes: u64::MAX };

fn config(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn open_with(value: Value, available_now: bool) -> Box<dyn Source> {
    let plan = plan(config(value)).map_err(|error| error.to_string()).unwrap();
    let ctx = SourceCtx {
        pipeline: "p".into(),
        entry: "lines".into(),
        clock: SystemClock::shared(),
        available_now,
        wake: Arc::new(|| ()),
        warn: Arc::new(|_| ()),
    };
    match plan.open(ctx).unwrap() {
        OpenSource::Pull(mut source) => {
            source.restore(None).unwrap();
            source
        }
        OpenSource::Push { .. } => unreachable!("files are pulled"),
    }
}

fn open(value: Value) -> Box<dyn Source> {
    open_with(value, true)
}

fn text(dir: &Path, name: &str) -> Value {
    json!({ "path": dir.join(name), "format": "text" })
}

fn chunks(source: &dyn Source, splits: &[Split]) -> Result<Vec<Chunk>, SourceError> {
    let reader = source.reader();
    let mut chunks = Vec::new();
    for split in splits {
        let mut stream = reader.open(split)?;
        while let Some(chunk) = stream.next()? {
            chunks.push(chunk);
        }
    }
    Ok(chunks)
}

fn lines(chunks: &[Chunk]) -> Vec<String> {
    let values = chunks.iter().flat_map(|chunk| chunk.rows.column(0).as_string::<i32>().iter());
    values.map(|value| value.unwrap().to_owned()).collect()
}

fn ints(chunks: &[Chunk]) -> Vec<i64> {
    let values = chunks.iter().flat_map(|chunk| chunk.rows.column(0).as_primitive::<Int64Type>().iter());
    values.map(|value| value.unwrap()).collect()
}

/// All splits up to the end.
fn drain(source: &mut dyn Source, limits: Limits) -> Vec<Split> {
    let mut splits = Vec::new();
    for _ in 0..100_000 {
        let poll = source.poll(limits).unwrap();
        splits.extend(poll.splits);
        if poll.finished {
            return splits;
        }
    }
    panic!("the source does not end");
}

fn read_lines(value: Value) -> Vec<String> {
    let mut source = open(value);
    let splits = drain(&mut *source, ALL);
    lines(&chunks(&*source, &splits).unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn lines_of_all_files_come_in_the_order_of_their_names() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("b.txt"), "3\r\n4").unwrap();
    fs::write(dir.path().join("a.txt"), "\u{feff}1\n\n2ü\n").unwrap();
    fs::write(dir.path().join("empty.txt"), "").unwrap();
    fs::create_dir(dir.path().join("directory.txt")).unwrap();
    assert_eq!(read_lines(text(dir.path(), "*.txt")), ["1", "", "2ü", "3", "4"]);
}

#[test]
fn a_directory_means_its_files_and_two_stars_those_below() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("x/y")).unwrap();
    fs::write(dir.path().join("1.txt"), "1").unwrap();
    fs::write(dir.path().join(".hidden"), "no").unwrap();
    fs::write(dir.path().join("x/y/2.txt"), "2").unwrap();
    assert_eq!(read_lines(text(dir.path(), "")), ["1"]);
    assert_eq!(read_lines(text(dir.path(), "1.txt")), ["1"]);
    assert_eq!(read_lines(text(dir.path(), "**/*.txt")), ["1", "2"]);
    assert_eq!(read_lines(text(dir.path(), "x/*/?.txt")), ["2"]);
    assert!(read_lines(text(dir.path(), "*.csv")).is_empty());
}

#[test]
fn files_are_read_in_the_order_they_were_written() {
    let dir = TempDir::new().unwrap();
    for (name, seconds) in [("a", 30), ("b", 10), ("c", 20)] {
        let path = dir.path().join(name);
        fs::write(&path, name).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(
        read_lines(json!({ "path": dir.path(), "format": "text", "order": "modified" })),
        ["b", "c", "a"]
    );
}

#[test]
fn a_new_file_that_sorts_earlier_is_still_read() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("b"), "b").unwrap();
    let mut source = open_with(text(dir.path(), "*"), false);
    assert_eq!(source.poll(ALL).unwrap().splits.len(), 1);
    let poll = source.poll(ALL).unwrap();
    assert!(poll.splits.is_empty() && !poll.finished && poll.backlog_bytes == 0);
    fs::write(dir.path().join("a"), "a").unwrap();
    let splits = source.poll(ALL).unwrap().splits;
    assert_eq!(lines(&chunks(&*source, &splits).unwrap()), ["a"]);
}

#[test]
fn without_watch_only_the_files_at_the_start_are_read() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a"), "a\nb").unwrap();
    let mut source = open_with(json!({ "path": dir.path(), "format": "text", "watch": false }), false);
    let one = source.poll(Limits { rows: u64::MAX, bytes: 1 }).unwrap();
    assert!(!one.finished && one.backlog_bytes == 1);
    fs::write(dir.path().join("b"), "late").unwrap();
    let two = source.poll(ALL).unwrap();
    assert!(two.finished);
    let splits = [one.splits, two.splits].concat();
    assert_eq!(lines(&chunks(&*source, &splits).unwrap()), ["a", "b"]);
}

#[test]
fn an_unfinished_last_line_waits_when_the_file_is_followed() {
    for format in [
        json!({ "format": "text" }),
        json!({ "format": "csv", "schema": { "a": "utf8" }, "csv": { "header": false } }),
    ] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "one\ntw").unwrap();
        let mut spec = json!({ "path": path, "tail": true });
        spec.as_object_mut().unwrap().extend(config(format));
        let mut source = open_with(spec, false);
        let first = source.poll(ALL).unwrap().splits;
        assert_eq!(lines(&chunks(&*source, &first).unwrap()), ["one"]);
        assert!(source.poll(ALL).unwrap().splits.is_empty());
        fs::File::options().append(true).open(&path).unwrap().write_all(b"o\nthree\n").unwrap();
        let more = source.poll(ALL).unwrap().splits;
        assert_eq!(lines(&chunks(&*source, &more).unwrap()), ["two", "three"]);
        fs::write(&path, "x").unwrap();
        assert!(matches!(source.poll(ALL), Err(SourceError::Permanent(why)) if why.contains("had at least")));
    }
}

#[test]
fn a_large_file_becomes_many_splits() {
    let dir = TempDir::new().unwrap();
    let line = "0123456789".repeat(5) + "\n";
    fs::write(dir.path().join("a"), line.repeat(200_000)).unwrap();
    let mut source = open(text(dir.path(), "a"));
    let splits = drain(&mut *source, ALL);
    assert_eq!(splits.len(), 3);
    let chunks = chunks(&*source, &splits).unwrap();
    assert_eq!(lines(&chunks).len(), 200_000);
    assert!(chunks.iter().all(|chunk| chunk.rows.num_rows() <= Chunk::ROWS_TARGET));
}

#[test]
fn a_missing_file_is_named() {
    let dir = TempDir::new().unwrap();
    let error = open(text(dir.path(), "none.txt")).poll(ALL).unwrap_err();
    assert!(
        matches!(&error, SourceError::Permanent(why) if why.contains("none.txt: there is no such file")),
        "{error}"
    );
    let poll = open_with(text(dir.path(), "none.txt"), false).poll(ALL).unwrap();
    assert!(poll.splits.is_empty() && !poll.finished);
}

#[test]
fn a_file_that_shrank_or_went_is_an_error_for_a_person() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "one\ntwo\n").unwrap();
    let mut source = open(text(dir.path(), "a"));
    let splits = source.poll(Limits { rows: u64::MAX, bytes: 3 }).unwrap().splits;
    fs::write(&path, "o\n").unwrap();
    let is_short =
        |error: SourceError| matches!(error, SourceError::Permanent(why) if why.contains("had at least"));
    assert!(is_short(source.poll(ALL).unwrap_err()));
    assert!(is_short(chunks(&*source, &splits).unwrap_err()));
    let mut restored = open(text(dir.path(), "a"));
    assert!(is_short(restored.advance(&splits).unwrap_err()));
    let open_position = Position(json!({ "done": [], "open": { path.to_str().unwrap(): 4 } }));
    assert!(is_short(restored.restore(Some(&open_position)).unwrap_err()));
    fs::remove_file(&path).unwrap();
    assert!(
        matches!(chunks(&*source, &splits).unwrap_err(), SourceError::Permanent(why) if why.contains("is gone"))
    );
    assert!(matches!(restored.restore(Some(&open_position)), Err(SourceError::Permanent(_))));
    // What is done may go.
    restored.restore(Some(&Position(json!({ "done": [path], "open": {} })))).unwrap();
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_an_error_that_names_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("secret");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    // A privileged user reads it all the same.
    let may_read = fs::File::open(&path).is_ok();
    match open(text(dir.path(), "*")).poll(ALL) {
        Ok(poll) => assert!(may_read && poll.splits.len() == 1),
        Err(error) => assert!(error.to_string().contains("secret: permission denied")),
    }
}

#[test]
fn compressed_files_read_the_same_from_memory_and_from_the_file() {
    let dir = TempDir::new().unwrap();
    let all: Vec<String> = (0..300_000).map(|i| format!("line {i} of some length")).collect();
    let bytes = all.join("\n");
    fs::write(
        dir.path().join("a.gz"),
        [gzip(&bytes.as_bytes()[..1000]), gzip(&bytes.as_bytes()[1000..])].concat(),
    )
    .unwrap();
    fs::write(dir.path().join("b.zst"), zstd::encode_all(bytes.as_bytes(), 1).unwrap()).unwrap();
    for (name, compression) in [("a.gz", "auto"), ("b.zst", "auto"), ("a.gz", "gzip"), ("b.zst", "zstd")] {
        let spec = json!({ "path": dir.path().join(name), "format": "text", "compression": compression });
        let mut source = open(spec.clone());
        let limits = Limits { rows: u64::MAX, bytes: 3_000_000 };
        let splits = drain(&mut *source, limits);
        assert!(splits.len() >= 2, "{}", splits.len());
        let kept = chunks(&*source, &splits).unwrap();
        assert_eq!(lines(&kept), all);
        let mut restored = open(spec);
        restored.advance(&splits).unwrap();
        assert_eq!(restored.position(), source.position());
        source.release(&source.position()).unwrap();
        let again = chunks(&*restored, &splits).unwrap();
        assert!(kept.iter().zip(&again).all(|(a, b)| a.rows == b.rows) && kept.len() == again.len());
    }
}

#[test]
fn damaged_and_unfinished_compressed_files_are_told_apart() {
    let dir = TempDir::new().unwrap();
    let whole = gzip("some lines\n".repeat(1000).as_bytes());
    fs::write(dir.path().join("cut.gz"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.path().join("none.gz"), "this is no gzip at all, far from it").unwrap();
    let error = open(text(dir.path(), "cut.gz")).poll(ALL).unwrap_err();
    assert!(matches!(&error, SourceError::Transient(why) if why.contains("not complete")), "{error:?}");
    let error = open(text(dir.path(), "none.gz")).poll(ALL).unwrap_err();
    assert!(matches!(&error, SourceError::Permanent(why) if why.contains("damaged")), "{error:?}");
}

#[test]
fn a_row_limit_is_obeyed() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a"), "1\n2\n3\n4\n5").unwrap();
    fs::write(dir.path().join("b"), "6\n").unwrap();
    let mut source = open(text(dir.path(), "*"));
    let mut seen = Vec::new();
    loop {
        let poll = source.poll(Limits { rows: 2, bytes: u64::MAX }).unwrap();
        let lines = lines(&chunks(&*source, &poll.splits).unwrap());
        assert!(lines.len() <= 2);
        seen.extend(lines);
        if poll.finished {
            break;
        }
    }
    assert_eq!(seen, ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn csv_splits_end_outside_of_quotes_and_know_the_header() {
    let dir = TempDir::new().unwrap();
    let rows: Vec<String> = (0..2_000).map(|i| format!("\"a\nquoted, \"\"text\"\" {i}\",{i},x")).collect();
    fs::write(dir.path().join("a.csv"), format!("note,id,more\n{}\n", rows.join("\n"))).unwrap();
    let schema = json!({ "id": "int64", "note": "utf8" });
    let mut source = open(json!({ "path": dir.path(), "format": "csv", "schema": schema }));
    let splits = drain(&mut *source, Limits { rows: 7, bytes: u64::MAX });
    assert!(splits.len() > 285);
    let chunks = chunks(&*source, &splits).unwrap();
    assert_eq!(ints(&chunks), (0..2_000).collect::<Vec<_>>());
    assert_eq!(chunks[5].rows.column(1).as_string::<i32>().value(0), "a\nquoted, \"text\" 34");
}

#[test]
fn a_csv_header_without_a_column_is_an_error() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.csv"), "id,nam\n1,x\n").unwrap();
    fs::write(dir.path().join("b.csv.gz"), gzip(b"\n\"open\n1,x\n")).unwrap();
    let spec =
        |name: &str| json!({ "path": dir.path().join(name), "format": "csv", "schema": { "name": "utf8" } });
    for (name, why) in [
        ("a.csv", "a.csv: the header has no column `name`; it has: id, nam"),
        ("b.csv.gz", "b.csv.gz: the first record is no header"),
    ] {
        let error = open(spec(name)).poll(ALL).unwrap_err();
        assert!(matches!(&error, SourceError::Permanent(message) if message.contains(why)), "{error:?}");
    }
}

/// Reading a large compressed file again after a crash took a pass from its start for each split.
#[test]
fn a_compressed_file_is_decompressed_once_and_once_more_a_worker_in_recovery() {
    let dir = TempDir::new().unwrap();
    let all: Vec<String> = (0..400_000).map(|i| format!("line {i}")).collect();
    fs::write(dir.path().join("a.gz"), gzip(all.join("\n").as_bytes())).unwrap();
    let spec = json!({ "path": dir.path().join("a.gz"), "format": "text" });
    let source = || {
        let config = checked(config(spec.clone())).map_err(|error| error.to_string()).unwrap();
        let ctx = crate::sources::testing::ctx("p");
        source::FileSource::new(config, &SourceCtx { available_now: true, ..ctx })
    };
    let mut first = source();
    let splits = drain(&mut first, Limits { rows: 20_000, bytes: u64::MAX });
    assert_eq!(splits.len(), 20);
    assert_eq!(lines(&chunks(&first, &splits).unwrap()), all);
    assert_eq!(first.kept.begun(), 1);

    let mut restored = source();
    restored.advance(&splits[..10]).unwrap();
    assert_eq!(lines(&chunks(&restored, &splits[..10]).unwrap()), all[..200_000]);
    // Planning goes on where reading stopped.
    let rest = drain(&mut restored, Limits { rows: 20_000, bytes: u64::MAX });
    assert_eq!(rest, splits[10..]);
    assert_eq!(restored.kept.begun(), 1);

    // Two workers at once: each takes the decoder that has the least to skip.
    let workers = source();
    let reader = workers.reader();
    for pair in splits.chunks(2) {
        let mut streams: Vec<_> = pair.iter().map(|split| reader.open(split).unwrap()).collect();
        streams.iter_mut().for_each(|stream| while stream.next().unwrap().is_some() {});
    }
    assert_eq!(workers.kept.begun(), 2);
}

#[test]
fn mistakes_in_a_spec_are_explained() {
    for (spec, why) in [
        (json!({ "format": "text" }), "missing field `path`"),
        (json!({ "pth": "x", "format": "text" }), "did you mean `path`?"),
        (json!({ "path": "x", "format": "tekst" }), "did you mean `text`?"),
        (json!({ "path": "x[", "format": "text" }), "path: the pattern is wrong"),
        (json!({ "path": "x", "format": "ndjson" }), "schema: format ndjson needs the columns"),
        (
            json!({ "path": "x", "format": "ndjson", "schema": { "a": "int" } }),
            "schema.a: no type is called `int`",
        ),
        (
            json!({ "path": "x", "format": "text", "schema": { "a": "int64" } }),
            "schema: text has the one column",
        ),
        (
            json!({ "path": "x", "format": "text", "tail": true, "compression": "gzip" }),
            "tail: a compressed file",
        ),
        (
            json!({ "path": "x", "format": "text", "max_record_bytes": 0 }),
            "max_record_bytes: 0 is out of range",
        ),
    ] {
        let error = plan(config(spec)).err().expect("the spec is wrong").to_string();
        assert!(error.contains(why), "{error}");
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zäß€𝄞 ,]{0,12}",
        1 => Just(String::new()),
        1 => "[x€]{30,60}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn splits_together_give_exactly_the_lines(
        files in prop::collection::vec((prop::collection::vec(line(), 1..40), any::<bool>(), any::<bool>(), 0..3usize), 1..4),
        cuts in prop::collection::vec((1..120u64, prop_oneof![Just(u64::MAX), 1..9u64]), 1..6),
        checkpoint in 0..10usize,
    ) {
        let dir = TempDir::new().unwrap();
        let mut expected = Vec::new();
        for (index, (lines, carriage, ends, compression)) in files.iter().enumerate() {
            let end = if *carriage { "\r\n" } else { "\n" };
            let mut all = lines.join(end);
            // An empty last line is one only if it has an end.
            if *ends || lines.last().unwrap().is_empty() { all += end; }
            let (bytes, extension) = match compression {
                0 => (all.into_bytes(), "txt"),
                1 => (gzip(all.as_bytes()), "gz"),
                _ => (zstd::encode_all(all.as_bytes(), 1).unwrap(), "zst"),
            };
            fs::write(dir.path().join(format!("{index}.{extension}")), bytes).unwrap();
            expected.extend(lines.iter().cloned());
        }
        let mut source = open(text(dir.path(), "*"));
        let mut limits = cuts.iter().cycle();
        let (mut splits, mut position, mut since) = (Vec::new(), None, Vec::new());
        for polls in 0..100_000 {
            let (bytes, rows) = *limits.next().unwrap();
            let poll = source.poll(Limits { rows, bytes }).unwrap();
            prop_assert!(lines(&chunks(&*source, &poll.splits).unwrap()).len() as u64 <= rows);
            splits.extend(poll.splits.clone());
            since.extend(poll.splits);
            if polls == checkpoint {
                position = Some(source.position());
                since.clear();
            }
            if poll.finished { break; }
        }
        prop_assert_eq!(lines(&chunks(&*source, &splits).unwrap()), expected);
        let mut restored = open(text(dir.path(), "*"));
        restored.restore(position.as_ref()).unwrap();
        restored.advance(&since).unwrap();
        prop_assert_eq!(restored.position(), source.position());
        let rest = restored.poll(ALL).unwrap();
        prop_assert!(rest.splits.is_empty() && rest.finished);
        prop_assert_eq!(lines(&chunks(&*restored, &splits).unwrap()), lines(&chunks(&*source, &splits).unwrap()));
    }
}
