//! Compiled components on disk, by the digest of the plugin and the version of the engine. Only
//! files that this user wrote and that still are what was written are used; all others are made again.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// SHA-256 of a plugin's bytes; written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(NoDigest);
        }
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoDigest)?;
        }
        Ok(Self(digest))
    }
}

/// A text is no SHA-256 in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDigest;

impl fmt::Display for NoDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest is a SHA-256, written as 64 hexadecimal digits")
    }
}

impl std::error::Error for NoDigest {}

/// The folder of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    owner: u32,
    /// What the engine's version and settings are: code for another engine is not looked at.
    engine_key: String,
    temporary: AtomicU64,
}

/// A file's name is `<plugin>-<engine>-<content>.compiled`, so that a file that was cut or changed
/// is not what its name says.
const SUFFIX: &str = ".compiled";

/// A file beside it says how it was when that was last looked at: to read 36 MB of a plugin in Python takes
/// several times as long as to map them.
const SEEN_SUFFIX: &str = ".seen";

impl Cache {
    /// Opens the folder, making it if need be, and closes it to all other users.
    pub(crate) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        let owner = fs::metadata(dir)?.uid();
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine_key = format!("{:016x}", hasher.finish());
        Ok(Self { dir: dir.to_owned(), owner, engine_key, temporary: AtomicU64::new(0) })
    }

    /// The component as it was compiled before, if that can be trusted.
    pub(crate) fn get(&self, engine: &Engine, plugin: Digest) -> Option<Component> {
        let (path, content) = self.find(plugin)?;
        if let Err(why) = self.verify(&path, content) {
            tracing::warn!(path = %path.display(), why, "a compiled plugin is not used and made again");
            return None;
        }
        #[allow(
            unsafe_code,
            reason = "the file belongs to this user alone and its content is what this server wrote: \
                      both were checked a moment ago"
        )]
        // SAFETY: only bytes that `Component::serialize` gave are ever named by their digest here.
        let component = unsafe { Component::deserialize_file(engine, &path) };
        component
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "a compiled plugin is made again"),
            )
            .ok()
    }

    /// Keeps a compiled component in place of what was there for this plugin before. A failure is
    /// logged only: the next start compiles again.
    pub(crate) fn put(&self, plugin: Digest, component: &Component) {
        if let Err(error) = self.write(plugin, component) {
            tracing::warn!(dir = %self.dir.display(), %error, "a compiled plugin could not be kept");
        }
    }

    fn find(&self, plugin: Digest) -> Option<(PathBuf, Digest)> {
        let prefix = format!("{plugin}-{}-", self.engine_key);
        self.names().find_map(|name| {
            let content = name.strip_prefix(&prefix)?.strip_suffix(SUFFIX)?.parse().ok()?;
            Some((self.dir.join(&name), content))
        })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    }

    fn verify(&self, path: &Path, content: Digest) -> Result<(), &'static str> {
        let readable = |_| "it cannot be read";
        let status = fs::symlink_metadata(path).map_err(readable)?;
        if !status.is_file() || status.uid() != self.owner || status.mode() & 0o077 != 0 {
            return Err("it is not a file of this user alone");
        }
        let (seen, stamp) = (seen_file(path), stamp(&status));
        if is_newer(&seen, &status) && fs::read_to_string(&seen).is_ok_and(|known| known == stamp) {
            return Ok(());
        }
        let mut file = File::open(path).map_err(readable)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer).map_err(readable)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        if Digest(hasher.finalize().into()) != content {
            return Err("its content has changed");
        }
        note_seen(&file, &seen, &stamp);
        Ok(())
    }

    fn write(&self, plugin: Digest, component: &Component) -> io::Result<()> {
        let bytes = component.serialize().map_err(io::Error::other)?;
        let name = format!("{plugin}-{}-{}{SUFFIX}", self.engine_key, Digest::of(&bytes));
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".{plugin}.{}.{number}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&bytes)?;
        let path = self.dir.join(&name);
        fs::rename(&temporary, &path)?;
        self.forget_others(plugin, &name);
        note_seen(&file, &seen_file(&path), &stamp(&fs::symlink_metadata(&path)?));
        Ok(())
    }

    /// Removes what other versions of the engine compiled of this plugin.
    fn forget_others(&self, plugin: Digest, kept: &str) {
        let prefix = format!("{plugin}-");
        for name in self.names().filter(|name| name.starts_with(&prefix) && name != kept) {
            if let Err(error) = fs::remove_file(self.dir.join(&name)) {
                tracing::warn!(name, %error, "an old compiled plugin could not be removed");
            }
        }
    }
}

fn seen_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SEEN_SUFFIX);
    name.into()
}

/// A note of the same tick of the file system's clock says nothing: the file may have changed after it.
fn is_newer(seen: &Path, than: &fs::Metadata) -> bool {
    let changed = (than.ctime(), than.ctime_nsec());
    fs::symlink_metadata(seen).is_ok_and(|seen| (seen.mtime(), seen.mtime_nsec()) > changed)
}

/// What is another one once somebody wrote to the file, or put another in its place.
fn stamp(status: &fs::Metadata) -> String {
    let (changed, modified) = ((status.ctime(), status.ctime_nsec()), (status.mtime(), status.mtime_nsec()));
    format!("{} {} {} {changed:?} {modified:?}", status.dev(), status.ino(), status.size())
}

/// Notes that the file's content is what it should be. Without the note it is read again the next time.
fn note_seen(file: &File, seen: &Path, stamp: &str) {
    // On disk before anybody relies on it: after a power cut the file could have its length and other bytes.
    if file.sync_all().is_ok() {
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(seen);
        if let Err(error) = written.and_then(|mut seen| seen.write_all(stamp.as_bytes())) {
            tracing::warn!(path = %seen.display(), %error, "a compiled plugin will be read as a whole again");
        }
    }
}
