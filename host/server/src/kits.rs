//! The kits, the contract and the templates that the program carries: `build.rs` has packed them.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kits.deflate"));

/// A file of a checkout.
pub(crate) struct PackedFile {
    /// From the root of the checkout, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// All files, by path.
///
/// # Errors
/// When the program is broken.
pub(crate) fn files() -> io::Result<Vec<PackedFile>> {
    let mut packed = DeflateDecoder::new(PACKED);
    let mut files = Vec::new();
    while let Some(path) = part(&mut packed)? {
        let bytes = part(&mut packed)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        files.push(PackedFile { path: String::from_utf8_lossy(&path).into_owned(), bytes });
    }
    Ok(files)
}

fn part(packed: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if packed.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    packed.read_exact(&mut length[1..])?;
    let mut bytes = Vec::new();
    packed.take(u64::from(u32::from_le_bytes(length))).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_project_needs_is_there_and_stands_alone() {
        let files = files().unwrap();
        let text = |path: &str| {
            let file = files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path}"));
            String::from_utf8(file.bytes.clone()).unwrap()
        };
        let manifest = text("guest-sdk/rust/Cargo.toml");
        assert!(!manifest.contains("workspace") && manifest.contains("edition = \"2024\""), "{manifest}");
        assert!(manifest.contains("wit-bindgen = { version"), "{manifest}");
        assert!(text("wit/worlds.wit").contains("world plugin"));
        // A link in the checkout.
        assert_eq!(text("guest-sdk/python/src/millstream/wit/data.wit"), text("wit/data.wit"));
        assert!(text("guest-sdk/templates/rust/common/Cargo.toml").contains("{{name}}"));
        assert!(
            files.iter().all(|file| !file.path.contains("/target/") && !file.path.contains("node_modules"))
        );
    }
}
