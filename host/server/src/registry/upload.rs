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
        self.upload_as(bytes, None)
    }

    /// As `upload`, under a pre-release of the version that the component says it has: while somebody works on it,
    /// each build is another one.
    ///
    /// # Errors
    /// As `upload`; and when `version` is no pre-release of the component's version.
    pub(crate) fn upload_as(&self, bytes: &[u8], version: Option<&str>) -> Result<Uploaded, RegistryError> {
        let mut loaded = self.components.load(bytes).map_err(RegistryError::Invalid)?;
        if let Some(version) = version {
            check_pre_release(version, &loaded.manifest.description).map_err(RegistryError::Invalid)?;
            version.clone_into(&mut loaded.manifest.description.version);
        }
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

fn check_pre_release(version: &str, description: &PluginDescription) -> Result<(), String> {
    let core = |version: &semver::Version| (version.major, version.minor, version.patch);
    let (asked, own) = (semver::Version::parse(version), semver::Version::parse(&description.version));
    match (asked, own) {
        (Ok(asked), Ok(own))
            if !asked.pre.is_empty() && asked.build.is_empty() && core(&asked) == core(&own) =>
        {
            Ok(())
        }
        _ => Err(format!(
            "`{version}` is no pre-release of version {} of `{}`, such as {}-dev.1",
            description.version, description.name, description.version
        )),
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
