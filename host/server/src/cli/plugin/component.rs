//! From a core module to a component: what compilers for Go, C, C++ and Zig leave to a further tool is done here, so
//! that nobody needs to have one. WASI's first version is turned into its second, as plugins know it, by the
//! adapter that wasmtime publishes.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// The interfaces of operators, each exported by plugins that have the kind.
const KINDS: [&str; 3] = ["transform", "aggregate", "keyed"];

/// The section with the type of a component, by the kinds that it has: the first one is bit 0. `build.rs` makes them.
const TYPES: [&[u8]; 7] = [
    include_bytes!(concat!(env!("OUT_DIR"), "/component-type-1.bin")),
    include_bytes!(concat!(env!("OUT_DIR"), "/component-type-2.bin")),
    include_bytes!(concat!(env!("OUT_DIR"), "/component-type-3.bin")),
    include_bytes!(concat!(env!("OUT_DIR"), "/component-type-4.bin")),
    include_bytes!(concat!(env!("OUT_DIR"), "/component-type-5.bin")),
    include_bytes!(concat!(env!("OUT_DIR"), "/component-type-6.bin")),
    include_bytes!(concat!(env!("OUT_DIR"), "/component-type-7.bin")),
];

/// A component as it is; a core module as a component.
///
/// # Errors
/// What the module lacks to be a plugin.
pub(super) fn component(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if !Parser::is_core_wasm(&bytes) {
        return Ok(bytes);
    }
    let mut module = bytes;
    if let Inside { kinds, has_type: false } = look(&module)? {
        let section = kinds.checked_sub(1).and_then(|choice| TYPES.get(choice)).ok_or_else(no_operators)?;
        module.extend_from_slice(section);
    }
    let encoded = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| {
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
        })
        .and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| format!("the module cannot be made a component: {error:#}"))
}

/// What a module says of itself.
struct Inside {
    /// The kinds whose functions it exports, as `TYPES` has them.
    kinds: usize,
    /// It has the type of its component, which generated bindings bring along.
    has_type: bool,
}

fn look(module: &[u8]) -> Result<Inside, String> {
    let broken = |error: wasmparser::BinaryReaderError| format!("this is no WebAssembly: {error}");
    let mut inside = Inside { kinds: 0, has_type: false };
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(broken)? {
            Payload::CustomSection(section) => {
                inside.has_type |= section.name().starts_with("component-type");
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let name = export.map_err(broken)?.name;
                    let interface =
                        name.strip_prefix("millstream:plugin/").and_then(|rest| rest.split('@').next());
                    let kind = KINDS.iter().position(|kind| Some(*kind) == interface);
                    inside.kinds |= kind.map_or(0, |kind| 1 << kind);
                }
            }
            _ => {}
        }
    }
    Ok(inside)
}

fn no_operators() -> String {
    format!(
        "the module exports no operators: at least one of the interfaces {} of millstream:plugin is needed; a main \
         package of the kit exports them",
        KINDS.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_stays_what_it_is_and_a_module_without_operators_is_none() {
        let made = b"\0asm\x0d\0\x01\0".to_vec();
        assert_eq!(component(made.clone()).unwrap(), made);
        let module = b"\0asm\x01\0\0\0".to_vec();
        assert!(component(module).unwrap_err().contains("exports no operators"));
        assert!(component(b"\0asm\x01\0\0\0\x07\xff".to_vec()).unwrap_err().contains("no WebAssembly"));
    }
}
