//! Parquet files.

use super::*;

fn write_parquet(path: &Path, rows: std::ops::Range<i64>) {
    let names: StringArray = rows.clone().map(|i| (i % 10 != 3).then(|| format!("name {i}"))).collect();
    let ids: ArrayRef =
        Arc::new(rows.map(|i| i32::try_from(i).unwrap()).collect::<arrow_array::Int32Array>());
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("name", Arc::new(names) as ArrayRef, true),
        ("id", ids, false),
    ])
    .unwrap();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .build();
    let mut writer = parquet::arrow::ArrowWriter::try_new(
        fs::File::create(path).unwrap(),
        batch.schema(),
        Some(properties),
    )
    .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_is_read_by_row_groups_and_limits_cut_them() {
    let dir = TempDir::new().unwrap();
    write_parquet(&dir.path().join("a.parquet"), 0..2_500);
    write_parquet(&dir.path().join("b.parquet"), 2_500..2_600);
    let spec =
        json!({ "path": dir.path(), "format": "parquet", "schema": { "id": "int64", "name": "utf8" } });
    let mut source = open(spec.clone());
    let splits = drain(&mut *source, ALL);
    assert_eq!(splits.len(), 4);
    assert_eq!(ints(&chunks(&*source, &splits).unwrap()), (0..2_600).collect::<Vec<_>>());
    let mut source = open(spec.clone());
    let small = drain(&mut *source, Limits { rows: 300, bytes: u64::MAX });
    assert_eq!(ints(&chunks(&*source, &small).unwrap()), (0..2_600).collect::<Vec<_>>());
    let mut restored = open(spec);
    restored.advance(&small).unwrap();
    assert_eq!(restored.position(), source.position());
}

#[test]
fn parquet_timestamps_of_any_unit_and_zone_become_microseconds_in_utc() {
    use arrow_array::types::TimestampMicrosecondType;
    let dir = TempDir::new().unwrap();
    let second = 1_717_149_600;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("s", Arc::new(arrow_array::TimestampSecondArray::from(vec![Some(second), None]))),
        (
            "ms",
            Arc::new(
                arrow_array::TimestampMillisecondArray::from(vec![second * 1000; 2])
                    .with_timezone("Europe/Berlin"),
            ),
        ),
        (
            "us",
            Arc::new(
                arrow_array::TimestampMicrosecondArray::from(vec![second * 1_000_000; 2])
                    .with_timezone("+02:00"),
            ),
        ),
        (
            "ns",
            Arc::new(
                arrow_array::TimestampNanosecondArray::from(vec![second * 1_000_000_000 + 999; 2])
                    .with_timezone("UTC"),
            ),
        ),
        ("epoch", Arc::new(arrow_array::Int64Array::from(vec![second; 2]))),
    ];
    let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        );
        let batch = batch.unwrap();
        let file = fs::File::create(dir.path().join(name)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    write("a.parquet", columns.clone());
    let read = |name: &str, schema: Value| {
        let mut source =
            open(json!({ "path": dir.path().join(name), "format": "parquet", "schema": schema }));
        let splits = drain(&mut *source, ALL);
        chunks(&*source, &splits)
    };
    let strict = json!({ "type": "timestamp", "nullable": false });
    let schema = json!({ "s": "timestamp", "ms": strict, "us": "timestamp", "ns": "timestamp", "epoch": "timestamp_s" });
    let rows = read("a.parquet", schema).unwrap().remove(0).rows;
    for column in 0..5 {
        let times = rows.column(column).as_primitive::<TimestampMicrosecondType>();
        assert_eq!((times.value(0), times.timezone()), (second * 1_000_000, Some("UTC")), "column {column}");
    }
    assert!(rows.column(0).is_null(1));
    // A row that is refused can be read again with its times.
    let strict_s = json!({ "s": strict, "ms": "timestamp", "us": "timestamp", "ns": "timestamp" });
    let bad = read("a.parquet", strict_s).unwrap().remove(0).bad.remove(0);
    let text = String::from_utf8(bad.bytes).unwrap();
    assert!(text.contains("\"ms\":\"2024-05-31T12:00:00+02:00\""), "{text}");
    // What does not fit is no null.
    write("b.parquet", vec![("s", Arc::new(arrow_array::TimestampSecondArray::from(vec![i64::MAX])))]);
    let error = read("b.parquet", json!({ "s": "timestamp" })).unwrap_err().to_string();
    assert!(error.contains("b.parquet: no readable Parquet file"), "{error}");
}

#[test]
fn forbidden_nulls_in_parquet_are_bad_records_that_can_be_read_again() {
    let dir = TempDir::new().unwrap();
    write_parquet(&dir.path().join("a.parquet"), 0..20);
    let schema = json!({ "id": "int64", "name": { "type": "utf8", "nullable": false } });
    let mut source = open(json!({ "path": dir.path(), "format": "parquet", "schema": schema }));
    let splits = drain(&mut *source, ALL);
    let chunks = chunks(&*source, &splits).unwrap();
    assert_eq!(chunks[0].rows.num_rows(), 18);
    let bad = &chunks[0].bad[0];
    assert!(
        bad.position.ends_with("a.parquet, row 3") && bad.reason.contains("column `name` is null"),
        "{bad:?}"
    );
    let again = source.reader().decode(&[br#"{"id":3,"name":"mended"}"#, &bad.bytes]).unwrap();
    assert_eq!((again.rows.num_rows(), again.bad.len()), (1, 1));
}

#[test]
fn a_parquet_file_of_other_types_is_an_error() {
    let dir = TempDir::new().unwrap();
    write_parquet(&dir.path().join("a.parquet"), 0..20);
    for (schema, why) in [
        (json!({ "id": "utf8" }), "column `id` is int32 in the file and utf8 in the spec"),
        (json!({ "idd": "int64" }), "there is no column `idd`; the file has: name, id"),
    ] {
        let error =
            open(json!({ "path": dir.path(), "format": "parquet", "schema": schema })).poll(ALL).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}
