//! Bytes in, rows and bad records out, through the same door as journals.

use std::io::Read;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use millstream_engine::journal::Decoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn format(kind: FormatKind, schema: Value) -> Arc<Format> {
    format_with(kind, schema, None, None)
}

fn format_with(
    kind: FormatKind,
    schema: Value,
    max_record_bytes: Option<u64>,
    csv: Option<Value>,
) -> Arc<Format> {
    let spec = FormatSpec {
        kind,
        schema: schema.as_object().cloned(),
        max_record_bytes,
        csv: csv.map(|csv| serde_json::from_value(csv).unwrap()),
    };
    spec.check().map_err(|error| error.to_string()).unwrap()
}

fn decode(format: &Arc<Format>, bytes: &[u8]) -> (RecordBatch, Vec<BadRecord>) {
    let decoder = Arc::new(RecordDecoder::new(Arc::clone(format), EntryStart::Document));
    let mut chunks = decoder.chunks(Bytes::copy_from_slice(bytes), "in, offset 7").unwrap();
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    while let Some(chunk) = chunks.next().unwrap() {
        assert!(chunk.rows.num_rows() <= Chunk::ROWS_TARGET);
        rows.push(chunk.rows);
        bad.extend(chunk.bad);
    }
    (concat_batches(format.schema(), &rows).unwrap(), bad)
}

fn texts(rows: &RecordBatch, column: usize) -> Vec<Option<String>> {
    rows.column(column).as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
}

fn ints(rows: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    rows.column(column).as_primitive::<Int64Type>().iter().collect()
}

fn times(rows: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    rows.column(column).as_primitive::<TimestampMicrosecondType>().iter().collect()
}

#[test]
fn a_line_that_is_not_utf8_is_bad_alone() {
    let text = format(FormatKind::Text, Value::Null);
    let (rows, bad) = decode(&text, b"one\nt\xc3\nthree\r\n\xff\xfe");
    assert_eq!(texts(&rows, 0), [Some("one".to_owned()), Some("three".to_owned())]);
    assert_eq!(bad[0].position, "in, offset 7, byte 4");
    assert_eq!(bad[0].bytes, b"t\xc3");
    assert!(bad[0].reason.contains("byte 1 of it is 0xc3"), "{}", bad[0].reason);
    assert_eq!((bad.len(), bad[1].position.as_str()), (2, "in, offset 7, byte 14"));
}

#[test]
fn json_values_become_columns() {
    let schema = json!({ "n": "int64", "s": "utf8", "at": "timestamp", "ms": "timestamp_ms", "day": "date", "b": "binary",
                         "x": "float64", "ok": "boolean" });
    let lines = r#"{"n": 1, "s": "ä\"", "at": "2024-05-31T12:00:00+02:00", "ms": 1500, "day": "1970-01-02", "b": "00ff", "x": 1, "ok": true, "extra": [{}]}

  {"s": null, "at": null}
"#;
    let (rows, bad) = decode(&format(FormatKind::Ndjson, schema), lines.as_bytes());
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(ints(&rows, 0), [Some(1), None]);
    assert_eq!(texts(&rows, 1), [Some("ä\"".to_owned()), None]);
    assert_eq!(times(&rows, 2), [Some(1_717_149_600_000_000), None]);
    assert_eq!(times(&rows, 3), [Some(1_500_000), None]);
    assert_eq!(rows.column(5).as_binary::<i32>().value(0), [0, 255]);
    assert!(rows.columns().iter().all(|column| column.is_null(1)));
}

#[test]
fn bad_json_lines_say_column_value_and_what_was_expected() {
    let schema = json!({ "n": { "type": "int64", "nullable": false }, "s": "utf8", "at": "timestamp", "t": "timestamp_s" });
    let format = format(FormatKind::Ndjson, schema);
    let cases = [
        (r#"{"n": "abc"}"#, r#"column `n` is "abc", expected a whole number of 64 bits (int64)"#),
        (r#"{"n": 1.5}"#, "column `n` is 1.5, expected a whole number"),
        (r#"{"s": "x"}"#, "column `n` is missing and may not be null"),
        (r#"{"n": null}"#, "column `n` may not be null"),
        (r#"{"n": 1, "s": 5}"#, "column `s` is 5, expected text"),
        (r#"{"n": 1, "s": {"a": 1}}"#, r#"column `s` is {"a": 1}, expected text"#),
        (r#"{"n": 1, "at": "yesterday"}"#, r#"column `at` is "yesterday", expected a time like"#),
        (r#"{"n": 1, "at": 1717149600}"#, "column `at` is 1717149600, expected a time like"),
        (
            r#"{"n": 1, "t": 9223372036854775807}"#,
            "column `t` is 9223372036854775807, expected a whole number of seconds",
        ),
        (r#"{"n": 1"#, "the line is no JSON: EOF while parsing"),
        (r#"{"n": 1} {"n": 2}"#, "the line is no JSON: trailing characters"),
        ("[1]", "the line is an array, expected a JSON object"),
        ("{\"n\": 1, \"s\": \"\u{7f}\\ud800\"}", "the line is no JSON"),
    ];
    let mut input = Vec::new();
    for (line, _) in &cases {
        input.extend_from_slice(format!("{{\"n\": 7}}\n{line}\n").as_bytes());
    }
    let (rows, bad) = decode(&format, &input);
    assert_eq!(ints(&rows, 0), vec![Some(7); cases.len()]);
    assert_eq!(bad.len(), cases.len());
    for (bad, (line, reason)) in bad.iter().zip(&cases) {
        assert_eq!(bad.bytes, line.as_bytes());
        assert!(bad.reason.contains(reason), "{}", bad.reason);
    }
}

/// Arrow's JSON reader took each of these and made another value of it.
#[test]
fn a_json_value_that_is_not_exactly_of_its_type_is_bad() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (
            "int64",
            &["9223372036854775807", "-9223372036854775808", "-0"],
            &["1.5", "1.0", "1e3", "\"7\"", "9223372036854775808", "true", "[1]"],
        ),
        ("int32", &["2147483647"], &["2147483648", "-2147483649", "2e0", "\"2\""]),
        ("float32", &["1", "0.1", "3e38"], &["4e38", "-1e99", "\"1\"", "false"]),
        ("float64", &["-1.5e-300", "1e-999", "12345678901234567890"], &["1e309", "\"NaN\"", "{}"]),
        ("utf8", &["\"\"", "\"\\u00e4\""], &["true", "5", "[]"]),
        ("boolean", &["true", "false"], &["0", "1", "\"true\""]),
        ("binary", &["\"\"", "\"0aF0\""], &["\"0af\"", "\"0g\"", "10"]),
        (
            "date",
            &["\"2024-02-29\"", "\"+12024-02-29\""],
            &["\"2024-02-30\"", "\"2024-02-29T23:59:59Z\"", "\" 2024-02-2\"", "\"20240229\"", "19000"],
        ),
        (
            "timestamp",
            &["\"2024-02-29T00:00:00Z\"", "\"2024-02-29 00:00:00.123456\"", "\"1969-12-31\""],
            &["\"2024-02-29T24:00:00Z\"", "\"2024-02-29T00:00:00Mars\"", "0"],
        ),
    ];
    for (data_type, good, wrong) in cases {
        let format = format(FormatKind::Ndjson, json!({ "a": data_type }));
        let lines =
            |values: &[&str]| values.iter().map(|value| format!("{{\"a\":{value}}}\n")).collect::<String>();
        let (rows, bad) = decode(&format, lines(good).as_bytes());
        assert!(bad.is_empty(), "{data_type}: {bad:?}");
        assert_eq!((rows.num_rows(), rows.column(0).null_count()), (good.len(), 0), "{data_type}");
        let (rows, bad) = decode(&format, lines(wrong).as_bytes());
        assert_eq!(rows.num_rows(), 0, "{data_type}: {rows:?}");
        for (bad, value) in bad.iter().zip(wrong) {
            let is_told = bad.reason.starts_with(&format!("column `a` is {value}, "));
            assert!(is_told && bad.reason.contains("expected "), "{}", bad.reason);
        }
    }
}

#[test]
fn a_bad_json_line_takes_back_what_it_had_appended() {
    let schema = json!({ "s": "utf8", "ok": "boolean", "n": "int32", "x": "float64", "b": "binary" });
    let format = format(FormatKind::Ndjson, schema);
    let good = r#"{"s":"ab","ok":true,"n":1,"x":0.5,"b":"ff"}"#;
    let input = [
        good,
        r#"{"s":"gone","ok":false,"n":9,"x":9,"b":"0"}"#,
        r#"{"s":null,"ok":null,"n":null,"x":null,"b":null,"s":"again"}"#,
        r#"{"b":"00","unknown":[{"s":1}],"unknown":2}"#,
        r#"{"s":"gone","unknown":[1,]}"#,
        "{}",
        good,
    ];
    let (rows, bad) = decode(&format, input.join("\n").as_bytes());
    let reasons: Vec<&str> = bad.iter().map(|bad| bad.reason.as_str()).collect();
    assert_eq!(bad.len(), 3, "{reasons:?}");
    assert_eq!(reasons[0], "column `b` is \"0\", expected bytes in hexadecimal");
    assert_eq!(reasons[1], "column `s` stands twice, expected once");
    assert!(reasons[2].starts_with("the line is no JSON: "), "{}", reasons[2]);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts(&rows, 0), [some("ab"), None, None, some("ab")]);
    let bytes: Vec<_> = rows.column(4).as_binary::<i32>().iter().collect();
    assert_eq!(bytes, [Some(&[255_u8][..]), Some(&[0]), None, Some(&[255])]);
    assert_eq!(rows.column(1).as_boolean().true_count(), 2);
    assert_eq!(rows.slice(0, 1), rows.slice(3, 1));
}

#[test]
fn many_json_columns_are_found_in_any_order() {
    let names: Vec<String> = (0..40).map(|i| format!("c{i}")).collect();
    let schema = names.iter().map(|name| (name.clone(), json!("int64"))).collect::<serde_json::Map<_, _>>();
    let format = format(FormatKind::Ndjson, Value::Object(schema));
    let line = |order: &mut dyn Iterator<Item = usize>| {
        let pairs: Vec<String> = order.map(|i| format!("\"c{i}\": {i}")).collect();
        format!("{{ {} }}\n", pairs.join(" , "))
    };
    let input =
        [line(&mut (0..40)), line(&mut (0..40).rev()), line(&mut (0..40).map(|i| i * 7 % 40))].concat();
    let (rows, bad) = decode(&format, input.as_bytes());
    assert!(bad.is_empty(), "{bad:?}");
    for column in 0..40 {
        assert_eq!(ints(&rows, column), [Some(i64::try_from(column).unwrap()); 3]);
    }
}

#[test]
fn a_json_line_cannot_reach_into_the_next() {
    let format = format(FormatKind::Ndjson, json!({ "a": "int64", "b": "int64" }));
    for lines in ["{\"a\":\n1}\n", "{\"a\": 1,\n\"b\": 2}\n", "{\"a\": \"}\n{\"}\n{\"a\":1}{\"a\":2}\n"] {
        let (rows, bad) = decode(&format, lines.as_bytes());
        assert_eq!((rows.num_rows(), bad.len()), (0, lines.lines().count()), "{lines}");
    }
}

#[test]
fn csv_fields_become_columns_by_name() {
    let schema = json!({ "id": "int64", "name": { "type": "utf8", "nullable": false }, "at": "timestamp_s", "b": "binary", "ok": "boolean" });
    let csv = "other; ok;at;id;name;b\r\nx;true;10;1;'a;''b'';\nc';0aFF\r\n\r\n;;;2;;\n";
    let format = format_with(FormatKind::Csv, schema, None, Some(json!({ "delimiter": ";", "quote": "'" })));
    let (rows, bad) = decode(&format, csv.as_bytes());
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(ints(&rows, 0), [Some(1), Some(2)]);
    assert_eq!(texts(&rows, 1), [Some("a;'b';\nc".to_owned()), Some(String::new())]);
    assert_eq!(times(&rows, 2), [Some(10_000_000), None]);
    assert_eq!(rows.column(3).as_binary::<i32>().value(0), [10, 255]);
}

#[test]
fn bad_csv_records_are_bad_alone() {
    let format = format(FormatKind::Csv, json!({ "n": { "type": "int64", "nullable": false }, "s": "utf8" }));
    let cases: [(&[u8], &str); 6] = [
        (b"abc,x", "column `n` is \"abc\", expected a whole number of 64 bits"),
        (b",x", "column `n` is empty and may not be null"),
        (b"1,2,3", "the record has 3 fields, expected 2"),
        (b"1", "the record has 1 fields, expected 2"),
        (b"1,\xff", "not UTF-8"),
        (b"1,\"open", "a quote is opened and not closed"),
    ];
    let mut input = b"n,s\n".to_vec();
    for (record, _) in &cases {
        input.extend_from_slice(b"7,\"good\"\n");
        input.extend_from_slice(record);
        input.push(b'\n');
    }
    input.extend_from_slice(b"7,\"good\"\n");
    let (rows, bad) = decode(&format, &input);
    assert_eq!(ints(&rows, 0), vec![Some(7); cases.len() + 1]);
    assert_eq!(bad.len(), cases.len(), "{bad:?}");
    for (bad, (record, reason)) in bad.iter().zip(&cases) {
        assert_eq!(bad.bytes, *record);
        assert!(bad.reason.contains(reason), "{}", bad.reason);
    }
}

#[test]
fn a_bad_csv_record_brings_its_header_along() {
    let format = format(FormatKind::Csv, json!({ "n": "int64", "s": "utf8" }));
    let (_, bad) = decode(&format, b"s,n\nx,y\n");
    assert_eq!(bad[0].bytes, b"s,n\nx,y");
    let again = format.single_records(&[b"s,n\nx,5".as_slice(), b"6,z", &bad[0].bytes]).unwrap();
    assert_eq!(ints(&again.rows, 0), [Some(5), Some(6)]);
    assert_eq!(again.bad.len(), 1);
}

/// `head`, then so many `x`, then `tail`.
fn long(head: &str, xs: u64, tail: &str) -> Box<dyn Read + Send> {
    let owned = |text: &str| std::io::Cursor::new(text.as_bytes().to_vec());
    Box::new(owned(head).chain(std::io::repeat(b'x').take(xs)).chain(owned(tail)))
}

#[test]
fn a_line_of_100_megabytes_is_one_bad_record() {
    let format = format(FormatKind::Text, Value::Null);
    let xs = 100 * 1024 * 1024;
    let config = CutterConfig {
        framing: format.framing(),
        max_record_bytes: format.max_record_bytes(),
        tail: Tail::Record,
        at: 0,
        skip_bom: true,
    };
    let cutter = Cutter::new(long("before\n", xs, "\nafter"), config);
    let mut stream = RecordStream::new(Arc::clone(&format), cutter, None, "a.txt".to_owned());
    let (mut lines, mut bad) = (Vec::new(), Vec::new());
    while let Some(chunk) = millstream_engine::source::ChunkStream::next(&mut stream).unwrap() {
        lines.extend(texts(&chunk.rows, 0));
        bad.extend(chunk.bad);
    }
    assert_eq!(lines, [Some("before".to_owned()), Some("after".to_owned())]);
    assert_eq!(
        (bad.len(), bad[0].bytes.len(), bad[0].position.as_str()),
        (1, BAD_BYTES_MAX, "a.txt, byte 7")
    );
    assert!(bad[0].reason.contains(&format!("has {xs} bytes")), "{}", bad[0].reason);
}

#[test]
fn records_at_the_limit_are_rows_and_longer_ones_are_not() {
    for kind in [FormatKind::Text, FormatKind::Csv] {
        let schema = if kind == FormatKind::Text { Value::Null } else { json!({ "s": "utf8" }) };
        let csv = (kind == FormatKind::Csv).then(|| json!({ "header": false }));
        let format = format_with(kind, schema, Some(10), csv);
        let (rows, bad) = decode(&format, b"0123456789\r\n0123456789a\n\xEF\xBB\xBFok\n");
        assert_eq!((rows.num_rows(), bad.len()), (2, 1));
        assert!(bad[0].reason.contains("max_record_bytes is 10"), "{}", bad[0].reason);
    }
}

proptest! {
    #[test]
    fn csv_reads_what_was_written(records in prop::collection::vec(("[a-c\",\n\r€ ]{1,8}", any::<i64>()), 1..60)) {
        let format = format_with(FormatKind::Csv, json!({ "s": "utf8", "n": "int64" }), None, Some(json!({ "header": false })));
        let mut bytes = Vec::new();
        for (text, number) in &records {
            bytes.extend_from_slice(format!("\"{}\",{number}\n", text.replace('"', "\"\"")).as_bytes());
        }
        let (rows, bad) = decode(&format, &bytes);
        prop_assert!(bad.is_empty(), "{:?}", bad);
        prop_assert_eq!(texts(&rows, 0), records.iter().map(|(text, _)| Some(text.clone())).collect::<Vec<_>>());
        prop_assert_eq!(ints(&rows, 1), records.iter().map(|(_, number)| Some(*number)).collect::<Vec<_>>());
    }

    #[test]
    fn cuts_of_any_size_find_the_same_records(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'a'), Just(b' ')], 0..200), block in 1..50usize, max in 1..30usize) {
        for kind in [FormatKind::Csv, FormatKind::Text] {
            let csv = (kind == FormatKind::Csv).then(|| json!({ "header": false }));
            let schema = if kind == FormatKind::Text { Value::Null } else { json!({ "s": "utf8" }) };
            let format = format_with(kind, schema, Some(max as u64), csv);
            let ends = |block: usize| {
                let config = CutterConfig { framing: format.framing(), max_record_bytes: max, tail: Tail::Record, at: 0, skip_bom: true };
                let mut cutter = Cutter::new(Box::new(std::io::Cursor::new(bytes.clone())), config);
                cutter.set_block(block);
                let mut found = Vec::new();
                while let Some(cut) = cutter.next(3).unwrap() {
                    let at = cut.at;
                    found.extend(cut.spans.iter().map(|span| (at + span.start as u64, true)));
                    found.extend(cut.bad.iter().map(|bad| (bad.record(at, max, "").position[7..].parse().unwrap(), false)));
                }
                found.sort_unstable();
                found
            };
            prop_assert_eq!(ends(block), ends(1 << 20));
        }
    }

    #[test]
    fn json_reads_what_was_written(records in prop::collection::vec((any::<Option<String>>(), any::<i64>(), prop::num::f64::NORMAL), 1..60)) {
        let format = format(FormatKind::Ndjson, json!({ "s": "utf8", "n": "int64", "x": "float64" }));
        let lines = records.iter().map(|(text, number, float)| json!({ "n": number, "x": float, "s": text }).to_string() + "\n");
        let (rows, bad) = decode(&format, lines.collect::<String>().as_bytes());
        prop_assert!(bad.is_empty(), "{:?}", bad);
        prop_assert_eq!(texts(&rows, 0), records.iter().map(|(text, _, _)| text.clone()).collect::<Vec<_>>());
        prop_assert_eq!(ints(&rows, 1), records.iter().map(|(_, number, _)| Some(*number)).collect::<Vec<_>>());
        let floats = rows.column(2).as_primitive::<arrow_array::types::Float64Type>().values();
        prop_assert_eq!(floats.to_vec(), records.iter().map(|(_, _, float)| *float).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode(&format(FormatKind::Text, Value::Null), &bytes);
        decode(&format(FormatKind::Ndjson, json!({ "a": "int64" })), &bytes);
        let csv = format_with(FormatKind::Csv, json!({ "a": "int64" }), None, Some(json!({ "header": false })));
        decode(&csv, &bytes);
    }
}

#[test]
fn digits_beyond_the_greatest_float_are_bad_and_words_for_infinity_are_not() {
    let schema = json!({ "w": "utf8", "x": "float64", "y": "float32" });
    let csv = format(FormatKind::Csv, schema.clone());
    let text =
        "y,w,x\n1,a,1e999\n-inf,b,NaN\n3.5e38,c,1\n,d,-1e400\n-NAN,e,+Infinity\n1e-99,\"1e999\",1.7e308\n";
    let (rows, bad) = decode(&csv, text.as_bytes());
    let words: Vec<String> = texts(&rows, 0).into_iter().flatten().collect();
    assert_eq!(words, ["b", "e", "1e999"]);
    let x: Vec<f64> = rows.column(1).as_primitive::<Float64Type>().values().to_vec();
    assert!(x[0].is_nan() && x[1] == f64::INFINITY && x[2] == 1.7e308, "{x:?}");
    let y = rows.column(2).as_primitive::<Float32Type>().values().to_vec();
    assert!(y[0] == f32::NEG_INFINITY && y[1].is_nan() && y[2] == 0.0, "{y:?}");
    let json = format(FormatKind::Ndjson, schema);
    let lines = "{\"x\":1e999,\"y\":1}\n{\"y\":3.5e38}\n{\"x\":-1e400}\n";
    let (rows, bad_json) = decode(&json, lines.as_bytes());
    assert_eq!(rows.num_rows(), 0);
    let reasons = |bad: &[BadRecord]| bad.iter().map(|bad| bad.reason.clone()).collect::<Vec<_>>();
    assert_eq!(
        reasons(&bad),
        [
            "column `x` is \"1e999\", out of range, expected a number from -1.8e308 to 1.8e308 (float64)",
            "column `y` is \"3.5e38\", out of range, expected a number from -3.4e38 to 3.4e38 (float32)",
            "column `x` is \"-1e400\", out of range, expected a number from -1.8e308 to 1.8e308 (float64)",
        ]
    );
    assert_eq!(
        reasons(&bad_json),
        reasons(&bad).iter().map(|text| text.replace('"', "")).collect::<Vec<_>>()
    );
}
