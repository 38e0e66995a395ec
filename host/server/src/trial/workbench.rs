//! A component that is loaded and can be tried, again and again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use millstream_engine::pipeline::{PluginRef, Plugins, unknown_name};
use millstream_wasm::{Operator, Plugin, Runtime, RuntimeConfig};

use super::spec::TrialError;
use crate::config;

/// Files of compiled plugins that are kept, two a plugin: one of Python has 36 MB, and each build is another.
const COMPILED_MAX: usize = 40;

/// A component, compiled and asked what it is.
#[derive(Clone)]
pub struct Workbench {
    plugin: Plugin,
    size_bytes: u64,
}

impl Workbench {
    /// Loads a component. Its compiled form is kept in the user's cache for the next time.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no plugin: the message says why.
    pub fn load(component: &Path) -> Result<Self, TrialError> {
        let cache = config::compiled_dir();
        let workbench = Self::load_in(component, &cache)?;
        forget_old(&cache);
        Ok(workbench)
    }

    /// As `load`, with a cache of one's own.
    pub(crate) fn load_in(component: &Path, cache: &Path) -> Result<Self, TrialError> {
        let at = |error: &dyn std::fmt::Display| TrialError(format!("{}: {error}", component.display()));
        let bytes = fs::read(component).map_err(|error| at(&error))?;
        let runtime = Runtime::new(RuntimeConfig::new(cache)).map_err(TrialError::new)?;
        let plugin = runtime.load(&bytes).map_err(|error| at(&error))?;
        Ok(Self { plugin, size_bytes: bytes.len() as u64 })
    }

    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Bytes of the component.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The operator of this name, or the only one.
    ///
    /// # Errors
    /// Words that say which operators there are.
    pub fn operator(&self, name: Option<&str>) -> Result<&Operator, TrialError> {
        let operators = &self.plugin.description().operators;
        let names: Vec<&str> = operators.iter().map(|operator| operator.name.as_str()).collect();
        match (name, operators.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(TrialError(format!(
                "plugin `{}` has several operators: say which one is meant ({})",
                self.plugin.description().name,
                names.join(", ")
            ))),
            (Some(name), _) => operators
                .iter()
                .find(|operator| operator.name == name)
                .ok_or_else(|| TrialError(unknown_name("operator", name, &names))),
        }
    }

    /// Finds this plugin, whatever it is asked for.
    pub(super) fn plugins(&self) -> Arc<dyn Plugins> {
        Arc::new(TheOne(self.plugin.clone()))
    }
}

impl std::fmt::Debug for Workbench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workbench").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

struct TheOne(Plugin);

impl Plugins for TheOne {
    fn find(&self, _: &PluginRef) -> Result<Plugin, String> {
        Ok(self.0.clone())
    }
}

/// Removes all but the newest files of a cache. What fails is tried again by the next command.
fn forget_old(cache: &Path) {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    files.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
    for (_, file) in files.into_iter().skip(COMPILED_MAX) {
        let _ = fs::remove_file(file);
    }
}
