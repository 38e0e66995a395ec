//! Why the registry says no.

use std::fmt;

use crate::catalog::CatalogError;

/// Why the registry says no.
#[derive(Debug)]
pub(crate) enum RegistryError {
    /// The bytes are no plugin, or one that cannot be used; says why.
    Invalid(String),
    /// Name and version are taken by other bytes.
    VersionTaken {
        /// `name@version`.
        plugin: String,
        /// SHA-256 of what is there.
        there: String,
    },
    /// There is no such plugin; says what there is.
    Unknown(String),
    /// Pipelines use it.
    InUse {
        /// `name@version`.
        plugin: String,
        /// Their names.
        pipelines: Vec<String>,
    },
    /// The catalog cannot answer.
    Catalog(CatalogError),
}

impl From<CatalogError> for RegistryError {
    fn from(cause: CatalogError) -> Self {
        Self::Catalog(cause)
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) | Self::Unknown(why) => f.write_str(why),
            Self::VersionTaken { plugin, there } => write!(
                f,
                "{plugin} exists with other bytes (SHA-256 {there}): raise the plugin's version and upload it again"
            ),
            Self::InUse { plugin, pipelines } => write!(
                f,
                "{plugin} is used by {}: deploy them with another version or delete them first",
                pipelines.join(", ")
            ),
            Self::Catalog(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for RegistryError {}
