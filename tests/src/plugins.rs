//! The plugins that `make plugins` has built.

use std::path::PathBuf;

/// The component of a plugin crate.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn plugin(name: &str) -> PathBuf {
    let path = crate::server::target().join("wasm32-wasip2/plugin").join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `make plugins`", path.display());
    path
}
