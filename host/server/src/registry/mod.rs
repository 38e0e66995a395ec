//! Plugins by reference: what was uploaded, which version a reference means, and whether a config
//! fits an operator. Nothing is compiled or opened here before a pipeline needs it.

mod description;
mod error;
mod reference;
mod schema;
mod upload;
mod wasm;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};

use millstream_engine::pipeline::{PipelineSpec, PluginRef, Plugins, SpecError};
use millstream_wasm::Plugin;

use crate::catalog::{Catalog, PluginRow};
use crate::sync::lock;

pub(crate) use description::PluginDocument;
pub(crate) use error::RegistryError;
pub(crate) use schema::check as config_errors;
pub(crate) use upload::Uploaded;
pub(crate) use wasm::{Components, WasmComponents};

/// The plugins of a server.
pub(crate) struct Registry {
    catalog: Arc<Catalog>,
    components: Arc<dyn Components>,
    /// Guards the plugins that pipelines have opened, by digest: they share the compiled code.
    open: Mutex<HashMap<String, Plugin>>,
}

impl Registry {
    /// The plugins in `catalog`; no component is touched.
    pub(crate) fn new(catalog: Arc<Catalog>, components: Arc<dyn Components>) -> Self {
        Self { catalog, components, open: Mutex::new(HashMap::new()) }
    }

    /// All plugins, by name and version.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub(crate) fn list(&self) -> Result<Vec<PluginDocument>, RegistryError> {
        let mut documents: Vec<PluginDocument> =
            self.rows()?.into_iter().map(|known| known.document).collect();
        documents.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| reference::order(&a.version, &b.version)));
        Ok(documents)
    }

    /// One plugin: `text` (the newest), `text@1`, `text@1.2.3`.
    ///
    /// # Errors
    /// When there is none; the message says what there is.
    pub(crate) fn show(&self, name: &str, version: Option<&str>) -> Result<PluginDocument, RegistryError> {
        let rows = self.rows()?;
        reference::choose(&rows, name, version, &HashSet::new())
            .map(|known| known.document.clone())
            .map_err(RegistryError::Unknown)
    }

    /// Deletes one version of a plugin.
    ///
    /// # Errors
    /// When there is none or pipelines use it.
    pub(crate) fn delete(&self, name: &str, version: &str) -> Result<(), RegistryError> {
        let rows = self.rows()?;
        let known =
            rows.iter().find(|known| known.document.name == name && known.document.version == version);
        let Some(known) = known else {
            let there = reference::choose(&rows, name, Some(version), &HashSet::new());
            return Err(RegistryError::Unknown(match there {
                Ok(near) => format!(
                    "to delete a plugin its whole version is needed: `{name}@{}`",
                    near.document.version
                ),
                Err(message) => message,
            }));
        };
        let users = self.catalog.remove_plugin(&known.document.digest)?;
        if !users.is_empty() {
            return Err(RegistryError::InUse { plugin: format!("{name}@{version}"), pipelines: users });
        }
        lock(&self.open).remove(&known.document.digest);
        Ok(())
    }

    /// Checks the config of every operator that a step names against its operator's schema. References that lead
    /// nowhere are left to the engine, which reports them in their place.
    pub(crate) fn check_configs(&self, spec: &PipelineSpec, pinned: &HashSet<String>) -> Vec<SpecError> {
        let Ok(rows) = self.rows() else { return Vec::new() };
        let mut errors = Vec::new();
        for (name, step) in &spec.steps {
            for (place, operator, config) in step.operators() {
                let Ok(reference) = reference::parse(operator) else { continue };
                let Ok((_, operator)) = reference::resolve(&rows, &reference, pinned) else { continue };
                let wrong = schema::check(&operator.config_schema, config);
                let dot = if place.is_empty() { "" } else { "." };
                let path = format!("steps.{name}{dot}{place}.config");
                errors.extend(wrong.into_iter().map(|error| error.under(&path)));
            }
        }
        errors
    }

    /// The plugin that a reference means; one of `pinned` goes before newer ones.
    fn find_pinned(&self, wanted: &PluginRef, pinned: &HashSet<String>) -> Result<Plugin, String> {
        let rows = self.rows().map_err(|error| error.to_string())?;
        let (known, _) = reference::resolve(&rows, wanted, pinned)?;
        self.opened(&known.document)
    }

    /// Hands out the same plugin to everybody; its bytes are read only if the cache lost its code.
    fn opened(&self, document: &PluginDocument) -> Result<Plugin, String> {
        let mut open = lock(&self.open);
        if let Some(plugin) = open.get(&document.digest) {
            return Ok(plugin.clone());
        }
        let (catalog, digest) = (Arc::clone(&self.catalog), document.digest.clone());
        let bytes = Box::new(move || match catalog.plugin_bytes(&digest) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(io::Error::other("the plugin was deleted")),
            Err(error) => Err(io::Error::other(error.to_string())),
        });
        let plugin = self.components.open(&document.digest, &document.manifest(), bytes)?;
        open.insert(document.digest.clone(), plugin.clone());
        Ok(plugin)
    }

    fn rows(&self) -> Result<Vec<Known>, RegistryError> {
        Ok(self.catalog.plugins()?.iter().filter_map(Known::read).collect())
    }
}

/// A plugin of the catalog, read.
struct Known {
    document: PluginDocument,
    version: semver::Version,
}

impl Known {
    /// None for a row that this program did not write; a list goes on without it.
    fn read(row: &PluginRow) -> Option<Self> {
        let document = PluginDocument::of(row)?;
        let version = semver::Version::parse(&document.version).ok()?;
        Some(Self { document, version })
    }
}

impl Plugins for Registry {
    fn find(&self, reference: &PluginRef) -> Result<Plugin, String> {
        self.find_pinned(reference, &HashSet::new())
    }
}

/// The registry as one deployed pipeline sees it: the plugins it was deployed with stay its
/// plugins, whatever is uploaded later, until it is deployed again.
pub(crate) struct Pinned {
    /// All plugins.
    pub(crate) registry: Arc<Registry>,
    /// Digests that the pipeline was deployed with.
    pub(crate) digests: HashSet<String>,
}

impl Plugins for Pinned {
    fn find(&self, reference: &PluginRef) -> Result<Plugin, String> {
        self.registry.find_pinned(reference, &self.digests)
    }
}

#[cfg(test)]
pub(crate) mod tests;
