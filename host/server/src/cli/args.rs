//! The words of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ArgsGroup, Parser, Subcommand, ValueEnum};

use super::plugin::PluginCommand;
use crate::config::{DATA_DIR, LISTEN, LogFormat};

/// Streams in micro-batches; operators are WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    /// The server to talk to; otherwise MILLSTREAM_SERVER, or http://127.0.0.1:7070.
    #[arg(long, global = true, value_name = "URL")]
    pub(super) server: Option<String>,
    /// The token to show it; otherwise MILLSTREAM_TOKEN.
    #[arg(long, global = true)]
    pub(super) token: Option<String>,
    /// How answers are shown.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// The server's JSON, one document.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a server.
    Serve(Serve),
    /// Run one pipeline without a server, until it finishes or is interrupted.
    Run(Run),
    /// Make, try, test and upload plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Deploy, watch and steer pipelines.
    #[command(subcommand)]
    Pipeline(Pipeline),
    /// Ask a SELECT over the state of steps and over tables, as of the newest checkpoint.
    Query(Query),
    /// Make and revoke tokens of a data directory.
    #[command(subcommand)]
    Token(Token),
    /// Send records to a stream.
    Ingest(Ingest),
}

#[derive(Debug, ArgsGroup)]
pub(super) struct Serve {
    /// Where to listen; other machines can reach it only with tokens.
    #[arg(long, default_value_t = LISTEN)]
    pub(super) listen: SocketAddr,
    /// The folder of all data.
    #[arg(long, default_value = DATA_DIR)]
    pub(super) data_dir: PathBuf,
    /// Ask for tokens on loopback too.
    #[arg(long)]
    pub(super) require_token: bool,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log: LogFormat,
}

#[derive(Debug, ArgsGroup)]
pub(super) struct Run {
    /// The pipeline's spec: YAML, or JSON if it is called .json.
    pub(super) file: PathBuf,
    /// Keep state here; without it, everything is forgotten at the end.
    #[arg(long)]
    pub(super) data_dir: Option<PathBuf>,
    /// A plugin, or a folder of plugins; can be given again.
    #[arg(long = "plugin", value_name = "FILE")]
    pub(super) plugins: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Pipeline {
    /// Check a spec, then start it or replace the pipeline of its name.
    Deploy {
        /// YAML, or JSON if it is called .json.
        file: PathBuf,
        /// Leave it stopped.
        #[arg(long)]
        no_start: bool,
    },
    /// Check a spec and say what it would guarantee.
    Validate {
        /// YAML, or JSON if it is called .json.
        file: PathBuf,
    },
    /// All pipelines.
    List,
    /// Everything about one.
    Show {
        /// The pipeline.
        name: String,
    },
    /// Start where it stopped.
    Start {
        /// The pipeline.
        name: String,
    },
    /// Stop with a checkpoint.
    Stop {
        /// The pipeline.
        name: String,
    },
    /// Finish what is there, then stop.
    Drain {
        /// The pipeline.
        name: String,
    },
    /// Stop and start.
    Restart {
        /// The pipeline.
        name: String,
    },
    /// Delete; one that has data only with --purge.
    Delete {
        /// The pipeline.
        name: String,
        /// Delete its state, offsets and dead letters too.
        #[arg(long)]
        purge: bool,
    },
    /// The newest batches.
    Progress {
        /// The pipeline.
        name: String,
        /// So many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// The newest log lines.
    Logs {
        /// The pipeline.
        name: String,
        /// So many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show rows as they pass an entry.
    Tap {
        /// The pipeline.
        name: String,
        /// The source, step or sink.
        entry: String,
        /// Rows of a chunk that are shown; the others are counted.
        #[arg(long, default_value_t = 200)]
        limit: u32,
    },
    /// What steps remember, as of the newest checkpoint; without a step, how much.
    State {
        /// The pipeline.
        name: String,
        /// The step.
        step: Option<String>,
        /// Only rows with this value, `COLUMN=VALUE`; can be given again. VALUE is JSON, or text.
        #[arg(long = "key", value_name = "COLUMN=VALUE")]
        keys: Vec<String>,
        /// Pass over so many rows.
        #[arg(long, default_value_t = 0)]
        offset: u64,
        /// So many.
        #[arg(long, default_value_t = 100)]
        limit: u64,
    },
    /// Records that could not be used.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// The oldest ones.
    List {
        /// The pipeline.
        name: String,
        #[command(flatten)]
        which: Which,
        /// With greater ids.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// So many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// One of them, whole.
    Show {
        /// The pipeline.
        name: String,
        /// Its id.
        id: u64,
    },
    /// Send them through their entry again.
    Replay {
        /// The pipeline.
        name: String,
        /// Only this one.
        #[arg(long)]
        id: Option<u64>,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, ArgsGroup)]
pub(super) struct Which {
    /// Only of this entry.
    #[arg(long)]
    pub(super) entry: Option<String>,
    /// Only of this kind: malformed, rejected, late, trapped, timed-out, out-of-memory, invalid-output.
    #[arg(long)]
    pub(super) kind: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token and show it once.
    Create {
        /// Who will use it.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// All tokens' names.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Refuse a token from now on.
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, ArgsGroup)]
pub(super) struct Place {
    /// The server's data directory.
    #[arg(long, default_value = DATA_DIR)]
    pub(super) data_dir: PathBuf,
}

#[derive(Debug, ArgsGroup)]
pub(super) struct Query {
    /// The pipeline.
    pub(super) pipeline: String,
    /// The statement: steps and tables are called by their names.
    pub(super) sql: String,
    /// So many rows.
    #[arg(long, default_value_t = 1000)]
    pub(super) limit: u64,
}

#[derive(Debug, ArgsGroup)]
pub(super) struct Ingest {
    /// The stream.
    pub(super) stream: String,
    /// Whole records in the stream's format; `-` reads standard input.
    pub(super) file: PathBuf,
    /// What the records are.
    #[arg(long)]
    pub(super) content_type: Option<String>,
    /// The same key again sends nothing twice.
    #[arg(long)]
    pub(super) idempotency_key: Option<String>,
}
