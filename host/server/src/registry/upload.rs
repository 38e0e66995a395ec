//! Takes a component: checks it, then keeps it under its name and version.

use serde::Serialize;
use utoipa::ToSchema;

use super::description::{PluginDescription, PluginDocument};
use super::{Registry, RegistryError, schema};
use crate::catalog::NewPlugin;

/// What became of an upload.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Uploaded {
    /// False when exactly these bytes were there before.
    pub(crate) created: bool,
    /// The plugin.
    #[serde(flatten)]
    pub(crate) plugin: PluginDocument,
}

impl Registry {
    /// Checks and stores a component; the same bytes again change nothing.
    ///
    /// # Errors
    /// When the bytes are no plugin, or its version is taken by other bytes.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<Uploaded, RegistryError> {
        let loaded = self.components.load(bytes).map_err(RegistryError::Invalid)?;
        check_description(&loaded.manifest.description).map_err(RegistryError::Invalid)?;
        let description = &loaded.manifest.description;
        let plugin = format!("{}@{}", description.name, description.version);
        let manifest = serde_json::to_string(&loaded.manifest)
            .map_err(|error| RegistryError::Invalid(format!("{plugin} cannot be described: {error}")))?;
        let (row, created) = self.catalog.add_plugin(&NewPlugin {
            digest: &loaded.digest,
            name: &description.name,
            version: &description.version,
            manifest: &manifest,
            bytes,
        })?;
        if row.digest != loaded.digest {
            return Err(RegistryError::VersionTaken { plugin, there: row.digest });
        }
        let document = PluginDocument::of(&row).ok_or_else(|| {
            RegistryError::Invalid(format!("{plugin} cannot be read back from the catalog"))
        })?;
        Ok(Uploaded { created, plugin: document })
    }
}

/// The runtime has checked the names; what only the registry needs is checked here.
fn check_description(description: &PluginDescription) -> Result<(), String> {
    semver::Version::parse(&description.version).map_err(|error| {
        format!("plugin `{}`: its version `{}` is none: {error}", description.name, description.version)
    })?;
    for operator in &description.operators {
        schema::compile(&operator.config_schema).map_err(|why| {
            format!("operator `{}/{}`: its config schema is none: {why}", description.name, operator.name)
        })?;
    }
    Ok(())
}
