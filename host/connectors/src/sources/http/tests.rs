use bytes::Bytes;
use millstream_engine::journal::Refused;
use serde_json::json;

use super::*;
use crate::sources::testing::{TestInbox, ctx};

fn plan_of(spec: &Value, streams: &HttpStreams) -> Box<dyn SourcePlan> {
    plan(spec.as_object().unwrap().clone(), streams).map_err(|error| error.to_string()).unwrap()
}

fn start(spec: &Value, streams: &HttpStreams, inbox: Arc<TestInbox>) -> Box<dyn Send> {
    match plan_of(spec, streams).open(ctx("p")).unwrap() {
        OpenSource::Push { receive, .. } => receive(inbox).unwrap(),
        OpenSource::Pull(_) => unreachable!("HTTP is pushed"),
    }
}

fn spec(format: &str) -> Value {
    json!({ "stream": "orders", "format": format, "schema": { "id": "int64" } })
}

#[tokio::test]
async fn a_json_array_is_stored_as_lines() {
    let streams = HttpStreams::default();
    let (inbox, mut received) = TestInbox::new();
    let _open = start(&spec("json"), &streams, inbox);
    let body = Bytes::from_static(b"[ {\"id\":\n 1}, {\"id\": 2}, 3 ]");
    let receipt =
        streams.push("orders", Some("application/json; charset=utf-8"), body, Some("k".into())).await;
    assert_eq!(receipt.unwrap().offset, 1);
    let taken = received.recv().await.unwrap();
    assert_eq!(taken.bytes, b"{\"id\":  1}\n{\"id\": 2}\n3\n".as_slice());
    assert_eq!((taken.records, taken.idempotency_key.as_deref()), (3, Some("k")));
    for (body, why) in [
        ("[{]", "line 1 column 3"),
        ("7", "neither"),
        ("{} {}", "trailing"),
        ("[]", "no records"),
        ("", "no records"),
    ] {
        let error =
            streams.push("orders", None, Bytes::from_static(body.as_bytes()), None).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn bodies_that_do_not_fit_the_stream_are_refused() {
    let streams = HttpStreams::default();
    let (inbox, _received) = TestInbox::new();
    inbox.refusals.lock().unwrap().push_back(Refused::Full);
    let open = start(&spec("csv"), &streams, inbox);
    let push = |content_type, body: &'static str| {
        streams.push("orders", content_type, Bytes::from_static(body.as_bytes()), None)
    };
    assert!(matches!(push(Some("application/json"), "id\n1").await, Err(PushError::ContentType { .. })));
    assert!(push(None, "no\n1").await.unwrap_err().to_string().contains("no column `id`"));
    assert_eq!(push(None, "id\n").await, Err(PushError::Empty));
    assert_eq!(push(Some("text/csv"), "id\n1").await, Err(PushError::Refused(Refused::Full)));
    assert!(push(Some("text/csv"), "id\n1").await.is_ok());
    let error = streams.push("order", None, Bytes::new(), None).await.unwrap_err().to_string();
    assert!(error.contains("did you mean `orders`?"), "{error}");
    drop(open);
    assert!(streams.names().is_empty());
}

#[tokio::test]
async fn a_name_that_is_taken_says_by_whom() {
    let streams = HttpStreams::default();
    let (inbox, _received) = TestInbox::new();
    let _open = start(&spec("ndjson"), &streams, inbox);
    let error = plan_of(&spec("ndjson"), &streams).open(ctx("q")).err().unwrap();
    assert!(error.to_string().contains("`orders` is taken by pipeline `p`"), "{error}");
}

#[tokio::test]
async fn a_bad_csv_record_of_a_body_can_be_mended_and_read_again() {
    let streams = HttpStreams::default();
    let (inbox, mut received) = TestInbox::new();
    let spec = json!({ "stream": "orders", "format": "csv", "schema": { "id": "int64", "name": "utf8" } });
    let OpenSource::Push { decoder, receive, .. } = plan_of(&spec, &streams).open(ctx("p")).unwrap() else {
        unreachable!("HTTP is pushed")
    };
    let _open = receive(inbox).unwrap();
    let body = "name,id\r\nann,1\r\n\"b, ob\",two\r\ncid,3,4\r\ndan,5";
    streams.push("orders", Some("text/csv"), Bytes::from(body), None).await.unwrap();
    let taken = received.recv().await.unwrap();
    assert_eq!(taken.records, 4);
    let mut chunks = decoder.clone().chunks(taken.bytes, "orders, offset 1").unwrap();
    let chunk = chunks.next().unwrap().unwrap();
    assert_eq!((chunk.rows.num_rows(), chunk.bad.len()), (2, 2));
    assert_eq!(chunk.bad[0].reason, "column `id` is \"two\", expected a whole number of 64 bits (int64)");
    assert_eq!(chunk.bad[0].position, "orders, offset 1, byte 16");
    assert_eq!(chunk.bad[1].reason, "the record has 3 fields, expected 2");
    let bytes = String::from_utf8(chunk.bad[0].bytes.clone()).unwrap();
    assert_eq!(bytes, "name,id\n\"b, ob\",two");
    let again = decoder.decode(&[bytes.replace("two", "2").as_bytes(), &chunk.bad[1].bytes]).unwrap();
    assert_eq!((again.rows.num_rows(), again.bad.len()), (1, 1));
}

#[test]
fn the_journal_has_the_size_that_the_spec_gives_it() {
    let streams = HttpStreams::default();
    let limit = |spec: &Value| match plan_of(spec, &streams).open(ctx("p")).unwrap() {
        OpenSource::Push { journal_bytes_max, .. } => journal_bytes_max,
        OpenSource::Pull(_) => unreachable!("HTTP is pushed"),
    };
    let mut spec = spec("ndjson");
    assert_eq!(limit(&spec), 1 << 30);
    spec["journal_max"] = json!("64KiB");
    assert_eq!(limit(&spec), 64 << 10);
    spec["journal_max"] = json!("0B");
    let error = plan(spec.as_object().unwrap().clone(), &streams).err().unwrap();
    assert_eq!(error.path, "journal_max");
}
