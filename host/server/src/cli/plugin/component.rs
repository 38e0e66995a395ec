//! From a core module to a component: what compilers for Go, C, C++ and Zig leave to a further tool is done here, so
//! that nobody needs to have one. WASI's first version is turned into its second, as plugins know it, by the
//! adapter that wasmtime publishes.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap, WorldId};

use crate::contract;

/// The interfaces of operators, each exported by plugins that have the kind.
const KINDS: [&str; 3] = ["transform", "aggregate", "keyed"];

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
        let (resolve, world) = world(&kinds)?;
        let embedded = embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8);
        embedded.map_err(|error| format!("{error:#}"))?;
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
    kinds: Vec<&'static str>,
    /// It has the type of its component, which generated bindings bring along.
    has_type: bool,
}

fn look(module: &[u8]) -> Result<Inside, String> {
    let broken = |error: wasmparser::BinaryReaderError| format!("this is no WebAssembly: {error}");
    let mut inside = Inside { kinds: Vec::new(), has_type: false };
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(broken)? {
            Payload::CustomSection(section) => {
                inside.has_type |= section.name().starts_with("component-type")
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let name = export.map_err(broken)?.name;
                    let interface =
                        name.strip_prefix("millstream:plugin/").and_then(|rest| rest.split('@').next());
                    let kind = KINDS.into_iter().find(|kind| Some(*kind) == interface);
                    inside.kinds.extend(kind.filter(|kind| !inside.kinds.contains(kind)));
                }
            }
            _ => {}
        }
    }
    Ok(inside)
}

/// The contract with a world of just these kinds.
fn world(kinds: &[&str]) -> Result<(Resolve, WorldId), String> {
    if kinds.is_empty() {
        return Err(format!(
            "the module exports no operators: at least one of the interfaces {} of millstream:plugin is needed; a main \
             package of the kit exports them",
            KINDS.join(", ")
        ));
    }
    let mut sources = SourceMap::default();
    for (name, text) in contract::FILES {
        sources.push_str(name, *text);
    }
    let head = contract::FILES[0].1.lines().next().unwrap_or_default();
    let includes: String = kinds.iter().map(|kind| format!("include {kind}-plugin; ")).collect();
    sources.push_str("built.wit", format!("{head}\nworld built {{ {includes}}}\n"));
    let group = sources.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    let world = resolve.select_world(&[package], Some("built")).map_err(|error| error.to_string())?;
    Ok((resolve, world))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_of_kinds_is_a_world() {
        for kinds in [&["transform"][..], &["keyed"], &["transform", "aggregate"], &KINDS] {
            let (resolve, world) = world(kinds).unwrap();
            // The catalog is there in any case.
            assert_eq!(resolve.worlds[world].exports.len(), kinds.len() + 1, "{kinds:?}");
        }
    }

    #[test]
    fn a_component_stays_what_it_is_and_a_module_without_operators_is_none() {
        let component = b"\0asm\x0d\0\x01\0".to_vec();
        assert_eq!(super::component(component.clone()).unwrap(), component);
        let module = b"\0asm\x01\0\0\0".to_vec();
        assert!(super::component(module).unwrap_err().contains("exports no operators"));
        assert!(
            super::component(b"\0asm\x01\0\0\0\x07\xff".to_vec()).unwrap_err().contains("no WebAssembly")
        );
    }
}
