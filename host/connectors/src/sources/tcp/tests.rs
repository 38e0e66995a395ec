//! Real sockets over the loopback interface.

use std::sync::atomic::Ordering;

use millstream_engine::journal::{Decoder, Received, Refused};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::sources::testing::{TestInbox, ctx};

fn open(spec: Value, endpoints: &Endpoints) -> (Arc<dyn Decoder>, Receive) {
    let plan = plan(spec.as_object().unwrap().clone(), &Handle::current(), endpoints);
    match plan.map_err(|error| error.to_string()).unwrap().open(ctx("p")).unwrap() {
        OpenSource::Push { decoder, receive, .. } => (decoder, receive),
        OpenSource::Pull(_) => unreachable!("TCP is pushed"),
    }
}

async fn bytes(received: &mut UnboundedReceiver<Received>, wanted: usize) -> (Vec<u8>, u64) {
    let (mut bytes, mut records) = (Vec::new(), 0);
    while bytes.len() < wanted {
        let next = received.recv().await.unwrap();
        bytes.extend_from_slice(&next.bytes);
        records += next.records;
    }
    (bytes, records)
}

fn listen() -> Value {
    json!({ "listen": "127.0.0.1:0", "format": "text", "max_record_bytes": 100 })
}

#[tokio::test]
async fn lines_over_a_socket_reach_the_inbox_and_the_last_needs_no_end() {
    let endpoints = Endpoints::default();
    let (_, receive) = open(listen(), &endpoints);
    let address = endpoints.get("p", "in").unwrap();
    let (inbox, mut received) = TestInbox::new();
    inbox.refusals.lock().unwrap().extend([Refused::Full, Refused::Failed("disk".into())]);
    let receiving = receive(inbox).unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"one\ntwo\nthr").await.unwrap();
    assert_eq!(bytes(&mut received, 8).await, (b"one\ntwo\n".to_vec(), 2));
    stream.write_all(b"ee").await.unwrap();
    drop(stream);
    assert_eq!(bytes(&mut received, 5).await, (b"three".to_vec(), 1));
    drop(receiving);
    assert_eq!(endpoints.get("p", "in"), None);
}

#[tokio::test]
async fn a_line_that_is_too_long_becomes_one_dead_letter() {
    let endpoints = Endpoints::default();
    let (decoder, receive) = open(listen(), &endpoints);
    let (inbox, mut received) = TestInbox::new();
    let _receiving = receive(inbox).unwrap();
    let mut stream = TcpStream::connect(endpoints.get("p", "in").unwrap()).await.unwrap();
    stream.write_all(&[b'x'; 1_000_000]).await.unwrap();
    stream.write_all(b"\nok\n").await.unwrap();
    let (mut rows, mut bad) = (0, Vec::new());
    while rows < 1 {
        let entry = received.recv().await.unwrap();
        let mut chunks = Arc::clone(&decoder).chunks(entry.bytes, "in, offset 1").unwrap();
        while let Some(chunk) = chunks.next().unwrap() {
            rows += chunk.rows.num_rows();
            bad.extend(chunk.bad);
        }
    }
    assert_eq!((rows, bad.len()), (1, 1));
    assert!(
        bad[0].reason.contains("at least 101 bytes") || bad[0].reason.contains("1000000 bytes"),
        "{}",
        bad[0].reason
    );
}

#[tokio::test]
async fn nothing_is_read_while_there_is_no_room() {
    let endpoints = Endpoints::default();
    let (_, receive) = open(listen(), &endpoints);
    let (inbox, mut received) = TestInbox::new();
    inbox.room.store(false, Ordering::SeqCst);
    let _receiving = receive(Arc::<TestInbox>::clone(&inbox)).unwrap();
    let mut stream = TcpStream::connect(endpoints.get("p", "in").unwrap()).await.unwrap();
    // More than the kernel holds: the sender can only finish when somebody reads.
    let sending = tokio::spawn(async move {
        let line = [[b'x'; 63].as_slice(), b"\n"].concat().repeat(16 * 1024);
        for _ in 0..32 {
            stream.write_all(&line).await.unwrap();
        }
    });
    tokio::task::yield_now().await;
    assert!(received.try_recv().is_err() && !sending.is_finished());
    inbox.room.store(true, Ordering::SeqCst);
    let (_, records) = bytes(&mut received, 32 * 1024 * 1024).await;
    assert_eq!(records, 32 * 16 * 1024);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_client_connects_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (_, receive) = open(json!({ "connect": address, "format": "text" }), &Endpoints::default());
    let (inbox, mut received) = TestInbox::new();
    let _receiving = receive(inbox).unwrap();
    for line in [b"first\n", b"again\n"] {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(line).await.unwrap();
        drop(stream);
        assert_eq!(bytes(&mut received, 6).await.0, line);
    }
}

#[tokio::test]
async fn mistakes_in_a_spec_are_explained() {
    for (spec, why) in [
        (json!({ "format": "text" }), "give either"),
        (json!({ "listen": "9000", "format": "text" }), "listen: `9000` is no address"),
        (json!({ "listen": "a:1", "format": "csv" }), "format: TCP carries lines"),
        (json!({ "lisen": "a:1", "format": "text" }), "did you mean `listen`?"),
    ] {
        let error =
            plan(spec.as_object().unwrap().clone(), &Handle::current(), &Endpoints::default()).err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
    }
}
