//! The sink from its spec to its files; every case writes a real directory.

use std::fs;
use std::path::Path;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use millstream_engine::batch::BatchId;
use millstream_engine::pipeline::SinkPlan;
use millstream_engine::sink::{Sink, SinkError, SinkPromise};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::super::testing::{SmallDisk, all_types, counts, counts_schema, ctx, put};
use super::super::text::write_hex;
use super::sink::FileSink;
use super::*;

const FORMATS: [&str; 3] = ["ndjson", "csv", "parquet"];

fn plan(dir: &Path, format: &str) -> FilePlan {
    let config = json!({ "path": dir, "format": format });
    FilePlan::new(millstream_engine::pipeline::read(config).unwrap()).unwrap()
}

fn open(dir: &Path, format: &str) -> Result<FileSink, SinkError> {
    FileSink::open(plan(dir, format), ctx("p1", counts_schema(), dir))
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Names of all files, hidden ones too, without the manifest.
fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != manifest::NAME);
    names.sort();
    names
}

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

fn manifest_lines(dir: &Path) -> Vec<Value> {
    text(dir, manifest::NAME).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn plan_is_checked() {
    let plan = plan(Path::new("out"), "csv");
    assert_eq!(plan.promise(), SinkPromise::Transactional);
    assert!(plan.promise_reason().contains("manifest"));
    assert_eq!(plan.check(&counts_schema()), Ok(()));
    assert_eq!(plan.check(all_types().schema_ref()), Ok(()));
    let error = plan.check(&Schema::new(vec![Field::new("u", DataType::UInt64, true)])).unwrap_err();
    assert!(error.message.contains("column `u` is UInt64"), "{error}");
    let spec = millstream_engine::pipeline::read::<FileSpec>(json!({ "path": "" })).unwrap();
    assert_eq!(FilePlan::new(spec).unwrap_err().path, "path");
    let error = millstream_engine::pipeline::read::<FileSpec>(json!({ "path": "a", "format": "jsnl" }));
    assert!(error.unwrap_err().message.contains("unknown value `jsnl`"));
}

#[test]
fn batch_is_one_file_and_one_line() {
    let dir = dir();
    let mut sink = open(&dir.path().join("a/b"), "ndjson").unwrap();
    let dir = dir.path().join("a/b");
    assert_eq!(sink.committed(), Ok(None));
    sink.begin(BatchId(17)).unwrap();
    sink.write(&counts(&[(Some("a"), 1)])).unwrap();
    sink.write(&counts(&[])).unwrap();
    sink.write(&counts(&[(None, -2)])).unwrap();
    assert_eq!(files(&dir), [".part-000000000017.ndjson.tmp"]);
    sink.commit().unwrap();
    assert_eq!(files(&dir), ["part-000000000017.ndjson"]);
    let content = text(&dir, "part-000000000017.ndjson");
    assert_eq!(content, "{\"word\":\"a\",\"n\":1}\n{\"word\":null,\"n\":-2}\n");
    let mut sha256 = String::new();
    write_hex(&Sha256::digest(&content), &mut sha256);
    assert_eq!(
        manifest_lines(&dir),
        [
            json!({ "version": 1, "pipeline": "word-count", "pipeline_id": "p1", "sink": "out" }),
            json!({ "batch": 17, "file": "part-000000000017.ndjson", "rows": 2, "bytes": content.len(), "sha256": sha256 }),
        ]
    );
    assert_eq!(sink.committed(), Ok(Some(BatchId(17))));
}

#[test]
fn csv_has_one_header_and_quotes() {
    let dir = dir();
    let mut sink = open(dir.path(), "csv").unwrap();
    sink.begin(BatchId(1)).unwrap();
    sink.write(&counts(&[(Some("a,\"b\"\nü"), 1)])).unwrap();
    sink.write(&counts(&[(None, 2)])).unwrap();
    sink.commit().unwrap();
    assert_eq!(text(dir.path(), "part-000000000001.csv"), "word,n\n\"a,\"\"b\"\"\nü\",1\n,2\n");
}

#[test]
fn every_type_is_written_in_every_format() {
    let batch = all_types();
    for format in FORMATS {
        let dir = dir();
        let mut sink =
            FileSink::open(plan(dir.path(), format), ctx("p1", batch.schema(), dir.path())).unwrap();
        put(&mut sink, 1, &batch).unwrap();
        drop(sink);
        FileSink::open(plan(dir.path(), format), ctx("p1", batch.schema(), dir.path())).unwrap();
        let name = format!("part-000000000001.{format}");
        if format == "parquet" {
            let file = fs::File::open(dir.path().join(&name)).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
            // NaN is not equal to itself, so the columns are compared one by one.
            for (column, (a, b)) in read[0].columns().iter().zip(batch.columns()).enumerate() {
                assert_eq!(a.data_type(), b.data_type());
                assert_eq!(a.nulls(), b.nulls());
                assert!(a.to_data() == b.to_data() || column == 4, "column {column}");
            }
        } else if format == "csv" {
            let lines = text(dir.path(), &name);
            let expected = "b,i,l,f,d,s,x,day,at\n\
                true,-2147483648,-9223372036854775808,0.5,NaN,,,1970-01-01,1970-01-01T00:00:00.000000Z\n";
            assert!(lines.starts_with(expected), "{lines}");
            assert!(
                lines.contains(",-inf,\"ü😀\0\"\"'\",00ff,-5877641-06-23,-290308-12-21T19:59:05.224192Z\n"),
                "{lines}"
            );
            assert!(lines.ends_with("\n,,,,,,,,\n"), "{lines}");
        } else {
            assert_eq!(text(dir.path(), &name).lines().count(), 3);
        }
    }
}

#[test]
fn crash_before_commit_leaves_nothing() {
    for format in FORMATS {
        let dir = dir();
        let mut sink = open(dir.path(), format).unwrap();
        put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
        sink.begin(BatchId(2)).unwrap();
        sink.write(&counts(&[(Some("b"), 1)])).unwrap();
        drop(sink);
        // What a killed process leaves: a temporary file, and one that lacks its manifest line.
        fs::write(dir.path().join(format!(".part-000000000002.{format}.tmp")), "half").unwrap();
        fs::write(dir.path().join(format!("part-000000000002.{format}")), "whole").unwrap();
        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        fs::write(dir.path().join("part-two.csv"), "mine").unwrap();
        let mut sink = open(dir.path(), format).unwrap();
        let first = format!("part-000000000001.{format}");
        assert_eq!(files(dir.path()), ["notes.txt", &first, "part-two.csv"]);
        assert_eq!(sink.committed(), Ok(Some(BatchId(1))));
    }
}

#[test]
fn batch_that_is_there_is_not_written_again() {
    let dir = dir();
    let mut sink = open(dir.path(), "ndjson").unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
    put(&mut sink, 1, &counts(&[(Some("b"), 1)])).unwrap();
    drop(sink);
    let mut sink = open(dir.path(), "ndjson").unwrap();
    put(&mut sink, 1, &counts(&[(Some("b"), 1)])).unwrap();
    assert_eq!(files(dir.path()), ["part-000000000001.ndjson"]);
    assert_eq!(text(dir.path(), "part-000000000001.ndjson"), "{\"word\":\"a\",\"n\":1}\n");
    assert_eq!(manifest_lines(dir.path()).len(), 2);
}

#[test]
fn empty_batches_leave_neither_file_nor_line() {
    let dir = dir();
    let mut sink = open(dir.path(), "ndjson").unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
    let before = text(dir.path(), manifest::NAME);
    for batch in 2..100 {
        put(&mut sink, batch, &counts(&[])).unwrap();
    }
    sink.begin(BatchId(100)).unwrap();
    sink.commit().unwrap();
    assert_eq!(text(dir.path(), manifest::NAME), before);
    assert_eq!(files(dir.path()), ["part-000000000001.ndjson"]);
    put(&mut sink, 101, &counts(&[(Some("b"), 1)])).unwrap();
    drop(sink);
    let mut sink = open(dir.path(), "ndjson").unwrap();
    assert_eq!(sink.committed(), Ok(Some(BatchId(101))));
    assert_eq!(files(dir.path()), ["part-000000000001.ndjson", "part-000000000101.ndjson"]);
}

#[test]
fn lines_of_empty_batches_in_an_older_manifest_count() {
    let dir = dir();
    drop(open(dir.path(), "ndjson").unwrap());
    let head = text(dir.path(), manifest::NAME);
    let empty = "{\"batch\":7,\"file\":null,\"rows\":0,\"bytes\":0,\"sha256\":null}\n";
    fs::write(dir.path().join(manifest::NAME), head + empty).unwrap();
    assert_eq!(open(dir.path(), "ndjson").unwrap().committed(), Ok(Some(BatchId(7))));
}

#[test]
fn aborted_batch_is_forgotten() {
    let dir = dir();
    let mut sink = open(dir.path(), "csv").unwrap();
    sink.begin(BatchId(1)).unwrap();
    sink.write(&counts(&[(Some("a"), 1)])).unwrap();
    sink.abort();
    assert_eq!(files(dir.path()), [""; 0]);
    assert!(sink.commit().is_err());
    sink.begin(BatchId(1)).unwrap();
    sink.write(&counts(&[(Some("x"), 1)])).unwrap();
    put(&mut sink, 1, &counts(&[(Some("b"), 1)])).unwrap();
    assert_eq!(text(dir.path(), "part-000000000001.csv"), "word,n\nb,1\n");
}

#[test]
fn torn_manifest_line_does_not_count() {
    let dir = dir();
    let mut sink = open(dir.path(), "ndjson").unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
    put(&mut sink, 2, &counts(&[(Some("b"), 1)])).unwrap();
    drop(sink);
    let whole = text(dir.path(), manifest::NAME);
    for cut in 1..=whole.len() {
        fs::write(dir.path().join(manifest::NAME), &whole[..whole.len() - cut]).unwrap();
        let mut sink = open(dir.path(), "ndjson").unwrap();
        let newest = sink.committed().unwrap();
        let lines = whole[..whole.len() - cut].matches('\n').count() as u64;
        assert_eq!(newest.map_or(0, |batch| batch.0), lines.saturating_sub(1), "cut {cut}");
        for batch in 1..=2 {
            put(&mut sink, batch, &counts(&[(Some(["a", "b"][batch as usize - 1]), 1)])).unwrap();
        }
        drop(sink);
        assert_eq!(text(dir.path(), manifest::NAME), whole, "cut {cut}");
        assert_eq!(files(dir.path()), ["part-000000000001.ndjson", "part-000000000002.ndjson"]);
    }
}

#[test]
fn damaged_manifest_and_newer_version_are_refused() {
    let dir = dir();
    let mut sink = open(dir.path(), "ndjson").unwrap();
    put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
    drop(sink);
    let whole = text(dir.path(), manifest::NAME);
    let damaged = whole.replace("\"rows\":1", "\"rows\":?");
    let newer = whole.replace("\"version\":1", "\"version\":2");
    for (content, expected) in [
        (damaged.as_str(), "line 2: the line is damaged"),
        (newer.as_str(), "the manifest has version 2, this program knows 1"),
        ("a,b\n", "line 1: this is no manifest of a pipeline"),
    ] {
        fs::write(dir.path().join(manifest::NAME), content).unwrap();
        let Err(SinkError::Permanent(message)) = open(dir.path(), "ndjson") else { panic!("refused") };
        assert!(message.contains(expected), "{message}");
        assert_eq!(files(dir.path()), ["part-000000000001.ndjson"]);
    }
}

#[test]
fn directory_of_another_pipeline_is_refused() {
    let dir = dir();
    drop(open(dir.path(), "ndjson").unwrap());
    let other = FileSink::open(plan(dir.path(), "ndjson"), ctx("p2", counts_schema(), dir.path()));
    let Err(SinkError::Permanent(message)) = other else { panic!("refused") };
    assert!(message.contains("output of sink `out` of pipeline `word-count` (id p1)"), "{message}");
    let sink = open(dir.path(), "ndjson").unwrap();
    let Err(SinkError::Transient(message)) = open(dir.path(), "ndjson") else { panic!("locked") };
    assert!(message.contains("another sink is writing to this directory"), "{message}");
    drop(sink);
    open(dir.path(), "ndjson").unwrap();
}

#[test]
fn path_that_is_no_directory_is_an_error() {
    let dir = dir();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(SinkError::Transient(message)) = open(&file, "csv") else { panic!("a file is no directory") };
    assert!(message.contains("/file: "), "{message}");
}

#[test]
fn full_disk_is_told_as_such_and_the_batch_works_later() {
    for format in FORMATS {
        let dir = dir();
        let disk = SmallDisk::mount(1 << 20);
        let path = disk.as_ref().map_or(dir.path(), SmallDisk::path);
        let mut sink = open(path, format).unwrap();
        put(&mut sink, 1, &counts(&[(Some("a"), 1)])).unwrap();
        let words: Vec<String> =
            (0..8000u64).map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        let many: Vec<(Option<&str>, i64)> = words.iter().map(|word| (Some(word.as_str()), 1)).collect();
        let filler = path.join("filler");
        let first = vec![format!("part-000000000001.{format}")];
        let temporary = path.join(format!(".part-000000000002.{format}.tmp"));
        match disk {
            Some(_) => fs::write(&filler, vec![0u8; 1_000_000]).unwrap(),
            // A name that leads to a device which is always full.
            None => std::os::unix::fs::symlink("/dev/full", &temporary).unwrap(),
        }
        for _ in 0..2 {
            let Err(SinkError::Full(message)) = put(&mut sink, 2, &counts(&many)) else { panic!("full") };
            assert!(message.contains("part-000000000002") && message.contains("No space left"), "{message}");
            let _ = fs::remove_file(&filler);
            assert_eq!(files(path), first);
            match disk {
                Some(_) => fs::write(&filler, vec![0u8; 1_000_000]).unwrap(),
                None => std::os::unix::fs::symlink("/dev/full", &temporary).unwrap(),
            }
        }
        let _ = fs::remove_file(&filler);
        if disk.is_none() {
            fs::remove_file(&temporary).unwrap();
        }
        put(&mut sink, 2, &counts(&many)).unwrap();
        assert_eq!(files(path).len(), 2);
        drop(sink);
        assert_eq!(open(path, format).unwrap().committed(), Ok(Some(BatchId(2))));
    }
}

#[test]
fn full_disk_at_the_manifest_takes_the_file_back() {
    let dir = dir();
    let Some(disk) = SmallDisk::mount(512 << 10) else {
        return manifest_that_cannot_be_written(dir.path());
    };
    let path = disk.path();
    let mut sink = open(path, "ndjson").unwrap();
    // Batches grow the manifest until its page is nearly full, so that its next line needs one more.
    let mut batch = 0;
    while fs::metadata(path.join(manifest::NAME)).unwrap().len() < 4096 - 160 {
        batch += 1;
        put(&mut sink, batch, &counts(&[(Some("a"), 1)])).unwrap();
    }
    let parts = files(path).len();
    // All pages but one for the batch's file.
    let mut filler = fs::File::create(path.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    let length = filler.metadata().unwrap().len();
    filler.set_len(length - 4096).unwrap();
    let before = text(path, manifest::NAME);
    let rows = counts(&[(Some("a"), 1)]);
    let error = put(&mut sink, batch + 1, &rows).unwrap_err();
    assert!(matches!(error, SinkError::Full(_)), "{error}");
    assert_eq!(files(path).len(), parts + 1);
    assert_eq!(text(path, manifest::NAME), before);
    filler.set_len(0).unwrap();
    put(&mut sink, batch + 1, &rows).unwrap();
    assert_eq!(files(path).len(), parts + 2);
    assert_eq!(sink.committed(), Ok(Some(BatchId(batch + 1))));
}

/// The same without a disk of its own: a directory stands where the file should get its name.
fn manifest_that_cannot_be_written(path: &Path) {
    let mut sink = open(path, "ndjson").unwrap();
    let blocked = path.join("part-000000000001.ndjson");
    fs::create_dir(&blocked).unwrap();
    let rows = counts(&[(Some("a"), 1)]);
    assert!(matches!(put(&mut sink, 1, &rows), Err(SinkError::Transient(_))));
    fs::remove_dir(&blocked).unwrap();
    put(&mut sink, 1, &rows).unwrap();
    assert_eq!(files(path), ["part-000000000001.ndjson"]);
}
