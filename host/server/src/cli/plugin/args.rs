//! The words of `millstream plugin`.

use std::path::PathBuf;

use clap::{Args as ArgsGroup, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PluginCommand {
    /// Write a project with an operator, its tests, golden cases, and the kit of the language.
    New(NewArgs),
    /// Build a project with its language's own tools; the component is build/NAME.wasm.
    ///
    /// The manifest says the language: Cargo.toml, pyproject.toml, package.json, go.mod, or a Makefile for C,
    /// C++ and Zig. A tool that is missing is named with the command that installs it.
    Build {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Build again whenever a file of the project changes, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Write the contract between host and plugins, in WIT.
    Wit {
        /// A folder for its files; without it, it is printed as one document.
        dir: Option<PathBuf>,
    },
    /// Pipe rows through one operator, without a server: NDJSON from standard input to standard output.
    ///
    /// Rows that cannot be used go to standard error, a JSON object each: row, kind, reason. Then the
    /// exit status is 3.
    Run(RunArgs),
    /// Run the golden cases of a project: NAME.in.ndjson through the operator of NAME.yaml, compared with
    /// NAME.out.ndjson and NAME.dead.ndjson.
    Test(TestArgs),
    /// Measure an operator: nanoseconds a row, at the boundary, memory, and what comes before the first batch.
    Bench(BenchArgs),
    /// Upload components; a project is built first.
    Push {
        /// Components and projects.
        #[arg(value_name = "FILE|DIR", default_value = ".")]
        files: Vec<PathBuf>,
        /// Build and upload again whenever a file of the project changes, and let running pipelines that use
        /// the plugin go on with what was built, until interrupted.
        ///
        /// Each build is uploaded as a pre-release (0.1.0-dev.1, -dev.2, …), and the specs of these pipelines are deployed
        /// again with that version. Deploy a pipeline's own spec to go back.
        #[arg(long)]
        watch: bool,
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

/// What project is written.
#[derive(Debug, ArgsGroup)]
pub(in crate::cli) struct NewArgs {
    /// The folder; its last part is the plugin's name.
    pub(super) name: PathBuf,
    /// The language.
    #[arg(long, value_enum)]
    pub(super) lang: Lang,
    /// What the operator is: rows in, rows out; a group to a result; or state and timers by key.
    #[arg(long, value_enum, default_value_t = Kind::Transform)]
    pub(super) kind: Kind,
    /// A kit elsewhere, such as guest-sdk/rust of a checkout; without it, a copy comes into the project.
    #[arg(long, value_name = "PATH")]
    pub(super) kit: Option<PathBuf>,
}

/// The languages that there are kits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Lang {
    Rust,
    Python,
    #[value(alias = "ts", alias = "javascript")]
    Typescript,
    Go,
    C,
    Cpp,
    Zig,
}

impl Lang {
    /// Its name, and that of its templates.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Typescript => "typescript",
            Self::Go => "go",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Zig => "zig",
        }
    }

    /// The folders of the kit; C++ and Zig go by that of C.
    pub(super) fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["rust"],
            Self::Python => &["python"],
            Self::Typescript => &["typescript"],
            Self::Go => &["go"],
            Self::C => &["c"],
            Self::Cpp => &["c", "cpp"],
            Self::Zig => &["c", "zig"],
        }
    }

    /// Where the kit is in a checkout.
    pub(super) fn kit(self) -> String {
        format!("guest-sdk/{}", self.folders()[0])
    }
}

/// What an operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Kind {
    Transform,
    Aggregate,
    Keyed,
}

impl Kind {
    /// Its name, and that of its templates.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Aggregate => "aggregate",
            Self::Keyed => "keyed",
        }
    }
}

/// How an operator is tried.
#[derive(Debug, ArgsGroup)]
pub(in crate::cli) struct RunArgs {
    /// The component, and its operator where it has several: `build/text.wasm#split-words`.
    #[arg(value_name = "COMPONENT[#OPERATOR]")]
    pub(super) component: String,
    #[command(flatten)]
    pub(super) operator: OperatorArgs,
    /// Rows of a batch: 10,000, but all of them for an aggregate without a window.
    #[arg(long, value_name = "N")]
    pub(super) batch_rows: Option<u64>,
    /// Show what the operator logs, counts and observes, too: on standard error, a JSON object a line.
    #[arg(long)]
    pub(super) logs: bool,
}

/// What is measured.
#[derive(Debug, ArgsGroup)]
pub(in crate::cli) struct BenchArgs {
    /// The component, and its operator where it has several: `build/text.wasm#split-words`.
    #[arg(value_name = "COMPONENT[#OPERATOR]")]
    pub(super) component: String,
    #[command(flatten)]
    pub(super) operator: OperatorArgs,
    /// Rows of the batch that is given to it again and again (10,000).
    #[arg(long, value_name = "N")]
    pub(super) rows: Option<u64>,
    /// NDJSON whose first rows are taken; without it, rows are made up from --schema.
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
}

/// How an operator is called.
#[derive(Debug, ArgsGroup)]
pub(in crate::cli) struct OperatorArgs {
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
    /// How long one call may take (1s).
    #[arg(long, value_name = "SPAN")]
    pub(super) deadline: Option<String>,
    /// How much memory an instance may take (256MiB).
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,
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
    /// Build and test again whenever a file of the project changes, until interrupted.
    #[arg(long, conflicts_with_all = ["bless", "component"])]
    pub(super) watch: bool,
}
