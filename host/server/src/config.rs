//! What a server can be told; the only place that reads the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Options of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of all data; made if missing, locked while the server lives.
    pub data_dir: PathBuf,
    /// Who may talk to the server.
    pub access: Access,
    /// Largest plugin in bytes.
    pub plugin_bytes_max: usize,
    /// Largest body of an ingest request in bytes.
    pub ingest_bytes_max: usize,
}

impl Config {
    /// The options for data in `data_dir`, behind a loopback socket.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            access: Access::ByAddress,
            plugin_bytes_max: PLUGIN_BYTES_MAX,
            ingest_bytes_max: INGEST_BYTES_MAX,
        }
    }
}

/// A Python component with its interpreter has about 40 MB.
const PLUGIN_BYTES_MAX: usize = 64 << 20;

/// A body is held in memory until it is in the journal.
const INGEST_BYTES_MAX: usize = 16 << 20;

/// Who may talk to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody on a loopback address, only bearers of a token elsewhere.
    ByAddress,
    /// Only bearers of a token.
    Token,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where a server listens when it is not told.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);

/// Where a server keeps its data when it is not told.
pub(crate) const DATA_DIR: &str = "millstream-data";

/// The environment's say in what is logged, as `tracing` filters have it.
pub(crate) fn log_filter() -> String {
    std::env::var("MILLSTREAM_LOG").unwrap_or_else(|_| "info".to_owned())
}

/// The server that commands talk to when they are not told.
pub(crate) fn server_url() -> String {
    std::env::var("MILLSTREAM_SERVER").unwrap_or_else(|_| format!("http://{LISTEN}"))
}

/// The token that commands show when they are not told.
pub(crate) fn token() -> Option<String> {
    std::env::var("MILLSTREAM_TOKEN").ok().filter(|token| !token.is_empty())
}

/// Where a program is that is called by its name alone.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Where commands that work without a server keep compiled plugins; safe to delete.
pub(crate) fn compiled_dir() -> PathBuf {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let caches = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")));
    caches.unwrap_or_else(std::env::temp_dir).join("millstream/compiled")
}
