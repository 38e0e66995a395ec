//! The words of `millstream plugin`.

use std::path::PathBuf;

use clap::{Args as ArgsGroup, Subcommand};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PluginCommand {
    /// Pipe rows through one operator, without a server: NDJSON from standard input to standard output.
    ///
    /// Rows that cannot be used go to standard error, a JSON object each: row, kind, reason. Then the
    /// exit status is 3.
    Run(RunArgs),
    /// Run the golden cases of a project: NAME.in.ndjson through the operator of NAME.yaml, compared with
    /// NAME.out.ndjson and NAME.dead.ndjson.
    Test(TestArgs),
    /// Upload components.
    Push {
        /// The components.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// All plugins.
    List,
    /// One plugin with its operators.
    Show {
        /// `name` or `name@version`.
        plugin: String,
    },
    /// Delete one version.
    Delete {
        /// `name@version`.
        plugin: String,
    },
}

/// How an operator is tried.
#[derive(Debug, ArgsGroup)]
pub(in crate::cli) struct RunArgs {
    /// The component, and its operator where it has several: `build/text.wasm#split-words`.
    #[arg(value_name = "COMPONENT[#OPERATOR]")]
    pub(super) component: String,
    /// The operator's config: JSON, YAML, or `@FILE`.
    #[arg(long, value_name = "CONFIG")]
    pub(super) config: Option<String>,
    /// The input's columns, as pipelines write them: `{ id: int64, at: timestamp_ms }`, or `@FILE`; they follow from the
    /// rows when left out.
    #[arg(long, value_name = "COLUMNS")]
    pub(super) schema: Option<String>,
    /// The columns that make a group (of an aggregate) or a key (of a keyed operator).
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(super) key: Vec<String>,
    /// The column that says when a row happened. At the end of the input all windows close and all timers come.
    #[arg(long, value_name = "COLUMN")]
    pub(super) time: Option<String>,
    /// How much later than its successors a row may come; one that comes still later is late.
    #[arg(long, value_name = "SPAN")]
    pub(super) delay: Option<String>,
    /// An aggregate's window, as pipelines write it: `{ tumbling: 10s }`.
    #[arg(long, value_name = "WINDOW")]
    pub(super) window: Option<String>,
    /// Rows of a batch: 10,000, but all of them for an aggregate without a window.
    #[arg(long, value_name = "N")]
    pub(super) batch_rows: Option<u64>,
    /// How long one call may take (1s).
    #[arg(long, value_name = "SPAN")]
    pub(super) deadline: Option<String>,
    /// How much memory an instance may take (256MiB).
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,
    /// Show what the operator logs, too: on standard error, a JSON object a line.
    #[arg(long)]
    pub(super) logs: bool,
}

/// Which cases are run.
#[derive(Debug, ArgsGroup)]
pub(in crate::cli) struct TestArgs {
    /// The project; its cases are in `cases/`, its component in `build/`.
    #[arg(default_value = ".")]
    pub(super) dir: PathBuf,
    /// Another component.
    #[arg(long, value_name = "FILE")]
    pub(super) component: Option<PathBuf>,
    /// Only cases whose name contains this; can be given again.
    #[arg(long = "case", value_name = "NAME")]
    pub(super) cases: Vec<String>,
    /// Write what comes out now as what must come out from now on.
    #[arg(long)]
    pub(super) bless: bool,
}
