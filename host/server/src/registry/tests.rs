use millstream_engine::clock::SystemClock;
use serde_json::json;

use super::description::PluginManifest;
use super::wasm::{Loaded, ReadBytes};
use super::*;
use crate::random::to_hex;

/// Takes a JSON description as a component: what the registry does with one is the same.
pub(crate) struct Described;

impl Components for Described {
    fn load(&self, bytes: &[u8]) -> Result<Loaded, String> {
        use sha2::{Digest, Sha256};
        let description = serde_json::from_slice(bytes).map_err(|error| format!("no component: {error}"))?;
        let manifest = PluginManifest {
            description,
            kinds: vec!["transform".into()],
            imports: vec!["wasi:clocks".into()],
        };
        Ok(Loaded { digest: to_hex(&Sha256::digest(bytes)), manifest })
    }

    fn open(&self, _: &str, _: &PluginManifest, _: ReadBytes) -> Result<Plugin, String> {
        panic!("a component was opened although no pipeline needs it")
    }
}

pub(crate) fn component(name: &str, version: &str, summary: &str) -> Vec<u8> {
    let schema = json!({ "type": "object", "properties": { "lowercase": { "type": "boolean" } }, "additionalProperties": false });
    json!({ "name": name, "version": version, "summary": summary, "operators": [
        { "name": "split-words", "kind": "transform", "summary": "words", "config_schema": schema },
        { "name": "trim", "kind": "transform", "summary": "trims", "config_schema": {} },
    ] })
    .to_string()
    .into_bytes()
}

fn registry(dir: &tempfile::TempDir) -> Registry {
    let catalog = Catalog::open(&dir.path().join("catalog.db"), SystemClock::shared()).unwrap();
    Registry::new(Arc::new(catalog), Arc::new(Described))
}

fn meaning(registry: &Registry, text: &str) -> Result<String, String> {
    let rows = registry.rows().unwrap();
    let (known, operator) = reference::resolve(&rows, &reference::parse(text)?, &HashSet::new())?;
    Ok(format!("{} {}", known.document.version, operator.name))
}

#[test]
fn work_in_progress_is_kept_under_pre_releases() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let (old, new) = (component("text", "1.0.0", "a"), component("text", "1.0.0", "b"));
    assert!(registry.upload(&old).unwrap().created);
    let uploaded = registry.upload_as(&new, Some("1.0.0-dev.1")).unwrap();
    assert_eq!((uploaded.created, uploaded.plugin.version.as_str()), (true, "1.0.0-dev.1"));
    // Only who asks for it gets it.
    assert_eq!(meaning(&registry, "text/trim@1").unwrap(), "1.0.0 trim");
    assert_eq!(meaning(&registry, "text/trim@1.0.0-dev.1").unwrap(), "1.0.0-dev.1 trim");
    // Bytes that are there stay what they are.
    let again = registry.upload_as(&old, Some("1.0.0-dev.2")).unwrap();
    assert_eq!((again.created, again.plugin.version.as_str()), (false, "1.0.0"));
    for version in ["1.0.0", "1.0.1-dev.1", "dev", "1.0.0-dev.1+x", ""] {
        let error = registry.upload_as(&new, Some(version)).unwrap_err().to_string();
        assert!(error.contains("no pre-release of version 1.0.0 of `text`, such as 1.0.0-dev.1"), "{error}");
    }
}

#[test]
fn the_same_bytes_again_change_nothing_and_other_bytes_need_a_new_version() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    assert!(registry.upload(&component("text", "1.0.0", "a")).unwrap().created);
    assert!(!registry.upload(&component("text", "1.0.0", "a")).unwrap().created);
    let error = registry.upload(&component("text", "1.0.0", "b")).unwrap_err();
    assert!(matches!(error, RegistryError::VersionTaken { .. }));
    assert!(error.to_string().contains("raise the plugin's version"), "{error}");
    assert!(registry.upload(&component("text", "1.0.1", "b")).unwrap().created);
    assert_eq!(registry.list().unwrap().len(), 2);
}

#[test]
fn what_is_no_plugin_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    for bytes in [b"".to_vec(), b"\0asm".to_vec(), component("text", "one", "x")] {
        assert!(matches!(registry.upload(&bytes), Err(RegistryError::Invalid(_))));
    }
    let broken = String::from_utf8(component("text", "1.0.0", "x")).unwrap().replace("boolean", "boolaen");
    let error = registry.upload(broken.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("text/split-words"), "{error}");
}

#[test]
fn references_choose_the_newest_version_they_allow() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    for version in ["1.2.3", "1.10.0", "1.2.9", "2.0.0-rc.1", "0.9.0"] {
        registry.upload(&component("text", version, "x")).unwrap();
    }
    let of = |text: &str| meaning(&registry, text).unwrap();
    assert_eq!(of("text/trim"), "1.10.0 trim");
    assert_eq!(of("text/trim@1"), "1.10.0 trim");
    assert_eq!(of("text/trim@1.2"), "1.2.9 trim");
    assert_eq!(of("text/trim@1.2.3"), "1.2.3 trim");
    assert_eq!(of("text/trim@2.0.0-rc.1"), "2.0.0-rc.1 trim");
    assert_eq!(of("text/trim@0"), "0.9.0 trim");
    let versions: Vec<String> = registry.list().unwrap().into_iter().map(|p| p.version).collect();
    assert_eq!(versions, ["0.9.0", "1.2.3", "1.2.9", "1.10.0", "2.0.0-rc.1"]);
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    registry.upload(&component("text", "1.2.3", "x")).unwrap();
    registry.upload(&component("beta", "1.0.0-beta.1", "x")).unwrap();
    let of = |text: &str| meaning(&registry, text).unwrap_err();
    assert!(of("txt/trim").contains("did you mean `text`"), "{}", of("txt/trim"));
    assert!(of("text/split-word@1").contains("did you mean `split-words`"));
    assert!(of("text/trim@2").contains("no version 2; there are 1.2.3"));
    assert!(of("text/trim@2.0.0-rc.1").contains("there are 1.2.3"));
    assert!(of("beta/trim").contains("pre-releases only"));
    for bad in ["text", "text/", "/trim", "text/trim@", "text/trim@x", "text/trim@1.2.3.4", ""] {
        assert!(meaning(&registry, bad).is_err(), "{bad}");
    }
}

#[test]
fn a_deployed_pipeline_keeps_the_version_it_was_deployed_with() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let old = registry.upload(&component("text", "1.0.0", "x")).unwrap().plugin.digest;
    registry.upload(&component("text", "1.1.0", "x")).unwrap();
    let rows = registry.rows().unwrap();
    let pinned = HashSet::from([old]);
    assert_eq!(reference::choose(&rows, "text", Some("1"), &pinned).unwrap().document.version, "1.0.0");
    assert_eq!(reference::choose(&rows, "text", Some("1.1"), &pinned).unwrap().document.version, "1.1.0");
}

#[test]
fn a_plugin_in_use_is_not_deleted_and_its_users_are_named() {
    use crate::catalog::Wanted;
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let digest = registry.upload(&component("text", "1.0.0", "x")).unwrap().plugin.digest;
    registry.catalog.put_pipeline("words", "1", "{}", &[digest], Wanted::Stopped).unwrap();
    let error = registry.delete("text", "1.0.0").unwrap_err();
    assert!(error.to_string().contains("used by words"), "{error}");
    registry.catalog.remove_pipeline("words").unwrap();
    assert!(registry.delete("text", "1").unwrap_err().to_string().contains("`text@1.0.0`"));
    registry.delete("text", "1.0.0").unwrap();
    assert!(matches!(registry.delete("text", "1.0.0"), Err(RegistryError::Unknown(_))));
}

#[test]
fn configs_are_checked_with_the_path_of_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    registry.upload(&component("text", "1.0.0", "x")).unwrap();
    let spec = PipelineSpec::from_json(json!({
        "name": "words",
        "sources": { "lines": { "type": "file", "path": "x", "format": "text" } },
        "steps": { "words": { "from": "lines", "wasm": "text/split-words@1", "config": { "lowercase": 1 } } },
        "sinks": { "out": { "from": "words", "type": "stdout" } },
    }))
    .unwrap();
    let errors = registry.check_configs(&spec, &HashSet::new());
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].path, "steps.words.config.lowercase");
}

#[test]
fn twenty_large_plugins_are_listed_without_reading_or_opening_them() {
    let dir = tempfile::tempdir().unwrap();
    {
        let registry = registry(&dir);
        for n in 0..20 {
            let mut bytes = component(&format!("plugin-{n}"), "1.0.0", "x");
            bytes.resize(1 << 20, b' ');
            registry.upload(&bytes).unwrap();
        }
    }
    let clock = SystemClock::shared();
    let start = clock.monotonic();
    let registry = registry(&dir);
    assert_eq!(registry.list().unwrap().len(), 20);
    let took = clock.monotonic() - start;
    assert!(took.as_millis() < 300, "{took:?}");
}
