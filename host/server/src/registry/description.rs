//! What a plugin says of itself, as it is stored and shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::catalog::PluginRow;

/// All that is known of a plugin without its bytes: the Wasm runtime's manifest, word for word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PluginManifest {
    pub(crate) description: PluginDescription,
    pub(crate) kinds: Vec<String>,
    pub(crate) imports: Vec<String>,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PluginDescription {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) operators: Vec<OperatorDescription>,
}

/// One operator of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct OperatorDescription {
    /// Unique in the plugin.
    pub(crate) name: String,
    /// transform, aggregate or keyed.
    pub(crate) kind: String,
    /// One line.
    pub(crate) summary: String,
    /// JSON Schema of its config.
    #[schema(value_type = Object)]
    pub(crate) config_schema: Value,
    /// An aggregate that can undo a merge.
    #[serde(default)]
    pub(crate) retracts: bool,
}

/// A plugin as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PluginDocument {
    /// Pipelines say `name/operator@version`.
    pub(crate) name: String,
    /// Semantic version.
    pub(crate) version: String,
    /// SHA-256 of the component.
    pub(crate) digest: String,
    /// Size of the component in bytes.
    pub(crate) size_bytes: u64,
    /// Microseconds since the Unix epoch.
    pub(crate) uploaded_at_us: i64,
    /// One line.
    pub(crate) summary: String,
    /// What it offers.
    pub(crate) operators: Vec<OperatorDescription>,
    /// The kinds of operators that it exports.
    pub(crate) kinds: Vec<String>,
    /// What it asks of the host.
    pub(crate) imports: Vec<String>,
}

impl PluginDocument {
    /// None when the row is not of this program's making.
    pub(crate) fn of(row: &PluginRow) -> Option<Self> {
        let PluginManifest { description, kinds, imports } = serde_json::from_str(&row.manifest).ok()?;
        Some(Self {
            name: row.name.clone(),
            version: row.version.clone(),
            digest: row.digest.clone(),
            size_bytes: row.size_bytes,
            uploaded_at_us: row.uploaded_at_us,
            summary: description.summary,
            operators: description.operators,
            kinds,
            imports,
        })
    }

    /// What the runtime told when the plugin was loaded.
    pub(crate) fn manifest(&self) -> PluginManifest {
        let description = PluginDescription {
            name: self.name.clone(),
            version: self.version.clone(),
            summary: self.summary.clone(),
            operators: self.operators.clone(),
        };
        PluginManifest { description, kinds: self.kinds.clone(), imports: self.imports.clone() }
    }
}
