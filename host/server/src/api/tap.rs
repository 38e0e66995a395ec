//! Live rows of an entry as server-sent events. The pipeline never waits for a viewer: what a slow
//! one misses is counted and told.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, StreamExt, stream};
use millstream_engine::pipeline::TapRows;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, error::TrySendError};
use utoipa::IntoParams;

use super::error::Problem;
use super::extract::{Params, Segments};
use super::{Api, blocking};

/// So many chunks wait for a viewer.
const CHUNKS_MAX: usize = 16;

/// A person reads a few rows a second; more of a chunk than this is counted instead of shown, unless
/// the viewer asks for more.
const ROWS: usize = 200;

/// More than a chunk has.
const ROWS_MAX: usize = 100_000;

/// How much is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TapParams {
    /// Rows of a chunk (about 4,096 rows) that are shown, at most 100,000; the others are counted in `dropped`. 200 when left out.
    #[serde(default = "rows")]
    limit: usize,
}

const fn rows() -> usize {
    ROWS
}

/// Rows that pass an entry, live. Events: `rows` ({batch, rows}), `dropped` ({rows}: so many were
/// not shown, because a chunk has more than `limit` or the viewer is slow), `end` (the pipeline stopped).
#[utoipa::path(get, path = "/v1/pipelines/{pipeline}/tap/{entry}", tag = "records", params(TapParams, ("pipeline" = String, Path), ("entry" = String, Path)),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String)))]
pub(super) async fn tap(
    State(api): State<Api>,
    Segments((name, entry)): Segments<(String, String)>,
    Params(params): Params<TapParams>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let give = giver(sender, Arc::clone(&dropped));
    let supervisor = Arc::clone(&api.station.supervisor);
    blocking(move || supervisor.tap(&name, &entry, give)).await?;
    let mut closing = api.service.closing.clone();
    let closed = async move {
        // An error means that the server is gone, which ends the answer as well.
        let _gone = closing.wait_for(|closing| *closing).await;
    };
    let events = events(receiver, dropped, params.limit.min(ROWS_MAX)).take_until(Box::pin(closed));
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::default()))
}

/// Called by the pipeline for each chunk; false when the viewer has gone.
fn giver(
    sender: mpsc::Sender<TapRows>,
    dropped: Arc<AtomicU64>,
) -> Box<dyn Fn(TapRows) -> bool + Send + Sync> {
    Box::new(move |rows| match sender.try_send(rows) {
        Ok(()) => true,
        Err(TrySendError::Full(rows)) => {
            dropped.fetch_add(rows.rows.num_rows() as u64, Ordering::Relaxed);
            true
        }
        Err(TrySendError::Closed(_)) => false,
    })
}

fn events(
    receiver: mpsc::Receiver<TapRows>,
    dropped: Arc<AtomicU64>,
    limit: usize,
) -> impl Stream<Item = Event> {
    let chunks = stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    });
    let shown = chunks.flat_map(move |chunk| {
        let before = dropped.swap(0, Ordering::Relaxed);
        let hidden = chunk.rows.num_rows().saturating_sub(limit) as u64;
        let rows = rows_event(&chunk, limit);
        stream::iter(dropped_event(before).into_iter().chain([rows]).chain(dropped_event(hidden)))
    });
    shown.chain(stream::iter([Event::default().event("end").data("{}")]))
}

fn dropped_event(rows: u64) -> Option<Event> {
    (rows > 0).then(|| Event::default().event("dropped").data(json!({ "rows": rows }).to_string()))
}

fn rows_event(chunk: &TapRows, limit: usize) -> Event {
    let rows = chunk.rows.slice(0, chunk.rows.num_rows().min(limit));
    let data = json!({ "batch": chunk.batch, "rows": json_rows(&rows) });
    Event::default().event("rows").data(data.to_string())
}

/// Rows as JSON objects; nulls are written, so that every row has every column.
fn json_rows(rows: &RecordBatch) -> Value {
    let mut writer = arrow_json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::JsonArray>(Vec::new());
    let written = writer.write(rows).and_then(|()| writer.finish());
    match written {
        Ok(()) => serde_json::from_slice(&writer.into_inner()).unwrap_or_else(|_| json!([])),
        Err(error) => json!([{ "error": format!("the rows cannot be shown: {error}") }]),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use axum::response::IntoResponse;
    use millstream_engine::batch::BatchId;

    use super::*;

    fn chunk(batch: u64, rows: usize) -> TapRows {
        let schema =
            Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("w", DataType::Utf8, true)]);
        let numbers: Int64Array = (0..rows as i64).map(|n| (n != 1).then_some(n)).collect();
        let words: StringArray = (0..rows).map(|_| Some("ä\n")).collect();
        let rows = RecordBatch::try_new(schema.into(), vec![Arc::new(numbers), Arc::new(words)]).unwrap();
        TapRows { batch: BatchId(batch), rows }
    }

    async fn text(receiver: mpsc::Receiver<TapRows>, dropped: Arc<AtomicU64>) -> String {
        text_of(receiver, dropped, ROWS).await
    }

    async fn text_of(receiver: mpsc::Receiver<TapRows>, dropped: Arc<AtomicU64>, limit: usize) -> String {
        let response = Sse::new(events(receiver, dropped, limit).map(Ok::<_, Infallible>)).into_response();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn rows_are_shown_with_nulls_and_the_end_is_told() {
        let (sender, receiver) = mpsc::channel(4);
        let dropped = Arc::new(AtomicU64::new(0));
        let give = giver(sender, Arc::clone(&dropped));
        assert!(give(chunk(7, 2)));
        drop(give);
        let text = text(receiver, dropped).await;
        assert!(
            text.contains(r#"data: {"batch":7,"rows":[{"n":0,"w":"ä\n"},{"n":null,"w":"ä\n"}]}"#),
            "{text}"
        );
        assert!(text.ends_with("event: end\ndata: {}\n\n"), "{text}");
    }

    #[tokio::test]
    async fn what_a_slow_viewer_misses_is_counted() {
        let (sender, receiver) = mpsc::channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let give = giver(sender, Arc::clone(&dropped));
        assert!(give(chunk(1, 2)) && give(chunk(2, 3)) && give(chunk(3, 4)));
        drop(give);
        let text = text(receiver, dropped).await;
        assert!(text.contains("event: dropped\ndata: {\"rows\":7}"), "{text}");
        assert!(!text.contains("\"batch\":2"), "{text}");
    }

    #[tokio::test]
    async fn a_large_chunk_is_cut_and_the_rest_counted() {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(chunk(1, 250)).unwrap();
        drop(sender);
        let text = text(receiver, Arc::default()).await;
        assert!(text.contains("event: dropped\ndata: {\"rows\":50}"), "{text}");
    }

    #[tokio::test]
    async fn a_viewer_says_how_much_of_a_chunk_it_wants() {
        for (limit, shown, hidden) in
            [(250, 250, None), (3, 3, Some("{\"rows\":247}")), (0, 0, Some("{\"rows\":250}"))]
        {
            let (sender, receiver) = mpsc::channel(1);
            sender.try_send(chunk(1, 250)).unwrap();
            drop(sender);
            let text = text_of(receiver, Arc::default(), limit).await;
            assert_eq!(text.matches("{\"n\":").count(), shown, "{text}");
            assert_eq!(text.contains("event: dropped"), hidden.is_some(), "{text}");
            assert!(hidden.is_none_or(|hidden| text.contains(hidden)), "{text}");
        }
    }

    #[test]
    fn a_viewer_that_has_gone_is_let_go() {
        let (sender, receiver) = mpsc::channel(1);
        let give = giver(sender, Arc::default());
        drop(receiver);
        assert!(!give(chunk(1, 1)));
    }
}
