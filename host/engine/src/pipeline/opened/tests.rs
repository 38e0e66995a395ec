//! Partitions of a source that reads them side by side.

use serde_json::json;

use super::*;
use crate::source::{ChunkStream, Limits, Position, SourceError, Split, SplitReader};

/// A source with the partitions that a test says; a split is the name of one.
struct Topic(Vec<String>);

impl SplitReader for Topic {
    fn schema(&self) -> SchemaRef {
        unreachable!("nothing is read here")
    }

    fn partition(&self, split: &Split) -> Option<String> {
        split.0.as_str().map(str::to_owned)
    }

    fn open(&self, _: &Split) -> Result<Box<dyn ChunkStream>, SourceError> {
        unreachable!("nothing is read here")
    }

    fn decode(&self, _: &[&[u8]]) -> Result<crate::batch::Chunk, SourceError> {
        unreachable!("nothing is read here")
    }
}

impl Source for Topic {
    fn restore(&mut self, _: Option<&Position>) -> Result<(), SourceError> {
        Ok(())
    }

    fn advance(&mut self, _: &[Split]) -> Result<(), SourceError> {
        Ok(())
    }

    fn poll(&mut self, _: Limits) -> Result<Poll, SourceError> {
        Ok(Poll::default())
    }

    fn position(&self) -> Position {
        Position(json!(null))
    }

    fn partitions(&self) -> Vec<String> {
        self.0.clone()
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        Arc::new(Self(Vec::new()))
    }

    fn release(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }
}

fn opened(partitions: &[&str]) -> OpenedSource {
    OpenedSource {
        entry: 0,
        name: "topic".into(),
        _receiving: None,
        source: Box::new(Topic(partitions.iter().map(|name| (*name).to_owned()).collect())),
        idle_us: Some(100),
        max_future_us: None,
        never_timed: false,
        last_rows_us: None,
        partitions_us: BTreeMap::new(),
        backlog_bytes: 0,
        last_poll_was_empty: false,
    }
}

/// The partitions after a poll with splits of these, those that are idle with a dash.
fn poll(source: &mut OpenedSource, now_us: i64, splits: &[&str]) -> (bool, Vec<String>) {
    let splits = splits.iter().map(|split| Split(json!(split))).collect();
    let (is_idle, partitions) = source.note_poll(&Poll { splits, ..Poll::default() }, now_us);
    let show = |(name, idle): (String, bool)| if idle { format!("-{name}") } else { name };
    (is_idle, partitions.into_iter().map(show).collect())
}

#[test]
fn each_partition_is_idle_by_itself() {
    let mut source = opened(&["a", "b"]);
    assert_eq!(poll(&mut source, 0, &[]), (false, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(poll(&mut source, 90, &["a"]).1, ["a", "b"]);
    assert_eq!(poll(&mut source, 100, &[]), (false, vec!["a".to_owned(), "-b".to_owned()]));
    assert_eq!(poll(&mut source, 150, &["b"]).1, ["a", "b"]);
    assert_eq!(poll(&mut source, 1_000, &[]), (true, vec!["-a".to_owned(), "-b".to_owned()]));
}

#[test]
fn partitions_come_with_their_splits_or_from_a_checkpoint_and_go_with_their_source() {
    let mut source = opened(&[]);
    source.know(["old".to_owned()], 50);
    assert_eq!(poll(&mut source, 60, &["new", "new"]).1, ["new", "old"]);
    assert_eq!(poll(&mut source, 155, &[]).1, ["new", "-old"]);
    source.source = Box::new(Topic(vec!["new".to_owned(), "next".to_owned()]));
    assert_eq!(poll(&mut source, 159, &[]).1, ["new", "next"]);
}
