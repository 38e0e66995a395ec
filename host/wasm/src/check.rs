//! Whether a compiled component is a plugin: what it asks for, what it offers and in which version
//! of the contract. Read from its type; nothing of it runs.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::{CONTRACT_VERSION, LoadError};
use crate::plugin::Kind;

/// Packages of WASI that a plugin may import. What stands behind them grants nothing.
pub(crate) const WASI_OFFERED: &[&str] = &[
    "wasi:cli@0.2",
    "wasi:clocks@0.2",
    "wasi:filesystem@0.2",
    "wasi:io@0.2",
    "wasi:random@0.2",
    "wasi:sockets@0.2",
];

/// What a component needs and has.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) imports: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
}

/// Tells a component from a core module and from anything else by its first eight bytes.
pub(crate) fn layer(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', _, _, 0, 0]) => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm),
    }
}

/// Checks imports and exports.
pub(crate) fn component(engine: &Engine, component: &Component) -> Result<Checked, LoadError> {
    let component = component.component_type();
    let imports: Vec<String> = component.imports(engine).map(|(name, _)| name.to_owned()).collect();
    imports.iter().try_for_each(|name| import(name))?;
    let exports: Vec<&str> = component.exports(engine).map(|(name, _)| name).collect();
    exports.iter().try_for_each(|name| contract(name))?;
    let exported = |interface: &str| {
        exports.contains(&format!("millstream:plugin/{interface}@{CONTRACT_VERSION}").as_str())
    };
    if !exported("catalog") {
        return Err(LoadError::NoCatalog);
    }
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| exported(&kind.to_string())).collect();
    if kinds.is_empty() {
        return Err(LoadError::NoOperators);
    }
    Ok(Checked { imports, kinds })
}

fn import(name: &str) -> Result<(), LoadError> {
    contract(name)?;
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let offered = match interface.split_once('/') {
        // `data` holds types only.
        Some(("millstream:plugin", interface)) => matches!(interface, "host" | "data"),
        Some((package, _)) => {
            let mut known = WASI_OFFERED.iter().filter_map(|offered| offered.split_once('@'));
            known.any(|(offered, line)| {
                offered == package && version.strip_prefix(line).is_some_and(|rest| rest.starts_with('.'))
            })
        }
        None => false,
    };
    if offered { Ok(()) } else { Err(LoadError::ForeignImport { name: name.to_owned() }) }
}

/// Fails for an interface of another version of the contract.
fn contract(name: &str) -> Result<(), LoadError> {
    let ours = name.strip_prefix("millstream:plugin/").and_then(|rest| rest.split_once('@'));
    match ours {
        Some((_, version)) if version != CONTRACT_VERSION => {
            Err(LoadError::WrongContract { name: name.to_owned() })
        }
        _ => Ok(()),
    }
}
