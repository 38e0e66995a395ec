//! Compiled plugins on disk: used when they are what was written, made again when not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream_wasm::{
    CallError, Digest, LoadError, Manifest, OpenTransform, Plugin, Runtime, RuntimeConfig,
};

use crate::support::{CLOCK, Ear, guest, numbers};

fn filled() -> (tempfile::TempDir, Digest, Manifest) {
    let dir = tempfile::tempdir().unwrap();
    let plugin = runtime(dir.path()).load(guest()).unwrap();
    let manifest = plugin.manifest().clone();
    (dir, plugin.digest(), manifest)
}

fn runtime(dir: &Path) -> Arc<Runtime> {
    Runtime::new(RuntimeConfig::new(dir)).unwrap()
}

fn file(dir: &Path) -> PathBuf {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|name| name == "compiled")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Starts again on the folder; answers the plugin, which works, and how often its bytes were read.
fn restart(dir: &Path, digest: Digest, manifest: &Manifest) -> usize {
    let reads = Arc::new(AtomicUsize::new(0));
    let bytes = {
        let reads = Arc::clone(&reads);
        move || {
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(guest().to_vec())
        }
    };
    let plugin = runtime(dir).open(digest, manifest.clone(), bytes);
    assert_eq!(reads.load(Ordering::Relaxed), 0, "opening a known plugin is lazy");
    let input = numbers(&[1, 2]);
    assert_eq!(identity(&plugin).unwrap().process(&CLOCK, &input).unwrap().rows, input);
    reads.load(Ordering::Relaxed)
}

fn identity(plugin: &Plugin) -> Result<millstream_wasm::Transform, CallError> {
    let observer = Arc::<Ear>::default();
    let schema = numbers(&[]).schema();
    plugin.transform(&OpenTransform {
        operator: "identity",
        config: "",
        input: &schema,
        observer,
        limits: None,
    })
}

#[test]
fn restart_compiles_nothing() {
    let (dir, digest, manifest) = filled();
    assert_eq!(digest, Digest::of(guest()));
    assert_eq!(digest.to_string().parse(), Ok(digest));
    assert!(runtime(dir.path()).is_cached(digest));
    assert_eq!(restart(dir.path(), digest, &manifest), 0);
}

#[test]
fn deleted_folder_is_made_again() {
    let (dir, digest, manifest) = filled();
    fs::remove_file(file(dir.path())).unwrap();
    assert_eq!(restart(dir.path(), digest, &manifest), 1);
    assert_eq!(restart(dir.path(), digest, &manifest), 0);
}

#[test]
fn changed_file_is_made_again() {
    let (dir, digest, manifest) = filled();
    let path = file(dir.path());
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [&flipped[..], &good[..good.len() / 2], b""] {
        fs::write(file(dir.path()), bad).unwrap();
        assert!(!runtime(dir.path()).is_cached(digest));
        assert_eq!(restart(dir.path(), digest, &manifest), 1);
        assert_eq!(restart(dir.path(), digest, &manifest), 0);
    }
}

#[test]
fn file_that_others_could_have_written_is_made_again() {
    let (dir, digest, manifest) = filled();
    fs::set_permissions(file(dir.path()), fs::Permissions::from_mode(0o620)).unwrap();
    assert_eq!(restart(dir.path(), digest, &manifest), 1);
    let path = file(dir.path());
    let elsewhere = dir.path().with_extension("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert_eq!(restart(dir.path(), digest, &manifest), 1);
    fs::remove_file(elsewhere).unwrap();
}

#[test]
fn a_note_that_the_file_was_looked_at_holds_for_that_file_alone() {
    let (dir, digest, manifest) = filled();
    let path = file(dir.path());
    let note = PathBuf::from(format!("{}.seen", path.display()));
    let is_cached = || runtime(dir.path()).is_cached(digest);
    // One that was lost or is about another file costs a look, and is written anew.
    assert!(is_cached());
    fs::write(&note, "another").unwrap();
    assert!(is_cached());
    assert_ne!(fs::read_to_string(&note).unwrap(), "another");
    // A change is seen whatever times the file claims to have.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert!(!is_cached());
    assert_eq!(restart(dir.path(), digest, &manifest), 1);
}

#[test]
fn only_the_owner_may_look_into_the_folder() {
    let (dir, ..) = filled();
    assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(file(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn bytes_of_another_plugin_are_not_compiled() {
    let (dir, digest, manifest) = filled();
    fs::remove_file(file(dir.path())).unwrap();
    let plugin = runtime(dir.path()).open(digest, manifest, || Ok(b"\0asm\x0d\0\x01\0".to_vec()));
    assert!(matches!(identity(&plugin), Err(CallError::Load(LoadError::Bytes(_)))));
}
