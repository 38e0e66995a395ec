//! The only place that makes plugins out of bytes: between the registry's words and the Wasm runtime's.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use millstream_wasm::{Plugin, Runtime, RuntimeConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::description::PluginManifest;

/// What the registry needs of a runtime.
pub(crate) trait Components: Send + Sync {
    /// Checks and compiles a component, and asks what it is. Takes seconds; called at upload only.
    ///
    /// # Errors
    /// Why it is no plugin.
    fn load(&self, bytes: &[u8]) -> Result<Loaded, String>;

    /// A plugin that was loaded before; touches nothing until a pipeline calls it.
    ///
    /// # Errors
    /// When the catalog's entry is not of this program's making.
    fn open(&self, digest: &str, manifest: &PluginManifest, bytes: ReadBytes) -> Result<Plugin, String>;
}

/// Reads a component's bytes, should its compiled form be gone.
pub(crate) type ReadBytes = Box<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

/// A component that was checked.
pub(crate) struct Loaded {
    /// SHA-256.
    pub(crate) digest: String,
    /// What is known of it without its bytes.
    pub(crate) manifest: PluginManifest,
}

/// The real runtime.
pub(crate) struct WasmComponents {
    runtime: Arc<Runtime>,
}

impl WasmComponents {
    /// A runtime that keeps compiled components in `cache_dir`.
    ///
    /// # Errors
    /// When this machine cannot run it.
    pub(crate) fn new(cache_dir: PathBuf) -> Result<Self, String> {
        let runtime = Runtime::new(RuntimeConfig::new(cache_dir)).map_err(|error| error.to_string())?;
        Ok(Self { runtime })
    }
}

impl Components for WasmComponents {
    fn load(&self, bytes: &[u8]) -> Result<Loaded, String> {
        let plugin = self.runtime.load(bytes).map_err(|error| error.to_string())?;
        Ok(Loaded { digest: plugin.digest().to_string(), manifest: same(plugin.manifest())? })
    }

    fn open(&self, digest: &str, manifest: &PluginManifest, bytes: ReadBytes) -> Result<Plugin, String> {
        let digest = digest.parse().map_err(|error: millstream_wasm::NoDigest| error.to_string())?;
        Ok(self.runtime.open(digest, same(manifest)?, bytes))
    }
}

/// Both sides write a manifest the same way; only its types differ.
fn same<A: Serialize, B: DeserializeOwned>(manifest: &A) -> Result<B, String> {
    let value = serde_json::to_value(manifest).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| format!("the plugin's manifest is not understood: {error}"))
}
