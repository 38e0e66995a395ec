//! How a pipeline gets its sources, tables and sinks: a registry that makes them out of their specs in two
//! acts. `plan` looks at the spec alone and touches nothing; `open` happens when the pipeline starts.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use serde_json::{Map, Value};

use super::error::SpecError;
use crate::clock::SharedClock;
use crate::journal::{Decoder, Inbox};
use crate::sink::{Sink, SinkError, SinkPromise};
use crate::source::{Source, SourceError};
use crate::table::TableReader;

/// Makes sources, tables and sinks; implemented by the connectors.
pub trait Connectors: Send + Sync {
    /// Checks a source's spec: `kind` is its `type`, `config` its remaining keys.
    ///
    /// # Errors
    /// What is wrong, with the path of the key below the entry.
    fn source(&self, kind: &str, config: Map<String, Value>) -> Result<Box<dyn SourcePlan>, SpecError>;

    /// Checks a sink's spec.
    ///
    /// # Errors
    /// What is wrong, with the path of the key below the entry.
    fn sink(&self, kind: &str, config: Map<String, Value>) -> Result<Box<dyn SinkPlan>, SpecError>;

    /// Checks a table's spec; nothing is read yet.
    ///
    /// # Errors
    /// What is wrong, with the path of the key below the entry.
    fn table(&self, kind: &str, config: Map<String, Value>) -> Result<Arc<dyn TableReader>, SpecError>;
}

/// A source whose spec is sound; nothing is open yet.
pub trait SourcePlan: Send {
    /// The schema of its rows.
    fn schema(&self) -> SchemaRef;

    /// What can be had again after a crash.
    fn replay(&self) -> Replay;

    /// Opens files, binds ports.
    ///
    /// # Errors
    /// When the machine does not let it.
    fn open(self: Box<Self>, ctx: SourceCtx) -> Result<OpenSource, SourceError>;
}

/// What a source can give again after a crash; decides the delivery a pipeline can promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The data itself stays where it is and can be read again (files, generators).
    Replayable,
    /// The engine journals what is received before it is acknowledged; `caveat` says what the
    /// protocol leaves open, in words for the pipeline's owner.
    Journaled {
        /// What is not covered, if anything.
        caveat: Option<String>,
    },
}

/// What a source gets when it is opened.
#[derive(Clone)]
pub struct SourceCtx {
    /// The pipeline's name.
    pub pipeline: String,
    /// The source's name in it.
    pub entry: String,
    /// Time.
    pub clock: SharedClock,
    /// The pipeline drains what is there and stops.
    pub available_now: bool,
    /// Tells the driver that data has come; cheap, from any thread.
    pub wake: Wake,
    /// Puts a warning into the pipeline's log, under the source's name.
    pub warn: Warn,
}

/// Puts a warning into a pipeline's log.
pub type Warn = Arc<dyn Fn(String) + Send + Sync>;

/// Tells a pipeline's driver that there is something to do.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// An opened source.
pub enum OpenSource {
    /// It is asked for data.
    Pull(Box<dyn Source>),
    /// It is given data: the engine keeps the journal, the connector receives.
    Push {
        /// Bytes that the journal holds at most; then nothing more is taken.
        journal_bytes_max: u64,
        /// Reads what was received.
        decoder: Arc<dyn Decoder>,
        /// Starts to receive; called once. What it returns stops receiving when dropped.
        receive: Receive,
    },
}

/// Bytes that a journal holds when its source does not say: as much as a disk can spare and a
/// pipeline that was down for a while can catch up with.
pub const JOURNAL_BYTES_MAX: u64 = 1 << 30;

/// Starts to receive; what it returns stops receiving when dropped.
pub type Receive = Box<dyn FnOnce(Arc<dyn Inbox>) -> Result<Box<dyn Send>, SourceError> + Send>;

/// A sink whose spec is sound; nothing is open yet.
pub trait SinkPlan: Send {
    /// What happens when a batch comes twice.
    fn promise(&self) -> SinkPromise;

    /// Why that is so, in words: `upsert by key: writing a row again replaces it by itself`.
    fn promise_reason(&self) -> String;

    /// Checks the rows that will come.
    ///
    /// # Errors
    /// What does not fit (a key that is no column, a type the sink cannot store).
    fn check(&self, input: &Schema) -> Result<(), SpecError>;

    /// Opens files and databases.
    ///
    /// # Errors
    /// When the machine does not let it.
    fn open(self: Box<Self>, ctx: SinkCtx) -> Result<Box<dyn Sink>, SinkError>;
}

/// What a sink gets when it is opened.
#[derive(Clone)]
pub struct SinkCtx {
    /// The pipeline's name.
    pub pipeline: String,
    /// A random id that a pipeline gets when it is created first; another pipeline of the same
    /// name has another, so a sink can tell whose batches it holds.
    pub pipeline_id: String,
    /// The sink's name in the pipeline.
    pub entry: String,
    /// The schema of the rows that will come.
    pub schema: SchemaRef,
    /// Commits must survive a power failure (false under at-most-once).
    pub durable: bool,
    /// A folder of the sink's own in the pipeline's data.
    pub dir: PathBuf,
}
