//! Why a component is no plugin, and what went wrong in a call. A plugin can answer an error or
//! break; the type tells which.

use std::fmt;

use crate::plugin::Kind;

/// Why the runtime cannot start.
#[derive(Debug)]
pub enum RuntimeError {
    /// The folder for compiled components cannot be used.
    Cache {
        /// The folder.
        path: std::path::PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The Wasm engine cannot be set up on this machine.
    Engine(String),
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache { path, source } => {
                write!(
                    f,
                    "the folder for compiled plugins, {}, must belong to this user: {source}",
                    path.display()
                )
            }
            Self::Engine(what) => write!(f, "the Wasm engine cannot start here: {what}"),
        }
    }
}

impl std::error::Error for RuntimeError {}

/// Why bytes are no plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadError {
    /// Not WebAssembly at all.
    NotWasm,
    /// A core module, without the component around it.
    CoreModule,
    /// WebAssembly that does not compile.
    Invalid(String),
    /// It needs something that no plugin gets.
    ForeignImport {
        /// The import as the component names it.
        name: String,
    },
    /// It was built against another version of the contract.
    WrongContract {
        /// The interface, with the version that the plugin has.
        name: String,
    },
    /// It describes nothing: no `catalog`.
    NoCatalog,
    /// It has no operators of any kind.
    NoOperators,
    /// The interfaces are there, but their types are not the contract's.
    Mismatch(String),
    /// `describe` broke.
    Describe(Fault),
    /// What `describe` said cannot be used.
    Description(String),
    /// The bytes of a plugin that was known before cannot be read.
    Bytes(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWasm => f.write_str("this is no WebAssembly: a plugin is a component (.wasm)"),
            Self::CoreModule => f.write_str(
                "this is a core WebAssembly module, a plugin is a component; build it for the target \
                 wasm32-wasip2, or wrap it: wasm-tools component new MODULE --adapt \
                 wasi_snapshot_preview1.reactor.wasm -o plugin.wasm",
            ),
            Self::Invalid(what) => write!(f, "this WebAssembly does not compile: {what}"),
            Self::ForeignImport { name } => write!(
                f,
                "the plugin imports `{name}`, which no plugin gets; offered are \
                 millstream:plugin/host@{CONTRACT_VERSION} and {}",
                crate::check::WASI_OFFERED.join(", ")
            ),
            Self::WrongContract { name } => write!(
                f,
                "the plugin has `{name}`, this host speaks millstream:plugin@{CONTRACT_VERSION}; build the \
                 plugin again with the kit of this version"
            ),
            Self::NoCatalog => write!(
                f,
                "the component does not export millstream:plugin/catalog@{CONTRACT_VERSION}, so it is no plugin"
            ),
            Self::NoOperators => write!(
                f,
                "the plugin exports no operators: one of transform, aggregate and keyed of \
                 millstream:plugin@{CONTRACT_VERSION} must be there"
            ),
            Self::Mismatch(what) => {
                write!(
                    f,
                    "an interface of the plugin is not as in millstream:plugin@{CONTRACT_VERSION}: {what}"
                )
            }
            Self::Describe(fault) => write!(f, "the plugin cannot describe itself: {fault}"),
            Self::Description(what) => write!(f, "the plugin's description cannot be used: {what}"),
            Self::Bytes(what) => write!(f, "the plugin's bytes cannot be read: {what}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// The version of the contract that this host speaks.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// Why a call gave no output.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// The plugin answered an error, in its own words.
    Answered(String),
    /// The plugin broke; its instance is gone, the next call gets a fresh one.
    Broken(Fault),
    /// The plugin does not have the operator.
    UnknownOperator {
        /// What was asked for.
        name: String,
        /// The operators of the kind that was asked for.
        known: Vec<String>,
    },
    /// The operator is there, but of another kind.
    WrongKind {
        /// The operator.
        name: String,
        /// What it is.
        kind: Kind,
    },
    /// A column's type cannot cross the boundary.
    UnsupportedType {
        /// The column.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// More rows than the contract can count.
    TooManyRows {
        /// How many.
        rows: usize,
    },
    /// The plugin cannot be made ready.
    Load(LoadError),
    /// All instances that the runtime may have at once are taken.
    Exhausted {
        /// How many there may be.
        instances_max: u32,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(message) => f.write_str(message),
            Self::Broken(fault) => fault.fmt(f),
            Self::UnknownOperator { name, known } => {
                write!(f, "the plugin has no operator `{name}`; it has {}", known.join(", "))
            }
            Self::WrongKind { name, kind } => write!(f, "the operator `{name}` is of kind {kind}"),
            Self::UnsupportedType { column, data_type } => write!(
                f,
                "column `{column}` is of type {data_type}, which cannot be given to a plugin; cast it in a \
                 select step before"
            ),
            Self::TooManyRows { rows } => {
                write!(f, "a batch of {rows} rows is too large for a plugin; lower max_rows")
            }
            Self::Load(error) => error.fmt(f),
            Self::Exhausted { instances_max } => write!(
                f,
                "all {instances_max} instances of plugins are in use; stop a pipeline or lower its parallelism"
            ),
        }
    }
}

impl std::error::Error for CallError {}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

/// How a plugin broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It trapped: a panic, an exception nobody caught, an exit.
    Trapped {
        /// The trap and where it happened.
        what: String,
        /// The end of what it wrote to standard output and error.
        stdio: String,
    },
    /// It did not come back in time.
    TimedOut {
        /// The time it had.
        deadline_ms: u64,
        /// The end of what it wrote to standard output and error.
        stdio: String,
    },
    /// It wanted more memory than it may have.
    OutOfMemory {
        /// What it may have.
        limit_bytes: usize,
        /// The end of what it wrote to standard output and error.
        stdio: String,
    },
    /// It called itself too deeply.
    StackOverflow {
        /// The end of what it wrote to standard output and error.
        stdio: String,
    },
    /// It returned more than it may.
    OutputTooLarge {
        /// What it may return.
        limit_bytes: usize,
    },
    /// It returned a batch that is none.
    InvalidBatch {
        /// The column, by name or number; none when the whole batch is meant.
        column: Option<String>,
        /// The row, where one is to blame.
        row: Option<u32>,
        /// What is wrong.
        what: String,
    },
    /// The state of a group or a key has grown too large.
    StateTooLarge {
        /// Index of the group or key in the call.
        key: u32,
        /// Bytes of its new state.
        bytes: usize,
        /// Bytes that it may have.
        limit_bytes: usize,
    },
    /// It rejected rows that cannot be rejected.
    InvalidRejection {
        /// What is wrong.
        what: String,
    },
    /// `open` answered a schema that cannot be used.
    InvalidSchema {
        /// What is wrong.
        what: String,
    },
    /// A fresh instance answered `open` otherwise than the first one did.
    NotDeterministic {
        /// What differs.
        what: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trapped { what, stdio } => {
                write!(f, "the plugin trapped: {what}")?;
                tail(f, stdio)
            }
            Self::TimedOut { deadline_ms, stdio } => {
                write!(
                    f,
                    "the plugin did not answer within {deadline_ms} ms; if it needs that long for a batch, \
                     raise the step's deadline or lower max_rows"
                )?;
                tail(f, stdio)
            }
            Self::OutOfMemory { limit_bytes, stdio } => {
                write!(
                    f,
                    "the plugin needs more than its {} MiB of memory; raise the step's memory limit or lower max_rows",
                    limit_bytes >> 20
                )?;
                tail(f, stdio)
            }
            Self::StackOverflow { stdio } => {
                f.write_str("the plugin's call stack is exhausted: a recursion goes too deep or never ends")?;
                tail(f, stdio)
            }
            Self::OutputTooLarge { limit_bytes } => write!(
                f,
                "the plugin returned more than {limit_bytes} bytes from one call; raise the step's output \
                 limit or lower max_rows"
            ),
            Self::InvalidBatch { column, row, what } => {
                f.write_str("the plugin returned an invalid batch: ")?;
                if let Some(column) = column {
                    write!(f, "column {column}, ")?;
                }
                if let Some(row) = row {
                    write!(f, "row {row}: ")?;
                }
                f.write_str(what)
            }
            Self::StateTooLarge { key, bytes, limit_bytes } => write!(
                f,
                "the plugin returned a state of {bytes} bytes for key {key} of the call, at most {limit_bytes} are kept"
            ),
            Self::InvalidRejection { what } => write!(f, "the plugin rejected rows wrongly: {what}"),
            Self::InvalidSchema { what } => {
                write!(f, "the plugin's output schema cannot be used: {what}")
            }
            Self::NotDeterministic { what } => write!(
                f,
                "the plugin is not deterministic: {what}; `open` must depend on its arguments alone"
            ),
        }
    }
}

impl std::error::Error for Fault {}

fn tail(f: &mut fmt::Formatter<'_>, stdio: &str) -> fmt::Result {
    if stdio.is_empty() { Ok(()) } else { write!(f, "; it wrote: {}", stdio.trim_end()) }
}
