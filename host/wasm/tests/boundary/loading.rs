//! What is a plugin and what is none.

use std::sync::Arc;

use millstream_wasm::{CallError, Kind, LoadError, Runtime, RuntimeConfig};

use crate::support::{self, guest, numbers, plugin};

fn load(bytes: &[u8]) -> LoadError {
    let dir = tempfile::tempdir().unwrap();
    Runtime::new(RuntimeConfig::new(dir.path())).unwrap().load(bytes).unwrap_err()
}

/// The guest with a text in it replaced by another of the same length, everywhere.
fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = guest().to_vec();
    let mut found = false;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            found = true;
        }
    }
    assert!(found, "`{from}` is not in the guest");
    bytes
}

#[test]
fn plugin_describes_itself() {
    let plugin = plugin();
    let description = plugin.description();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("boundary-guest", "1.2.3"));
    assert_eq!(description.operators[0].kind, Kind::Transform);
    assert_eq!(description.operators[0].config_schema["type"], "string");
    assert_eq!(plugin.kinds(), [Kind::Transform, Kind::Aggregate, Kind::Keyed]);
    assert!(plugin.imports().iter().any(|import| import == "millstream:plugin/host@0.1.0"));
}

#[test]
fn other_bytes_are_no_webassembly() {
    for bytes in [&b""[..], b"\0asm", b"hello, world", &[0; 64]] {
        assert_eq!(load(bytes), LoadError::NotWasm);
    }
}

#[test]
fn core_module_is_told_how_to_become_a_component() {
    let error = load(b"\0asm\x01\0\0\0");
    assert_eq!(error, LoadError::CoreModule);
    assert!(error.to_string().contains("wasm-tools component new"));
}

#[test]
fn damaged_component_does_not_compile() {
    assert!(matches!(load(&guest()[..guest().len() / 2]), LoadError::Invalid(_)));
}

#[test]
fn empty_component_is_no_plugin() {
    assert_eq!(load(b"\0asm\x0d\0\x01\0"), LoadError::NoCatalog);
}

#[test]
fn foreign_import_is_named_with_what_is_offered() {
    let error = load(&patched("wasi:cli/environment@", "wasi:ftp/environment@"));
    let LoadError::ForeignImport { name } = &error else { panic!("{error:?}") };
    assert!(name.starts_with("wasi:ftp/environment@0.2."), "{name}");
    assert!(error.to_string().contains("wasi:clocks@0.2"), "{error}");
}

#[test]
fn other_version_of_the_contract_is_named() {
    let error = load(&patched("millstream:plugin/transform@0.1.0", "millstream:plugin/transform@0.9.0"));
    assert_eq!(error, LoadError::WrongContract { name: "millstream:plugin/transform@0.9.0".into() });
    assert!(error.to_string().contains("0.1.0"), "{error}");
}

#[test]
fn description_is_checked() {
    for (from, to, why) in [("1.2.3", "1.2.x", "version"), ("boundary-guest", "Boundary Guest", "name")] {
        let error = load(&patched(from, to));
        let LoadError::Description(what) = &error else { panic!("{error:?}") };
        assert!(what.contains(why), "{error}");
    }
}

#[test]
fn unknown_operator_is_told_the_known_ones() {
    let schema = numbers(&[]).schema();
    let error = support::open("nothing", "", &schema, Arc::default(), support::brief()).err().unwrap();
    let CallError::UnknownOperator { known, .. } = &error else { panic!("{error:?}") };
    assert!(known.contains(&"identity".to_owned()));
}

#[test]
fn only_an_aggregate_retracts() {
    let retracts = |name: &str| {
        let operators = &plugin().description().operators;
        operators.iter().find(|operator| operator.name == name).map(|operator| operator.retracts)
    };
    // The guest says so of operators of all kinds.
    assert_eq!(retracts("sum"), Some(true));
    assert_eq!(retracts("bad-aggregate"), Some(false));
    assert_eq!((retracts("identity"), retracts("counter")), (Some(false), Some(false)));
}

#[test]
fn operator_of_another_kind_is_told_so() {
    let schema = numbers(&[]).schema();
    let error = support::open("sum", "", &schema, Arc::default(), support::brief()).err().unwrap();
    assert_eq!(error, CallError::WrongKind { name: "sum".into(), kind: Kind::Aggregate });
    let error = support::aggregate("counter", "", &schema, support::brief()).err().unwrap();
    assert_eq!(error, CallError::WrongKind { name: "counter".into(), kind: Kind::Keyed });
    let error = support::keyed("identity", "", support::brief()).err().unwrap();
    assert_eq!(error, CallError::WrongKind { name: "identity".into(), kind: Kind::Transform });
}
