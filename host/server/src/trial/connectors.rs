//! Where the rows of a trial come from, and where they go: a file of NDJSON, and whatever can be written to.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow_schema::{Schema, SchemaRef};
use millstream_engine::pipeline::{
    Connectors, OpenSource, Replay, SinkCtx, SinkPlan, SourceCtx, SourcePlan, SpecError,
};
use millstream_engine::sink::{Sink, SinkError, SinkPromise};
use millstream_engine::source::SourceError;
use millstream_engine::table::TableReader;
use serde_json::{Map, Value, json};

use super::closing::Closing;
use crate::connectors::line_sink;
use crate::sync::lock;

/// Something to write to. A sink is opened once an attempt, so it is shared.
pub type Out = Arc<Mutex<dyn Write + Send>>;

/// One source and one sink.
pub(super) struct TrialConnectors {
    /// All connectors, for the file.
    pub(super) all: Arc<dyn Connectors>,
    pub(super) input: PathBuf,
    /// The column of times, where the end of time comes behind the rows.
    pub(super) closing: Option<String>,
    pub(super) out: Out,
}

impl Connectors for TrialConnectors {
    fn source(&self, _: &str, mut config: Map<String, Value>) -> Result<Box<dyn SourcePlan>, SpecError> {
        config.insert("path".to_owned(), json!(self.input));
        config.insert("format".to_owned(), json!("ndjson"));
        let rows = self.all.source("file", config)?;
        Ok(match &self.closing {
            None => rows,
            Some(time) => Box::new(ClosingPlan { rows, time: time.clone() }),
        })
    }

    fn sink(&self, _: &str, _: Map<String, Value>) -> Result<Box<dyn SinkPlan>, SpecError> {
        Ok(Box::new(Lines(Arc::clone(&self.out))))
    }

    fn table(&self, _: &str, _: Map<String, Value>) -> Result<Arc<dyn TableReader>, SpecError> {
        Err(SpecError::new("", "a trial has no tables"))
    }
}

struct ClosingPlan {
    rows: Box<dyn SourcePlan>,
    time: String,
}

impl SourcePlan for ClosingPlan {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn replay(&self) -> Replay {
        self.rows.replay()
    }

    fn open(self: Box<Self>, ctx: SourceCtx) -> Result<OpenSource, SourceError> {
        match self.rows.open(ctx)? {
            OpenSource::Pull(rows) => Ok(OpenSource::Pull(Box::new(Closing::new(rows, self.time)))),
            pushed @ OpenSource::Push { .. } => Ok(pushed),
        }
    }
}

struct Lines(Out);

impl SinkPlan for Lines {
    fn promise(&self) -> SinkPromise {
        SinkPromise::Plain
    }

    fn promise_reason(&self) -> String {
        "lines that were written cannot be taken back".to_owned()
    }

    fn check(&self, _: &Schema) -> Result<(), SpecError> {
        Ok(())
    }

    fn open(self: Box<Self>, _: SinkCtx) -> Result<Box<dyn Sink>, SinkError> {
        Ok(line_sink(Shared(self.0)))
    }
}

struct Shared(Out);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        lock(&self.0).flush()
    }
}
