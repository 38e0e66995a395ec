//! Everything that works on one data folder, opened once: what `serve` puts behind a socket and
//! `run` uses without one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use millstream_engine::clock::{SharedClock, SystemClock};
use tokio::runtime::Handle;

use crate::catalog::{Catalog, CatalogError};
use crate::connectors::ConnectorSet;
use crate::data_dir::{DataDir, DataDirError};
use crate::registry::{Components, Registry, WasmComponents};
use crate::supervisor::Supervisor;
use crate::telemetry::Telemetry;

/// Everything that works on one data folder.
#[derive(Clone)]
pub(crate) struct Station {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) connectors: Arc<ConnectorSet>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) clock: SharedClock,
}

impl Station {
    /// Locks the folder and opens what is in it; no pipeline starts and no component is touched.
    ///
    /// # Errors
    /// When the folder is in use or holds something unknown, or Wasm cannot run here.
    pub(crate) fn open(data_dir: &Path, handle: Handle) -> Result<Self, OpenError> {
        let data = DataDir::lock(data_dir).map_err(OpenError::DataDir)?;
        let components = WasmComponents::new(data.cache()).map_err(OpenError::Wasm)?;
        Self::with(data, Arc::new(components), handle)
    }

    /// As `open`, with another runtime.
    pub(crate) fn with(
        data: DataDir,
        components: Arc<dyn Components>,
        handle: Handle,
    ) -> Result<Self, OpenError> {
        let clock = SystemClock::shared();
        let catalog =
            Arc::new(Catalog::open(&data.catalog(), Arc::clone(&clock)).map_err(OpenError::Catalog)?);
        let registry = Arc::new(Registry::new(Arc::clone(&catalog), components));
        let connectors = Arc::new(ConnectorSet::new(handle));
        let telemetry = Arc::new(Telemetry::new());
        let supervisor = Arc::new(Supervisor::new(
            data,
            Arc::clone(&catalog),
            Arc::clone(&registry),
            Arc::clone(&connectors),
            Arc::clone(&telemetry),
            Arc::clone(&clock),
        ));
        Ok(Self { catalog, registry, supervisor, connectors, telemetry, clock })
    }
}

/// Why a data folder cannot be worked on.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// It is in use, or cannot be written.
    DataDir(DataDirError),
    /// Its catalog cannot be used.
    Catalog(CatalogError),
    /// Wasm cannot run on this machine.
    Wasm(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDir(cause) => cause.fmt(f),
            Self::Catalog(cause) => cause.fmt(f),
            Self::Wasm(why) => write!(f, "the Wasm runtime cannot start: {why}"),
        }
    }
}

impl std::error::Error for OpenError {}
